"""Draws what ``torchinf bench`` measured, with matplotlib and without a display."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from torchinf_core.errors import MissingDependencyError, OptionError, UsageError, from_os_error

if TYPE_CHECKING:
    from torchinf_core.optimize import BenchRow

_ENDINGS = (".png", ".svg", ".pdf")


def see_place(path: str, *, force: bool) -> None:
    """Find out before anything is measured that nothing could be drawn.

    Raises:
        OptionError: matplotlib writes no such file.
        UsageError: something is there, and ``force`` is False.
        MissingDependencyError: matplotlib is not installed.
    """
    from importlib.util import find_spec

    if os.path.splitext(path)[1].lower() not in _ENDINGS:
        raise OptionError(f"{path!r} ends in none of {', '.join(_ENDINGS)}")
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path!r} is there already", hint="--force replaces it")
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "plots need matplotlib, which is not installed", hint="pip install matplotlib"
        )


def draw(rows: Sequence[BenchRow], title: str, path: str) -> None:
    """Latency and throughput over the batch size, a line for each runtime and form.

    Raises:
        StoreError: the file can't be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    from torchinf_core.cli.predicting.bench import label

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    figure.suptitle(title)
    latency, throughput = figure.subplots(1, 2)
    for name in dict.fromkeys(label(row) for row in rows if not row.problem):
        own = [row for row in rows if not row.problem and label(row) == name]
        batches = [row.batch for row in own]
        milliseconds = [row.p50 * 1e3 for row in own]
        (line,) = latency.plot(batches, milliseconds, marker="o", label=name)
        upper = [row.p99 * 1e3 for row in own]
        latency.fill_between(batches, milliseconds, upper, color=line.get_color(), alpha=0.15)
        throughput.plot(batches, [row.throughput for row in own], marker="o", label=name)
    _finish(latency, "milliseconds for a call: median, and up to the 99th percentile")
    _finish(throughput, "items per second")
    if latency.get_lines():
        figure.legend(*latency.get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    part = f"{path}.{os.urandom(4).hex()}.part"
    try:
        figure.savefig(part, format=os.path.splitext(path)[1][1:].lower(), dpi=150)
        os.replace(part, path)
    except OSError as error:
        raise from_os_error(error, path) from None
    finally:
        with suppress(OSError):
            os.unlink(part)


def _finish(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("batch")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
