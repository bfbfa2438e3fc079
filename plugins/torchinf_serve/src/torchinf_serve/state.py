"""Everything that one server process holds, and the order in which it comes and goes."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import Any

from torchinf_core.errors import TorchinfError
from torchinf_core.manager import ModelDownloader
from torchinf_core.models import ModelManager
from torchinf_core.plugins import Plugins, load_plugins
from torchinf_serve.config import Config
from torchinf_serve.jobs.engine import Jobs
from torchinf_serve.jobs.job import INTERRUPTED, QUEUED, RUNNING
from torchinf_serve.metrics import Metrics
from torchinf_serve.predicting import Predictions

LOOK_EVERY = 5.0
"""Seconds between two looks at the store for ``/health``."""
LITTLE_SPACE = 1 << 30
"""Free bytes below which a server says so."""

_log = logging.getLogger("torchinf.serve")


class ServerState:
    """One server process.

    Args:
        config: as it was started.
        downloader: of the store.
        runs_jobs: False in a process that leaves the downloads to another.

    Attributes:
        config, downloader: as above.
        manager: holds the loaded models.
        metrics: all that is counted.
        jobs: the downloads.
        predictions: answers with models.
        plugins: the sources there are.
    """

    def __init__(
        self, config: Config, downloader: ModelDownloader, *, runs_jobs: bool = True
    ) -> None:
        self._runs_jobs = runs_jobs
        self._generations: dict[str, str] = {}
        self.config = config
        self.downloader = downloader
        self.manager = ModelManager(downloader)
        self.metrics = Metrics()
        self.predictions = Predictions(self.manager, config, self.metrics)
        self.jobs = Jobs(config, downloader, self.metrics, on_done=self.predictions.forget)
        self.plugins: Plugins = load_plugins(downloader.settings)
        self._problems: list[str] = []
        self._looking: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Go on with the jobs, and be ready to predict."""
        if self._runs_jobs:
            await self.jobs.start()
        await self.predictions.startup()
        self._problems = await asyncio.to_thread(self._look)
        self._looking = asyncio.create_task(self._look_again())

    async def shutdown(self) -> None:
        """Finish what may be finished; jobs that run go on at the next start."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await self.jobs.stop()
        await self.predictions.shutdown(self.config.drain_seconds)
        await asyncio.to_thread(self.manager.close)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether all is well, and what is not, in words for anybody; does no I/O."""
        stopping = self.jobs.stopping.is_set()
        problems = [*self._problems, *(["the server is stopping"] if stopping else [])]
        waiting = self.jobs.count(QUEUED, INTERRUPTED)
        if waiting >= self.config.queue:
            problems.append("the queue of downloads is full")
        body = {
            "status": "stopping" if stopping else "degraded" if problems else "ok",
            "problems": problems,
            "downloads": {"running": self.jobs.count(RUNNING), "queued": waiting},
            "predictions": self.predictions.health(),
        }
        return not (stopping or _UNWRITABLE in problems), body

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._problems = await asyncio.to_thread(self._look)
            for name in await asyncio.to_thread(self._changed):
                self.predictions.forget(name)

    def _changed(self) -> list[str]:
        """Loaded models that another process removed from the store, or changed there."""
        before, now = self._generations, {}
        for loaded in self.manager.list_models():
            with suppress(TorchinfError):
                record = self.downloader.registry.find(loaded.model)
                now[loaded.name] = record.generation if record is not None else ""
        self._generations = now
        return [name for name in now if before.get(name, now[name]) != now[name]]

    def _look(self) -> list[str]:
        """What is wrong with the store and the plugins, without a path in it."""
        problems = []
        root = str(self.downloader.cache_dir)
        try:
            self.downloader.store.prepare()
            status = os.statvfs(root)
            if not os.access(root, os.W_OK):
                problems.append(_UNWRITABLE)
            elif status.f_bavail * status.f_frsize < LITTLE_SPACE:
                problems.append("less than 1 GiB of disk space is left")
            damaged = len(self.downloader.registry.records().damaged)
            if damaged:
                problems.append(f"{damaged} of the store's records can't be read")
        except (TorchinfError, OSError) as error:
            _log.warning("the store can't be used: %s", error)
            problems.append(_UNWRITABLE)
        states = self.plugins.states()
        broken = [s.name for s in states if not s.usable and s.state != "disabled"]
        problems += [f"the plugin {name!r} can't be used" for name in broken]
        return problems


_UNWRITABLE = "the store can't be written"
