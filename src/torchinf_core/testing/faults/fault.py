"""What a fault is, and the pieces that the faults are made of.

A fault changes the honest reply: its function gets the request and that reply
and returns another one, so faults can be combined and new ones written in a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

from torchinf_core.testing.content import Content
from torchinf_core.testing.messages import Reply, Request

Position = int | float
"""A place in the body of one reply: a float is a fraction of it, an int a number of bytes."""

Change = Callable[[Request, Reply], Reply]
Applies = Callable[[Request], bool]


def is_get(request: Request) -> bool:
    """True for a GET."""
    return request.method == "GET"


def has_range(request: Request) -> bool:
    """True for a GET of a part."""
    return is_get(request) and "Range" in request.headers


def any_method(_request: Request) -> bool:
    """True always, for HEAD too."""
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and on which requests.

    Attributes:
        name: as on the command line.
        change: makes the faulty reply of the honest one.
        times: how many requests it spoils before it is used up.
        nth: it spoils each nth request that it applies to.
        applies: the requests it looks at; others pass it by.
    """

    name: str
    change: Change
    times: float = 1
    nth: int = 1
    applies: Applies = is_get

    def repeat(self, times: int) -> Fault:
        """The same on so many requests."""
        return replace(self, times=times)

    def always(self) -> Fault:
        """The same on all requests."""
        return replace(self, times=math.inf)

    def every(self, nth: int) -> Fault:
        """The same on each nth request, without end."""
        return replace(self, nth=nth, times=math.inf)

    def on(self, applies: Applies) -> Fault:
        """The same, looking only at some requests."""
        return replace(self, applies=applies)


def together(first: Fault, *others: Fault) -> Fault:
    """Several faults on one reply, in that order; when is said by the first."""

    def change(request: Request, reply: Reply) -> Reply:
        return reduce(lambda so_far, fault: fault.change(request, so_far), (first, *others), reply)

    return replace(first, name="+".join(fault.name for fault in (first, *others)), change=change)


def fine() -> Fault:
    """No fault: lets one request through before the next fault of a queue."""
    return Fault("fine", lambda _request, reply: reply)


def position(reply: Reply, at: Position) -> int:
    """How many bytes of this reply come before a position."""
    length = reply.stop - reply.start
    return min(length, int(length * at) if isinstance(at, float) else at)


def with_body(reply: Reply, content: Content) -> Reply:
    """The same reply with another body and its true length."""
    reply = reply.having("Content-Length", str(content.size))
    return replace(reply, content=content, start=0, stop=content.size)


def whole(reply: Reply) -> Reply:
    """The whole content with status 200, whatever was asked for."""
    reply = replace(reply, status=200).without("Content-Range")
    return with_body(reply, reply.content)


def part(reply: Reply, start: int, stop: int, total: int | None = None) -> Reply:
    """Some part with status 206 and a header that says so."""
    total = reply.content.size if total is None else total
    reply = reply.having("Content-Range", f"bytes {start}-{stop - 1}/{total}")
    reply = reply.having("Content-Length", str(stop - start))
    return replace(reply, status=206, start=start, stop=stop)
