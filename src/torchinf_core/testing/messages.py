"""Requests and replies of the testing hub as values; no sockets here.

A :class:`Reply` states what the head claims and, apart from it, what is really
sent and how the connection ends; a fault is a function that makes these two
differ.  :func:`serve` is the honest answer that every fault starts from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus

from torchinf_core.testing.content import Content, Data

JSON = "application/json; charset=utf-8"


class Headers(Mapping[str, str]):
    """Header fields by name, in any case; of a repeated field the last value."""

    __slots__ = ("_fields",)

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        self._fields = {name.lower(): value for name, value in pairs}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in.

    Attributes:
        method: upper case.
        path: decoded, without the query.
        query: as written, without the question mark.
        headers: case-insensitive.
        body: of a POST or PUT.
        connection: number of the connection it came on, from 1.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""
    connection: int = 0


class Framing(Enum):
    """How the end of a body is marked."""

    LENGTH = "length"
    """As the headers of the reply say."""
    CHUNKED = "chunked"
    """In chunks; the last one is sent only when the reply ends well."""
    CLOSE = "close"
    """By closing the connection."""


class Ending(Enum):
    """What happens to the connection after the body."""

    KEEP = "keep"
    """It stays open for the next request, when the client wants that."""
    FIN = "fin"
    """It is closed in the ordinary way."""
    RST = "rst"
    """It is reset, once what was sent has arrived."""
    HANG = "hang"
    """It stays open and silent until the client gives up."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent for one request.

    Attributes:
        status: code of the status line.
        headers: exactly these are sent, in this order, besides ``Date``.
        content, start, stop: the body really sent, whatever the headers claim.
        framing, ending: see there.
        rate: bytes per second, or None for that of the hub.
        before: sent in front of the status line.
        after: sent behind the body.
        silent: True sends nothing at all.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    content: Content = Data(b"")  # noqa: RUF009 - a frozen value
    start: int = 0
    stop: int = 0
    framing: Framing = Framing.LENGTH
    ending: Ending = Ending.KEEP
    rate: float | None = None
    before: bytes = b""
    after: bytes = b""
    silent: bool = False

    def has(self, name: str) -> bool:
        """True when a header of that name is sent."""
        return any(key.lower() == name.lower() for key, _ in self.headers)

    def without(self, *names: str) -> Reply:
        """The same reply lacking those headers."""
        gone = {name.lower() for name in names}
        return replace(
            self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in gone)
        )

    def having(self, name: str, value: str) -> Reply:
        """The same reply with that header set to that value."""
        return replace(self, headers=(*self.without(name).headers, (name, value)))

    def head(self) -> bytes:
        """The status line and the headers as they go over the wire."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {phrase}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Resource:
    """A content with what the hub says about it.

    Attributes:
        content: the bytes.
        etag: as sent, with its quotes, or None.
        last_modified: as sent (an HTTP date), or None.
        headers: further ones, such as ``Content-Type``.
    """

    content: Content
    etag: str | None = None
    last_modified: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def plain(status: int, text: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    """A reply whose body is a line of text."""
    body = text.encode()
    fields = {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}
    return Reply(
        status,
        (*fields.items(), ("Content-Length", str(len(body)))),
        Data(body),
        0,
        len(body),
    )


def page(value: object, headers: Mapping[str, str] | None = None, *, status: int = 200) -> Reply:
    """A reply whose body is JSON."""
    return plain(status, json.dumps(value), {"Content-Type": JSON, **(headers or {})})


def serve(request: Request, resource: Resource, *, heed_if_range: bool = True) -> Reply:
    """The right answer for a resource: whole, one range of it (206), or 416.

    Several ranges in one request are answered with the whole, as the standard
    allows.  ``heed_if_range=False`` is the server that never looks at
    ``If-Range``.
    """
    size = resource.content.size
    headers = [*resource.headers, ("Accept-Ranges", "bytes")]
    if resource.etag is not None:
        headers.append(("ETag", resource.etag))
    if resource.last_modified is not None:
        headers.append(("Last-Modified", resource.last_modified))
    wanted = _range(request.headers.get("Range", ""), size)
    if wanted is None or (heed_if_range and not _unchanged(request, resource)):
        whole = (*headers, ("Content-Length", str(size)))
        return Reply(200, whole, resource.content, 0, size)
    start, stop = wanted
    if start >= stop:
        return plain(416, "no such range\n", {"Content-Range": f"bytes */{size}"})
    part = (
        *headers,
        ("Content-Range", f"bytes {start}-{stop - 1}/{size}"),
        ("Content-Length", str(stop - start)),
    )
    return Reply(206, part, resource.content, start, stop)


def _range(text: str, size: int) -> tuple[int, int] | None:
    match = re.fullmatch(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", text, re.IGNORECASE)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start = int(match[1])
    if match[2] and int(match[2]) < start:
        return None
    return start, min(size, int(match[2]) + 1) if match[2] else size


def _unchanged(request: Request, resource: Resource) -> bool:
    condition = request.headers.get("If-Range")
    if condition is None:
        return True
    if condition.startswith('"'):
        return condition == resource.etag
    return condition == resource.last_modified
