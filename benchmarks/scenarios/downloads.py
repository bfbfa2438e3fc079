"""One large file and many small ones, beside everything people use instead."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.peers import Job
from benchmarks.report import MB, Goal, Report, Row, ratio

FAR = ("--rtt", "0.02")


def one_file(bench: Bench) -> Report:
    item = bench.large(bench.size)
    everyone = [
        peers.CURL, peers.WGET, peers.ARIA2, peers.ARIA2_CHECKED, peers.HF, peers.TORCH_HUB,
        peers.POOCH, peers.REQUESTS, peers.TORCHINF,
    ]  # fmt: skip
    with bench.serve([item]) as site:
        rows = bench.downloads(everyone, Job(site, [item]))
    mine = next((row.sample for row in rows if row.who == "torchinf"), None)
    goals = (
        Goal("torchinf ÷ curl", 1.0, ratio(rows, "torchinf", "curl")),
        Goal("torchinf ÷ hf download", 0.4, ratio(rows, "torchinf", "hf download")),
        Goal("torchinf ÷ curl, cpu", 1.35, ratio(rows, "torchinf", "curl", "cpu")),
        Goal("torchinf, peak memory", 64, mine.rss / MB if mine else None, " MB"),
    )
    return Report("one-file", f"{_size(item.size)} over http", "curl", rows, goals)


def tls(bench: Bench) -> Report:
    item = bench.large(bench.size)
    everyone = [peers.CURL, peers.WGET, peers.ARIA2, peers.HF, peers.TORCH_HUB, peers.TORCHINF]
    with bench.serve([item]) as site:
        rows = bench.downloads(everyone, Job(site, [item], tls=True))
    goals = (Goal("torchinf ÷ curl", 1.1, ratio(rows, "torchinf", "curl")),)
    return Report("tls", f"{_size(item.size)} over https", "curl", rows, goals)


def small(bench: Bench) -> Report:
    items = bench.small()
    with bench.serve(items) as site:
        rows = _small_rows(bench, Job(site, items))
    goals = (
        Goal("torchinf ÷ curl -Z (8)", 1.8, ratio(rows, "torchinf", "curl -Z (8)")),
        Goal("torchinf ÷ hf download", 0.25, ratio(rows, "torchinf", "hf download")),
    )
    return Report("small", f"{len(items)} files of 64 KiB", "curl -Z (8)", rows, goals)


def small_far(bench: Bench) -> Report:
    items = bench.small()
    with bench.serve(items) as near, bench.link(near, *FAR) as site:
        rows = _small_rows(bench, Job(site, items))
    goals = (
        Goal("torchinf ÷ curl -Z (8)", 0.45, ratio(rows, "torchinf", "curl -Z (8)")),
        Goal("torchinf ÷ hf download", 0.2, ratio(rows, "torchinf", "hf download")),
    )
    title = f"{len(items)} files of 64 KiB, 20 ms away"
    return Report("small-far", title, "curl -Z (8)", rows, goals)


def _small_rows(bench: Bench, job: Job) -> list[Row]:
    return bench.downloads([peers.CURL_MANY, peers.ARIA2_MANY, peers.HF, peers.TORCHINF], job)


def _size(count: int) -> str:
    return f"{count >> 20} MiB"
