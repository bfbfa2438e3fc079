"""Predictions of one model wait here, and several that fit are computed in one call.

Nobody waits for company while the model is idle: a batch is what came while the
call before it ran. Only where a model computes several calls at once is there a
choice, and there an item waits for others at most the budget that the operator set.

The event loop puts items in; a thread takes them out, computes and goes on with
the next batch without asking the loop, so that the model is never idle in between.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from time import perf_counter
from typing import Any

from torchinf_serve.computing.item import Item, QueueFullError, StoppingError
from torchinf_serve.computing.pacing import Pace
from torchinf_serve.metrics import ModelMetrics

WATCH_AFTER = 1.0
"""Seconds that an item waits before anyone looks whether its client is still there."""


class Batcher:
    """The queue of one model.

    All methods belong to the event loop's thread.

    Args:
        compute: computes items that share a key, in a thread: sets ``result`` or
            ``error`` of each, and raises nothing.
        executor: has the threads.
        metrics: of the model.
        queue: most items that may wait.
        concurrency: calls at once.
        batch_max: rows in one call.
        wait: seconds that an item may wait for others while a call could begin.
    """

    def __init__(
        self,
        compute: Callable[[list[Item]], None],
        executor: Executor,
        metrics: ModelMetrics,
        *,
        queue: int = 256,
        concurrency: int = 1,
        batch_max: int = 32,
        wait: float = 0.005,
    ) -> None:
        self.pace = Pace(batch_max)
        self._compute = compute
        self._executor = executor
        self._metrics = metrics
        self._limit = queue
        self._concurrency = max(1, concurrency)
        self._wait = wait
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._queue: deque[Item] = deque()
        self._done: deque[Item] = deque()
        self._active = 0
        self._pumping = False
        self._delivering = False
        self._timer: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = 0
        self._stopped = False
        metrics.waiting = self._queue.__len__

    @property
    def waiting(self) -> int:
        """Items that wait."""
        return len(self._queue)

    @property
    def open(self) -> int:
        """Items that wait or are computed."""
        return self._open

    def submit(self, item: Item) -> asyncio.Future[Any]:
        """Put an item in; the future is done when it is computed, cancelled when it left.

        Raises:
            QueueFullError: too many wait.
            StoppingError: the server stops.
        """
        if self._stopped:
            raise StoppingError("the server stops", hint="try again soon")
        if len(self._queue) >= self._limit:
            self._metrics.ended("refused")
            seconds = min(60, max(1, math.ceil(self.pace.seconds(len(self._queue)))))
            raise QueueFullError(f"{len(self._queue)} predictions wait already", seconds)
        item.queued = perf_counter()
        item.future = future = self._loop.create_future()
        self._open += 1
        self._idle.clear()
        with self._lock:
            self._queue.append(item)
        if self._active < self._concurrency and not self._pumping:
            self._pumping = True
            # After all requests that came in the same turn of the loop.
            self._loop.call_soon(self._pump)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(WATCH_AFTER, self._sweep)
        return future

    def abandon(self, item: Item) -> bool:
        """Take out an item that nobody waits for any more; False if its call has begun."""
        with self._lock:
            try:
                self._queue.remove(item)
            except ValueError:
                return False
        item.future.cancel()
        self._finish(item, "left")
        return True

    async def drained(self) -> None:
        """Wait until nothing waits or computes."""
        await self._idle.wait()

    def stop(self) -> None:
        """Take nothing more, and answer what still waits with StoppingError."""
        self._stopped = True
        with self._lock:
            left = list(self._queue)
            self._queue.clear()
        for item in left:
            item.error = StoppingError("the server stops", hint="try again soon")
            self._finish(item, "refused")

    # INSIDE

    def _pump(self) -> None:
        """Begin a call, or see to it that one begins in time."""
        self._pumping = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            if not self._queue or self._active >= self._concurrency:
                return
            first = self._queue[0]
            rest = first.queued + self._wait - perf_counter()
            alone = self._active == 0 or first.key is None or rest <= 0
            if not alone and sum(item.rows for item in self._queue) < self.pace.most:
                self._timer = self._loop.call_later(rest, self._pump)
                return
            self._active += 1
        self._executor.submit(self._work)

    def _sweep(self) -> None:
        """Watch the clients of items that wait for long."""
        self._sweeper = None
        with self._lock:
            waiting = list(self._queue)
        if not waiting:
            return
        before = perf_counter() - WATCH_AFTER
        for item in waiting:
            if item.queued < before and item.watcher is None and item.leaves is not None:
                item.watcher = self._loop.create_task(self._watch(item))
        self._sweeper = self._loop.call_later(WATCH_AFTER, self._sweep)

    async def _watch(self, item: Item) -> None:
        await item.leaves()
        item.watcher = None
        self.abandon(item)

    def _work(self) -> None:
        """In a thread: one call after the other while items wait."""
        while True:
            with self._lock:
                batch = self._take()
                if not batch:
                    self._active -= 1
                    return
            started = perf_counter()
            for item in batch:
                item.started = started
            try:
                self._compute(batch)
            except Exception as error:  # noqa: BLE001 - a thread that ends would strand the queue
                for item in batch:
                    item.error = item.error or error
            ended = perf_counter()
            rows = sum(item.rows for item in batch)
            if not any(item.error for item in batch):
                self.pace.learn(rows, ended - started)
            for item in batch:
                item.ended, item.shared = ended, rows
            with self._lock:
                self._done.extend(batch)
                told, self._delivering = self._delivering, True
            if not told:
                try:
                    self._loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the loop was closed meanwhile
                    return

    def _take(self) -> list[Item]:
        """The oldest item, and those after it that may share its call."""
        queue = self._queue
        if not queue:
            return []
        first = queue.popleft()
        if first.key is None:
            return [first]
        batch, rows, most = [first], first.rows, 0
        passed: list[Item] = []
        while queue and rows < (most := most or self.pace.rows()):
            item = queue[0]
            if item.key == first.key and rows + item.rows <= most:
                rows += item.rows
                batch.append(queue.popleft())
            else:
                passed.append(queue.popleft())
        queue.extendleft(reversed(passed))
        return batch

    def _deliver(self) -> None:
        """Back in the loop: answer what was computed."""
        with self._lock:
            self._delivering = False
            done = list(self._done)
            self._done.clear()
        metrics = self._metrics
        call = 0.0
        for item in done:
            took = item.ended - item.started
            metrics.queued.add(item.started - item.queued)
            metrics.computed.add(took)
            if item.started != call:
                call = item.started
                metrics.rows.add(item.shared)
            self._finish(item, "failed" if item.error else "ok")

    def _finish(self, item: Item, outcome: str) -> None:
        self._metrics.ended(outcome)
        if item.watcher is not None:
            item.watcher.cancel()
        self._open -= 1
        if not self._open:
            self._idle.set()
        if item.future.done():
            return
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)
