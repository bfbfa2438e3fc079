"""``torchinf explain``: what every runtime bids for every form of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchinf_core.cli import output
from torchinf_core.cli.options import AsJson, CacheDir, Name, Verbose, open_downloader
from torchinf_core.cli.predicting.hushing import hushed
from torchinf_core.cli.predicting.options import Arch, Device, Original, Precision, Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchinf_core.loading.explaining import Explained

AS_DOWNLOADED = "as downloaded"


def explain_command(
    name: Name,
    device: Device = None,
    runtime: Runtime = None,
    precision: Precision = None,
    arch: Arch = None,
    original: Original = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Show which runtime would load a model, and why.

    The winner is marked.  Exit status 8 or 9 when none can load it; torchinf
    predict says then what is missing.

    \b
      torchinf explain resnet18
      torchinf explain resnet18 --device cuda:0
    """  # noqa: D301 - the escape is click's mark for lines to be left alone
    from torchinf_core.loading import bids, choose, open_record
    from torchinf_core.loading.explaining import explain
    from torchinf_core.plugins import load_plugins

    downloader = open_downloader(cache_dir, verbose)
    record, store, settings = downloader.get_record(name), downloader.store, downloader.settings
    run = settings.run_for(
        record.name,
        device=device,
        runtime=runtime,
        precision=precision,
        arch=arch,
        optimize="off" if original else None,
    )
    with hushed(verbose=verbose):
        rows = explain(record, store, settings, run)
    if as_json:
        output.document(
            {"model": record.name, "device": run.device, "bids": [row.to_json() for row in rows]}
        )
    else:
        show(rows)
    if not any(row.chosen for row in rows):
        plugins = load_plugins(settings)
        artifact = open_record(record, store, settings, run, plugins)
        choose(bids([artifact], run.device, settings, plugins), run, artifact, settings, plugins)
    return 0


def show(rows: Sequence[Explained]) -> None:
    """Print bids as a table, with a mark at the one that wins."""
    if not rows:
        return
    output.table(
        ["", "RUNTIME", "FORM", "SCORE", "DEVICE", "ONE CALL", "SPEED", "REASON"],
        [
            [
                "*" if row.chosen else "",
                row.runtime,
                row.form or AS_DOWNLOADED,
                str(row.score),
                row.device,
                milliseconds(row.seconds),
                f"{row.speedup:.2f}x" if row.speedup else "-",
                row.reason,
            ]
            for row in rows
        ],
        right=["SCORE", "ONE CALL", "SPEED"],
    )
    for hint in dict.fromkeys(f"{row.runtime}: {row.hint}" for row in rows if row.hint):
        output.labelled("hint", hint, "36")


def milliseconds(seconds: float | None) -> str:
    """Seconds for people, as milliseconds with three digits that mean something."""
    if not seconds:
        return "-"
    value = seconds * 1e3
    return f"{value:.3f} ms" if value < 10 else f"{value:.1f} ms"
