"""Models that are loaded: what a program calls to predict.

:class:`ModelManager` holds loaded models by name, within a budget of memory;
:func:`load` is for those who want one model and nothing else.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torchinf_core.errors import NotCachedError, NotFoundError, SizeLimitError
from torchinf_core.frozen import dataclass
from torchinf_core.loading import load_record
from torchinf_core.manager import ModelDownloader, get_model_downloader
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.settings.run import RUN_PARSERS, RunSettings
from torchinf_core.types import Event, Json, Record

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that a manager holds.

    Attributes:
        name: to the manager.
        model: name in the store.
        runtime, device, precision: as it was loaded.
        form: label of the optimised form, or ``""`` for the model as downloaded.
        size: bytes of the files it was loaded from.
    """

    name: str
    model: str
    runtime: str
    device: str
    precision: str
    form: str
    size: int


@dataclass(frozen=True, slots=True)
class _Held:
    """How a name was loaded, so that it can be again, and what it is now."""

    record: Record
    run: RunSettings
    predictor: Predictor | None


class ModelManager:
    """Loads models and holds them by name.

    Threads may share it.  Of several that want the same model at once one loads
    it and the others wait.  Where ``memory_budget`` is set, models that were not
    used for longest are let go; they are loaded again when they are asked for.

    Args:
        downloader: tells the store and the settings; default: the process's own.
    """

    def __init__(self, downloader: ModelDownloader | None = None) -> None:
        self.downloader = downloader or get_model_downloader()
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}

    def download_and_load_model(
        self,
        source: str,
        model_id: str | None = None,
        name: str | None = None,
        *,
        optimize: str | None = None,
        on_event: OnEvent | None = None,
        **asked: Any,
    ) -> Predictor:
        """Have a model in the store, optimised for this machine, and load it.

        Args:
            source: as for :meth:`ModelDownloader.download`.
            model_id: as there.
            name: to ask for it by, and its name in the store.
            optimize: ``auto`` builds faster forms of it once, in bounded time, and
                takes the fastest whose outputs are the same; ``full`` tries more;
                ``off`` loads it as it was downloaded.  Default: the settings'.
            on_event: called for each step, also from other threads.
            asked: settings of :class:`RunSettings` such as ``device="cpu"``; all
                else goes to the download, such as ``trust=True``.

        Raises:
            TorchinfError: as for a download and for :meth:`load_model`.
        """
        run, download = _split(asked)
        outcome = self.downloader.obtain(source, model_id, name=name, on_event=on_event, **download)
        record = outcome.record
        chosen = self.downloader.settings.run_for(record.name, optimize=optimize, **run)
        if chosen.optimize != "off":
            from torchinf_core.optimize import optimize_once

            optimize_once(self.downloader, record, chosen, on_event)
        return self._load(name or record.name, record, chosen)

    def load_model(self, model: str, name: str | None = None, **run: Any) -> Predictor:
        """Load a stored model; one that is loaded already is returned as it is.

        Args:
            model: its name in the store, or a reference it was downloaded by.
            name: to ask for it by; default: its name in the store.
            run: settings of :class:`RunSettings`, such as ``device="cuda:0"``; with
                others than before it is loaded anew.

        Raises:
            NotCachedError: the store has no such model.
            UntrustedError: it holds code that nobody has trusted.
            IntegrityError: its files are not as recorded.
            SizeLimitError: it is larger than the memory budget.
            LoadError: no runtime can load it, or one failed.
        """
        record = self.downloader.get_record(model)
        chosen = self.downloader.settings.run_for(record.name, **run)
        return self._load(name or record.name, record, chosen)

    def get_model(self, name: str) -> Predictor:
        """A model that was loaded under this name; loaded again if it had to go.

        Raises:
            NotFoundError: nothing was loaded under this name.
        """
        with self._lock:
            held = self._held.get(name)
            if held is not None and held.predictor is not None:
                self._held.move_to_end(name)
                return held.predictor
        if held is None:
            with_names = ", ".join(sorted(self._held)) or "none"
            raise NotFoundError(
                f"no model is loaded under the name {name!r}",
                hint=f"load_model({name!r}); loaded: {with_names}",
            )
        return self._load(name, held.record, held.run)

    def unload(self, name: str) -> bool:
        """Close a model and forget its name; False when there was none."""
        with self._lock:
            held = self._held.pop(name, None)
        if held is not None and held.predictor is not None:
            held.predictor.close()
        return held is not None

    def list_models(self) -> list[LoadedModel]:
        """The models that are in memory, the one used last at the end."""
        with self._lock:
            held = list(self._held.items())
        return [_shown(name, item.record, item.predictor) for name, item in held if item.predictor]

    def close(self) -> None:
        """Close all models."""
        for name in list(self._held):
            self.unload(name)

    # INSIDE

    def _load(self, name: str, record: Record, run: RunSettings) -> Predictor:
        budget = self.downloader.settings.memory_budget
        if budget and record.size > budget:
            raise SizeLimitError(
                f"{record.name!r} has {record.size:,} bytes, the memory budget is {budget:,}",
                hint="raise memory_budget in the settings, or TORCHINF_MEMORY_BUDGET",
            )
        with self._lock:
            turn = self._loading.setdefault(name, threading.Lock())
        with turn:
            with self._lock:
                held = self._held.get(name)
                if held and held.predictor and (held.record, held.run) == (record, run):
                    self._held.move_to_end(name)
                    return held.predictor
            self._make_room(record.size, budget, besides=name)
            store = self.downloader.store
            predictor = load_record(record, store, self.downloader.settings, run)
            with self._lock:
                before = self._held.pop(name, None)
                self._held[name] = _Held(record, run, predictor)
            if before and before.predictor and before.record.name != record.name:
                before.predictor.close()
            return predictor

    def _make_room(self, size: int, budget: int, besides: str) -> None:
        """Let go of models that were not used for longest; who still holds one keeps it."""
        if not budget:
            return
        with self._lock:
            used = sum(
                item.record.size
                for name, item in self._held.items()
                if item.predictor and name != besides
            )
            for name, item in list(self._held.items()):
                if used + size <= budget:
                    return
                if item.predictor and name != besides:
                    used -= item.record.size
                    self._held[name] = replace(item, predictor=None)


