"""The endpoints that manage models: downloads, and what the store holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from torchinf_core.errors import TorchinfError, UsageError
from torchinf_core.manager import ModelDownloader
from torchinf_core.refs import check_name, redact
from torchinf_core.types import ModelInfo, Record
from torchinf_serve import schemas
from torchinf_serve.asking import Admitted, DownloadRequest, admit, parse
from torchinf_serve.job_routes import JobRoutes
from torchinf_serve.jobs.job import DONE, FAILED, Job
from torchinf_serve.observing import ObservingRoutes
from torchinf_serve.security.gate import AUDIT, CALLER
from torchinf_serve.security.problems import RefusedError
from torchinf_serve.state import ServerState

_QUERY = ("wait",)
_EVERYTHING = "all"

Name = Annotated[str, Path(min_length=1, max_length=128, description="of the model in the store")]


def router(state: ServerState) -> APIRouter:
    """All management routes of a server."""
    routes = APIRouter(responses=schemas.PROBLEMS)
    _Downloads(state).add_to(routes)
    _Models(state).add_to(routes)
    JobRoutes(state).add_to(routes)
    ObservingRoutes(state).add_to(routes)
    return routes


class _Downloads:
    """``POST /models/download``."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def add_to(self, routes: APIRouter) -> None:
        """Register the route."""
        routes.add_api_route(
            "/models/download",
            self.download,
            methods=["POST"],
            summary="Download a model",
            responses={
                200: {"model": schemas.Downloaded, "description": "It is here."},
                202: {"model": schemas.Accepted, "description": "A job brings it."},
            },
            openapi_extra=schemas.body_of(DownloadRequest),
        )

    async def download(
        self,
        request: Request,
        wait: Annotated[bool, Query(description="answer when it is here")] = False,
    ) -> Response:
        """Have a model in the store.

        It is answered at once where the model is here already; else a job brings it,
        and ``Location`` leads to the job.
        """
        state = self._state
        query = {key: text for key, text in request.query_params.items() if key not in _QUERY}
        body = await request.body()
        settings = state.downloader.settings
        admitted = admit(parse(body, query), state.config, settings, state.plugins)
        audit = request.scope[AUDIT]
        audit["source"] = redact(str(admitted.asked["source"]))
        # A thread only where there is something to read.
        known = _may_be_cached(state.downloader, admitted)
        record = await asyncio.to_thread(_cached, state.downloader, admitted) if known else None
        if record is not None:
            return JSONResponse(_downloaded(record, "cached", None))
        caller = request.scope[CALLER]
        job, joined = await state.jobs.submit(admitted.asked, admitted.key, caller.label)
        audit["job"] = job.id
        if not wait:
            place = {"location": f"/models/jobs/{job.id}"}
            body_ = {**job.shown(), "job_id": job.id, "joined": joined}
            return JSONResponse(body_, 202, headers=place)
        job = await state.jobs.wait(job.id)
        if job.state == DONE and job.name is not None:
            # The job has the name; the record may be gone again by now.
            done = await asyncio.to_thread(state.downloader.get_record, job.name)
            return JSONResponse(_downloaded(done, "downloaded", job.id))
        raise _as_error(job)


def _may_be_cached(downloader: ModelDownloader, admitted: Admitted) -> bool:
    """Whether an equal request was answered before; a look at one name."""
    return os.path.lexists(downloader.store.layout.request(admitted.key))


def _cached(downloader: ModelDownloader, admitted: Admitted) -> Record | None:
    """The record that answers a request without any connection, with the labels it brings."""
    if admitted.asked.get("update"):
        return None
    record = downloader.registry.by_request(admitted.key)
    if record is None or downloader.store.check(record, full=False):
        return None
    offline = ModelDownloader(downloader.cache_dir, offline=True)
    try:
        return offline.obtain(**admitted.asked).record
    except TorchinfError:
        return None  # something happened to it meanwhile: a job finds out


def _as_error(job: Job) -> RefusedError:
    """What a client that waited is told of a job without a model."""
    if job.state != FAILED or job.error is None:
        word = "stopping" if not job.has_ended else job.state
        return RefusedError(
            503 if not job.has_ended else 409,
            f"the job was not finished: {word}",
            hint=f"GET /models/jobs/{job.id}",
        )
    return RefusedError(
        int(job.error["status"]), str(job.error["detail"]), hint=str(job.error.get("hint", ""))
    )


