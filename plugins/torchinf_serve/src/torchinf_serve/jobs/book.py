"""What is known of the jobs of one store: on disk before anybody is told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from torchinf_core.errors import TorchinfError
from torchinf_core.store import Store
from torchinf_serve.jobs.events import EventLog
from torchinf_serve.jobs.files import JobFiles
from torchinf_serve.jobs.job import ENDED, INTERRUPTED, RUNNING, Job, is_id, now
from torchinf_serve.security.problems import RefusedError

_DURABLE = frozenset({"queued", "running", "interrupted", "done", "failed", "cancelled"})

_log = logging.getLogger("torchinf.serve.jobs")


class JobBook:
    """All jobs of one store; lives in one event loop, and writes in a thread of its own.

    Args:
        store: that the jobs fill.
        keep: jobs that ended and are remembered.

    Attributes:
        stopping: set when the server stops; nothing new begins then.
    """

    def __init__(self, store: Store, keep: int) -> None:
        self._files = JobFiles(store)
        self._keep = keep
        self._jobs: dict[str, Job] = {}
        self._logs: dict[str, EventLog] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._disk = ThreadPoolExecutor(1, "torchinf-jobs")
        self.stopping = asyncio.Event()

    def own(self) -> None:
        """Be the only one to run the store's jobs.

        Raises:
            BusyError: another server does.
            StoreError: the store can't be written.
        """
        self._files.own()

    async def load(self) -> None:
        """Read all jobs; those that ran when a server ended were interrupted."""
        loop = asyncio.get_running_loop()
        for job in await loop.run_in_executor(self._disk, self._files.load):
            self._jobs[job.id] = job
            if not job.has_ended:
                await self.open(job)
                job.behind = None
                if job.state == RUNNING:
                    job.state = INTERRUPTED
                    await self.tell(job, "interrupted")

    async def release(self) -> None:
        """Let another server own the jobs."""
        await asyncio.get_running_loop().run_in_executor(self._disk, self._files.release)
        self._disk.shutdown()

    async def add(self, job: Job) -> None:
        """Remember a new job; durable when this returns.

        Raises:
            StoreError: it could not be written, and is not remembered.
        """
        self._jobs[job.id] = job
        self._logs[job.id] = EventLog([], closed=False)
        self._ended[job.id] = asyncio.Event()
        try:
            await self.tell(job, "queued")
        except TorchinfError:
            self.drop(job)
            raise

    async def open(self, job: Job) -> None:
        """Let a job that was over, or that another server knew, be told of again."""
        log = await self._log_of(job)
        if job.id not in self._ended:  # somebody else may have been faster
            log.closed = False
            self._logs[job.id] = log
            self._ended[job.id] = asyncio.Event()

    def list(self) -> list[Job]:
        """All jobs, the newest first."""
        return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)

    def get(self, ident: str) -> Job:
        """One job.

        Raises:
            RefusedError: 404, there is none, or no more.
        """
        job = self._jobs.get(ident) if is_id(ident) else None
        if job is None:
            raise RefusedError(404, "there is no such job", hint="GET /models/jobs lists them")
        return job

    def count(self, *states: str) -> int:
        """How many jobs are in one of these states."""
        return sum(job.state in states for job in self._jobs.values())

    def active_for(self, name: str) -> Job | None:
        """The job that brings, or may bring, the model of a name; None where none does."""
        for job in self._jobs.values():
            if not job.has_ended and name in (job.name, job.asked.get("name")):
                return job
        return None

    async def wait(self, ident: str) -> Job:
        """A job once it has ended, or when the server stops."""
        job = self.get(ident)
        ended = self._ended.get(ident)
        if ended is not None and not job.has_ended:
            tasks = [asyncio.ensure_future(e.wait()) for e in (ended, self.stopping)]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
        return job

    async def follow(self, ident: str, after: int) -> AsyncIterator[bytes]:
        """Server-sent events of a job behind the one with the id ``after``.

        Raises:
            RefusedError: 404, there is none.
        """
        log = await self._log_of(self.get(ident))
        return log.follow(after)

    async def last_event(self, ident: str) -> int:
        """Id of the latest event of a job."""
        return len(await self._log_of(self.get(ident)))

    def stop_watching(self) -> None:
        """End all streams and waits; their clients come back to the next server."""
        self.stopping.set()
        for log in self._logs.values():
            log.closed = True
            log.wake()

    async def _log_of(self, job: Job) -> EventLog:
        if (log := self._logs.get(job.id)) is not None:
            return log
        loop = asyncio.get_running_loop()
        events = await loop.run_in_executor(self._disk, self._files.events, job.id)
        return EventLog(events, closed=job.has_ended)

    async def finish(self, job: Job, state: str) -> None:
        """A job is over: write it, tell its watchers, and forget the oldest."""
        job.state, job.finished, job.behind = state, now(), None
        extra: dict[str, Any] = {}
        if job.error is not None:
            extra["error"] = job.error
        if job.result is not None:
            extra["result"] = job.result
        log = self._logs.get(job.id)
        try:
            await self.tell(job, state, model_name=job.name, **extra)
        except TorchinfError as error:  # it is over all the same; the next start says how
            _log.error("the end of job %s could not be written: %s", job.id, error)
        if log is not None:
            log.closed = True
            log.wake()
        self._logs.pop(job.id, None)
        ended = self._ended.pop(job.id, None)
        if ended is not None:
            ended.set()
        _log.info("job %s is %s", job.id, state, extra={"fields": {"job": job.id, "state": state}})
        self._forget_old()

    async def tell(self, job: Job, kind: str, **data: Any) -> None:
        """Add an event, on disk before anybody sees it if it changes the state."""
        durable = kind in _DURABLE
        body = {"state": job.state, **data}
        log = self._logs[job.id]
        loop = asyncio.get_running_loop()
        if durable:
            await loop.run_in_executor(self._disk, self._files.save, job.id, job.stored())
        event = log.add(kind, body)
        line = json.dumps(event).encode() + b"\n"
        writing = loop.run_in_executor(
            self._disk, lambda: self._files.append(job.id, line, durable=durable)
        )
        if durable:
            await writing
        else:
            writing.add_done_callback(_log_loss)

    def _forget_old(self) -> None:
        ended = sorted(job.finished or "" for job in self._jobs.values() if job.state in ENDED)
        if len(ended) <= self._keep:
            return
        oldest = ended[-self._keep]
        for job in [job for job in self._jobs.values() if job.has_ended]:
            if (job.finished or "") < oldest:
                self.drop(job)

    def drop(self, job: Job) -> None:
        """Forget a job."""
        for table in (self._jobs, self._logs, self._ended):
            table.pop(job.id, None)
        self._disk.submit(self._files.forget, job.id)


def _log_loss(writing: asyncio.Future[None]) -> None:
    if not writing.cancelled() and (error := writing.exception()) is not None:
        _log.warning("an event could not be written: %s", error)
