"""From the body of ``POST /models/download`` to a download that this server is willing to do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from torchinf_core.download import make_request
from torchinf_core.errors import PolicyError, RefError, UntrustedError, UsageError
from torchinf_core.refs import URL_SCHEMES, join_words
from torchinf_core.settings import Settings
from torchinf_serve.config import Config

if TYPE_CHECKING:
    from torchinf_core.plugins import Plugins

DEEPEST = 32
_EXECUTES = re.compile(r"trust|pickle|unsafe|allow_|code|weights_only", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]+:")

Label = Annotated[str, Field(min_length=1, max_length=1000)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class DownloadRequest(BaseModel):
    """What to download.

    ``source`` and ``model_id`` are as for ``torchinf download SOURCE MODEL_ID``.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    source: Annotated[
        str, Field(min_length=1, max_length=4096, description="torchvision, hub, hf, url, …")
    ]
    model_id: Annotated[
        str | None, Field(min_length=1, max_length=4096, description="what the source calls it")
    ] = None
    name: Annotated[str | None, Field(min_length=1, max_length=128, description="in the store")] = (
        None
    )
    task: Label | None = None
    description: Label | None = None
    tags: Annotated[list[Pattern], Field(max_length=32)] = []
    pretrained: bool | None = None
    sha256: Annotated[str | None, Field(pattern=r"^(sha256:)?[0-9a-fA-F]{64}$")] = None
    update: Annotated[bool, Field(description="ask the source again")] = False
    replace: Annotated[bool, Field(description="let the name change its content")] = False
    variant: Pattern | None = None
    format: Pattern | None = None
    include: Annotated[list[Pattern] | None, Field(max_length=64)] = None
    exclude: Annotated[list[Pattern] | None, Field(max_length=64)] = None
    all_files: bool | None = None
    extract: bool | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A download that may run.

    Attributes:
        asked: arguments of :meth:`ModelDownloader.obtain`, JSON values only.
        key: of the request; equal for equal ones.
    """

    asked: dict[str, Any]
    key: str


def parse(body: bytes, query: Mapping[str, str]) -> DownloadRequest:
    """Understand a body; query parameters stand in for what it does not say.

    Raises:
        UntrustedError: it asks to run code, which no request can allow.
        UsageError: it is no JSON object, or holds what this takes no note of.
    """
    found = _read_json(body) if body.strip() else {}
    if not isinstance(found, dict):
        raise UsageError("the body is no JSON object")
    for key, text in query.items():
        found.setdefault(key, _from_query(key, text))
    for key in found:
        if _EXECUTES.search(key):
            raise UntrustedError(
                f"{key[:80]!r} can't be set by a request: nothing a client sends lets code run",
                hint="torchinf trust NAME on the server decides it",
            )
    if "model_name" in found:
        found.setdefault("name", found["model_name"])
        if found.pop("model_name") != found["name"]:
            raise UsageError("name and model_name contradict each other")
    try:
        return DownloadRequest.model_validate(found)
    except ValidationError as error:
        raise UsageError(_in_words(error)) from None


def admit(
    request: DownloadRequest, config: Config, settings: Settings, plugins: Plugins
) -> Admitted:
    """See that the server may do it: a source that is allowed, no file of its own, no URL but some.

    Raises:
        PolicyError: it may not.
        RefError, OptionError, UsageError: the request makes no sense.
        UnknownSourceError: no plugin serves the source.
    """
    text = request.source
    if request.model_id is not None:
        text = join_words(request.source, request.model_id)
    asked = request.model_dump(exclude_none=True, exclude_defaults=True)
    asked.pop("model_id", None)
    asked["source"] = text = _plain(text)
    made = make_request(
        text,
        settings=settings,
        name=request.name,
        sha256=request.sha256,
        options={
            key: asked[key]
            for key in (
                "pretrained", "variant", "format", "include", "exclude", "all_files", "extract",
            )
            if key in asked
        },
    )  # fmt: skip
    ref = made.ref
    if ref.is_local:
        raise PolicyError("files of the server can't be asked for")
    info = plugins.source(ref.scheme)
    if ref.scheme in URL_SCHEMES:
        _check_url(ref.locator, config)
    elif config.sources and not {*info.schemes, info.name} & set(config.sources):
        raise PolicyError(
            f"this server does not download from {info.name}",
            hint=f"it does from {', '.join(config.sources)}",
        )
    return Admitted(asked, made.key)


def _plain(text: str) -> str:
    """The reference with its scheme first, whatever stands before it.

    A bare word is never looked up: whether it is a file here is nobody's business.
    """
    while text.lower().startswith("url:"):
        text = text[4:]
    if not _SCHEME.match(text):
        raise RefError("source and model_id together name no model", hint="source: torchvision")
    if text.lower().startswith("file:"):
        raise PolicyError("files of the server can't be asked for")
    return text


def _check_url(url: str, config: Config) -> None:
    parts = urlsplit(url)
    if not config.url_hosts:
        raise PolicyError(
            "this server downloads from no URL", hint="torchinf serve --url-host HOST allows one"
        )
    if parts.username is not None:
        raise PolicyError("a URL with a login in it is not taken")
    if parts.scheme != "https" and not config.allow_http:
        raise PolicyError("only https is asked", hint="torchinf serve --allow-http")
    standard = 443 if parts.scheme == "https" else 80
    host = (parts.hostname or "").lower()
    port = parts.port or standard
    if not any(_fits(entry.lower(), host, port, standard) for entry in config.url_hosts):
        raise PolicyError(
            "this server does not download from that host",
            hint="torchinf serve --url-host HOST[:PORT] allows one",
        )


def _fits(entry: str, host: str, port: int, standard: int) -> bool:
    """Whether ``example.com``, ``*.example.com`` or ``example.com:8443`` allows a host and port."""
    wild = entry.startswith("*.")
    parts = urlsplit(f"//{entry.removeprefix('*.')}")
    allowed = (parts.hostname or "").lower()
    if port != (parts.port or standard):
        return False
    return host.endswith(f".{allowed}") if wild else host == allowed


def _read_json(body: bytes) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands there twice")
        return found

    def no_number(word: str) -> float:
        raise ValueError(f"{word} is no JSON")

    try:
        text = body.decode("utf-8")
        if _depth(text) > DEEPEST:
            raise ValueError("it is nested too deeply")
        return json.loads(text, object_pairs_hook=unique, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON that could be read: {str(error)[:200]}") from None


def _depth(text: str) -> int:
    """At least how deeply brackets are nested; those in texts count, too."""
    depth = most = 0
    for character in text:
        if character in "[{":
            depth += 1
            most = max(most, depth)
        elif character in "]}":
            depth -= 1
    return most


def _from_query(key: str, text: str) -> Any:
    """A query parameter as the JSON value that it stands for."""
    field = DownloadRequest.model_fields.get(key)
    if field is not None and "bool" in str(field.annotation):
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if field is not None and "list" in str(field.annotation):
        return [word for word in text.split(",") if word]
    return text


def _in_words(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        where = ".".join(str(part) for part in item["loc"])[:100]
        parts.append(f"{where}: {item['msg'].lower()}" if where else item["msg"].lower())
    return "; ".join(parts)
