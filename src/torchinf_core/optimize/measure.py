"""Timing of calls beside each other, and what a set of times says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

clock: Callable[[], float] = time.perf_counter
"""Seconds; looked up at each use, so that tests have time in their hands."""

TURNS = 5
"""Least number of times that everything is measured."""
_MOST_TURNS = 200
_CALLS = 3
_SLOW = 1.0


def race(
    calls: Sequence[Callable[[], object]], *, seconds: float, turns: int = TURNS
) -> list[list[float]]:
    """Times of single calls, taken in turns.

    In each turn a call is made once untimed: the threads of the one before may still
    be waiting busily for work, and would cost this one its processors.

    Args:
        calls: what to time.
        seconds: after which no further turn is begun, once there were enough.
        turns: least number of times that each is measured.

    Returns:
        The seconds of each timed call, in the order of ``calls``.
    """
    times: list[list[float]] = [[] for _ in calls]
    started = clock()
    turn = 0
    while turn < turns or (turn < _MOST_TURNS and clock() - started < seconds):
        order = range(len(calls))
        for place in order if turn % 2 == 0 else reversed(order):
            times[place] += _turn(calls[place])
        turn += 1
    return times


def _turn(call: Callable[[], object]) -> list[float]:
    before = clock()
    call()
    first = clock() - before
    if first > _SLOW:
        return [first]  # next to which waiting threads are nothing
    found = []
    for _ in range(_CALLS):
        before = clock()
        call()
        found.append(clock() - before)
    return found


def medians(times: Sequence[Sequence[float]]) -> list[float]:
    """The median of each."""
    return [median(series) for series in times]


def percentile(times: Sequence[float], share: float) -> float:
    """The time that ``share`` (0 to 1) of the calls do not exceed, between two where need be.

    Raises:
        ValueError: there are no times, or the share is none.
    """
    if not times or not 0 <= share <= 1:
        raise ValueError("a percentile needs times, and a share from 0 to 1")
    ordered = sorted(times)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
