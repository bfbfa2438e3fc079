"""Work beside few records and many."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import count as numbers
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.measure import PeerError, Sample, probe, run
from benchmarks.peers import Job, program, script
from benchmarks.report import FAILED, Goal, Report, Row, ratio

LISTED = 10_000
"""Records with which ``torchinf list`` has to be quick."""


def registry(bench: Bench) -> Report:
    """The registry's own work at each size, and two commands beside many records."""
    item = bench.large(1 << 20)
    few, many = bench.records[0], bench.records[-1]
    rows: list[Row] = []
    turns: dict[str, Callable[[], Sample]] = {}
    homes = {count: bench.fresh(f"registry-{count}") for count in bench.records}
    for count, home in homes.items():
        store = str(home / "store")
        try:
            costs = probe(script("registry", store, str(count)), home)
        except PeerError as error:
            rows.append(Row(f"{count} records", None, f"{FAILED}: {error}"))
            continue
        rows += [Row(f"{what}, {count} records", Sample(cost)) for what, cost in costs.items()]
        if count <= LISTED:
            turns[f"torchinf list, {count} records"] = _lists(home)
    with bench.serve([item]) as site:
        job = Job(site, [item])
        for count, home in homes.items():
            turns[f"torchinf download, {count} records"] = _downloads(job, home)
        rows += bench.rounds_of(turns, times=3)
    for home in homes.values():
        shutil.rmtree(home)
    goals = [
        Goal(
            f"add at {many} ÷ at {few} records",
            2.0,
            ratio(rows, f"add, {many} records", f"add, {few} records"),
        ),
        Goal(
            f"download beside {many} ÷ beside {few} records",
            1.1,
            ratio(rows, f"torchinf download, {many} records", f"torchinf download, {few} records"),
        ),
    ]
    samples = {row.who: row.sample for row in rows}
    listed = samples.get(f"torchinf list, {LISTED} records")
    if LISTED in bench.records:
        goals.append(Goal(f"list of {LISTED}", 0.5, listed.wall if listed else None, " s"))
    return Report("registry", "beside many records", f"add, {few} records", rows, goals)


def _lists(home: Path) -> Callable[[], Sample]:
    command = program("torchinf", "list", "--json", TORCHINF_CACHE_DIR=str(home / "store"))
    return lambda: run(command, home)


def _downloads(job: Job, home: Path) -> Callable[[], Sample]:
    """Each turn brings a new model: the same one again would be answered from the store."""
    turn = numbers()
    return lambda: run(peers.torchinf_new(job, home / "store", next(turn)), home)
