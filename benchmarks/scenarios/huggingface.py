"""A repository of the Hugging Face hub, beside the hub's own client and git."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import content, hub, peers, repositories
from benchmarks.bench import Bench
from benchmarks.content import Item
from benchmarks.measure import Sample, run
from benchmarks.peers import Job, Peer
from benchmarks.report import Goal, Report, ratio
from benchmarks.scenarios.failures import SHARED, interrupted

PEERS = (peers.HF_HTTP, peers.HF_XET, peers.GIT, peers.TORCHINF_HF)
NEAR = ("--rtt", "0")
BASE = peers.HF_HTTP.name


def weights(bench: Bench) -> Report:
    """All of a repository with two large files, into an empty folder."""
    items = repositories.weights(bench.files, 2 * bench.size)
    everyone = [*PEERS, peers.TORCHINF_XET]
    return _cold(bench, "hf-weights", f"{2 * bench.size >> 20} MiB in 2 files", items, everyone)


def many(bench: Bench) -> Report:
    """All of a repository with many small files, into an empty folder."""
    items = repositories.many(bench.files, bench.repo_count)
    title = f"{len(items)} files of 8 and 64 KiB in a repository"
    return _cold(bench, "hf-many", title, items, [*PEERS, peers.TORCHINF_XET])


def resume(bench: Bench) -> Report:
    """Kill at half the time of a fresh run, then run the same command again."""
    items = repositories.weights(bench.files, bench.size // 2)
    with bench.serve(items) as near, bench.link(near, *SHARED) as site:
        rows, sent = interrupted(bench, PEERS, Job(site, items))
    goals = (
        Goal("torchinf, run again ÷ fresh", 0.7, ratio(rows, "torchinf, run again", "torchinf")),
        Goal("torchinf, bytes sent in both runs ÷ size", 1.1, sent.get("torchinf")),
    )
    title = f"{bench.size // 2 >> 20} MiB in 2 files at 100 MB/s, killed at half time"
    return Report("hf-resume", title, BASE, rows, goals)


def warm(bench: Bench) -> Report:
    """The same repository at the commit it led to, a second time; git looks for news."""
    home = bench.fresh("hf-warm")
    repos = {
        "weights": repositories.weights(bench.files, bench.size // 2),
        "many": repositories.many(bench.files, bench.repo_count),
    }
    turns: dict[str, Callable[[], Sample]] = {}
    answers: dict[str, int] = {}
    every = [item for items in repos.values() for item in items]
    with bench.serve(every) as near, bench.link(near, *NEAR) as site:
        for what, items in repos.items():
            for peer in PEERS:
                if not peer.missing:
                    who = f"{peer.name}, {what}"
                    turns[who] = _warm(peer, Job(site, items), home / who, answers, who)
        rows = bench.rounds_of(turns, times=3)
    rows = [
        replace(row, note=f"{answers[row.who]} bytes of answers") if row.sample else row
        for row in rows
    ]
    goals = [
        goal
        for what in repos
        for goal in (
            Goal(
                f"torchinf ÷ hf, {what}", 0.08, ratio(rows, f"torchinf, {what}", f"{BASE}, {what}")
            ),
            Goal(f"torchinf, bytes of answers, {what}", 0, answers.get(f"torchinf, {what}")),
        )
    ]
    return Report("hf-warm", "a repository that is here already", f"{BASE}, weights", rows, goals)


def _cold(
    bench: Bench, name: str, title: str, items: Sequence[Item], everyone: Sequence[Peer]
) -> Report:
    with bench.serve(items) as site:
        rows = bench.downloads(everyone, Job(site, items))
    goals = [
        Goal(f"torchinf ÷ {peer.name}", 1.0, ratio(rows, "torchinf", peer.name))
        for peer in (peers.HF_HTTP, peers.HF_XET)
    ]
    return Report(name, title, BASE, rows, goals)


def _warm(
    peer: Peer, job: Job, out: Path, answers: dict[str, int], who: str
) -> Callable[[], Sample]:
    """Bring it once; each turn then asks for the commit, and counts what is answered."""
    out.mkdir()
    run(peer.build(job, out), out)
    content.check(out, job.items)
    command = peer.build(replace(job, revision=hub.COMMIT), out)

    def turn() -> Sample:
        before = job.site.sent()
        sample = run(command, out)
        answers[who] = max(answers.get(who, 0), job.site.sent() - before)
        return sample

    return turn
