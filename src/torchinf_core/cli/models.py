"""Commands that look at stored models and change nothing: list, info, path, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from torchinf_core.cli import output
from torchinf_core.cli.filters import select, sort_records
from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    Name,
    Quiet,
    Verbose,
    complete_name,
    open_downloader,
)
from torchinf_core.errors import IntegrityError, UsageError


def list_command(
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="WHAT",
            help="Only models that match: 'size>1GB', "
            "source=torchvision, 'tag=x', 'name=res*', 'updated<7d'; may be repeated.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="KEY[:asc|:desc]", help="name, size, source or updated."),
    ] = "name",
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List the stored models.  With -q, their names alone."""
    downloader = open_downloader(cache_dir, verbose)
    listing = downloader.registry.records()
    records = sort_records(select(listing.records, filters or []), sort)
    if as_json:
        output.document(
            {
                "models": [
                    output.record_json(record, str(downloader.store.model_path(record)))
                    for record in records
                ],
                "damaged": [{"name": bad.name, "reason": bad.reason} for bad in listing.damaged],
            }
        )
    elif quiet:
        for record in records:
            output.say(record.name)
    elif records:
        output.table(
            ["NAME", "SOURCE", "FORMAT", "SIZE", "UPDATED", "TASK", "TAGS"],
            [
                [
                    record.name,
                    record.source,
                    record.format or "-",
                    output.size(record.size),
                    output.day(record.updated),
                    record.task or "-",
                    ", ".join(record.tags) or "-",
                ]
                for record in records
            ],
            right=["SIZE"],
        )
    elif listing.records:
        output.tell("no stored model matches")
    elif not listing.damaged:
        output.tell("the store holds no model yet; try: torchinf download torchvision:resnet18")
    for bad in listing.damaged:
        output.labelled("warning", f"the record of {bad.name} is damaged: {bad.reason}", "33")
    if listing.damaged:
        output.labelled("hint", "torchinf fsck --repair", "36")


def info_command(
    name: Name, cache_dir: CacheDir = None, as_json: AsJson = False, verbose: Verbose = 0
) -> None:
    """Show what is known of a stored model."""
    downloader = open_downloader(cache_dir, verbose)
    record = downloader.get_record(name)
    path = str(downloader.store.model_path(record))
    if as_json:
        output.document(output.record_json(record, path))
        return
    output.facts(
        [
            ("name", record.name),
            ("description", record.description),
            ("source", record.source),
            ("reference", record.ref),
            ("revision", record.revision),
            ("path", path),
            ("size", f"{output.size(record.size)} in {output.plural(len(record.files), 'file')}"),
            ("format", record.format),
            ("task", record.task),
            ("license", record.license),
            ("tags", ", ".join(record.tags)),
            ("trust", record.trust.name.lower()),
            ("verified", record.verified),
            ("created", output.day(record.created)),
            ("updated", output.day(record.updated)),
            *((key, _short(value)) for key, value in sorted(record.metadata.items())),
        ]
    )
    if record.files:
        output.say()
        output.table(
            ["FILE", "SIZE", "FORMAT", "SHA256"],
            [[f.path, output.size(f.size), f.format or "-", f.sha256] for f in record.files],
            right=["SIZE"],
        )


def path_command(
    name: Name, cache_dir: CacheDir = None, as_json: AsJson = False, verbose: Verbose = 0
) -> None:
    r"""Print where a stored model is: its file, or its directory when it has several.

    \b
      python use.py "$(torchinf path resnet18)"
    """
    path = str(open_downloader(cache_dir, verbose).get_model_path(name))
    if as_json:
        output.document({"name": name, "path": path})
    else:
        output.say(path)


def verify_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Names of stored models.",
            show_default=False,
            autocompletion=complete_name,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every stored model.")] = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Hash stored models again and compare with what was recorded.

    Nothing is repaired; downloading a damaged model again does that.  Exit
    status 5 when a file differs.
    """
    downloader = open_downloader(cache_dir, verbose)
    if bool(names) == everything:
        raise UsageError("verify wants names, or --all", hint="torchinf verify --all")
    results = []
    for name in names or downloader.registry.names():
        problems = downloader.verify(name)
        results.append((name, problems))
        if as_json or quiet:
            continue
        output.say(f"{name}: {'ok' if not problems else 'DAMAGED'}")
        for problem in problems:
            output.tell(f"  {problem}")
    damaged = [name for name, problems in results if problems]
    if as_json:
        output.document(
            {
                "models": [
                    {"name": name, "ok": not problems, "problems": [str(p) for p in problems]}
                    for name, problems in results
                ]
            }
        )
    if damaged:
        raise IntegrityError(
            f"{output.plural(len(damaged), 'model')} of {len(results)} differ from their records: "
            + ", ".join(damaged[:5]),
            hint=f"torchinf download {downloader.get_record(damaged[0]).ref} repairs it",
        )


def _short(value: object) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:160]}… ({len(text)} characters; --json has all)"
