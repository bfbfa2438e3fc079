"""What an optimisation tells: a row for each candidate, and what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from torchinf_core.runtimes import Derived
from torchinf_core.types import Json

Outcome = Literal[
    "chosen",
    "slower",
    "wrong",
    "failed",
    "skipped: time",
    "skipped: thorough",
    "skipped: precision",
]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one candidate.

    Attributes:
        label: of the candidate; ``""`` where a runtime failed before it offered one.
        runtime: that offered it.
        verdict: ``chosen``, ``slower`` (than the model as downloaded, or than the one
            that was chosen), ``wrong``, ``failed``, or ``skipped:`` and why: no
            ``time`` was left, it is ``thorough`` and only tried by ``full``, or it has
            another ``precision`` than was asked for.
        error: largest difference to the outputs of the model as downloaded, relative
            to the largest value; None when it was not compared.
        seconds: median time of one call on the first example.
        speedup: times as fast as the model as downloaded in the same rounds.
        build_seconds: to build it, load it and call it for the first time.
        reason: a clause for people, or ``""``.
    """

    label: str
    runtime: str
    verdict: Outcome
    error: float | None = None
    seconds: float | None = None
    speedup: float | None = None
    build_seconds: float | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """JSON values; an error that is infinite is None, the reason says why."""
        made: dict[str, Any] = asdict(self)
        return {
            key: None if isinstance(value, float) and not isfinite(value) else value
            for key, value in made.items()
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome for one model on one device.

    Attributes:
        model: its name.
        device: that it was for; ``""`` when that was not even found out.
        reference: runtime and precision of the model as downloaded, such as
            ``torch fp32``.
        reference_seconds: median time of one call of that on the first example; 0
            when nothing was measured.
        rows: of the candidates, in the order in which they were tried.
        derived: the form that is used from now on, or was before; None for none.
        kept: True when ``derived`` is in the store.
        remembered: True when nothing was tried, for an earlier outcome still holds.
        reason: why nothing was tried or kept, or ``""``.
        seconds: that it took.
    """

    model: str
    device: str = ""
    reference: str = ""
    reference_seconds: float = 0.0
    rows: tuple[Row, ...] = ()
    derived: Derived | None = None
    kept: bool = False
    remembered: bool = False
    reason: str = ""
    seconds: float = 0.0

    @property
    def chosen(self) -> Row | None:
        """The row of the candidate that was chosen now."""
        return next((row for row in self.rows if row.verdict == "chosen"), None)

    def to_json(self) -> dict[str, Json]:
        """The report as JSON values."""
        derived: Mapping[str, Json] | None = asdict(self.derived) if self.derived else None
        return {
            "model": self.model,
            "device": self.device,
            "reference": self.reference,
            "reference_seconds": self.reference_seconds,
            "rows": [row.to_json() for row in self.rows],
            "derived": derived,
            "kept": self.kept,
            "remembered": self.remembered,
            "reason": self.reason,
            "seconds": self.seconds,
        }
