"""The models that a server predicts with: loaded when first asked for, let go when told.

The core's manager holds the models and their memory budget.  What is here belongs to
the event loop: which models are ready, one loading for all who wait for it, and why
a model is not there.  No predictor is kept, so that one that had to make room is
really gone; the thread that computes asks the manager for it each time.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, perf_counter
from typing import Any

from torchinf_core.errors import NotCachedError, TorchinfError, UntrustedError
from torchinf_core.models import ModelManager
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.types import Record, Trust
from torchinf_serve.computing.item import StoppingError
from torchinf_serve.computing.joining import Joiner
from torchinf_serve.computing.keeping import keep, let_go
from torchinf_serve.computing.reading import Reader
from torchinf_serve.computing.room import Room
from torchinf_serve.computing.served import Facts, Served
from torchinf_serve.computing.threads import for_serving
from torchinf_serve.config import Config
from torchinf_serve.metrics import Metrics

_log = logging.getLogger("torchinf.serve")

FAILURE_SECONDS = 2.0
"""How long a model that could not be loaded is not tried again by predictions."""
UNLOAD_SECONDS = 30.0


class Pool:
    """Loads models for requests, each once.

    Args:
        manager: holds them; it belongs to the server alone, and loads for it.
        config: of the server.
        metrics: to count with.
    """

    def __init__(self, manager: ModelManager, config: Config, metrics: Metrics) -> None:
        manager.downloader = for_serving(manager.downloader)
        self.manager = manager
        self.config = config
        self.metrics = metrics
        self.ready: dict[str, Served] = {}
        self.executor = ThreadPoolExecutor(64, "torchinf-compute")
        self.room = Room(config.predict_bytes)
        self._loader = ThreadPoolExecutor(2, "torchinf-load")
        self._loading: dict[str, asyncio.Task[Served]] = {}
        self._failures: dict[str, tuple[float, TorchinfError]] = {}
        self._reasons: dict[str, str] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stopping = False
        metrics.watch_loaded(lambda: len(manager.list_models()))

    def start(self) -> None:
        """Belong to the running event loop from now on."""
        self._loop = asyncio.get_running_loop()

    async def get(self, name: str) -> Served:
        """A model that is ready; loaded if it is not.

        Args:
            name: in the store.

        Raises:
            NotCachedError: the store has no such model; nothing is downloaded.
            UntrustedError: it holds code that may not run here.
            StoppingError: the server stops.
            TorchinfError: it can't be loaded; for a moment the same error is raised
                again without trying.
        """
        served = self.ready.get(name)
        if served is not None:
            return served
        failed = self._failures.get(name)
        if failed is not None and monotonic() - failed[0] < FAILURE_SECONDS:
            raise failed[1]
        return await self.load(name)

    async def load(self, name: str) -> Served:
        """Load a model now, also where that failed a moment ago.

        Raises:
            TorchinfError: as for :meth:`get`.
        """
        if self.stopping:
            raise StoppingError("the server stops", hint="try again soon")
        if (served := self.ready.get(name)) is not None and self._is_held(name):
            return served
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.ensure_future(self._load(name))
            task.add_done_callback(lambda done: self._loaded(name, done))
        try:
            # Who gives up waiting does not stop it for the others.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self.stopping:
                raise StoppingError("the server stops", hint="try again soon") from None
            raise

    async def unload(self, name: str, reason: str = "unloaded on request") -> bool:
        """Close a model when it has computed what waits for it; False when it was not loaded."""
        served = self.ready.pop(name, None)
        if served is not None:
            try:
                await asyncio.wait_for(served.batcher.drained(), UNLOAD_SECONDS)
            except TimeoutError:
                served.batcher.stop()
        if name in self.ready:  # asked for again meanwhile
            return True
        self._reasons[name] = reason
        loop = asyncio.get_running_loop()
        there = await loop.run_in_executor(self._loader, self._unload_in_thread, name)
        return there or served is not None

    def forget(self, name: str) -> None:
        """Take a model that was removed from the store, or changed there, as not loaded."""
        self._failures.pop(name, None)
        if name in self.ready and self._loop is not None:
            task = self._loop.create_task(
                self.unload(name, "the store has it no more, or other content of it")
            )
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    def forget_soon(self, name: str) -> None:
        """:meth:`forget`, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.forget, name)

    def reason(self, name: str) -> str:
        """Why a model is not ready, for people."""
        if name in self._loading:
            return "it is being loaded"
        if (failed := self._failures.get(name)) is not None:
            return str(failed[1])
        if name in self.ready:
            return "it made room for others; the next prediction loads it"
        return self._reasons.get(name, "not loaded yet; the first prediction loads it")

    def failed(self) -> dict[str, str]:
        """The models that could not be loaded when last tried, and the kind of error."""
        return {name: type(error).__name__ for name, (_, error) in self._failures.items()}

    async def require(self, name: str) -> None:
        """Return when the store has such a model.

        Raises:
            NotCachedError: it has not.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._loader, self._find, name)

    def held(self) -> frozenset[str]:
        """Names of the models that are in memory."""
        return frozenset(model.name for model in self.manager.list_models())

    async def close(self, seconds: float) -> int:
        """Finish what waits, at most for so long, and close all models.

        Returns:
            How many predictions could not be finished.
        """
        self.stopping = True
        for task in self._loading.values():
            task.cancel()
        # Out of sight, so that no request finds one.
        left = [served.batcher for served in self.ready.values()]
        self.ready.clear()
        if left:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(b.drained() for b in left)), seconds)
        lost = sum(batcher.open for batcher in left)
        for batcher in left:
            batcher.stop()
        self.executor.shutdown(wait=not lost, cancel_futures=True)
        self._loader.shutdown(wait=False, cancel_futures=True)
        if not lost:
            await asyncio.get_running_loop().run_in_executor(None, self.manager.close)
        return lost

    # INSIDE

    def _is_held(self, name: str) -> bool:
        return name in self.held()

    async def _load(self, name: str) -> Served:
        loop = asyncio.get_running_loop()
        started = perf_counter()
        facts = await loop.run_in_executor(self._loader, self._load_in_thread, name)
        seconds = perf_counter() - started
        served = self.ready.get(facts.record.name)
        if served is None:
            metrics = self.metrics.model(facts.record.name)
            served = Served(self, facts, metrics)
        served.facts = facts
        served.metrics.loads.add(seconds)
        _log.info(
            "loaded %s in %.2f s",
            served.name,
            seconds,
            extra={
                "fields": {
                    "model": served.name,
                    "runtime": facts.runtime,
                    "device": facts.device,
                    "seconds": round(seconds, 3),
                }
            },
        )
        return served

    def _loaded(self, name: str, task: asyncio.Task[Served]) -> None:
        self._loading.pop(name, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            served = task.result()
            self.ready[served.name] = served
            self._failures.pop(name, None)
            self._reasons.pop(name, None)
        elif isinstance(error, NotCachedError):
            self._failures.pop(name, None)
        elif isinstance(error, TorchinfError):
            self._failures[name] = (monotonic(), error)

    def _load_in_thread(self, name: str) -> Facts:
        record = self._find(name)
        facts, predictor = self.load_facts(record)
        predictor.warm_up()
        if facts.joiner.possible and (feeds := predictor.examples(1)):
            try:
                facts.joiner.prove(predictor.run, feeds)
            except Exception as error:  # noqa: BLE001 - invented inputs; requests will tell
                _log.debug("examples of %s can't be joined: %s", name, error)
        return facts

    def _unload_in_thread(self, name: str) -> bool:
        there = self.manager.unload(name)
        let_go()
        return there

    def _find(self, name: str) -> Record:
        if ":" in name or "/" in name:  # a reference, which could be anything's name
            raise NotCachedError(f"there is no model {name!r} in the store")
        return self.manager.downloader.get_record(name)

    def load_facts(self, record: Record) -> tuple[Facts, Predictor]:
        """Load a model, in a thread, and tell what it is."""
        if record.trust is Trust.CODE and record.name not in self.config.allow_code:
            raise UntrustedError(
                f"{record.name!r} holds code, and this server runs none of it",
                hint=f"torchinf serve --allow-code {record.name}, where it is trusted",
            )
        before = self.held()
        predictor = self.manager.load_model(record.name)
        if before - self.held():  # it took the place of others
            let_go()
        else:
            keep()
        facts = Facts(
            record=record,
            signature=predictor.signature,
            kind=predictor.kind,
            runtime=predictor.runtime,
            device=predictor.device,
            joiner=Joiner(record.name, predictor.signature),
            reader=Reader(predictor.signature),
        )
        return facts, predictor
