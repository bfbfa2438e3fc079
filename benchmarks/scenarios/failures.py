"""What a kill and a connection that falls silent cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import content, peers
from benchmarks.bench import Bench
from benchmarks.content import Item
from benchmarks.measure import PeerError, Sample, middle, run
from benchmarks.nginx import Site
from benchmarks.peers import Job, Peer
from benchmarks.report import FAILED, Goal, Report, Row, ratio

SHARED = ("--rtt", "0.02", "--total-rate", "100e6")
STALLING = ("--rtt", "0.02", "--rate", "50e6", "--stall", "5")
PATIENCE = 5.0
"""Seconds within which another connection has to take over."""


def resume(bench: Bench) -> Report:
    """Kill at half the time of a fresh run, then run the same command again."""
    item = bench.large(bench.capped_size)
    with bench.serve([item]) as near, bench.link(near, *SHARED) as site:
        rows, again = interrupted(bench, (peers.HF, peers.TORCHINF), Job(site, [item]))
    goals = (
        Goal("torchinf, run again ÷ fresh", 0.7, ratio(rows, "torchinf, run again", "torchinf")),
        Goal("torchinf, bytes sent in both runs ÷ size", 1.1, again.get("torchinf")),
    )
    title = f"{item.size >> 20} MiB at 100 MB/s, killed at half time"
    return Report("resume", title, "torchinf", rows, goals)


def stall(bench: Bench) -> Report:
    """The fifth connection falls silent after 2 MiB."""
    item = bench.large(bench.capped_size)
    rows: list[Row] = []
    with bench.serve([item]) as near:
        for who, options in (("clean", STALLING[:4]), ("stalled", STALLING)):
            for peer in (peers.torchinf_fixed(16), peers.ARIA2):
                # a link counts its connections from the start: a fresh one for each run
                turn = _through_fresh_link(bench, near, options, peer, item)
                name = f"{peer.name}, {who}"
                rows += [Row(name, None)] if peer.missing else bench.rounds_of({name: turn})
    found = {row.who: row.sample for row in rows}
    mine = [found[f"torchinf, 16 fixed, {who}"] for who in ("stalled", "clean")]
    lost = mine[0].wall - mine[1].wall if mine[0] and mine[1] else None
    goals = (Goal("torchinf, lost to the stalled connection", PATIENCE, lost, " s"),)
    title = f"{item.size >> 20} MiB, 50 MB/s a connection, one of 16 falls silent"
    return Report("stall", title, "torchinf, 16 fixed, clean", rows, goals)


def interrupted(
    bench: Bench, everyone: Sequence[Peer], job: Job
) -> tuple[list[Row], dict[str, float]]:
    """Rows of fresh runs and of those after a kill; bytes sent in both runs ÷ size, by peer."""
    rows: list[Row] = []
    again: dict[str, float] = {}
    size = sum(item.size for item in job.items)
    for peer in everyone:
        if peer.missing:
            rows.append(Row(peer.name, None))
            continue
        try:
            fresh = middle([bench.download(peer, job) for _ in range(bench.rounds)])
            ends = [_killed(bench, peer, job, fresh.wall / 2) for _ in range(bench.rounds)]
        except PeerError as error:
            rows.append(Row(peer.name, None, f"{FAILED}: {error}"))
            continue
        second = middle([sample for sample, _ in ends])
        note = "bytes not counted: from a folder"
        if peer.served:
            again[peer.name] = max(sent for _, sent in ends) / size
            note = f"{again[peer.name]:.2f} of the bytes sent"
        rows += [Row(peer.name, fresh), Row(f"{peer.name}, run again", second, note)]
    return rows, again


def _killed(bench: Bench, peer: Peer, job: Job, after: float) -> tuple[Sample, int]:
    """The second run after a kill, and the bytes that the link carried in both."""
    before = job.site.sent()
    with bench.folder() as out:
        command = peer.build(job, out)
        run(command, out.parent, kill_after=after, check=False)
        sample = run(command, out.parent)
        content.check(out, job.items)
    return sample, job.site.sent() - before


def _through_fresh_link(
    bench: Bench, near: Site, options: tuple[str, ...], peer: Peer, item: Item
) -> Callable[[], Sample]:
    def turn() -> Sample:
        with bench.link(near, *options) as site:
            return bench.download(peer, Job(site, [item]))

    return turn
