"""How many connections one file gets, decided by what is measured while it arrives.

One connection to begin with.  If neither the processor nor the disk holds it
back, all that are allowed are tried for two round trips; as many stay as the
total rate rose by, and none when it did not.  Many connections help where each
is held back by the server or by latency, and harm elsewhere.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchinf_core.transfer.engine import Transfer

WINDOW = 0.03
"""Seconds of one measurement, at least; the time to an answer if that is longer."""
GAIN = 1.25
"""The total rate must rise by this factor for further connections to stay."""
SPARE = 1.5
"""Connections kept for each that the rise of the rate accounts for."""
BUSY = 0.7
"""Processor seconds per second from which the network is not what limits."""
REST = 10.0
"""Seconds until a rejected step is tried again."""
WORTH = 0.15
"""Seconds the rest must take for a step to pay."""
STALL = 3.0
"""Seconds without a byte after which a connection among others is given up."""
FAST_TICK, SLOW_TICK = 0.01, 0.1


class Tuner:
    """Adds and removes workers of a transfer; called by its coordinator at every tick."""

    def __init__(self, transfer: Transfer, start: int) -> None:
        self.transfer = transfer
        self.best = 1
        self._rate = 0.0
        self._until = 0.0
        self._mark: tuple[float, int, float, float] | None = None
        self._judging = False
        if start > 1 and self._may_use(start):
            self.best = start
            self._reach(start)

    def tick(self) -> float:
        """Measure, act, and say in how many seconds to come back."""
        transfer, now = self.transfer, time.monotonic()
        if transfer.schedule is None:
            return SLOW_TICK
        self._replace_stalled(now)
        if now < self._until:
            return min(FAST_TICK if self._judging else SLOW_TICK, self._until - now)
        if self._mark is None:
            if transfer.received:
                self._mark = self._sample(now)
            return FAST_TICK
        elapsed = now - self._mark[0]
        if elapsed < max(WINDOW, transfer.requester.latency):
            return FAST_TICK
        rate = (transfer.received - self._mark[1]) / elapsed
        held_back = self._held_back(elapsed)
        self._mark = None
        if self._judging:
            self._judge(rate / max(self._rate, 1.0), now)
            return SLOW_TICK
        most = transfer.most
        if held_back or most <= self.best or not self._may_use(most) or not self._pays(rate):
            self._until = now + (REST if most <= self.best else 10 * WINDOW)
            self._keep()
            return SLOW_TICK
        self._judging, self._rate = True, rate
        self._until = now + transfer.requester.latency
        self._reach(most)
        return FAST_TICK

    def _judge(self, gain: float, now: float) -> None:
        """Keep as many connections as pay, with some to spare."""
        self._judging = False
        self._until = now + REST
        if gain >= GAIN:
            self.best = min(self.transfer.most, math.ceil(self.best * gain * SPARE))
        self._shrink(self.best)

    def _sample(self, now: float) -> tuple[float, int, float, float]:
        return now, self.transfer.received, time.process_time(), self.transfer.sink.waited

    def _held_back(self, elapsed: float) -> bool:
        """Whether something on this side of the network is the limit."""
        assert self._mark is not None
        cpu = (time.process_time() - self._mark[2]) / elapsed
        waited = (self.transfer.sink.waited - self._mark[3]) / elapsed
        return (
            cpu > BUSY or waited > 0.3 * self.best or self.transfer.context.settings.limit_rate > 0
        )

    def _may_use(self, count: int) -> bool:
        transfer = self.transfer
        schedule = transfer.schedule
        return (
            transfer.may_split
            and schedule is not None
            and count <= transfer.most
            and schedule.left() > 2 * count * schedule.block
        )

    def _pays(self, rate: float) -> bool:
        schedule = self.transfer.schedule
        return schedule is not None and schedule.left() > rate * WORTH

    def _reach(self, goal: int) -> None:
        transfer = self.transfer
        assert transfer.schedule is not None
        transfer.sink.grow(goal + 8)
        transfer.schedule.cut(goal)
        for _ in range(goal - len(transfer.workers)):
            transfer.add_worker()

    def _shrink(self, goal: int) -> None:
        with self.transfer.change:
            for worker in list(self.transfer.workers.values())[goal:]:
                worker.wanted = False

    def _keep(self) -> None:
        """Replace connections that broke meanwhile."""
        transfer = self.transfer
        if transfer.schedule is not None and transfer.schedule.first() is not None:
            for _ in range(min(self.best, transfer.most) - len(transfer.workers)):
                transfer.add_worker()

    def _replace_stalled(self, now: float) -> None:
        """Give the bytes of a connection that stands still to another one."""
        transfer = self.transfer
        with transfer.change:
            workers = list(transfer.workers.items())
        if len(workers) < 2 and self.best < 2:
            return
        for thread, worker in workers:
            if worker.span is not None and now - worker.span.moved > STALL:
                transfer.abandon(thread, worker)
                transfer.add_worker()
