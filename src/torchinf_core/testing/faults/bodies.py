"""Bodies that are not the content: damaged, replaced, encoded or without end."""

from __future__ import annotations

import gzip
from dataclasses import replace

from torchinf_core.testing.content import Damaged, Data, Repeated, gzip_bomb
from torchinf_core.testing.faults.fault import (
    Fault,
    Position,
    has_range,
    position,
    whole,
    with_body,
)
from torchinf_core.testing.faults.heads import chunked
from torchinf_core.testing.messages import Reply, Request, Resource, serve

HUGE = 1 << 60


def flip(at: Position = 0.5, mask: int = 1) -> Fault:
    """One bit of one byte is wrong."""

    def change(_request: Request, reply: Reply) -> Reply:
        spot = min(reply.start + position(reply, at), reply.stop - 1)
        return replace(reply, content=Damaged(reply.content, spot, spot + 1, mask))

    return Fault("flip", change)


def garble() -> Fault:
    """Every byte is wrong and every header right."""

    def change(_request: Request, reply: Reply) -> Reply:
        return replace(reply, content=Damaged(reply.content, 0, reply.content.size, 0xFF))

    return Fault("garble", change)


def replaced_by(
    content: bytes,
    *,
    etag: str | None = '"other"',
    last_modified: str | None = None,
    heed_if_range: bool = True,
) -> Fault:
    """Another content under other validators, as after an upload.

    ``heed_if_range=False`` sends parts of it even to a client that asked for
    the rest of the old one.
    """
    other = Resource(
        Data(content), etag, last_modified, (("Content-Type", "application/octet-stream"),)
    )
    return Fault(
        "replaced", lambda request, _reply: serve(request, other, heed_if_range=heed_if_range)
    )


def validators(etag: str | None = None, last_modified: str | None = None) -> Fault:
    """Other validators, or none, over the same bytes."""

    def change(_request: Request, reply: Reply) -> Reply:
        reply = reply.without("ETag", "Last-Modified")
        for name, value in (("ETag", etag), ("Last-Modified", last_modified)):
            reply = reply if value is None else reply.having(name, value)
        return reply

    return Fault("validators", change)


def empty() -> Fault:
    """200 with a body of no bytes."""
    return Fault("empty", lambda _request, reply: with_body(whole(reply), Data(b"")))


def portal() -> Fault:
    """200 with the HTML page of a captive portal."""
    page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Wi-Fi</body></html>"

    def change(_request: Request, reply: Reply) -> Reply:
        reply = with_body(whole(reply).without("ETag", "Last-Modified"), Data(page))
        return reply.having("Content-Type", "text/html; charset=utf-8")

    return Fault("portal", change)


def endless(declared: bool = False) -> Fault:
    """A body that never ends; ``declared`` claims a length of 2**60 bytes."""

    def change(_request: Request, reply: Reply) -> Reply:
        reply = with_body(whole(reply), Repeated(b"torchinf" * 8192, HUGE))
        return reply if declared else chunked().change(_request, reply)

    return Fault("endless", change)


def gzipped() -> Fault:
    """The whole content gzipped, though ``identity`` was asked for."""

    def change(_request: Request, reply: Reply) -> Reply:
        reply = whole(reply)
        packed = gzip.compress(bytes(reply.content.read(0, reply.content.size)), mtime=0)
        return with_body(reply, Data(packed)).having("Content-Encoding", "gzip")

    return Fault("gzipped", change)


def gzipped_part() -> Fault:
    """The asked range of the *gzipped* content, as a cache in between may send it."""

    def change(request: Request, reply: Reply) -> Reply:
        whole = gzipped().change(request, reply)
        part = serve(request, Resource(whole.content), heed_if_range=False)
        return part.having("Content-Encoding", "gzip") if part.status == 206 else part

    return Fault("gzipped-part", change, applies=has_range)


def bomb(size: int = 10 << 30) -> Fault:
    """A small gzip body that decodes to ``size`` zeros."""

    def change(_request: Request, reply: Reply) -> Reply:
        return with_body(whole(reply), gzip_bomb(size)).having("Content-Encoding", "gzip")

    return Fault("bomb", change)


def encoded(coding: str) -> Fault:
    """A ``Content-Encoding`` that the body does not have."""
    return Fault("encoded", lambda _request, reply: reply.having("Content-Encoding", coding))
