"""The gate: a candidate is built, loaded, compared with the model, and timed beside it.

Nothing a candidate does gets past this module but a row of the report: what it
raises, prints or computes wrongly is its own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path

from torchinf_core.errors import TorchinfError
from torchinf_core.optimize import measure
from torchinf_core.optimize.forming import RejectedError, built, files_of, load, provenance
from torchinf_core.optimize.offering import Offer, Surroundings
from torchinf_core.optimize.quiet import stdout_on_stderr
from torchinf_core.optimize.reference import Reference, call
from torchinf_core.optimize.report import Outcome, Row
from torchinf_core.plugins.boundary import describe
from torchinf_core.predicting import comparing
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Derived

GAIN = 1.05
"""Times as fast as the model as downloaded that a form has to be; less is noise."""
_RACE_SECONDS = 1.5
_FEWER_TURNS = 3


@dataclass(frozen=True, slots=True)
class _Times:
    """Median seconds of one call of a candidate and of the reference; why it is no gain."""

    seconds: float
    reference_seconds: float
    slower: str = ""


@dataclass(slots=True)
class Passed:
    """A candidate that computes the same; closing ``files`` deletes them unless they moved."""

    row: Row
    derived: Derived
    stage: Path
    files: ExitStack


def attempt(
    offer: Offer, reference: Reference, around: Surroundings, *, keep: bool = False
) -> Row | Passed:
    """Put one candidate to the test.

    A candidate is not interrupted while it is built, loaded or called.

    Args:
        offer: the candidate.
        reference: that it has to equal.
        around: to load it with.
        keep: it passes however fast it is.

    Returns:
        Its row with the verdict, or what it is made of when its outputs are the same.
    """
    empty = Row(offer.candidate.label, offer.runtime, "failed")
    with ExitStack() as files:
        try:
            with stdout_on_stderr():
                row, derived, stage = _attempt(offer, reference, around, files)
        except RejectedError as error:
            verdict: Outcome = "wrong" if error.error is not None else "failed"
            return replace(empty, verdict=verdict, reason=str(error), error=error.error)
        except TorchinfError as error:
            return replace(empty, reason=str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of any compiler or framework
            return replace(empty, reason=describe(error))
        if row.reason and not keep:
            return row
        return Passed(row, derived, stage, files.pop_all())


def _attempt(
    offer: Offer, reference: Reference, around: Surroundings, files: ExitStack
) -> tuple[Row, Derived, Path]:
    started = measure.clock()
    stage = built(offer.candidate, files.enter_context(around.store.staging()))
    derived = provenance(offer, reference.bid, reference.examples[0].feeds, around, files_of(stage))
    predictor = load(derived, stage, reference.bid, reference.predictor, around)
    try:
        call(predictor, reference.examples[0].feeds)
        building = measure.clock() - started
        error = _compare(predictor, reference, around.run.tolerance)
        times = _timed(predictor, reference)
        # What changes with each call, or reuses its memory, is found out now.
        error = max(error, _compare(predictor, reference, around.run.tolerance))
    finally:
        predictor.close()
    made = replace(
        derived,
        error=error,
        seconds=times.seconds,
        reference_seconds=times.reference_seconds,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    row = Row(
        offer.candidate.label,
        offer.runtime,
        "slower",
        error=error,
        seconds=times.seconds,
        speedup=made.speedup,
        build_seconds=building,
        reason=times.slower,
    )
    return row, made, stage


def _compare(predictor: Predictor, reference: Reference, tolerance: float) -> float:
    worst = 0.0
    for example, wanted in zip(reference.examples, reference.outputs, strict=True):
        try:
            outputs = call(predictor, example.feeds)
        except Exception as error:
            raise RejectedError(f"on {example.name}: {describe(error)}") from error
        found = comparing.compare(wanted, outputs)
        if not found.error <= tolerance:
            far = f" by {found.error:.1e}, {tolerance:g} is allowed" if found.error < inf else ""
            raise RejectedError(f"on {example.name}: {found.reason}{far}", found.error)
        worst = max(worst, found.error)
    return worst


def _timed(predictor: Predictor, reference: Reference) -> _Times:
    """Times on the first example, and on the others whether it is slower there."""
    times = _Times(0.0, 0.0)
    for place, example in enumerate(reference.examples):
        turns = measure.TURNS if place == 0 else _FEWER_TURNS
        times_of_both = race(predictor, reference.predictor, example.feeds, turns)
        ours, theirs = measure.medians(times_of_both)
        # By the best calls, too: medians of a busy machine say little.
        quickest, its_best = map(min, times_of_both)
        ratios = (theirs / ours, its_best / quickest) if ours and quickest else (1.0,)
        if place == 0:
            times = _Times(ours, theirs)
            if min(ratios) < GAIN:
                return replace(times, slower="not faster than the model as downloaded")
        elif max(ratios) * GAIN < 1:
            return replace(times, slower=f"{max(ratios):.2f} times as fast on {example.name}")
    return times


def race(
    predictor: Predictor, other: Predictor, feeds: Mapping[str, Array], turns: int
) -> list[list[float]]:
    """The seconds of single calls of each, measured in turns."""
    # Each on arrays of its own, should one write into them.
    ours, theirs = comparing.copied(feeds), comparing.copied(feeds)
    calls: list[Callable[[], object]] = [lambda: predictor.run(ours), lambda: other.run(theirs)]
    return measure.race(calls, seconds=_RACE_SECONDS, turns=turns)
