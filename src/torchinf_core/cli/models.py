"""Commands that look at stored models and change nothing: list, info, path, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    Name,
    Quiet,
    Verbose,
    complete_name,
    open_downloader,
)
from torchinf_core.cli.show import show_info, show_list
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
    show_list(
        open_downloader(cache_dir, verbose),
        filters=filters or (),
        sort=sort,
        as_json=as_json,
        quiet=quiet,
    )


def info_command(
    name: Name, cache_dir: CacheDir = None, as_json: AsJson = False, verbose: Verbose = 0
) -> None:
    """Show what is known of a stored model."""
    show_info(open_downloader(cache_dir, verbose), name, as_json=as_json)


def path_command(
    name: Name, cache_dir: CacheDir = None, as_json: AsJson = False, verbose: Verbose = 0
) -> None:
    """Print where a stored model is: its file, or its directory when it has several.

    \b
      python use.py "$(torchinf path resnet18)"
    """  # noqa: D301 - the escape is click's mark for lines to be left alone
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
