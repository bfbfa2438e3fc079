"""What a download shows while it runs: bars on a terminal, lines elsewhere, or NDJSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, cast

from torchinf_core.cli import output
from torchinf_core.types import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

OnEvent = Callable[[Event], None]
LINE_EVERY = 10.0
"""Seconds between two progress lines where no bar can be drawn."""
JSON_EVERY = 0.25
MOST_BARS = 8


@contextmanager
def reporter(*, as_json: bool, quiet: bool) -> Iterator[OnEvent]:
    """The progress callback that fits the terminal and the options.

    It may be called from any thread.  Bars are drawn on stderr.
    """
    if as_json:
        yield _json_events()
    elif quiet:
        yield lambda _event: None
    elif output.is_terminal(sys.stderr):
        bars = Bars()
        try:
            yield bars
        finally:
            bars.close()
    else:
        yield Lines()


def _json_events() -> OnEvent:
    lock, shown = Lock(), [0.0]

    def show(event: Event) -> None:
        with lock:
            if event.kind == "progress":
                now = time.monotonic()
                if now - shown[0] < JSON_EVERY:
                    return
                shown[0] = now
            output.json_line(
                {
                    "event": event.kind,
                    "file": event.file,
                    "done": event.done,
                    "total": event.total,
                    "message": event.message,
                }
            )

    return show


class Tally:
    """Bytes and files of a whole download, summed from events about single files."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done_of: dict[str, int] = {}
        self.total_of: dict[str, int | None] = {}

    def add(self, event: Event) -> None:
        """Take one event into account."""
        if event.kind == "started":
            self.total = event.total
        elif event.file is not None and event.kind == "progress":
            self.done_of[event.file] = max(event.done, 0)
            if event.total is not None:
                self.total_of[event.file] = event.total

    def is_done(self, path: str) -> bool:
        """True when all bytes of a file have arrived."""
        total = self.total_of.get(path)
        return total is not None and self.done_of[path] >= total

    @property
    def done(self) -> int:
        """Bytes that have arrived."""
        return sum(self.done_of.values())

    @property
    def expected(self) -> int | None:
        """Bytes in all, or None while nobody knows."""
        if self.total is not None:
            return self.total
        known = [self.total_of.get(path) for path in self.done_of]
        return None if not known or None in known else sum(size or 0 for size in known)


class Lines:
    """One line now and then, for logs and pipes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tally = Tally()
        self._began = self._shown = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        with self._lock:
            self._tally.add(event)
            if event.kind == "resolved":
                if event.total:
                    output.tell(f"{event.message}: {output.size(event.total)} at the source")
            elif event.kind in ("retry", "note"):
                output.tell(_about(event))
            elif event.kind == "progress":
                now = time.monotonic()
                if now - self._shown >= LINE_EVERY:
                    self._shown = now
                    output.tell(self._line(now))

    def _line(self, now: float) -> str:
        done, expected = self._tally.done, self._tally.expected
        rate = output.size(int(done / max(now - self._began, 0.001)))
        if not expected:
            return f"{output.size(done)}, {rate}/s"
        return (
            f"{output.size(done)} of {output.size(expected)} ({done * 100 // expected} %), {rate}/s"
        )


class Bars:
    """rich bars: one for each file under way, and one for all when there are several."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tally = Tally()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._all = cast("TaskID", 0)

    def __call__(self, event: Event) -> None:
        """Show an event."""
        with self._lock:
            self._tally.add(event)
            if event.kind in ("retry", "note"):
                self._print(_about(event))
            elif event.file is not None and event.kind == "progress":
                self._draw(event, event.file)

    def close(self) -> None:
        """Leave the terminal as it was, with the last state of the bars on it."""
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None

    def _draw(self, event: Event, file: str) -> None:
        progress = self._progress or self._start()
        several = len(self._tally.done_of) > 1
        task = self._tasks.get(file)
        if task is None and len(self._tasks) < MOST_BARS and not (several and _ended(event)):
            # What an earlier process brought must not count as speed.
            task = progress.add_task(_short(file), total=event.total, completed=event.done)
            self._tasks[file] = task
        if task is not None:
            progress.update(task, completed=event.done, total=event.total)
        if several:
            for path in [path for path in self._tasks if self._tally.is_done(path)]:
                progress.remove_task(self._tasks.pop(path))
            progress.update(
                self._all, visible=True, completed=self._tally.done, total=self._tally.expected
            )

    def _start(self) -> Progress:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        # Room for the ^C that the terminal echoes, so that it does not break the line.
        width = Console(stderr=True).width
        console = Console(stderr=True, width=max(width - 3, 20))
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self._all = self._progress.add_task("total", total=None, visible=False)
        self._progress.start()
        return self._progress

    def _print(self, text: str) -> None:
        if self._progress is None:
            output.tell(text)
        else:
            self._progress.console.print(output.clean(text), markup=False, highlight=False)


def _about(event: Event) -> str:
    return f"{event.file}: {event.message}" if event.file else event.message


def _ended(event: Event) -> bool:
    return event.total is not None and event.done >= event.total


def _short(path: str, most: int = 32) -> str:
    """The end of a long path, which tells files apart."""
    text = output.clean(path)
    return text if len(text) <= most else "…" + text[1 - most :]
