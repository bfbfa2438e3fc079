"""What is sent for each method, and what is read from the answer; no connection is made here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from torchinf_core.errors import AccessDeniedError, PolicyError, UsageError
from torchinf_core.refs import check_name
from torchinf_serve.client.inputs import body_of, result_of

T = TypeVar("T")
Json = dict[str, Any]
TOKEN_VARIABLE = "TORCHINF_SERVER_TOKEN"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    Attributes:
        method, path: of the request.
        read: makes the method's result of the answer.
        more: keyword arguments of httpx.
        fine: statuses besides 2xx that are no error.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    more: Mapping[str, Any] = field(default_factory=dict)
    fine: tuple[int, ...] = ()


def settings(url: str, token: str | None, token_file: str | None, *, allow_http: bool) -> Json:
    """Keyword arguments of an httpx client for a server.

    Raises:
        UsageError: the address or the token is none.
        PolicyError: the token would be sent without encryption.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        raise UsageError(f"{url!r} is no address of a server", hint="http://127.0.0.1:8000")
    here = _is_here(host)
    if parts.scheme == "http" and not (here or allow_http):
        raise PolicyError(
            f"the token would go to {host} for everybody on the way to read",
            hint="https://, or --allow-http if the way there is safe",
        )
    token = token or os.environ.get(TOKEN_VARIABLE) or read_token(token_file)
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("the token holds characters that no token has")
    return {
        "base_url": url,
        "headers": {"authorization": f"Bearer {token}"} if token else {},
        "trust_env": not here,  # no proxy stands between this machine and itself
        "follow_redirects": False,
    }


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(path: str | None) -> str:
    """The first token of a file; ``""`` where there is none to read.

    Raises:
        UsageError: it can't be read.
        AccessDeniedError: it holds none.
    """
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path), encoding="ascii", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError as error:
        raise UsageError(f"no token can be read from {path}: {error.strerror}") from None
    found = next((words[0] for words in lines if words and words[0][0] != "#"), None)
    if found is None:
        raise AccessDeniedError(f"{path} holds no token")
    return found


def _json(answer: httpx.Response) -> Json:
    found: Json = answer.json()
    return found


def _nothing(_answer: httpx.Response) -> None:
    return None


def _in_list(answer: httpx.Response) -> Any:
    return [result_of(answer)]


def _place(name: str) -> str:
    """A model's name within a path.

    Raises:
        RefError: it can't be one.
    """
    return quote(check_name(name), safe="")


def _job(ident: str) -> str:
    return f"/models/jobs/{quote(ident.replace('.', ''), safe='')}"


def health() -> Call[Json]:
    """``GET /health``."""
    return Call("GET", "/health", _json, fine=(503,))


def models() -> Call[dict[str, Json]]:
    """``GET /models/available``."""
    return Call("GET", "/models/available", lambda answer: answer.json()["available_models"])


def info(name: str) -> Call[Json]:
    """``GET /models/download/{name}/info``."""
    path = f"/models/download/{_place(name)}/info"
    return Call("GET", path, lambda answer: answer.json()["info"])


def describe(name: str) -> Call[Json]:
    """``GET /v2/models/{name}``."""
    return Call("GET", f"/v2/models/{_place(name)}", _json)


def cache() -> Call[Json]:
    """``GET /models/cache/info``."""
    return Call("GET", "/models/cache/info", _json)


def remove(name: str) -> Call[list[str]]:
    """``DELETE /models/download/{name}``."""
    path = f"/models/download/{'all?confirm=all' if name == 'all' else _place(name)}"
    return Call("DELETE", path, lambda answer: answer.json()["removed"])


def download(source: str, model_id: str | None, asked: Mapping[str, Any]) -> Call[Json]:
    """``POST /models/download``; reads the facts of a job, also where there is none."""
    body: Json = {"source": source, "model_id": model_id, **asked}
    body = {key: _plain(value) for key, value in body.items() if value not in (None, (), [])}

    def read(answer: httpx.Response) -> Json:
        found = _json(answer)
        if answer.status_code == httpx.codes.ACCEPTED:
            return found
        size = found["info"]["size"]
        result = {"hit": True, "fetched": 0, "size": size, "notes": []}
        state = {"state": "done", "model_name": found["model_name"], "result": result}
        return {"id": "", "done_bytes": size, "total_bytes": size, "error": None, **state}

    return Call("POST", "/models/download", read, {"json": body})


def _plain(value: Any) -> Any:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return list(value) if is_list else value


def jobs() -> Call[list[Json]]:
    """``GET /models/jobs``."""
    return Call("GET", "/models/jobs", lambda answer: answer.json()["jobs"])


def job(ident: str) -> Call[Json]:
    """``GET /models/jobs/{id}``."""
    return Call("GET", _job(ident), _json)


def cancel(ident: str) -> Call[Json]:
    """``DELETE /models/jobs/{id}``."""
    return Call("DELETE", _job(ident), _json)


def retry(ident: str) -> Call[Json]:
    """``POST /models/jobs/{id}/retry``."""
    return Call("POST", f"{_job(ident)}/retry", _json)


def predict(name: str, inputs: Any, options: Mapping[str, Any]) -> Call[Any]:
    """``POST /models/{name}/predict``."""
    more = body_of(inputs, options)
    read = result_of
    if "files" in more and isinstance(inputs, list) and len(inputs) == 1:
        read = _in_list  # a form with one file is answered as that file alone
    return Call("POST", f"/models/{_place(name)}/predict", read, more)


def load(name: str) -> Call[None]:
    """``POST /v2/repository/models/{name}/load``."""
    return Call("POST", f"/v2/repository/models/{_place(name)}/load", _nothing)


def unload(name: str) -> Call[None]:
    """``POST /v2/repository/models/{name}/unload``."""
    return Call("POST", f"/v2/repository/models/{_place(name)}/unload", _nothing)


def loaded() -> Call[list[str]]:
    """``POST /v2/repository/index`` with ``ready``."""
    return Call(
        "POST",
        "/v2/repository/index",
        lambda answer: [model["name"] for model in answer.json()],
        {"json": {"ready": True}},
    )
