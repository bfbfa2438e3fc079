"""How far a long prediction has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from torchinf_core.cli import output
from torchinf_core.cli.predicting.hushing import lasting
from torchinf_core.cli.progress import LINE_EVERY

Count = Callable[[int], None]
"""Called with the number of inputs that are done."""


@contextmanager
def counting(total: int | None, *, shown: bool) -> Iterator[Count]:
    """What to call after each input.

    Args:
        total: how many inputs there will be, or None.
        shown: False to show nothing.
    """
    if not shown or total == 1:
        yield lambda _done: None
    elif output.is_terminal(sys.stderr):
        stream = lasting(sys.stderr)
        try:
            with _bar(total, stream) as count:
                yield count
        finally:
            if stream is not sys.stderr:
                stream.close()
    else:
        yield _lines(total)


@contextmanager
def _bar(total: int | None, stream: TextIO) -> Iterator[Count]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=Console(file=stream),
        expand=True,
    )
    task = progress.add_task(_how_far(0, total), total=total, rate="")
    began = time.monotonic()

    def count(done: int) -> None:
        progress.update(
            task, completed=done, description=_how_far(done, total), rate=_rate(done, began)
        )

    with progress:
        yield count


def _lines(total: int | None) -> Count:
    began = shown = time.monotonic()

    def count(done: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= LINE_EVERY:
            shown = now
            output.tell(f"{_how_far(done, total)}, {_rate(done, began)}")

    return count


def _how_far(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def _rate(done: int, began: float) -> str:
    return f"{done / max(time.monotonic() - began, 1e-3):,.1f}/s"
