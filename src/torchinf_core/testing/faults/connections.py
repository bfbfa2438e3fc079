"""Connections that break off, stop or crawl, and replies that never come."""

from __future__ import annotations

from dataclasses import replace

from torchinf_core.testing.faults.fault import Change, Fault, Position, position
from torchinf_core.testing.messages import Ending, Reply, Request


def cut(at: Position = 0.5) -> Fault:
    """The body stops at ``at`` and the connection is closed (FIN)."""
    return _stopping("cut", at, Ending.FIN)


def reset(at: Position = 0.5) -> Fault:
    """The body stops at ``at`` and the connection is reset (RST)."""
    return _stopping("reset", at, Ending.RST)


def stall(at: Position = 0.5) -> Fault:
    """The body stops at ``at`` and nothing more ever comes."""
    return _stopping("stall", at, Ending.HANG)


def trickle(rate: float = 1.0) -> Fault:
    """The body comes at ``rate`` bytes per second."""
    return Fault("trickle", lambda _request, reply: replace(reply, rate=rate))


def vanish() -> Fault:
    """The connection is closed before a byte of the reply."""
    change: Change = lambda _request, reply: replace(reply, silent=True, ending=Ending.FIN)  # noqa: E731
    return Fault("vanish", change)


def silence() -> Fault:
    """The request is read and never answered."""
    return Fault("silence", lambda _request, reply: replace(reply, silent=True, ending=Ending.HANG))


def _stopping(name: str, at: Position, ending: Ending) -> Fault:
    def change(_request: Request, reply: Reply) -> Reply:
        return replace(reply, stop=reply.start + position(reply, at), ending=ending)

    return Fault(name, change)
