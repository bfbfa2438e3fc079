"""Runs the jobs: a bounded queue, a few at once, each request once, and nothing forgotten."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from torchinf_core.errors import TorchinfError
from torchinf_core.manager import ModelDownloader
from torchinf_serve.config import Config
from torchinf_serve.jobs.book import JobBook
from torchinf_serve.jobs.job import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    QUEUED,
    RUNNING,
    Job,
    new_id,
    now,
)
from torchinf_serve.jobs.launching import SilentError, Worker, launch
from torchinf_serve.security.problems import RefusedError, make

SILENCE = 60.0
"""Seconds without a sign of life after which a worker is given up."""
RETRY_AFTER = 10
"""Seconds that a client is asked to wait when the queue is full."""

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


class Jobs(JobBook):
    """The jobs of one store, and what runs them.

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
        super().__init__(downloader.store, config.keep_jobs)
        self._config = config
        self._downloader = downloader
        self._metrics = metrics
        self._on_done = on_done
        self._launch = launch
        self._silence = silence
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._workers: dict[str, Worker] = {}
        self._ending: dict[str, str] = {}  # job → why its worker is being stopped
        self._background: set[asyncio.Task[int]] = set()

    async def start(self) -> None:
        """Go on with the jobs that were not over."""
        await self.load()
        self._schedule()

    async def stop(self) -> None:
        """Stop all workers; their jobs go on when a server is started again."""
        self.stopping.set()
        for ident in list(self._tasks):
            self._ending.setdefault(ident, INTERRUPTED)
            self._kill(ident)
        await asyncio.gather(*self._tasks.values(), *self._background, return_exceptions=True)
        await self.release()

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
        await self.add(job)
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
            await self.finish(job, CANCELLED)
            self._schedule()  # another may have waited behind it
        return job

    async def retry(self, ident: str) -> Job:
        """Let a job that failed or was cancelled run again.

        Raises:
            RefusedError: 404, there is none; 409, it needs no retry; 429, too many wait.
        """
        job = self.get(ident)
        _check_retry(job)
        if self.stopping.is_set() or self.count(QUEUED, INTERRUPTED) >= self._config.queue:
            raise RefusedError(
                429, "too many downloads wait", headers=[("retry-after", str(RETRY_AFTER))]
            )
        await self.open(job)
        _check_retry(job)  # another one may have been faster
        job.state, job.attempt, job.error, job.finished = QUEUED, job.attempt + 1, None, None
        await self.tell(job, "queued")
        self._schedule()
        return job

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
            await self.tell(job, "running")
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
            await self.tell(job, "waiting", behind=job.behind)
        elif state == FAILED and reason == CANCELLED:
            await self.finish(job, CANCELLED)
        else:
            job.error = error
            await self.finish(job, state)
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
            await self.tell(job, "resolved", model_name=job.name, total_bytes=job.total)
        elif kind == "started":
            await self.tell(job, "started", total_bytes=event["total"])
        elif kind == "progress":
            job.done = event["done"]
            total = event["total"] if event["total"] is not None else job.total
            await self.tell(job, "progress", done_bytes=job.done, total_bytes=total)
        elif kind in ("retry", "note"):
            await self.tell(job, kind, message=event["message"])
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


def _check_retry(job: Job) -> None:
    if job.state not in (FAILED, CANCELLED):
        raise RefusedError(409, f"the job is {job.state}; only what failed can be retried")


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
