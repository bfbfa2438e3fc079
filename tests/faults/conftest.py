"""Processes that are killed, disks that fill up, power that goes: what the machine must offer.

TORCHINF_FAULTS=N makes every fault test N times as deep (1 by default).
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

EXIT = "sys.exit(__main__.main())"
HERE = Path(__file__).parent
PUBLISHER = HERE / "publisher.py"
DEPTH = float(os.environ.get("TORCHINF_FAULTS", "1"))
_CALL = re.compile(r"^(?:\[pid\s+(\d+)\]\s+|(\d+)\s+)?(\w+)\((.*)$")


@pytest.fixture(scope="session")
def depth() -> float:
    """How thorough to be; 1 is what every run does."""
    return DEPTH


@pytest.fixture(scope="session")
def publisher() -> ModuleType:
    """The victim's module, for what it would publish."""
    spec = importlib.util.spec_from_file_location("publisher", PUBLISHER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def as_root() -> None:
    """Skip where mounting and changing users are not allowed."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@dataclass(frozen=True)
class Point:
    """One system call of a process that touched a path: its name and ordinal."""

    name: str
    ordinal: int


class Tracer:
    """strace, which lists the system calls of a command and lets one of them fail."""

    def __init__(self, calls: str) -> None:
        self.calls = calls

    def points(self, command: list[str], path: Path, **options) -> list[Point]:
        """Every call of the command that touches something below a path."""
        log = path.parent / "strace.log"
        trace = ["strace", "-f", "-y", "-qq", "-o", str(log), "-e", f"trace={self.calls}"]
        run([*trace, *command], **options)
        counts: dict[tuple[str, str], int] = {}
        found: dict[Point, None] = {}
        for line in log.read_text(errors="replace").splitlines():
            match = _CALL.match(line)
            if match is None:
                continue
            key = (match[1] or match[2] or "", match[3])
            counts[key] = counts.get(key, 0) + 1
            if str(path) in match[4]:
                found[Point(match[3], counts[key])] = None
        return list(found)

    def inject(
        self, command: list[str], point: Point, what: str, **options
    ) -> subprocess.CompletedProcess[str]:
        """Run the command with ``signal=KILL`` or ``error=EIO`` at one call."""
        inject = f"inject={point.name}:{what}:when={point.ordinal}"
        return run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={point.name}", "-e", inject,
             *command],
            check=False,
            **options,
        )  # fmt: skip


@pytest.fixture(scope="session")
def tracer() -> Tracer:
    """Skip where strace is missing or not allowed."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    probe = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("strace may not trace here")
    calls = (
        "openat,open,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,"
        "unlink,unlinkat,mkdir,mkdirat,rmdir,fchmod,chmod,utimensat,ioctl,flock,fallocate"
    )
    return Tracer(calls)


def run(command: list[str], *, check: bool = True, **options) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its output is text."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} exited {done.returncode}: {done.stdout}{done.stderr}")
    return done


@pytest.fixture(scope="session", name="run")
def run_fixture() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end; its output is text."""
    return run


@pytest.fixture
def victim() -> Callable[..., list[str]]:
    """The command that publishes in a process of its own."""
    return lambda *args: [sys.executable, str(PUBLISHER), *map(str, args)]


@pytest.fixture
def mounts(as_root: None, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts things below the test's directory and unmounts them afterwards."""
    mounted: list[Path] = []

    def mount(*args: object) -> Path:
        target = tmp_path / f"mount-{len(mounted)}"
        target.mkdir()
        done = run(["mount", *map(str, args), str(target)], check=False)
        if done.returncode != 0:
            pytest.skip(f"may not mount: {done.stderr.strip()}")
        mounted.append(target)
        return target

    yield mount
    for target in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(target)], capture_output=True)


class Cli:
    """The command line in processes of its own, on one store."""

    def __init__(self, store: Path, home: Path) -> None:
        self.store = store
        path = os.pathsep.join(part for part in sys.path if part)
        self.env = {
            **{key: value for key, value in os.environ.items() if "TORCHINF" not in key},
            "PYTHONPATH": path,
            "HOME": str(home),
            "TORCHINF_CACHE_DIR": str(store),
        }

    def command(self, *words: object, patch: str = "") -> list[str]:
        """The command; ``patch`` is Python that runs before it."""
        start = ["-m", "torchinf_core"]
        if patch:
            start = ["-c", f"{patch}\nimport sys\nfrom torchinf_core import __main__\n{EXIT}"]
        return [sys.executable, *start, *map(str, words)]

    def __call__(
        self, *words: object, prefix: tuple[str, ...] = (), patch: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return run([*prefix, *self.command(*words, patch=patch)], check=False, env=self.env)

    def start(self, *words: object, patch: str = "") -> subprocess.Popen[str]:
        """Start it; nothing is left behind if the test reads it to its end."""
        return subprocess.Popen(
            self.command(*words, patch=patch),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def make_cli(tmp_path: Path) -> Callable[[Path], Cli]:
    """The command line on a given store."""
    return lambda store: Cli(store, tmp_path)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line on a store of the test."""
    return Cli(tmp_path / "store", tmp_path)
