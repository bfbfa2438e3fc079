"""``torchinf bench``: latency and throughput of a model by runtime, form and batch size."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    Name,
    Quiet,
    Verbose,
    open_downloader,
)
from torchinf_core.cli.predicting.explain import AS_DOWNLOADED, milliseconds
from torchinf_core.cli.predicting.hushing import hushed, lasting
from torchinf_core.cli.predicting.options import Arch, Device, Original, Precision, Threads
from torchinf_core.errors import NoRuntimeError, OptionError, TorchinfError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torchinf_core.loading import Bid
    from torchinf_core.manager import ModelDownloader
    from torchinf_core.optimize import BenchRow
    from torchinf_core.predicting.predictor import Predictor
    from torchinf_core.settings.run import RunSettings
    from torchinf_core.types import Record

MOST_BATCH = 65_536


def bench_command(
    name: Name,
    batch: Annotated[str, typer.Option("--batch", metavar="N,N", help="Batch sizes: 1,8.")] = "1,8",
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            metavar="NAME,NAME",
            help="Only these runtimes.  [default: all that can load it]",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="S", min=0.01, max=3600, help="For each row."),
    ] = 2.0,
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="FILE.png", help="Also draw it.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --plot.")] = False,
    device: Device = None,
    precision: Precision = None,
    arch: Arch = None,
    threads: Threads = None,
    original: Original = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Measure a model: latency and throughput.

    All are loaded and measured in turns, on example inputs, so that rows can be
    compared.

    \b
      torchinf bench resnet18
      torchinf bench resnet18 --batch 1,8,32 --plot resnet18.png
    """  # noqa: D301 - the escape is click's mark for lines to be left alone
    batches = _batches(batch)
    if plot is not None:
        from torchinf_core.cli.predicting.plot import see_place

        see_place(plot, force=force)
    downloader = open_downloader(cache_dir, verbose)
    record = downloader.get_record(name)
    run = downloader.settings.run_for(
        record.name,
        device=device,
        precision=precision,
        arch=arch,
        threads=threads,
        optimize="off" if original else None,
    )
    names = [word for word in (runtime or "").split(",") if word]
    tell, close = _teller(silent=quiet or as_json)
    try:
        with hushed(verbose=verbose):
            rows = _measure(downloader, record, run, names, batches, seconds, tell)
    finally:
        close()
    if as_json:
        output.document({"model": record.name, "rows": [row.to_json() for row in rows]})
    else:
        _show(rows)
    if plot is not None:
        from torchinf_core.cli.predicting.plot import draw

        draw(rows, record.name, plot)
        if not quiet:
            output.tell(f"drawn: {os.path.abspath(plot)}")


def _measure(
    downloader: ModelDownloader,
    record: Record,
    run: RunSettings,
    names: Sequence[str],
    batches: Sequence[int],
    seconds: float,
    tell: Callable[[str], None],
) -> list[BenchRow]:
    from torchinf_core.loading import load_artifact
    from torchinf_core.optimize import bench
    from torchinf_core.plugins import load_plugins

    settings = downloader.settings
    with ExitStack() as stack:
        with downloader.store.lease():
            able = _able(downloader, record, run, names)
            loaded: list[Predictor] = []
            for bid in able:
                try:
                    predictor = load_artifact(bid, settings, run, load_plugins(settings))
                except TorchinfError as error:
                    if len(able) == 1:
                        raise
                    tell(f"{bid.claim.runtime} is left out: {error}")
                    continue
                loaded.append(stack.enter_context(predictor))

        def told(row: BenchRow) -> None:
            tell(f"{label(row)}, batch {row.batch}: {row.problem or milliseconds(row.p50)}")

        return bench(loaded, batches, seconds, on_row=told)


def _able(
    downloader: ModelDownloader, record: Record, run: RunSettings, names: Sequence[str]
) -> list[Bid]:
    """The bids above 0 of the runtimes that are wanted.

    Raises:
        MissingError, NoRuntimeError, DeviceError: there is none.
    """
    from torchinf_core.loading import bids, choose, open_record
    from torchinf_core.loading.derived import derived_artifacts
    from torchinf_core.plugins import load_plugins

    store, settings = downloader.store, downloader.settings
    plugins = load_plugins(settings)
    artifact = open_record(record, store, settings, run, plugins)
    forms = [*derived_artifacts(artifact, store, run), artifact]
    found = bids(forms, run.device, settings, plugins)
    for name in names:
        if name not in plugins.implementing("claim"):
            there = ", ".join(plugins.implementing("claim"))
            raise OptionError(f"there is no runtime {name!r}", hint=f"those there are: {there}")
    able = [bid for bid in found if bid.claim.score and (not names or bid.claim.runtime in names)]
    if not able:
        choose(found, run, artifact, settings, plugins)  # says what is wrong
        raise NoRuntimeError(f"{' and '.join(names)} can't load {record.name!r}")
    return able


def _batches(text: str) -> list[int]:
    try:
        batches = sorted({int(word) for word in text.split(",")})
    except ValueError:
        batches = []
    if not batches or not 0 < batches[0] <= batches[-1] <= MOST_BATCH:
        raise UsageError(f"--batch takes sizes such as 1,8, not {text!r}")
    return batches


def label(row: BenchRow) -> str:
    """What a row is of, in a few words."""
    return f"{row.runtime} {row.precision} on {row.device}, {row.form or AS_DOWNLOADED}"


def _show(rows: Sequence[BenchRow]) -> None:
    head = ["RUNTIME", "FORM", "DEVICE", "PRECISION", "BATCH", "P50", "P90", "P99", "ITEMS/S", ""]
    output.table(
        head,
        [
            [
                row.runtime,
                row.form or AS_DOWNLOADED,
                row.device,
                row.precision,
                str(row.batch),
                *(milliseconds(value) for value in (row.p50, row.p90, row.p99)),
                f"{row.throughput:,.1f}" if row.throughput else "-",
                row.problem,
            ]
            for row in rows
        ],
        right=["BATCH", "P50", "P90", "P99", "ITEMS/S"],
    )


def _teller(*, silent: bool) -> tuple[Callable[[str], None], Callable[[], None]]:
    """Tells a line on stderr while that is hushed; and what closes it."""
    import sys

    stream = lasting(sys.stderr)

    def tell(text: str) -> None:
        if not silent and output.is_terminal(sys.__stderr__):
            stream.write(f"{output.clean(text)}\n")
            stream.flush()

    return tell, lambda: None if stream is sys.stderr else stream.close()
