"""Latency and throughput of loaded models, beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from torchinf_core.errors import InputError, TorchinfError
from torchinf_core.optimize import measure
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array
from torchinf_core.types import Json


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One predictor at one batch size.

    Attributes:
        runtime, device, precision: as it was loaded.
        form: label of the optimised form, or ``""`` for the model as downloaded.
        batch: items in one call.
        calls: that were timed.
        p50, p90, p99: seconds of one call that so many percent do not exceed.
        throughput: items per second.
        problem: why it was not measured, or ``""``.
    """

    runtime: str
    device: str
    precision: str
    form: str
    batch: int
    calls: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    throughput: float = 0.0
    problem: str = ""

    def to_json(self) -> dict[str, Json]:
        """JSON values."""
        return asdict(self)


def bench(
    predictors: Sequence[Predictor],
    batches: Sequence[int] = (1,),
    seconds: float = 2.0,
    *,
    on_row: Callable[[BenchRow], None] | None = None,
) -> list[BenchRow]:
    """Time loaded models on example inputs, in turns.

    Args:
        predictors: loaded; they stay open.
        batches: items in one call, each measured by itself.
        seconds: for each predictor and batch; a slow one takes what a few calls need.
        on_row: told each row when it is there.

    Returns:
        A row for each predictor and batch, also for those that can't be measured.
    """
    rows = []
    for batch in batches:
        for row in _bench(predictors, batch, seconds):
            rows.append(row)
            if on_row is not None:
                on_row(row)
    return rows


def _bench(predictors: Sequence[Predictor], batch: int, seconds: float) -> list[BenchRow]:
    calls: dict[int, Callable[[], object]] = {}
    problems: dict[int, str] = {}
    for place, predictor in enumerate(predictors):
        try:
            calls[place] = _call(predictor, batch)
            calls[place]()  # what is set up or compiled at the first call is not measured
        except Exception as error:  # noqa: BLE001 - of any framework, and only for this row
            calls.pop(place, None)
            told = error if isinstance(error, TorchinfError) else predictor.failure(error, None)
            problems[place] = str(told)
    times = measure.race(list(calls.values()), seconds=seconds * len(calls)) if calls else []
    timed = dict(zip(calls, times, strict=True))
    return [
        _row(predictor, batch, timed.get(place, []), problems.get(place, ""))
        for place, predictor in enumerate(predictors)
    ]


def _call(predictor: Predictor, batch: int) -> Callable[[], object]:
    feeds = predictor.examples(batch)
    if not feeds:
        raise InputError("nobody knows what it takes")
    if not _has_batch(feeds, batch):
        raise InputError(f"it takes no batch of {batch}: {predictor.signature.inputs_text}")
    return lambda: predictor.run(feeds)


def _has_batch(feeds: Mapping[str, Array], batch: int) -> bool:
    return any(array.ndim and array.shape[0] == batch for array in feeds.values())


def _row(predictor: Predictor, batch: int, times: Sequence[float], problem: str) -> BenchRow:
    derived = predictor.artifact.derived
    form = derived.label if derived else ""
    row = (predictor.runtime, predictor.device, predictor.precision, form, batch)
    if not times:
        return BenchRow(*row, problem=problem)
    total = sum(times)
    return BenchRow(
        *row,
        calls=len(times),
        p50=measure.percentile(times, 0.5),
        p90=measure.percentile(times, 0.9),
        p99=measure.percentile(times, 0.99),
        throughput=batch * len(times) / total if total else 0.0,
    )
