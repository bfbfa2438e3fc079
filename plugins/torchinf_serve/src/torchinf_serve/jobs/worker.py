"""The process of one download: ``python -m torchinf_serve.jobs.worker``.

Its job comes as one line of JSON on stdin, its events go as lines of JSON to stdout.
It ends when stdin does: a download doesn't go on behind the back of a server that died.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from torchinf_core.errors import TorchinfError
from torchinf_core.types import Event
from torchinf_serve.security.problems import problem, scrub

ALIVE_EVERY = 5.0
"""Seconds between two signs of life."""
PROGRESS_EVERY = 0.5
NICE = 10
"""A tenth of the processors, where predictions would take all."""
_EXIT_TERMINATED = 143
_GRACE = 10.0
_HOLDER = re.compile(r"waiting for process (\d+) on ")

Emit = Callable[[dict[str, Any]], None]


def work(job: dict[str, Any], emit: Emit) -> None:
    """Download as a job says, and tell how it goes; an error is told and not raised.

    Args:
        job: ``asked``, arguments of :meth:`ModelDownloader.obtain`, and ``settings``.
        emit: told each event, from any thread.
    """
    try:
        from torchinf_core.manager import ModelDownloader

        settings = dict(job["settings"])
        most = settings.pop("max_bytes")
        downloader = ModelDownloader(**settings, public_only=True)
        if downloader.settings.max_bytes > most:
            downloader = ModelDownloader(**settings, public_only=True, max_bytes=most)
        outcome = downloader.obtain(**job["asked"], on_event=Telling(emit))
    except TorchinfError as error:
        logging.getLogger("torchinf.serve.jobs").warning("%s: %s", type(error).__name__, error)
        emit({"event": "failed", "error": problem(error)})
    except Exception as error:  # a bug: the job fails with a word, the log has the rest
        logging.getLogger("torchinf.serve.jobs").exception("the download failed")
        emit({"event": "failed", "error": problem(error)})
    else:
        emit(
            {
                "event": "done",
                "name": outcome.record.name,
                "hit": outcome.hit,
                "fetched": outcome.fetched,
                "size": outcome.record.size,
                "notes": [scrub(note) for note in outcome.notes],
            }
        )


class Telling:
    """Turns the events of a download, one file each, into those of its job, in bytes of all."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._done: dict[str, int] = {}
        self._total: int | None = None
        self._began = self._told = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        with self._lock:
            if event.kind == "resolved":
                self._emit({"event": "resolved", "name": event.message, "total": event.total})
            elif event.kind == "started":
                self._total = event.total
                self._emit({"event": "started", "total": event.total})
            elif event.kind in ("retry", "note"):
                self._note(event)
            elif event.kind == "progress" and event.file is not None:
                self._done[event.file] = max(event.done, 0)
                self._progress()

    def _note(self, event: Event) -> None:
        if match := _HOLDER.match(event.message):
            self._emit({"event": "waiting", "pid": int(match[1])})
            return
        file = f"{event.file}: " if event.file else ""
        self._emit({"event": event.kind, "message": scrub(file + event.message)})

    def _progress(self) -> None:
        now = time.monotonic()
        # The longer it takes the rarer, so that the events of a day stay few.
        every = max(PROGRESS_EVERY, (now - self._began) / 600)
        if now - self._told >= every:
            self._told = now
            self._emit(
                {"event": "progress", "done": sum(self._done.values()), "total": self._total}
            )


def main() -> int:
    """Do the job on stdin; returns the exit status."""
    os.umask(0o077)
    _give_way()
    # What a library prints must not be taken for an event.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    job = json.loads(_first_line())
    from torchinf_serve.logging import set_up

    set_up(logging.INFO, job=str(job["job"]))
    lock = threading.Lock()

    def emit(event: dict[str, Any]) -> None:
        line = json.dumps(event).encode() + b"\n"
        with lock:
            try:
                out.write(line)
            except BrokenPipeError:
                os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    threading.Thread(target=_signs_of_life, args=(emit,), daemon=True).start()
    try:
        work(job, emit)
    except KeyboardInterrupt:
        return _EXIT_TERMINATED
    return 0


def _give_way() -> None:
    """Predictions come first: a download gets what they leave, and some in any case."""
    os.nice(NICE)
    # Linux shares the processors among sessions before it looks at processes.
    with suppress(OSError):
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(NICE))


def _first_line() -> bytes:
    """Read without a buffer: its lock, held by a thread, would spoil the end of Python."""
    line = b""
    while not line.endswith(b"\n") and (part := os.read(0, 1 << 16)):
        line += part
    return line


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _end_with_stdin() -> None:
    while os.read(0, 1 << 10):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(_EXIT_TERMINATED)


def _signs_of_life(emit: Emit) -> None:
    while True:
        time.sleep(ALIVE_EVERY)
        emit({"event": "alive"})


if __name__ == "__main__":
    sys.exit(main())
