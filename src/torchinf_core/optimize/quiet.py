"""What compilers print goes to stderr, for stdout belongs to whoever called us."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

_lock = threading.Lock()
_inside = 0
_saved: int | None = None


@contextmanager
def stdout_on_stderr() -> Iterator[None]:
    """Send what is written to stdout meanwhile to stderr, also by libraries and children.

    Holds for the process: what other threads print goes there, too.
    """
    _enter()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _saved
    with _lock:
        _inside += 1
        if _inside > 1:
            return
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        with suppress(OSError):  # a daemon may have neither
            _saved = os.dup(1)
            os.dup2(2, 1)


def _leave() -> None:
    global _inside, _saved
    with _lock:
        _inside -= 1
        if _inside or _saved is None:
            return
        with suppress(OSError):
            os.dup2(_saved, 1)
        os.close(_saved)
        _saved = None
