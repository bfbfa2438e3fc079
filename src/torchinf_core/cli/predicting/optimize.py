"""``torchinf optimize``: build faster forms of a model, and keep one that computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    DryRun,
    Name,
    Quiet,
    Verbose,
    open_downloader,
)
from torchinf_core.cli.predicting.explain import milliseconds
from torchinf_core.cli.predicting.hushing import hushed, lasting
from torchinf_core.cli.predicting.options import Arch, Device, Precision, Threads
from torchinf_core.errors import UsageError

if TYPE_CHECKING:
    from torchinf_core.manager import ModelDownloader
    from torchinf_core.optimize import Report
    from torchinf_core.settings.run import RunSettings
    from torchinf_core.types import Event


def optimize_command(
    name: Name,
    full: Annotated[
        bool, typer.Option("--full", help="Also try what takes long to build.")
    ] = False,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--inputs",
            metavar="FILE",
            help="Compare on this input too; may be repeated.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="T",
            help="Largest difference, relative to the largest output.  [default: 0.001]",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="SECONDS",
            help="Begin nothing more after so long.  [default: 120]",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="LABEL",
            help="Keep this form if it passes, however fast it is.",
            show_default=False,
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Forget the optimised forms.")] = False,
    device: Device = None,
    precision: Precision = None,
    arch: Arch = None,
    threads: Threads = None,
    dry_run: DryRun = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Build faster forms, keep what computes the same.

    Every candidate is compared with the model as it was downloaded and timed
    beside it.  What is kept is used by torchinf predict from then on, on this
    machine and with these versions alone.

    \b
      torchinf optimize resnet18
      torchinf optimize resnet18 --full --inputs cat.jpg --tolerance 0.01
      torchinf optimize resnet18 --clear
    """  # noqa: D301 - the escape is click's mark for lines to be left alone
    downloader = open_downloader(cache_dir, verbose)
    record = downloader.get_record(name)
    if clear:
        if full or inputs or keep:
            raise UsageError("--clear goes with no other wish", hint="first --clear, then again")
        _clear(downloader, record.name, dry_run=dry_run, as_json=as_json, quiet=quiet)
        return
    run = downloader.settings.run_for(
        record.name,
        device=device,
        precision=precision,
        arch=arch,
        threads=threads,
        tolerance=tolerance,
        optimize_time=time,
        optimize="full" if full else "auto",
    )
    report = _optimize(
        downloader, record.name, run, inputs or [], keep, dry_run, quiet or as_json, verbose
    )
    if as_json:
        output.document(report.to_json())
    elif quiet:
        output.say(report.derived.label if report.derived else "")
    else:
        _show(report, dry_run=dry_run)


def _optimize(
    downloader: ModelDownloader,
    name: str,
    run: RunSettings,
    inputs: list[str],
    keep: str | None,
    dry_run: bool,
    silent: bool,
    verbose: int,
) -> Report:
    import sys

    from torchinf_core.optimize import optimize

    stream = lasting(sys.stderr)

    def tell(event: Event) -> None:
        if not silent and event.message:
            stream.write(f"{output.clean(event.message)}\n")
            stream.flush()

    try:
        with hushed(verbose=verbose):
            return optimize(
                downloader, name, run, inputs=inputs, keep=keep, dry_run=dry_run, on_event=tell
            )
    finally:
        if stream is not sys.stderr:
            stream.close()


def _show(report: Report, *, dry_run: bool) -> None:
    if report.rows:
        output.table(
            ["", "CANDIDATE", "RUNTIME", "OUTCOME", "ERROR", "ONE CALL", "SPEED", "REASON"],
            [
                [
                    "*" if row.verdict == "chosen" else "",
                    row.label or "-",
                    row.runtime,
                    row.verdict,
                    "-" if row.error is None else f"{row.error:.1e}",
                    milliseconds(row.seconds),
                    f"{row.speedup:.2f}x" if row.speedup else "-",
                    row.reason,
                ]
                for row in report.rows
            ],
            right=["ERROR", "ONE CALL", "SPEED"],
        )
    as_it_was = f"{report.reference} takes {milliseconds(report.reference_seconds)}"
    if report.derived is not None:
        would = "would be" if dry_run else "is"
        output.say(
            f"{report.model}: {report.derived.label} {would} used on {report.device}, "
            f"{report.derived.speedup:.2f} times as fast as downloaded ({as_it_was})"
        )
    else:
        known = f" ({as_it_was})" if report.reference_seconds else ""
        output.say(f"{report.model}: used as downloaded{known}")
    if report.reason:
        output.note(report.reason)


def _clear(
    downloader: ModelDownloader, name: str, *, dry_run: bool, as_json: bool, quiet: bool
) -> None:
    from torchinf_core.store import derived as shelf

    layout = downloader.store.layout
    with downloader.store.naming(name):
        record = downloader.get_record(name)
        found = shelf.find(layout, name, record.generation)
        if not dry_run:
            shelf.forget(layout, name, record.generation)
    if as_json:
        output.document({"model": name, "forgotten": [derived.label for _, derived in found]})
    elif not quiet:
        would = "would be forgotten" if dry_run else "forgotten"
        output.say(f"{name}: {output.plural(len(found), 'optimised form')} {would}")
