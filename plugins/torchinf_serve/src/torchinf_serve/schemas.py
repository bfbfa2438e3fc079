"""The shapes of answers, for the OpenAPI document and for whoever generates a client from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from torchinf_serve.security.problems import MEDIA_TYPE

State = Literal["queued", "running", "interrupted", "done", "failed", "cancelled"]


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
    request_id: str | None = None


class StoredFile(BaseModel):
    """One file of a stored model."""

    path: str
    size: int
    sha256: str
    format: str | None


class Model(BaseModel):
    """A stored model."""

    name: str
    source: str
    model_id: str
    ref: str
    revision: str | None
    task: str | None
    description: str | None
    license: str | None
    tags: list[str]
    format: str | None
    size_mb: float
    size: int
    trust: Literal["data", "pickle", "code"]
    trusted: bool
    verified: str
    files: list[StoredFile]
    created: str
    updated: str


class Available(BaseModel):
    """Every stored model."""

    available_models: dict[str, Model]
    total_available: int


class Info(BaseModel):
    """One stored model."""

    model_name: str
    info: Model


class Removed(BaseModel):
    """What was removed."""

    model_name: str
    removed: list[str]


class Cache(BaseModel):
    """The store as a whole."""

    cache_directory: str
    total_models: int
    total_size_mb: float
    models: list[str]


class Result(BaseModel):
    """What a job that is done brought."""

    hit: bool
    fetched: int
    size: int
    notes: list[str]


class Job(BaseModel):
    """A download as a job."""

    id: str
    state: State
    source: str
    model_id: str
    model_name: str | None
    done_bytes: int
    total_bytes: int | None
    attempt: int
    created: str
    started: str | None
    finished: str | None
    error: Problem | None
    result: Result | None
    behind: str | None


class JobList(BaseModel):
    """All jobs that are remembered."""

    jobs: list[Job]
    total: int


class Accepted(Job):
    """A job that was made, or one that does the same already."""

    job_id: str
    joined: bool


class Downloaded(BaseModel):
    """A model that is here."""

    status: Literal["cached", "downloaded"]
    job_id: str | None
    model_name: str
    info: Model


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok", "degraded", "stopping"]
    problems: list[str]
    downloads: dict[str, int]
    predictions: dict[str, Any]


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: _problem(description)
    for status, description in {
        400: "The request is malformed.",
        401: "A token is needed.",
        403: "It is refused.",
        404: "There is no such thing.",
        405: "Not with this method.",
        409: "Not in this state.",
        413: "The body, or the model, is too large.",
        415: "The body is not JSON.",
        421: "The server does not go by that name.",
        422: "The request makes no sense.",
        429: "Too many requests, or downloads that wait.",
        431: "Too many headers.",
        500: "Something failed here.",
        501: "A plugin or package is missing.",
        502: "The source failed.",
        503: "Not now.",
        507: "The disk is full.",
    }.items()
}
"""What any route may answer instead."""


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI entry for a body that the route reads by itself."""
    schema = kind.model_json_schema()
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": True}}
