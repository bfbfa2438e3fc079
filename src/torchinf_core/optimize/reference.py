"""The model as downloaded: what every candidate has to equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torchinf_core.errors import TorchinfError
from torchinf_core.loading import Bid, load_artifact
from torchinf_core.optimize import measure
from torchinf_core.optimize.examples import Example
from torchinf_core.optimize.offering import Surroundings
from torchinf_core.optimize.quiet import stdout_on_stderr
from torchinf_core.optimize.report import Row
from torchinf_core.predicting import comparing
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array


@dataclass(frozen=True, slots=True)
class Reference:
    """The model as downloaded, which every candidate has to equal.

    Attributes:
        bid: that won.
        predictor: loaded.
        examples: that it was run on.
        outputs: what it gave for each.
    """

    bid: Bid
    predictor: Predictor
    examples: Sequence[Example]
    outputs: Sequence[Mapping[str, Array]]


def load_reference(around: Surroundings, bid: Bid) -> Predictor:
    """The model as downloaded, in fp32 where its runtime can hold it so."""
    exact = replace(around.run, precision="fp32", optimize="off")
    with stdout_on_stderr():
        try:
            return load_artifact(bid, around.settings, exact, around.plugins)
        except TorchinfError:
            # Files of another precision are a reference as they are.
            return load_artifact(
                bid, around.settings, replace(exact, precision="auto"), around.plugins
            )


def run_reference(
    bid: Bid, predictor: Predictor, examples: Sequence[Example], tolerance: float
) -> tuple[Reference | None, str]:
    """The outputs to compare with, or why nothing can be compared with them.

    Raises:
        TorchinfError: the model failed.
    """
    usable: list[Example] = []
    outputs = []
    for example in examples:
        try:
            made = call(predictor, example.feeds)
            again = call(predictor, example.feeds)
        except Exception as error:
            if not example.needed:
                continue
            raise predictor.failure(error, dict(example.feeds)) from error
        if not comparing.has_numbers(made):
            return None, f"its outputs are not numbers on {example.name}"
        drift = comparing.compare(made, again)
        if not drift.error <= tolerance:
            return None, f"its outputs are others at each call on {example.name}"
        usable.append(example)
        outputs.append(made)
    return Reference(bid, predictor, usable, outputs), ""


def reference_seconds(reference: Reference, rows: Sequence[Row]) -> float:
    """The time of the model as downloaded where nothing was chosen."""
    for row in rows:
        if row.seconds and row.speedup:
            return row.seconds * row.speedup
    feeds = reference.examples[0].feeds
    return measure.medians(measure.race([lambda: reference.predictor.run(feeds)], seconds=0.5))[0]


def call(predictor: Predictor, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs in memory of their own, on inputs that the model may overwrite."""
    return comparing.copied(predictor.run(comparing.copied(feeds)))
