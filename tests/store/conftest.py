"""Other processes that hold locks, and operating systems that fail at the k-th call."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HOLDER = """
import sys
from torchinf_core.store import Store
store = Store(sys.argv[1])
store.prepare()
with getattr(store, sys.argv[2])(*sys.argv[3:]):
    print("held", flush=True)
    sys.stdin.read()
"""

CALLS = ("open", "write", "fsync", "rename", "link", "mkdir", "unlink", "fchmod", "chmod")


class PowerCut(BaseException):
    """Nothing below this handles it, as nothing handles a power cut."""


class Failing:
    """Lets the k-th call of the operating system fail, and counts them.

    Attributes:
        at: number of the call that fails, from 1; 0 fails none.
        crash: die at that call: no later call does anything either.
        log: names of the calls so far.
    """

    def __init__(self) -> None:
        self.at = 0
        self.error = errno.EIO
        self.crash = False
        self.log: list[str] = []
        self.active = False

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if not self.active:
                return real(*args, **options)
            self.log.append(name)
            if self.crash and self.at and len(self.log) >= self.at:
                raise PowerCut
            if len(self.log) == self.at:
                raise OSError(self.error, os.strerror(self.error), *map(str, args[:1]))
            return real(*args, **options)

        return call

    @contextmanager
    def at_call(
        self, number: int, *, error: int = errno.EIO, crash: bool = False
    ) -> Iterator[None]:
        self.at, self.error, self.crash, self.log, self.active = number, error, crash, [], True
        try:
            yield
        finally:
            self.active = False

    @property
    def happened(self) -> bool:
        return len(self.log) >= self.at


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Failures of the calls by which the store writes."""
    injector = Failing()
    for name in CALLS:
        monkeypatch.setattr(os, name, injector.wrap(name, getattr(os, name)))
    return injector


@pytest.fixture
def holder() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that holds a lease or a lock until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(root: Path, method: str, *args: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(root), method, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
