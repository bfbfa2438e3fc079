"""One timed process, and what the machine must be brought to before it."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

LAUNCHER = Path(__file__).with_name("launch.py")
FORWARDED = ("PATH", "LANG", "LD_LIBRARY_PATH")


class PeerError(Exception):
    """A command failed, or left something else than was asked for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Cost of one run: seconds, processor seconds, peak bytes of memory, exit code."""

    wall: float
    cpu: float = 0.0
    rss: int = 0
    code: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: the program with its arguments, and variables beside the common ones."""

    argv: Sequence[str]
    env: Mapping[str, str]


def environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Variables of a timed process: no proxy, and nobody's own configuration."""
    env = {name: os.environ[name] for name in FORWARDED if name in os.environ}
    env |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "TMPDIR": str(home)}
    return env | {"NO_PROXY": "*", "no_proxy": "*", "TERM": "dumb"} | dict(extra)


def settle(need: int) -> None:
    """Write out what earlier runs left, and have free memory behind ``need`` bytes.

    A virtual machine that gave freed memory back to its host pays for the first
    use of each page; the runs to compare must not.
    """
    os.sync()
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    size = min(need, available // 2)
    if size > 0:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        mmap.mmap(-1, size, flags=flags).close()


def run(
    command: Command, home: Path, *, touch: int = 0, kill_after: float = 0.0, check: bool = True
) -> Sample:
    """Run ``command`` to its end and report what it cost.

    Args:
        command: what to start.
        home: an existing folder; becomes the working directory and ``HOME``.
        touch: bytes of memory to have ready, see :func:`settle`.
        kill_after: seconds after which it gets SIGKILL; 0 lets it finish.
        check: take another exit code than 0 for a failure.

    Raises:
        PeerError: it failed; the message has the end of its output.
    """
    log = home / "output.log"
    order = {
        "argv": list(command.argv),
        "env": environment(home, command.env),
        "cwd": str(home),
        "log": str(log),
        "kill_after": kill_after,
    }
    settle(touch)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PeerError(f"{command.argv[0]} could not be started: {done.stderr.strip()}")
    sample = Sample(**json.loads(done.stdout))
    if check and sample.code:
        tail = " ".join(log.read_text(errors="replace").split())[-300:]
        raise PeerError(f"{command.argv[0]} ended with {sample.code}: {tail}")
    return sample


def probe(command: Command, home: Path) -> dict[str, float]:
    """Run a script that measures inside itself, and return what it prints.

    Raises:
        PeerError: it failed.
    """
    env = environment(home, command.env)
    done = subprocess.run(command.argv, env=env, cwd=home, capture_output=True, text=True)
    if done.returncode:
        tail = " ".join(done.stderr.split())[-300:]
        raise PeerError(f"{command.argv[1]} ended with {done.returncode}: {tail}")
    costs: dict[str, float] = json.loads(done.stdout)
    return costs


def middle(samples: Sequence[Sample]) -> Sample:
    """The median of each cost on its own; the peak of memory is the highest."""
    return Sample(
        median(sample.wall for sample in samples),
        median(sample.cpu for sample in samples),
        max(sample.rss for sample in samples),
        max(sample.code for sample in samples),
    )
