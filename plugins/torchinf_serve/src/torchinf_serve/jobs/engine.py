"""Runs the jobs: a bounded queue, a few at once, each request once, and nothing forgotten."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from torchinf_core.errors import TorchinfError
from torchinf_core.manager import ModelDownloader
from torchinf_serve.config import Config
from torchinf_serve.jobs.events import EventLog
from torchinf_serve.jobs.files import JobFiles
from torchinf_serve.jobs.job import (
    CANCELLED,
    DONE,
    ENDED,
    FAILED,
    INTERRUPTED,
    QUEUED,
    RUNNING,
    Job,
    is_id,
    new_id,
    now,
)
from torchinf_serve.jobs.launching import SilentError, Worker, launch
from torchinf_serve.security.problems import RefusedError, make

SILENCE = 60.0
"""Seconds without a sign of life after which a worker is given up."""
RETRY_AFTER = 10
"""Seconds that a client is asked to wait when the queue is full."""
_DURABLE = frozenset({"queued", "running", "interrupted", "done", "failed", "cancelled"})

_log = logging.getLogger("torchinf.serve.jobs")
Launch = Callable[[dict[str, Any], str], Awaitable[Worker]]


class JobMetrics(Protocol):
    """What is counted of jobs."""

    def job_finished(
        self, source: str, outcome: str, size: int, seconds: float, failure: str = ""
    ) -> None:
        """One job ended: its state, the bytes it fetched, and the type of its error."""

    def queue(self, depth: int) -> None:
        """So many jobs wait."""


class Jobs:
    """All jobs of one store; lives in one event loop.

    Args:
        config: how many run and wait, and what one may fetch.
        downloader: tells the store and its settings.
        metrics: is told what ends.
        on_done: told the name of each model that was brought.
        launch: starts a worker; for tests.
        silence: seconds without a sign of life; for tests.
    """

    def __init__(
        self,
        config: Config,
        downloader: ModelDownloader,
        metrics: JobMetrics,
        *,
        on_done: Callable[[str], None] = lambda _: None,
        launch: Launch = launch,
        silence: float = SILENCE,
    ) -> None:
        self._config = config
        self._downloader = downloader
        self._metrics = metrics
        self._on_done = on_done
        self._launch = launch
        self._silence = silence
        self._files = JobFiles(downloader.store)
        self._jobs: dict[str, Job] = {}
        self._logs: dict[str, EventLog] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._workers: dict[str, Worker] = {}
        self._ending: dict[str, str] = {}  # job → why its worker is being stopped
        self._ended: dict[str, asyncio.Event] = {}
        self._background: set[asyncio.Task[int]] = set()
        self._disk = ThreadPoolExecutor(1, "torchinf-jobs")
        self.stopping = asyncio.Event()

    def own(self) -> None:
        """Be the only one to run the store's jobs.

        Raises:
            BusyError: another server does.
            StoreError: the store can't be written.
        """
        self._files.own()

    async def start(self) -> None:
        """Go on with the jobs that were not over."""
        loop = asyncio.get_running_loop()
        for job in await loop.run_in_executor(self._disk, self._files.load):
            self._jobs[job.id] = job
            if not job.has_ended:
                events = await loop.run_in_executor(self._disk, self._files.events, job.id)
                self._logs[job.id] = EventLog(events, closed=False)
                self._ended[job.id] = asyncio.Event()
                job.behind = None
                if job.state == RUNNING:
                    job.state = INTERRUPTED
                    await self._tell(job, "interrupted")
        self._schedule()

    async def stop(self) -> None:
        """Stop all workers; their jobs go on when a server is started again."""
        self.stopping.set()
        for ident in list(self._tasks):
            self._ending.setdefault(ident, INTERRUPTED)
            self._kill(ident)
        await asyncio.gather(*self._tasks.values(), *self._background, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._disk, self._files.release)
        self._disk.shutdown()

    # ASKING

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

    async def submit(self, asked: dict[str, Any], key: str, by: str) -> tuple[Job, bool]:
        """Have a model downloaded.

        Args:
            asked: arguments of :meth:`ModelDownloader.obtain`.
            key: of the request.
            by: label of the token that asks.

        Returns:
            The job, and whether it is one that runs already.

        Raises:
            RefusedError: 429 when too many wait, 503 when the server is stopping.
        """
        if self.stopping.is_set():
            raise RefusedError(503, "the server is stopping", headers=[("retry-after", "5")])
        for job in self._jobs.values():
            if not job.has_ended and job.key == key and job.asked == asked:
                return job, True
        if self.count(QUEUED, INTERRUPTED) >= self._config.queue:
            raise RefusedError(
                429,
                f"{self._config.queue} downloads wait already",
                headers=[("retry-after", str(RETRY_AFTER))],
            )
        job = Job(id=new_id(), asked=asked, key=key, by=by, created=now())
        self._jobs[job.id] = job
        self._logs[job.id] = EventLog([], closed=False)
        self._ended[job.id] = asyncio.Event()
        try:
            await self._tell(job, "queued")
        except TorchinfError:
            self._drop(job)
            raise
        self._schedule()
        return job, False

    async def cancel(self, ident: str) -> Job:
        """Stop a job; what arrived is kept for another try.

        Raises:
            RefusedError: 404, there is none; 409, it is over.
        """
        job = self.get(ident)
        if job.has_ended:
            raise RefusedError(409, f"the job is {job.state} already")
        if ident in self._tasks:
            self._ending[ident] = CANCELLED
            self._kill(ident)
            await self.wait(ident)
        else:
            await self._finish(job, CANCELLED)
            self._schedule()  # another may have waited behind it
        return job

    async def retry(self, ident: str) -> Job:
        """Let a job that failed or was cancelled run again.

        Raises:
            RefusedError: 404, there is none; 409, it needs no retry; 429, too many wait.
        """
        job = self.get(ident)
        if job.state not in (FAILED, CANCELLED):
            raise RefusedError(409, f"the job is {job.state}; only what failed can be retried")
        if self.stopping.is_set() or self.count(QUEUED, INTERRUPTED) >= self._config.queue:
            raise RefusedError(
                429, "too many downloads wait", headers=[("retry-after", str(RETRY_AFTER))]
            )
        log = await self._log_of(job)
        log.closed = False
        self._logs[ident] = log
        self._ended[ident] = asyncio.Event()
        job.state, job.attempt, job.error, job.finished = QUEUED, job.attempt + 1, None, None
        await self._tell(job, "queued")
        self._schedule()
        return job

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

    # RUNNING

    def _schedule(self) -> None:
        """Start what may start, in the order of creation."""
        waiting = [job for job in self._jobs.values() if job.state in (QUEUED, INTERRUPTED)]
        for job in sorted(waiting, key=lambda job: job.id):
            if len(self._tasks) >= self._config.downloads or self.stopping.is_set():
                break
            leader = self._jobs.get(job.behind or "")
            if job.id in self._tasks or (leader is not None and not leader.has_ended):
                continue
            job.behind = None
            task = asyncio.get_running_loop().create_task(self._run(job))
            self._tasks[job.id] = task
        self._metrics.queue(self.count(QUEUED, INTERRUPTED) - self._starting())

    def _starting(self) -> int:
        return sum(self._jobs[ident].state in (QUEUED, INTERRUPTED) for ident in self._tasks)

    async def _run(self, job: Job) -> None:
        began = time.monotonic()
        state, error = FAILED, None
        try:
            job.state, job.started = RUNNING, now()
            await self._tell(job, "running")
            state, error = await self._work(job)
        except TorchinfError as broken:  # the disk is full, or the like
            _log.error("job %s: %s", job.id, broken)
            error = make(500, "The job could not be kept on disk.", kind="StoreError")
        except Exception:  # noqa: BLE001 - a bug here must not leave a job hanging
            _log.exception("job %s failed", job.id)
            error = make(500, "Something went wrong here; the log of the server says what.")
        finally:
            self._tasks.pop(job.id, None)
            self._workers.pop(job.id, None)
            reason = self._ending.pop(job.id, None)
        if state == FAILED and reason == INTERRUPTED:
            return  # on disk it is running, which the next server takes for interrupted
        if state == FAILED and reason == QUEUED:
            job.state = QUEUED
            await self._tell(job, "waiting", behind=job.behind)
        elif state == FAILED and reason == CANCELLED:
            await self._finish(job, CANCELLED)
        else:
            job.error = error
            await self._finish(job, state)
            failure = str((error or {}).get("type", "")).rpartition(":")[2]
            fetched = int((job.result or {}).get("fetched", 0))
            seconds = time.monotonic() - began
            self._metrics.job_finished(job.source, state, fetched, seconds, failure)
        self._schedule()

    async def _work(self, job: Job) -> tuple[str, dict[str, Any] | None]:
        """Run one worker to its end; the state it leads to, and the problem if there is one."""
        most = self._config.max_bytes
        if self._config.max_store:
            used = await asyncio.to_thread(self._downloader.get_cache_size)
            most = min(most, self._config.max_store - used)
            if most <= 0:
                return FAILED, make(507, "The store is as large as it may be.", kind="StoreQuota")
        description = {
            "job": job.id,
            "asked": job.asked,
            "settings": {
                "cache_dir": str(self._downloader.cache_dir),
                "max_bytes": most,
            },
        }
        worker = await self._launch(description, self._files.root)
        self._workers[job.id] = worker
        if job.id in self._ending:
            self._kill(job.id)
        last: dict[str, Any] = {}
        try:
            async for event in worker.events(self._silence):
                last = event if event.get("event") in (DONE, FAILED) else last
                await self._heard(job, event)
            status = await worker.end()
        except SilentError:
            await worker.end(kill=True)
            return FAILED, _crashed(f"the worker gave no sign of life for {self._silence:g} s")
        except BaseException:
            await worker.end(kill=True)
            raise
        if last.get("event") == DONE:
            job.name = str(last["name"])
            job.done = job.total = int(last["size"])
            job.result = {key: last[key] for key in ("hit", "fetched", "size", "notes")}
            self._on_done(job.name)
            return DONE, None
        if last.get("event") == FAILED:
            return FAILED, dict(last["error"])
        return FAILED, _crashed(_reason(status))

    async def _heard(self, job: Job, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "resolved":
            job.name, job.total = event["name"], event["total"]
            await self._tell(job, "resolved", model_name=job.name, total_bytes=job.total)
        elif kind == "started":
            await self._tell(job, "started", total_bytes=event["total"])
        elif kind == "progress":
            job.done = event["done"]
            total = event["total"] if event["total"] is not None else job.total
            await self._tell(job, "progress", done_bytes=job.done, total_bytes=total)
        elif kind in ("retry", "note"):
            await self._tell(job, kind, message=event["message"])
        elif kind == "waiting":
            self._get_behind(job, event["pid"])

    def _get_behind(self, job: Job, pid: int) -> None:
        """Another job fetches the same content: free the worker, and wait for that job."""
        for ident, worker in self._workers.items():
            if worker.pid == pid and ident != job.id:
                job.behind = ident
                self._ending.setdefault(job.id, QUEUED)
                self._kill(job.id)

    def _kill(self, ident: str) -> None:
        worker = self._workers.get(ident)
        if worker is not None:
            task = asyncio.get_running_loop().create_task(worker.end(kill=True))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _finish(self, job: Job, state: str) -> None:
        job.state, job.finished, job.behind = state, now(), None
        extra: dict[str, Any] = {}
        if job.error is not None:
            extra["error"] = job.error
        if job.result is not None:
            extra["result"] = job.result
        log = self._logs.get(job.id)
        try:
            await self._tell(job, state, model_name=job.name, **extra)
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
        await self._forget_old()

    async def _tell(self, job: Job, kind: str, **data: Any) -> None:
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

    async def _forget_old(self) -> None:
        ended = sorted(job.finished or "" for job in self._jobs.values() if job.state in ENDED)
        if len(ended) <= self._config.keep_jobs:
            return
        oldest = ended[-self._config.keep_jobs]
        for job in [job for job in self._jobs.values() if job.has_ended]:
            if (job.finished or "") < oldest:
                self._drop(job)

    def _drop(self, job: Job) -> None:
        for table in (self._jobs, self._logs, self._ended):
            table.pop(job.id, None)
        self._disk.submit(self._files.forget, job.id)


def _log_loss(writing: asyncio.Future[None]) -> None:
    if not writing.cancelled() and (error := writing.exception()) is not None:
        _log.warning("an event could not be written: %s", error)


def _crashed(reason: str) -> dict[str, Any]:
    return make(500, reason, hint="retry it: what arrived is kept", kind="WorkerCrashError")


def _reason(status: int) -> str:
    if status >= 0:
        return f"the worker ended with exit status {status} and without a result"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return f"the worker was killed by signal {-status} ({name})"
