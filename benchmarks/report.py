"""What a scenario found, as lines of the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.measure import Sample

MB = 1e6
FAILED = "FAILED"
"""How the note of a row begins whose program went wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """One program in one scenario; ``sample`` has medians, None for a program not installed."""

    who: str
    sample: Sample | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that torchinf has to keep to; ``value`` is None where it can't be had."""

    what: str
    most: float
    value: float | None
    unit: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.value is None else self.value <= self.most

    def line(self) -> str:
        text = f"  goal  {self.what} ≤ {self.most:g}{self.unit}: "
        if self.value is None:
            return text + "can't be told, a program is missing or failed"
        return text + f"{self.value:.3g}{self.unit}  {'met' if self.met else 'MISSED'}"


@dataclass(frozen=True, slots=True)
class Report:
    """All of one scenario.

    Attributes:
        name, title: the word on the command line, and what is done.
        baseline: the row that the others are divided by.
        rows, goals: in the order they are shown.
    """

    name: str
    title: str
    baseline: str
    rows: Sequence[Row]
    goals: Sequence[Goal] = field(default=())

    def sample(self, who: str) -> Sample | None:
        return next((row.sample for row in self.rows if row.who == who), None)


def ratio(rows: Iterable[Row], who: str, other: str, cost: str = "wall") -> float | None:
    """What ``who`` costs divided by what ``other`` does; None if either is missing."""
    found = {row.who: row.sample for row in rows}
    one, two = found.get(who), found.get(other)
    if one is None or two is None or not getattr(two, cost):
        return None
    value: float = getattr(one, cost) / getattr(two, cost)
    return value


def table(report: Report) -> str:
    """The scenario as text."""
    base = report.baseline
    head = ("", "wall", f"÷ {base}", "cpu", f"÷ {base}", "rss MB", "")
    lines = [head]
    for row in report.rows:
        if row.sample is None:
            state = "failed" if row.note.startswith(FAILED) else "missing"
            lines.append((row.who, state, "", "", "", "", row.note))
            continue
        wall, cpu = (ratio(report.rows, row.who, base, cost) for cost in ("wall", "cpu"))
        lines.append(
            (
                row.who,
                _seconds(row.sample.wall),
                _number(wall),
                _seconds(row.sample.cpu),
                _number(cpu),
                f"{row.sample.rss / MB:.0f}" if row.sample.rss else "",
                row.note,
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [f"{report.name}: {report.title}"]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True)]
        text.append("  " + "  ".join([*cells, line[-1]]).rstrip())
    return "\n".join([*text, *(goal.line() for goal in report.goals)])


def summary(reports: Iterable[Report]) -> str:
    """All goals in one list."""
    goals = [(report.name, goal) for report in reports for goal in report.goals]
    met = sum(goal.met is True for _, goal in goals)
    lines = [f"{met} of {len(goals)} goals met"]
    return "\n".join(lines + [f"  {name:10}{goal.line()[1:]}" for name, goal in goals])


def as_json(reports: Iterable[Report]) -> list[dict[str, object]]:
    """The same for programs."""
    return [asdict(report) for report in reports]


def _seconds(value: float) -> str:
    if not value:
        return ""
    return f"{value:.3f} s " if value >= 1 else f"{value * 1000:.3g} ms"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
