"""What the computing thread does with the items of one call.

A batch that fails is computed again item by item, so that a bad request fails alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchinf_core.errors import LoadError
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Feeds

if TYPE_CHECKING:
    from torchinf_serve.computing.item import Item
    from torchinf_serve.computing.served import Served


@dataclass(frozen=True, slots=True)
class Arrays:
    """Arrays that the model takes as they are; the result is its outputs by name."""

    feeds: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Things:
    """Pictures, texts or dicts for the pipeline; the result is a list with one for each."""

    items: list[Any]
    options: dict[str, Any]

    def key(self) -> Hashable:
        """The options, as far as they can be compared; None where they can't."""
        pairs = tuple(sorted(self.options.items()))
        try:
            hash(pairs)
        except TypeError:
            return None
        return ("items", pairs)


class Computing:
    """Computes for one model.

    Args:
        served: the model.
    """

    def __init__(self, served: Served) -> None:
        self._served = served

    def compute(self, batch: list[Item]) -> None:
        """Set the result or the error of each item; raises nothing."""
        try:
            predictor = self._served.predictor()
        except Exception as error:  # noqa: BLE001 - all of them fail
            for item in batch:
                item.error = error
            return
        if len(batch) > 1 and self._together(predictor, batch):
            return
        for item in batch:
            try:
                item.result = self._alone(predictor, item)
            except Exception as error:  # noqa: BLE001 - told to its client
                item.error = error

    # INSIDE

    def _together(self, predictor: Predictor, batch: list[Item]) -> bool:
        work = [item.work for item in batch]
        try:
            if isinstance(work[0], Arrays):
                joiner = self._served.facts.joiner
                rows = [item.rows for item in batch]
                parts = joiner.compute(predictor.run, [each.feeds for each in work], rows)
                if parts is None:
                    return False
            else:
                parts = _each(predictor, work)
        except Exception:  # noqa: BLE001 - one by one tells whose fault it is
            return False
        for item, part in zip(batch, parts, strict=True):
            item.result = part
        return True

    @staticmethod
    def _alone(predictor: Predictor, item: Item) -> Any:
        work = item.work
        if isinstance(work, Things):
            return predictor.predict_batch(work.items, batch_size=len(work.items), **work.options)
        return run(predictor, work.feeds)


def run(predictor: Predictor, feeds: Feeds) -> Mapping[str, Array]:
    """The outputs for one request's arrays.

    Raises:
        TorchinfError: the model can't take them, or failed.
    """
    if predictor.closed:
        raise LoadError(f"{predictor.name!r} was closed", hint="try again")
    try:
        return predictor.run(feeds)
    except Exception as error:
        translated = predictor.failure(error, dict(feeds))
        if translated is error:
            raise
        raise translated from error


def _each(predictor: Predictor, work: list[Things]) -> list[list[Any]]:
    everything = [item for each in work for item in each.items]
    results = iter(
        predictor.predict_batch(everything, batch_size=len(everything), **work[0].options)
    )
    return [[next(results) for _ in each.items] for each in work]
