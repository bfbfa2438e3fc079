"""One request's part of a batch, and why it may not wait for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

from torchinf_core.errors import BusyError


class QueueFullError(BusyError):
    """More predictions wait than the server lets.

    Args:
        message: for people.
        retry_after: seconds.
    """

    http_status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, hint=f"try again in {retry_after} s")
        self.retry_after = retry_after


class StoppingError(BusyError):
    """The server takes no more work, because it stops."""

    retry_after = 5


class Item:
    """One request's part of a batch.

    Args:
        work: what is to be computed, for whoever computes it.
        key: items with the same one can share a call; None for one that is computed
            alone.
        rows: how much of a batch it takes.
        leaves: waits until the client has gone; called when the item waits long.

    Attributes:
        result, error: how it ended; one of them is set in the computing thread.
        queued, started, ended: times of ``perf_counter``, seconds.
        shared: rows of the call that it was computed in.
    """

    __slots__ = (
        "ended",
        "error",
        "future",
        "key",
        "leaves",
        "queued",
        "result",
        "rows",
        "shared",
        "started",
        "watcher",
        "work",
    )

    def __init__(self, work: Any, key: Hashable = None, rows: int = 1, leaves: Any = None) -> None:
        self.work = work
        self.key = key
        self.rows = rows
        self.leaves = leaves
        self.result: Any = None
        self.error: Exception | None = None
        self.queued = self.started = self.ended = 0.0
        self.shared = rows
        self.future: asyncio.Future[Any]
        self.watcher: asyncio.Task[None] | None = None
