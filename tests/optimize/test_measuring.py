"""Turns, percentiles and the table of ``bench``; no real time passes."""

from __future__ import annotations

import json

import pytest

from torchinf_core.optimize import bench as measure_all
from torchinf_core.optimize import measure


class Clock:
    """Time that only calls take."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.log = []
        monkeypatch.setattr(measure, "clock", lambda: self.now)

    def call(self, name, *costs):
        costs = list(costs)

        def made():
            self.log.append(name)
            self.now += costs.pop(0) if len(costs) > 1 else costs[0]

        return made


@pytest.fixture
def time(monkeypatch):
    return Clock(monkeypatch)


def test_two_are_measured_in_turns_and_the_order_changes(time):
    race = measure.race([time.call("a", 0.01), time.call("b", 0.02)], seconds=0)
    assert measure.medians(race) == pytest.approx([0.01, 0.02])
    assert "".join(time.log) == "aaaabbbb" + "bbbbaaaa" + "aaaabbbb" + "bbbbaaaa" + "aaaabbbb"


def test_the_first_call_of_a_turn_is_not_timed(time):
    [series] = measure.race([time.call("a", 0.9, 0.1)], seconds=0)
    assert max(series) == pytest.approx(0.1)


def test_a_slow_call_is_timed_once_a_turn(time):
    [series] = measure.race([time.call("a", 2.0)], seconds=0)
    assert series == [2.0] * measure.TURNS
    assert len(time.log) == measure.TURNS


def test_turns_go_on_for_the_time_that_was_given_and_not_for_ever(time):
    [series] = measure.race([time.call("a", 0.1)], seconds=4.0)
    assert len(series) == 30
    [series] = measure.race([time.call("a", 0.0)], seconds=4.0)
    assert len(series) == 600


@pytest.mark.parametrize(
    ("times", "share", "expected"),
    [
        ([3.0], 0.5, 3.0),
        ([3.0], 0.99, 3.0),
        ([1.0, 2.0], 0.5, 1.5),
        ([4.0, 1.0, 3.0, 2.0], 0.0, 1.0),
        ([4.0, 1.0, 3.0, 2.0], 1.0, 4.0),
        ([float(n) for n in range(101)], 0.9, 90.0),
        ([float(n) for n in range(101)], 0.99, 99.0),
        ([0.0, 10.0], 0.25, 2.5),
    ],
)
def test_percentiles(times, share, expected):
    assert measure.percentile(times, share) == pytest.approx(expected)


@pytest.mark.parametrize(("times", "share"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_a_percentile_of_nothing_is_a_mistake(times, share):
    with pytest.raises(ValueError):
        measure.percentile(times, share)


def test_bench_has_a_row_for_each_batch_and_predictor(bench, toy):
    toy.original.update(cost=0.1, per_item=0.01)
    toy.offer("fast", cost=0.05, per_item=0.01)
    bench.optimize()
    seen = []
    with bench.load(optimize="off") as plain, bench.load() as fast:
        rows = measure_all([plain, fast], [1, 8], seconds=1.0, on_row=seen.append)
    assert rows == seen
    assert [(row.form, row.batch) for row in rows] == [("", 1), ("fast", 1), ("", 8), ("fast", 8)]
    assert [row.p50 for row in rows] == pytest.approx([0.11, 0.06, 0.18, 0.13])
    assert [row.throughput for row in rows] == pytest.approx(
        [1 / 0.11, 1 / 0.06, 8 / 0.18, 8 / 0.13]
    )
    assert [row.p99 for row in rows] == pytest.approx([row.p50 for row in rows])
    assert all(row.calls >= 15 for row in rows)
    assert json.loads(json.dumps(rows[0].to_json()))["runtime"] == "toy"


def test_what_can_not_be_measured_says_why_and_disturbs_nobody(bench, toy):
    with bench.load() as good:
        toy.original = {"shape": (1, 3)}
        with bench.load() as single:
            rows = measure_all([good, single], [4], seconds=0.1)
        toy.original = {"shape": None}
        with bench.load() as unknown:
            [last] = measure_all([unknown], [1], seconds=0.1)
    assert [bool(row.calls) for row in rows] == [True, False]
    assert rows[1].problem == "it takes no batch of 4: x: float32[1, 3]"
    assert last.problem == "nobody knows what it takes"


def test_a_model_that_fails_is_a_row_with_its_error(bench, toy):
    toy.original.update(fault="run")
    with bench.load() as broken:
        [row] = measure_all([broken], [1], seconds=0.1)
    assert row.problem == "'m' failed on cpu: RuntimeError: the kernel gave up"
