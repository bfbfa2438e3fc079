"""What of an error a client is told: ``application/problem+json`` (RFC 9457).

A client learns what it did wrong, and that something is wrong here, but neither
where files are, nor what addresses are dialled, nor what a secret is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from torchinf_core import errors
from torchinf_core.errors import TorchinfError
from torchinf_core.refs import redact

MEDIA_TYPE = "application/problem+json"
_LONGEST = 500
_PATH = re.compile(r"(?<![\w.:/~*-])~?/(?:[^\s'\",;:()<>/]+/)*[^\s'\",;:()<>/]+")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)")
_IPV6 = re.compile(
    r"\[?(?<![\w:.])([0-9a-fA-F.]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*)(?:%\w+)?(?![\w:])\]?"
)
_TOLD_IN_FULL = 501
"""What is not installed here: the one server error whose message helps the client."""


class RefusedError(TorchinfError):
    """A request that is not even looked at.

    Attributes:
        status: HTTP status.
        headers: for the answer.
    """

    def __init__(
        self, status: int, message: str, *, hint: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = tuple(headers)


def scrub(text: str) -> str:
    """A message without paths of this machine, addresses, secrets and control characters."""
    text = redact(text)
    text = _IPV4.sub("***", _IPV6.sub(_hide_address, _PATH.sub("***", text)))
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def _hide_address(match: re.Match[str]) -> str:
    try:
        ip_address(match[1].rstrip("."))
    except ValueError:
        return match[0]  # a time, or the like
    return "***"


def status_of(error: BaseException) -> int:
    """The HTTP status that says what an error means."""
    if isinstance(error, RefusedError):
        return error.status
    return error.http_status if isinstance(error, TorchinfError) else 500


def problem(error: BaseException) -> dict[str, Any]:
    """An error as the client sees it, without the id of the request."""
    status = status_of(error)
    kind = type(error).__name__ if isinstance(error, TorchinfError) else "InternalError"
    if isinstance(error, RefusedError):  # our own words, which name our own routes
        detail, hint = str(error), error.hint
    elif status < 500 or status == _TOLD_IN_FULL:
        detail, hint = scrub(str(error)), scrub(getattr(error, "hint", ""))
    else:
        detail, hint = (type(error).__doc__ or "").split("\n")[0], ""
        if kind == "InternalError":
            detail = "Something went wrong here; the log of the server says what."
    return make(status, detail, hint=hint, kind=kind)


def make(status: int, detail: str, *, hint: str = "", kind: str = "") -> dict[str, Any]:
    """A problem document."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.removesuffix("Error")).lower()
    body: dict[str, Any] = {
        "type": f"urn:torchinf:error:{words}"
        if words and kind != "RefusedError"
        else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if hint:
        body["hint"] = hint
    return body


def rebuilt(stored: Mapping[str, Any]) -> TorchinfError:
    """The error that a worker process wrote down, for those who wait for its job."""
    kind = getattr(errors, str(stored.get("error", "")), None)
    message, hint = str(stored.get("message", "")), str(stored.get("hint", ""))
    if isinstance(kind, type) and issubclass(kind, TorchinfError):
        return kind(message, hint=hint)
    return TorchinfError(message, hint=hint)


def encode(body: Mapping[str, Any]) -> bytes:
    """JSON in which every character beyond ASCII, and every control character, is escaped."""
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii")
