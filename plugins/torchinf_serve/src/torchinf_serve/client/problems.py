"""A server's problem documents as the exceptions that the same thing raises without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from torchinf_core import errors
from torchinf_core.errors import NetworkError, SourceError, TorchinfError

_TYPE = "urn:torchinf:error:"
_KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, TorchinfError)
}
_BY_STATUS: dict[int, type[TorchinfError]] = {
    401: errors.AccessDeniedError,
    403: errors.PolicyError,
    404: errors.NotFoundError,
    413: errors.SizeLimitError,
    429: errors.BusyError,
    501: errors.MissingError,
    503: errors.BusyError,
    507: errors.DiskSpaceError,
}


def check(answer: httpx.Response) -> None:
    """Raise the error that an answer describes, unless it is a good one.

    Args:
        answer: with its body read.

    Raises:
        TorchinfError: of the class that ``type`` names, else one that fits the status.
    """
    if answer.is_success:
        return
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = {}
    error = made(body if isinstance(body, dict) else {}, answer.status_code)
    if request_id := answer.headers.get("x-request-id"):
        error.add_note(f"request {request_id}")
    seconds = answer.headers.get("retry-after", "")
    if not error.hint and seconds.isdecimal():
        error.hint = f"try again in {seconds} s"
    raise error


def made(body: Mapping[str, Any], status: int = 500) -> TorchinfError:
    """The error in a problem document, or in an error of the Open Inference Protocol."""
    status = body["status"] if isinstance(body.get("status"), int) else status
    word = str(body.get("type", "")).removeprefix(_TYPE)
    name = "".join(part.capitalize() for part in word.split("-")) + "Error"
    kind = _KINDS.get(name) or _BY_STATUS.get(status)
    if kind is None:
        kind = errors.UsageError if 400 <= status < 500 else SourceError
    message = body.get("detail") or body.get("error") or f"the server answered {status}"
    return kind(str(message), hint=str(body.get("hint", "")))


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Failures of the connection as NetworkError."""
    try:
        yield
    except httpx.TimeoutException:
        raise NetworkError(f"{url} did not answer in time") from None
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise NetworkError(f"{url} can't be reached: {reason}") from error
    except httpx.InvalidURL as error:
        raise errors.UsageError(f"{url!r} is no address of a server: {error}") from None