class _Models:
    """What the store holds."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._downloader = state.downloader

    def add_to(self, routes: APIRouter) -> None:
        """Register the routes."""
        add = routes.add_api_route
        add(
            "/models/available",
            self.available,
            response_model=schemas.Available,
            summary="List the stored models",
        )
        add(
            "/models/download/{model_name}/info",
            self.info,
            response_model=schemas.Info,
            summary="Show what is known of a stored model",
        )
        add(
            "/models/download/{model_name}",
            self.remove,
            methods=["DELETE"],
            response_model=schemas.Removed,
            summary="Remove a stored model, or all",
        )
        add(
            "/models/cache/info",
            self.cache,
            response_model=schemas.Cache,
            summary="Show what the store takes",
        )

    async def available(self) -> dict[str, Any]:
        """Every readable model of the store, by name."""
        models = await asyncio.to_thread(self._downloader.list_available_models)
        shown = {name: _shown(info.record) for name, info in models.items()}
        return {"available_models": shown, "total_available": len(shown)}

    async def info(self, model_name: Name) -> dict[str, Any]:
        """What is known of one model."""
        info = await asyncio.to_thread(self._info, model_name)
        return {"model_name": info.name, "info": _shown(info.record)}

    def _info(self, name: str) -> ModelInfo:
        return self._downloader.get_model_info(check_name(name))

    async def remove(
        self,
        request: Request,
        model_name: Name,
        confirm: Annotated[str | None, Query(max_length=64, description="all")] = None,
    ) -> dict[str, Any]:
        """Forget a model and its files; ``all`` with ``?confirm=all`` forgets every model."""
        if model_name == _EVERYTHING:
            if confirm != _EVERYTHING:
                raise UsageError(
                    "all models would be removed", hint="DELETE /models/download/all?confirm=all"
                )
            removed = await asyncio.to_thread(self._remove_all)
        else:
            check_name(model_name)
            self._refuse_while_downloading(model_name)
            gone = await asyncio.to_thread(self._downloader.remove_model, model_name)
            removed = [gone.name]
        for name in removed:
            self._state.predictions.forget(name)
        request.scope[AUDIT]["removed"] = removed[:100]
        return {"model_name": model_name, "removed": removed}

    def _remove_all(self) -> list[str]:
        names = self._downloader.registry.names()
        idle = [name for name in names if self._state.jobs.active_for(name) is None]
        return [self._downloader.remove_model(name).name for name in idle]

    def _refuse_while_downloading(self, name: str) -> None:
        job = self._state.jobs.active_for(name)
        if job is not None:
            raise RefusedError(
                409,
                f"a job downloads {name!r}",
                hint=f"DELETE /models/jobs/{job.id} cancels it",
            )

    async def cache(self, request: Request) -> dict[str, Any]:
        """How much the store holds; where it is, only who may write is told."""
        usage, names = await asyncio.to_thread(
            lambda: (self._downloader.get_cache_size(), self._downloader.registry.names())
        )
        may_know = request.scope[CALLER].may_write
        return {
            "cache_directory": str(self._downloader.cache_dir) if may_know else "hidden",
            "total_models": len(names),
            "total_size_mb": round(usage / 1e6, 3),
            "models": names,
        }


def _downloaded(record: Record, status: str, job: str | None) -> dict[str, Any]:
    return {"status": status, "job_id": job, "model_name": record.name, "info": _shown(record)}


def _shown(record: Record) -> dict[str, Any]:
    """A record for clients; of a file of the server, its name alone."""
    local = record.ref.startswith("file:")
    last: Callable[[str], str] = lambda text: text.rpartition("/")[2] if local else text  # noqa: E731
    return {
        "name": record.name,
        "source": record.source,
        "model_id": last(record.model_id),
        "ref": last(record.ref),
        "revision": record.revision,
        "task": record.task,
        "description": record.description,
        "license": record.license,
        "tags": list(record.tags),
        "format": record.format,
        "size_mb": record.size / 1e6,
        "size": record.size,
        "trust": record.trust.name.lower(),
        "trusted": record.trusted is not None,
        "verified": record.verified,
        "files": [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "format": file.format}
            for file in record.files
        ],
        "created": record.created,
        "updated": record.updated,
    }
