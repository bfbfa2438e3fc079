"""Which connection fetches which bytes of a file.

Everything here is arithmetic on block-aligned spans under one lock; no I/O.
"""

from __future__ import annotations

import threading
import time

SHARE = 3
"""A span is at most the rest of the file divided by this and the connections."""
SMALLEST, LARGEST = 4, 16 << 20
"""Blocks and bytes of a span, where the file is large enough."""


class Span:
    """The bytes ``[pos, end)`` that one worker is fetching; ``end`` may shrink meanwhile."""

    __slots__ = ("end", "moved", "pos")

    def __init__(self, pos: int, end: int) -> None:
        self.pos = pos
        self.end = end
        self.moved = time.monotonic()

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self.end - self.pos


class Schedule:
    """The spans of one file.

    Args:
        total: bytes of the file.
        block: spans begin at multiples of this.
        states: per block, non-zero when it needs no fetching.
    """

    def __init__(self, total: int, block: int, states: bytearray | None = None) -> None:
        self.total = total
        self.block = block
        self.active: list[Span] = []
        self._free = _gaps(total, block, states)
        self._lock = threading.Lock()

    def left(self) -> int:
        """Bytes not received yet."""
        with self._lock:
            free = sum(end - start for start, end in self._free)
            return free + sum(span.left for span in self.active)

    def first(self) -> int | None:
        """Offset of the first byte that nobody fetches yet, or None."""
        with self._lock:
            return self._free[0][0] if self._free else None

    def take(self, workers: int) -> Span | None:
        """The next span for one of ``workers`` connections; None when nothing is left to take.

        A single connection gets everything up to the next hole, so it needs
        one request.
        """
        with self._lock:
            if not self._free:
                return self._steal()
            start, end = self._free[0]
            if workers > 1:
                rest = sum(stop - begin for begin, stop in self._free)
                end = min(end, start + self._share(rest, workers))
            if end == self._free[0][1]:
                self._free.pop(0)
            else:
                self._free[0] = (end, self._free[0][1])
            span = Span(start, end)
            self.active.append(span)
            return span

    def cut(self, workers: int) -> None:
        """Leave each active span a short rest only, so that others can help."""
        with self._lock:
            for span in self.active:
                end = self._align(span.pos + self._share(span.left, workers))
                if end < span.end:
                    self._free.append((end, span.end))
                    span.end = end
            self._free.sort()

    def finish(self, span: Span) -> None:
        """The span's bytes have all arrived."""
        with self._lock:
            self.active.remove(span)

    def give_back(self, span: Span) -> None:
        """The span's worker stops; whole blocks that did not arrive become free again."""
        with self._lock:
            self.active.remove(span)
            start = span.pos // self.block * self.block
            if start < span.end:
                self._free.append((start, span.end))
                self._free.sort()

    def _steal(self) -> Span | None:
        """The second half of the largest active span, when that is worth a request."""
        victim = max(self.active, key=lambda span: span.left, default=None)
        if victim is None or victim.left < 2 * SMALLEST * self.block:
            return None
        middle = self._align(victim.pos + victim.left // 2)
        span = Span(middle, victim.end)
        victim.end = middle
        self.active.append(span)
        return span

    def _share(self, rest: int, workers: int) -> int:
        share = min(rest // (workers * SHARE), LARGEST) // self.block
        return max(share, SMALLEST) * self.block

    def _align(self, offset: int) -> int:
        return -(-offset // self.block) * self.block


def _gaps(total: int, block: int, states: bytearray | None) -> list[tuple[int, int]]:
    if states is None:
        return [(0, total)] if total else []
    gaps: list[tuple[int, int]] = []
    for index, state in enumerate(states):
        if state:
            continue
        start, end = index * block, min((index + 1) * block, total)
        if gaps and gaps[-1][1] == start:
            gaps[-1] = (gaps[-1][0], end)
        else:
            gaps.append((start, end))
    return gaps
