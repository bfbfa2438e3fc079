"""How many connections: decided while downloading, beside every fixed number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.content import Item
from benchmarks.measure import Sample, probe
from benchmarks.peers import Job, script
from benchmarks.report import Goal, Report, Row, ratio

COUNTS = (1, 2, 4, 8, 16)
CAPPED = ("--rtt", "0.02", "--rate", "50e6")


def link(bench: Bench) -> Report:
    """What the slow link carries for a client that does nothing with the bytes."""
    item = bench.large(bench.capped_size)
    rows: list[Row] = []
    home = bench.fresh("link")
    with bench.serve([item]) as near, bench.link(near, *CAPPED) as far:
        for who, site in (("nginx", near), ("the link", far)):
            for count in (1, 16):
                turn = _drain(site.http, item, count, home, "whole")
                rows += bench.rounds_of({f"{who}, {count} connections": turn})
            turn = _drain(site.http, item, 1, home, "latency")
            rows += bench.rounds_of({f"{who}, one small request": turn})
    carried = {row.who: row.sample for row in rows}["the link, 16 connections"]
    ideal = item.size / (16 * 50e6) + 2 * 0.02
    overhead = carried.wall / ideal if carried else None
    goals = [Goal("16 connections ÷ a link without cost", 1.1, overhead)]
    title = f"{item.size >> 20} MiB thrown away: is the harness the limit?"
    return Report("link", title, "the link, 16 connections", rows, goals)


def capped(bench: Bench) -> Report:
    item = bench.large(bench.capped_size)
    everyone = [peers.CURL, peers.ARIA2, peers.HF, peers.TORCHINF]
    everyone += [peers.torchinf_fixed(count) for count in COUNTS]
    with bench.serve([item]) as near, bench.link(near, *CAPPED) as site:
        rows = bench.downloads(everyone, Job(site, [item]))
    goals = (
        Goal("torchinf ÷ aria2c -x16", 0.9, ratio(rows, "torchinf", "aria2c -x16")),
        Goal("torchinf ÷ best fixed number", 1.1, _to_best(rows)),
    )
    title = f"{item.size >> 20} MiB, 50 MB/s a connection, 20 ms away"
    return Report("capped", title, "aria2c -x16", rows, goals)


def adaptive(bench: Bench) -> Report:
    item = bench.large(bench.size)
    everyone = [peers.TORCHINF, *(peers.torchinf_fixed(count) for count in COUNTS)]
    with bench.serve([item]) as site:
        rows = bench.downloads(everyone, Job(site, [item]))
    goals = (Goal("torchinf ÷ best fixed number", 1.1, _to_best(rows)),)
    title = f"{item.size >> 20} MiB on a link that is faster than this machine"
    return Report("adaptive", title, "torchinf", rows, goals)


def _drain(base: str, item: Item, count: int, home: Path, what: str) -> Callable[[], Sample]:
    host, _, port = base.removeprefix("http://").partition(":")
    command = script("drain", host, port, f"/{item.path}", str(item.size), str(count))
    return lambda: Sample(probe(command, home)[what])


def _to_best(rows: list[Row]) -> float | None:
    mine = next((row.sample for row in rows if row.who == "torchinf"), None)
    fixed = [row.sample.wall for row in rows if row.who.endswith("fixed") and row.sample]
    return mine.wall / min(fixed) if mine and fixed else None
