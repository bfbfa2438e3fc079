"""What happened to a job, numbered from 1, for any number of watchers.

An event is formatted once, as the text that goes over the wire; a watcher costs a
task that sleeps until there is more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

HEARTBEAT = 15.0
"""Seconds after which a silent stream gets a comment, so that nobody takes it for dead."""


class EventLog:
    """The events of one job.

    Args:
        events: those that were written before.
        closed: whether the job has ended.
    """

    def __init__(self, events: list[dict[str, Any]], *, closed: bool) -> None:
        self._frames = [_frame(event) for event in events]
        self._changed = asyncio.Event()
        self.closed = closed

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        """Append an event and wake the watchers; returns it as it is to be written."""
        event = {"id": len(self._frames) + 1, "event": kind, "data": data}
        self._frames.append(_frame(event))
        self.wake()
        return event

    def wake(self) -> None:
        """Let every watcher look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, after: int, *, heartbeat: float = HEARTBEAT) -> AsyncIterator[bytes]:
        """Server-sent events behind the one with the id ``after``, until the job has ended."""
        while True:
            changed = self._changed
            if after < len(self._frames):
                frames = self._frames[after:]
                after += len(frames)
                yield b"".join(frames)
                continue
            if self.closed:
                return
            try:
                await asyncio.wait_for(changed.wait(), heartbeat)
            except TimeoutError:
                yield b": still there\n\n"


def _frame(event: dict[str, Any]) -> bytes:
    data = json.dumps(event["data"], separators=(",", ":"))
    return f"id: {event['id']}\nevent: {event['event']}\ndata: {data}\n\n".encode()
