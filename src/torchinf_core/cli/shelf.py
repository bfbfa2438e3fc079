"""Commands that change which models are stored under which names."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    DryRun,
    Name,
    Names,
    Quiet,
    Verbose,
    Yes,
    open_downloader,
)
from torchinf_core.errors import TorchinfError, UsageError


def remove_command(
    names: Names,
    yes: Yes = False,
    dry_run: DryRun = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Remove models from the store; `all` removes every one.

    Bytes that other models use stay.
    """
    downloader = open_downloader(cache_dir, verbose)
    everything = names == ["all"]
    chosen = [downloader.get_record(name).name for name in names] if not everything else []
    chosen = downloader.registry.names() if everything else list(dict.fromkeys(chosen))
    if everything and chosen and not (yes or dry_run):
        _confirm(f"remove {output.plural(len(chosen), 'model')} from {downloader.cache_dir}")
    failed: TorchinfError | None = None
    removed = []
    for name in chosen:
        try:
            if not dry_run:
                downloader.remove_model(name)
        except TorchinfError as error:
            failed = error
            continue
        removed.append(name)
        if not (as_json or quiet):
            output.say(f"{'would remove' if dry_run else 'removed'} {name}")
    if as_json:
        output.document({"removed": removed, "dry_run": dry_run})
    elif not chosen:
        output.tell("the store holds no model")
    if failed is not None:
        raise failed


def rename_command(
    old: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.", show_default=False)],
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Give a stored model another name."""
    info = open_downloader(cache_dir, verbose).rename(old, new)
    if as_json:
        output.document(output.record_json(info.record, info.path))
    elif not quiet:
        output.say(f"{old} is now {new}")


def tag_command(
    name: Name,
    tags: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TAG]...", help="Tags to add.", show_default=False),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            "--remove",
            "-r",
            metavar="TAG",
            help="A tag to take away; may be repeated.",
            show_default=False,
        ),
    ] = None,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Add tags to a stored model, or remove them; with neither, show them."""
    info = open_downloader(cache_dir, verbose).tag(name, add=tags or (), remove=remove or ())
    if as_json:
        output.document({"name": info.name, "tags": list(info.tags)})
    elif not quiet:
        output.say(", ".join(info.tags) or "(no tags)")


def trust_command(
    name: Name,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the decision back.")] = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Allow the code of a stored model to run when it is loaded.

    The decision holds for exactly the files that are stored now.  Models without
    code (safetensors, ONNX, torch checkpoints) need none.
    """
    info = open_downloader(cache_dir, verbose).trust(name, revoke=revoke)
    record = info.record
    if as_json:
        output.document(output.record_json(record, info.path))
    elif not quiet:
        revision = f" at {record.revision}" if record.revision else ""
        output.say(
            f"{info.name}{revision}: code may run ({record.trusted})"
            if record.trusted
            else f"{info.name}{revision}: code may not run"
        )


def _confirm(question: str) -> None:
    """Go on only after a yes; never ask where nobody can answer."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{question}: nobody is here to confirm that", hint="--yes confirms it")
    if not typer.confirm(f"{question}?", err=True):
        raise typer.Exit(2)
