"""``torchinf download``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

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
from torchinf_core.errors import OptionError
from torchinf_core.refs import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchinf_core.download import Preview
    from torchinf_core.types import RemoteFile


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
        **_source_options(option or []),
    }
    if dry_run:
        preview = downloader.preview(source, model_id, **asked)
        if as_json:
            output.document(_preview_json(preview))
        else:
            _show_preview(preview)
        return
    from torchinf_core.cli.progress import reporter

    with reporter(as_json=as_json, quiet=quiet) as on_event:
        outcome = downloader.obtain(source, model_id, on_event=on_event, **asked)
    record, path = outcome.record, str(outcome.path)
    if not (quiet or outcome.hit):
        warn_of_plugins(downloader.settings)
    if as_json:
        for text in outcome.notes:
            output.json_line({"event": "note", "message": text})
        output.json_line(
            {
                "event": "result",
                "hit": outcome.hit,
                "fetched": outcome.fetched,
                **output.record_json(record, path),
            }
        )
        return
    if not quiet:
        for text in outcome.notes:
            output.note(text)
        how = "already here" if outcome.hit else f"verified ({record.verified})"
        output.tell(output.summary(record.name, len(record.files), record.size, how))
    output.say(path)


def _source_options(pairs: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise OptionError(f"-o takes KEY=VALUE, not {pair!r}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        options[key.strip().replace("-", "_")] = value
    return options


def _show_preview(preview: Preview) -> None:
    plan = preview.plan
    output.facts(
        [
            ("name", preview.name),
            ("reference", redact(str(plan.ref))),
            ("revision", plan.revision),
            ("task", plan.task),
            ("license", plan.license),
            ("trust", plan.trust.name.lower()),
        ]
    )
    if plan.files:
        output.table(
            ["FILE", "SIZE", "SHA256"],
            [
                [file.path, _about([file]), file.sha256 or _prefix(file.sha256_prefix)]
                for file in plan.files
            ],
            right=["SIZE"],
        )
    for text in plan.notes:
        output.note(text)
    if preview.cached is not None:
        output.tell("nothing to fetch: the store has it")
    elif preview.transfer is None:
        output.tell(f"{_about(plan.files)} to fetch")
    else:
        output.tell(f"{output.size(preview.transfer)} to fetch")


def _about(files: Sequence[RemoteFile]) -> str:
    """The size of files for people, as exactly as their source tells it."""
    if all(file.size is not None for file in files):
        return output.size(sum(file.size or 0 for file in files))
    sizes = [file.size or file.approximate_size for file in files]
    known = [size for size in sizes if size is not None]
    return f"about {output.size(sum(known))}" if len(known) == len(sizes) else output.size(None)


def _prefix(digits: str | None) -> str:
    return f"{digits}…" if digits else "recorded on arrival"


def _preview_json(preview: Preview) -> dict[str, Any]:
    plan = preview.plan
    return {
        "name": preview.name,
        "ref": redact(str(plan.ref)),
        "revision": plan.revision,
        "format": plan.format,
        "trust": plan.trust.name.lower(),
        "task": plan.task,
        "description": plan.description,
        "license": plan.license,
        "tags": list(plan.tags),
        "size": plan.size,
        "transfer": preview.transfer,
        "cached": preview.cached is not None,
        "files": [
            {
                "path": file.path,
                "url": redact(file.url),
                "size": file.size,
                "approximate_size": file.approximate_size,
                "sha256": file.sha256,
                "sha256_prefix": file.sha256_prefix,
            }
            for file in plan.files
        ],
        "notes": list(plan.notes),
    }
