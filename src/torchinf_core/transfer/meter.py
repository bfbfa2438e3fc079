"""What a download has received so far, and the limits that apply to it."""

from __future__ import annotations

import threading
import time
from collections import deque

from torchinf_core.errors import SizeLimitError
from torchinf_core.network.failures import network_error
from torchinf_core.settings import Settings

SLICE = 0.05
"""Seconds of a limited rate that are read at once."""


class Meter:
    """Counts the bytes of all connections of one download.  Thread-safe.

    Attributes:
        received: all bytes that arrived.
        kept: those that were not thrown away since; ``max_bytes`` applies to these.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self.received = 0
        self.kept = 0
        self._max = settings.max_bytes
        self._rate = settings.limit_rate
        self._min_speed = settings.min_speed
        self._window = settings.min_speed_time
        self._stop = stop
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._history: deque[tuple[float, int]] = deque()

    @property
    def gulp(self) -> int:
        """Most bytes to read at once so that a rate limit stays smooth."""
        return max(int(self._rate * SLICE), 1024) if self._rate else 1 << 30

    def add(self, count: int) -> None:
        """Account for received bytes; waits as long as the rate limit wants.

        Raises:
            SizeLimitError: beyond ``max_bytes``.
        """
        with self._lock:
            self.received += count
            self.kept += count
            if self.kept > self._max:
                raise SizeLimitError(
                    f"more than {self._max} bytes arrived, the most that is allowed",
                    hint="--max-bytes raises the limit",
                )
            if not self._rate:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + count / self._rate
            pause = self._free_at - now
        if pause > 0:
            self._stop.wait(pause)

    def discard(self, count: int) -> None:
        """So many of the received bytes were thrown away, to be asked for again."""
        with self._lock:
            self.kept -= count

    def check_speed(self, url: str) -> None:
        """Raise NetworkError when too little arrived for too long.

        Called every so often by the thread that waits for the transfer.
        """
        if not self._min_speed or (self._rate and self._rate <= self._min_speed):
            return
        now = time.monotonic()
        history = self._history
        if not history or now - history[-1][0] >= self._window / 20:
            history.append((now, self.received))
        if now - history[0][0] < self._window:
            return
        started, count = history[0]
        while len(history) > 1 and now - history[1][0] >= self._window:
            history.popleft()
        if self.received - count < self._min_speed * (now - started):
            raise network_error(
                f"{url} sent less than {self._min_speed} bytes per second "
                f"for {self._window:.0f} seconds"
            )

    def forget_speed(self) -> None:
        """Start the speed window anew, after a pause that was our own."""
        self._history.clear()
