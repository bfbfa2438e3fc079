"""One model that is ready to predict, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from torchinf_core.errors import NotFoundError, TorchinfError
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import ItemKind, Signature
from torchinf_core.types import Record
from torchinf_serve.batching import Batcher
from torchinf_serve.computing.joining import Joiner
from torchinf_serve.computing.reading import Reader
from torchinf_serve.computing.work import Computing
from torchinf_serve.metrics import ModelMetrics

if TYPE_CHECKING:
    from torchinf_serve.pool import Pool

CHECK_SECONDS = 1.0
"""How often it is looked whether the store has another content under a model's name."""
VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model that is loaded.

    Attributes:
        record: of the store.
        signature, kind, runtime, device: of its predictor.
        joiner: joins its requests, where they can be.
        reader: reads them, where they are as they should be.
    """

    record: Record
    signature: Signature
    kind: ItemKind
    runtime: str
    device: str
    joiner: Joiner
    reader: Reader

    @property
    def version(self) -> str:
        """The first digits of what the content hashes to."""
        return self.record.generation[:VERSION_DIGITS]


class Served:
    """A model that is ready to predict."""

    def __init__(self, pool: Pool, facts: Facts, metrics: ModelMetrics) -> None:
        config = pool.config
        self.name = facts.record.name
        self.facts = facts
        self.metrics = metrics
        self.checked = monotonic()
        self._pool = pool
        self.batcher = Batcher(
            Computing(self).compute,
            pool.executor,
            metrics,
            queue=config.predict_queue,
            concurrency=config.predict_concurrency,
            batch_max=config.batch_max,
            wait=config.batch_wait_ms / 1e3,
        )

    def predictor(self) -> Predictor:
        """The loaded model; in a thread, for it is loaded again where it had to make room.

        Raises:
            TorchinfError: it is no longer in the store, or can't be loaded.
        """
        manager = self._pool.manager
        now = monotonic()
        if now - self.checked > CHECK_SECONDS:
            self.checked = now
            self._check()
        try:
            return manager.get_model(self.name)
        except NotFoundError:
            return manager.load_model(self.name)

    def _check(self) -> None:
        """See whether the store still has this model; load its new content if it has another."""
        try:
            record = self._pool.manager.downloader.get_record(self.name)
            if record.generation != self.facts.record.generation:
                self.facts, _ = self._pool.load_facts(record)
        except TorchinfError:
            # What was loaded is not what the store has under this name any more.
            self._pool.forget_soon(self.name)
            raise
