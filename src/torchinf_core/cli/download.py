"""``torchinf download``."""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Annotated, Any

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    DryRun,
    LockTimeout,
    Offline,
    Quiet,
    Verbose,
    open_downloader,
    warn_of_plugins,
)
from torchinf_core.cli.show import show_outcome
from torchinf_core.errors import OptionError


def download_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="REF | SOURCE",
            help="What to get: torchvision:resnet18, a URL, a path; "
            "or a source, with MODEL_ID behind it.",
            show_default=False,
        ),
    ],
    model_id: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL_ID]", help="What the source calls it.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Name in the store.  [default: the source's]",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="Label it, as in text-classification.",
            show_default=False,
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Label it; may be repeated.", show_default=False),
    ] = None,
    description: Annotated[
        str | None,
        typer.Option("--description", metavar="TEXT", help="Describe it.", show_default=False),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            "--sha256", metavar="HEX", help="Refuse any other content.", show_default=False
        ),
    ] = None,
    pretrained: Annotated[
        bool | None,
        typer.Option(
            "--pretrained/--no-pretrained",
            help="With its weights, or the bare model.",
            show_default=False,
        ),
    ] = None,
    extract: Annotated[
        bool | None,
        typer.Option("--extract", help="Unpack the archive at a URL.", show_default=False),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="PATTERN",
            help="Only files like this; may be repeated.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="No files like this; may be repeated.",
            show_default=False,
        ),
    ] = None,
    all_files: Annotated[
        bool | None,
        typer.Option("--all-files", help="Every file the source has.", show_default=False),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant", metavar="NAME", help="A variant of the weights: fp16.", show_default=False
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow code of exactly this content to run later.")
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="KEY=VALUE",
            help="An option of the source; may be repeated.",
            show_default=False,
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Ask the source again; fetch what changed.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let the name change its content.")
    ] = False,
    dry_run: DryRun = False,
    connections: Annotated[
        int | None,
        typer.Option(
            "--connections", metavar="N", help="Most connections to one server.", show_default=False
        ),
    ] = None,
    limit_rate: Annotated[
        str | None,
        typer.Option(
            "--limit-rate",
            metavar="RATE",
            help="Most bytes a second: 500k, 10M.",
            show_default=False,
        ),
    ] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option(
            "--max-bytes", metavar="SIZE", help="Refuse anything larger: 20G.", show_default=False
        ),
    ] = None,
    allow_unverified: Annotated[
        bool | None,
        typer.Option(
            "--allow-unverified", help="Take a file of unknown size and digest.", show_default=False
        ),
    ] = None,
    lock_timeout: LockTimeout = None,
    offline: Offline = None,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Get a model into the store, verified.

    Asking again for what is there makes no connection.  An interrupted download
    goes on where it stopped when the same command runs again.

    \b
      torchinf download torchvision:resnet18
      torchinf download torchvision resnet18 --name classifier
      torchinf download https://example.com/model.onnx --sha256 HEX
      torchinf download ./model.pt --name local
    """  # noqa: D301 - the escape is click's mark for lines to be left alone
    downloader = open_downloader(
        cache_dir,
        verbose,
        offline=offline,
        connections=connections,
        limit_rate=limit_rate,
        max_bytes=max_bytes,
        allow_unverified=allow_unverified,
        lock_timeout=lock_timeout,
    )
    asked: dict[str, Any] = {
        "name": name,
        "task": task,
        "tags": tag or (),
        "description": description,
        "sha256": sha256,
        "replace": replace,
        "update": update,
        "pretrained": pretrained,
        "extract": extract,
        "include": include or None,
        "exclude": exclude or None,
        "all_files": all_files,
        "variant": variant,
        "trust": trust,
    }
    asked.update(source_options(option or [], taken=asked))
    if dry_run:
        from torchinf_core.cli.preview import preview_json, show_preview

        preview = downloader.preview(source, model_id, **asked)
        if as_json:
            output.document(preview_json(preview))
        else:
            show_preview(preview)
        return
    from torchinf_core.cli.progress import reporter

    with reporter(as_json=as_json, quiet=quiet) as on_event:
        outcome = downloader.obtain(source, model_id, on_event=on_event, **asked)
    if not (quiet or outcome.hit):
        warn_of_plugins(downloader.settings)
    show_outcome(
        outcome.record,
        str(outcome.path),
        hit=outcome.hit,
        fetched=outcome.fetched,
        notes=outcome.notes,
        as_json=as_json,
        quiet=quiet,
    )


def source_options(pairs: list[str], taken: Container[str]) -> dict[str, Any]:
    """The options of ``-o KEY=VALUE``; values are JSON where they can be.

    Raises:
        OptionError: it is no pair, or an option of the command itself.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise OptionError(f"-o takes KEY=VALUE, not {pair!r}")
        key = key.strip().replace("-", "_")
        if key in taken:
            flag = key.replace("_", "-")
            raise OptionError(f"{key!r} is not for -o", hint=f"--{flag} says that")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        options[key] = value
    return options
