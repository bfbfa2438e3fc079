"""Commands that move no model, and what is answered from the store."""

from __future__ import annotations

from pathlib import Path

from benchmarks import content, peers
from benchmarks.bench import Bench
from benchmarks.measure import Command, Sample, probe, run
from benchmarks.peers import Job, program, script
from benchmarks.report import Goal, Report, ratio

FOREIGN = 100
NAME = "cached"


def startup(bench: Bench) -> Report:
    """Whole processes: the commands people type most, beside those of ``hf``."""
    item = bench.large(1 << 20)
    home = bench.fresh("startup")
    with bench.serve([item]) as site:
        job = Job(site, [item])
        store, hub = home / "store", home / "hub"
        asked = ["download", peers.pinned(job), "--quiet"]
        mine = {"TORCHINF_CACHE_DIR": str(store)}
        commands = {
            "python -c pass": Command([peers.find_program("python") or "python", "-c", ""], {}),
            "hf version": program("hf", "version", **peers.HF_ENV),
            "hf --help": program("hf", "--help", **peers.HF_ENV),
            "hf download, warm": peers.hf(job, hub),
            "torchinf --version": program("torchinf", "--version", **mine),
            "torchinf --help": program("torchinf", "--help", **mine),
            "torchinf list": program("torchinf", "list", **mine),
            "torchinf info": program("torchinf", "info", NAME, **mine),
            "torchinf path": program("torchinf", "path", NAME, **mine),
            "torchinf download, warm": program("torchinf", *asked, **mine),
            "torchinf download --name, warm": program("torchinf", *asked, "--name", NAME, **mine),
        }
        for who, command in commands.items():
            if who.endswith("warm"):
                run(command, home, check=False)
        rows = bench.commands(commands)
    pairs = (
        ("torchinf --version", "hf version", 0.08),
        ("torchinf --help", "hf --help", 0.15),
        ("torchinf list", "hf version", 0.3),
        ("torchinf info", "hf version", 0.3),
        ("torchinf path", "hf download, warm", 0.08),
        ("torchinf download, warm", "hf download, warm", 0.08),
    )
    goals = [Goal(f"{who} ÷ {other}", most, ratio(rows, who, other)) for who, other, most in pairs]
    return Report("startup", "whole processes", "hf version", rows, goals)


def library(bench: Bench) -> Report:
    """In a program that runs: a warm hit, and the search for plugins."""
    item = bench.large(1 << 20)
    home = bench.fresh("library")
    foreign = _foreign(home / "foreign")
    with bench.serve([item]) as site:
        job = Job(site, [item])
        run(peers.torchinf(job, home / "store"), home)
    content.check(home / "store", [item])
    warm = script("warm", peers.pinned(job), str(home / "store"))
    turns = {
        "warm hit, first": lambda: Sample(probe(warm, home)["first"]),
        "warm hit": lambda: Sample(probe(warm, home)["median"]),
        "plugins found": lambda: Sample(probe(script("discovery", foreign), home)["find"]),
        "plugins loaded": lambda: Sample(probe(script("discovery"), home)["load"]),
    }
    rows = bench.rounds_of(turns)
    found = {row.who: row.sample for row in rows}
    goals = [
        Goal("warm hit", 1.0, _ms(found["warm hit"]), " ms"),
        Goal(f"plugins found beside {FOREIGN} foreign", 3.0, _ms(found["plugins found"]), " ms"),
    ]
    return Report("library", "inside a process, nginx gone", "warm hit", rows, goals)


def _foreign(folder: Path) -> str:
    """Distributions that have nothing to do with torchinf, in one folder of ``sys.path``."""
    for number in range(FOREIGN):
        info = folder / f"foreign_{number}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: foreign-{number}\n")
        (info / "RECORD").write_text("")
        (info / "entry_points.txt").write_text(
            f"[console_scripts]\nforeign{number} = foreign_{number}:main\n"
        )
        (folder / f"foreign_{number}").mkdir()
    return str(folder)


def _ms(sample: Sample | None) -> float | None:
    return sample.wall * 1000 if sample else None
