"""One large file: from its URLs into a partial, resumed, restarted and checked.

The calling thread coordinates (progress, limits, number of connections); each
connection is a worker thread that fills blocks for the sink.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from torchinf_core.errors import IntegrityError, SourceError
from torchinf_core.refs import redact
from torchinf_core.transfer import answers
from torchinf_core.transfer.partial import Partial, Source
from torchinf_core.transfer.requester import Context, Requester, RestartError
from torchinf_core.transfer.schedule import Schedule, Span
from torchinf_core.transfer.sink import Sink
from torchinf_core.transfer.tuner import Tuner
from torchinf_core.transfer.wire import Answer, BrokenError
from torchinf_core.transfer.worker import Worker
from torchinf_core.types import Event, RemoteFile

ENDLESS = 1 << 62
LARGE_BLOCK = 512 << 10
SMALL_BLOCK = 128 << 10
DIRECT_FROM = 64 << 20
"""Files from this size on are written past the page cache while one connection feeds them."""
MOST_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Digests:
    """What was found out about received bytes; the file is complete and on the disk."""

    sha256: str
    git_sha1: str | None
    size: int
    validator: str | None
    framed: bool


def receive(
    file: RemoteFile,
    partial: Partial,
    context: Context,
    *,
    fresh: bool,
    after: BrokenError | None = None,
) -> Digests:
    """Bring the bytes of ``file`` into ``partial``.

    Args:
        file: what to fetch; ``url`` and ``mirrors`` are asked in turn.
        partial: where to, possibly with blocks of an earlier process.
        context: connections, limits and callbacks.
        fresh: do not use what an earlier process left.
        after: a failed attempt that counts as the first.

    Raises:
        TorchinfError: the blocks that arrived stay for the next try.
    """
    transfer = Transfer(file, partial, context)
    if after is not None:
        transfer.requester.pause(after)
    ranges, answer = True, None
    for restart in range(MOST_RESTARTS + 1):
        kept = context.meter.kept
        try:
            return transfer.run(fresh=fresh or restart > 0, ranges=ranges, answer=answer)
        except RestartError as error:
            context.meter.discard(context.meter.kept - kept)
            context.on_event(
                Event("retry", file.path, message=f"{error}; starting over from the first byte")
            )
            answer = error.answer
            ranges = restart == 0
            reason = str(error)
    raise SourceError(
        f"{redact(file.url)} can't be downloaded in one piece: {reason}",
        hint="the file changes while it is read, or a proxy in between mangles ranges",
    )


class Transfer:
    """The state that the coordinator and the workers of one file share."""

    def __init__(self, file: RemoteFile, partial: Partial, context: Context) -> None:
        self.file = file
        self.partial = partial
        self.context = context
        self.requester = Requester(file, context)

    def run(self, *, fresh: bool, ranges: bool, answer: Answer | None) -> Digests:
        """One attempt at the whole file, from the blocks that are there."""
        self.error: BaseException | None = None
        self.received = 0
        self.most = self.context.settings.connections if ranges else 1
        self.change = threading.Condition()
        self.workers: dict[threading.Thread, Worker] = {}
        self.schedule: Schedule | None = None
        requester = self.requester
        requester.known = None
        span: Span | None = None
        states: bytearray | None = None
        left = None if fresh else self._leftover()
        if left is not None:
            requester.known, states = left
            self.schedule = Schedule(requester.known.total, requester.known.block, states)
            span = self.schedule.take(1)
            if span is not None:
                answer = requester.ask(span.pos, span.end, may_restart=True)
                if answer.status == 200:
                    requester.known = states = None
        elif answer is None:
            answer = requester.ask(0, None)
        framed, may_split = True, True
        total: int | None
        if requester.known is not None:
            requester.known = self.partial.begin(requester.known, states)
            total, block = requester.known.total, requester.known.block
        else:
            assert answer is not None
            self._accept(answer)
            framed = answers.is_framed(answer)
            may_split = answer.headers.get("accept-ranges", "").lower() == "bytes"
            total = answers.total_of(answer, self.file, self.context.settings)
            block = LARGE_BLOCK if total is None or total >= DIRECT_FROM else SMALL_BLOCK
            self.schedule = None if total is None else Schedule(total, block)
            span = Span(0, ENDLESS) if self.schedule is None else self.schedule.take(1)
            self._begin(answer, total, block)
        self.may_split = may_split and requester.resumable
        git_size = (total if total is not None else self.file.size) if self.file.git_sha1 else None
        self.sink = Sink(self.partial, block, states, git_size=git_size)
        try:
            size = self._coordinate(answer, span, total)
            self.sink.finish(size)
        except BaseException as error:
            self._stop_workers(final=not isinstance(error, RestartError))
            raise
        return Digests(
            self.sink.sha256.hexdigest(),
            self.sink.git_sha1.hexdigest() if self.sink.git_sha1 else None,
            size,
            requester.known.etag if requester.known else answer.etag if answer else None,
            framed,
        )

    def progress(self, count: int) -> None:
        """Account for bytes that a worker received.

        Raises:
            IntegrityError: more than the source published, of a body that does
                not say how long it is.
            SizeLimitError: more than is allowed.
        """
        self.received += count
        if self.schedule is None and self.file.size is not None and self.received > self.file.size:
            raise IntegrityError(
                f"{redact(self.file.url)} has more than the expected {self.file.size} bytes",
                hint="the file was replaced at its source; nothing was stored",
            )
        self.requester.progress()
        self.context.meter.add(count)

    def add_worker(self, answer: Answer | None = None, span: Span | None = None) -> None:
        """One more connection."""
        worker = Worker(self, answer, span)
        thread = threading.Thread(target=worker.run, name="torchinf-transfer", daemon=True)
        with self.change:
            self.workers[thread] = worker
        thread.start()

    def abandon(self, thread: threading.Thread, worker: Worker) -> None:
        """Go on without a worker that may hang for long; its bytes become free again."""
        with self.change:
            if self.workers.pop(thread, None) is None:
                return
        worker.wanted = False
        span, worker.span = worker.span, None
        if span is not None and self.schedule is not None:
            self.schedule.give_back(span)
        if worker.answer is not None:
            worker.answer.kick()

    def resign(self) -> bool:
        """Whether the calling worker may end, because others go on."""
        with self.change:
            if len(self.workers) < 2:
                return False
            self.workers.pop(threading.current_thread(), None)
            self.most = max(1, min(self.most, len(self.workers)))
            return True

    def leave(self, error: BaseException | None) -> None:
        """The calling worker ends."""
        with self.change:
            self.workers.pop(threading.current_thread(), None)
            if error is not None and self.error is None:
                self.error = error
            self.change.notify_all()

    def _leftover(self) -> tuple[Source, bytearray] | None:
        """Blocks of an earlier process that this transfer may continue."""
        found = self.partial.load()
        if found is None:
            return None
        known, states = found
        file = self.file
        same = (
            known.sha256 == file.sha256
            and (file.size is None or file.size == known.total)
            and (file.validator is None or known.etag in (None, file.validator))
        )
        resumable = file.sha256 is not None or answers.strong_validator(known) is not None
        return found if resumable and same and any(states) else None

    def _accept(self, answer: Answer) -> None:
        try:
            answers.check_whole(answer, self.file)
        except BrokenError as error:
            answer.close()
            raise RestartError(str(error)) from error

    def _begin(self, answer: Answer, total: int | None, block: int) -> None:
        if total is None:
            self.partial.restart()
            return
        url = redact(self.file.url)
        dated = answers.dated(answer)
        known = Source(url, total, block, answer.etag, dated, self.file.sha256)
        self.requester.known = self.partial.begin(known)
        if total >= DIRECT_FROM:
            self.partial.reserve(total)
            self.partial.open_direct()

    def _coordinate(self, answer: Answer | None, span: Span | None, total: int | None) -> int:
        """Run workers until every byte has arrived; returns the size."""
        origin = _origin(self.file.url)
        if span is not None:
            self.add_worker(answer, span)
        tuner = Tuner(self, self.context.wire.useful.get(origin, 1))
        tick = tuner.tick()
        while True:
            with self.change:
                if self.error is None and self.workers:
                    self.change.wait(tick)
                error, busy = self.error, bool(self.workers)
            if error is not None:
                raise error
            self.context.on_event(Event("progress", self.file.path, self._done(), total))
            if not busy:
                if self.schedule is None or self.schedule.left() == 0:
                    break
                self.add_worker()  # the last two handed back their spans at once
            self.context.meter.check_speed(redact(self.requester.url))
            self.sink.check()
            tick = tuner.tick()
        self.context.wire.useful[origin] = tuner.best
        return self.received if total is None else total

    def _done(self) -> int:
        if self.schedule is None:
            return self.received
        return self.schedule.total - self.schedule.left()

    def _stop_workers(self, *, final: bool) -> None:
        if final:
            self.context.stop.set()
        self.sink.interrupt()
        with self.change:
            workers = dict(self.workers)
        for worker in workers.values():
            worker.wanted = False
            if worker.answer is not None:
                worker.answer.kick()
        for thread in workers:
            thread.join()
        self.sink.abort()


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