def load(
    model: str,
    model_id: str | None = None,
    *,
    downloader: ModelDownloader | None = None,
    on_event: OnEvent | None = None,
    **asked: Json,
) -> Predictor:
    """A model, ready to predict: downloaded if it is not here, loaded by what fits best.

    Args:
        model: a name in the store, a reference such as ``"torchvision:resnet18"``, a
            URL or a path; or a source when ``model_id`` is given.
        model_id: what the source calls it.
        downloader: of the store; default: the process's own.
        on_event: called for each step of a download.
        asked: settings of :class:`RunSettings` such as ``device="cpu"``; all else
            goes to the download.

    Raises:
        TorchinfError: as for a download and for :meth:`ModelManager.load_model`.

    Example::

        from torchinf_core import load
        load("torchvision:resnet18").predict("cat.jpg")
    """
    downloader = downloader or get_model_downloader()
    run, download = _split(asked)
    record = find_or_obtain(downloader, model, model_id, on_event, download)
    chosen = downloader.settings.run_for(record.name, **run)
    return load_record(record, downloader.store, downloader.settings, chosen)


def find_or_obtain(
    downloader: ModelDownloader,
    model: str,
    model_id: str | None = None,
    on_event: OnEvent | None = None,
    download: Mapping[str, Any] | None = None,
) -> Record:
    """The record of a stored model by its name, else what downloading a reference gives.

    Raises:
        NotCachedError: it is a bare word, and no model has that name.
        TorchinfError: as for a download.
    """
    if model_id is None and not download:
        try:
            return downloader.get_record(model)
        except NotCachedError:
            if ":" not in model and "/" not in model:
                raise
    asked = dict(download or {})
    return downloader.obtain(model, model_id, on_event=on_event, **asked).record


_default: ModelManager | None = None
_default_lock = threading.Lock()


def get_model_manager() -> ModelManager:
    """The process's manager on the default store; the models it holds stay in memory.

    Made anew when the environment or the settings file leads elsewhere.
    """
    global _default
    downloader = get_model_downloader()
    with _default_lock:
        if _default is None or _default.downloader is not downloader:
            _default = ModelManager(downloader)
        return _default


def _shown(name: str, record: Record, predictor: Predictor) -> LoadedModel:
    derived = predictor.artifact.derived
    return LoadedModel(
        name=name,
        model=record.name,
        runtime=predictor.runtime,
        device=predictor.device,
        precision=predictor.precision,
        form=derived.label if derived else "",
        size=record.size,
    )


def _split(asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of running, and all else."""
    run = {key: value for key, value in asked.items() if key in RUN_PARSERS}
    return run, {key: value for key, value in asked.items() if key not in RUN_PARSERS}
