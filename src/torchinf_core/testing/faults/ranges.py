"""Servers that answer a request for a part with something else."""

from __future__ import annotations

from dataclasses import replace

from torchinf_core.testing.content import Data, Shifted
from torchinf_core.testing.faults.fault import Fault, has_range, part, whole, with_body
from torchinf_core.testing.messages import Reply, Request, plain


def ignore_range() -> Fault:
    """The whole content (200) where a part was asked for, and no word of ranges."""

    def change(_request: Request, reply: Reply) -> Reply:
        return whole(reply).without("Accept-Ranges")

    return Fault("ignore-range", change)


def wrong_start(by: int = 1000) -> Fault:
    """A part (206) that starts ``by`` bytes after the one asked for and says so."""

    def change(_request: Request, reply: Reply) -> Reply:
        start = min(reply.start + by, reply.stop - 1)
        return part(reply, start, reply.stop)

    return Fault("wrong-start", change, applies=has_range)


def wrong_part(by: int = 1000) -> Fault:
    """A part (206) with the right header and bytes from ``by`` further on."""

    def change(_request: Request, reply: Reply) -> Reply:
        return replace(reply, content=Shifted(reply.content, by))

    return Fault("wrong-part", change, applies=has_range)


def other_total(more: int = 1000) -> Fault:
    """A part (206) of a content that claims to be ``more`` bytes longer."""

    def change(_request: Request, reply: Reply) -> Reply:
        return part(reply, reply.start, reply.stop, reply.content.size + more)

    return Fault("other-total", change, applies=has_range)


def short_part(fraction: float = 0.5) -> Fault:
    """An honest part (206) that ends before the end asked for, as servers may."""

    def change(_request: Request, reply: Reply) -> Reply:
        stop = reply.start + max(1, int((reply.stop - reply.start) * fraction))
        return part(reply, reply.start, stop)

    return Fault("short-part", change, applies=has_range)


def unasked_part() -> Fault:
    """A part (206) of the second half where the whole was asked for."""

    def change(_request: Request, reply: Reply) -> Reply:
        return part(reply, reply.content.size // 2, reply.content.size)

    return Fault("unasked-part", change, applies=lambda request: not has_range(request))


def many_parts() -> Fault:
    """A ``multipart/byteranges`` body (206) where one part was asked for."""

    def change(_request: Request, reply: Reply) -> Reply:
        span = f"bytes {reply.start}-{reply.stop - 1}/{reply.content.size}"
        head = f"\r\n--part\r\nContent-Range: {span}\r\n\r\n".encode()
        body = head + bytes(reply.content.read(reply.start, reply.stop)) + b"\r\n--part--\r\n"
        kind = "multipart/byteranges; boundary=part"
        return with_body(reply.without("Content-Range"), Data(body)).having("Content-Type", kind)

    return Fault("many-parts", change, applies=has_range)


def unsatisfiable(content_range: str | None = "bytes */0") -> Fault:
    """416, with that ``Content-Range`` or none."""

    def change(_request: Request, _reply: Reply) -> Reply:
        fields = {} if content_range is None else {"Content-Range": content_range}
        return plain(416, "no such range\n", fields)

    return Fault("unsatisfiable", change, applies=has_range)
