"""``torchinf hub …``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from torchinf_core.errors import OptionError


def capture_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A stored model.")],
    entry: Annotated[
        str | None, typer.Option("--entry", metavar="ENTRY", help="Another of its entry points.")
    ] = None,
    argument: Annotated[
        list[str] | None,
        typer.Option("--argument", "-a", metavar="KEY=VALUE", help="For the entry point."),
    ] = None,
    installed: Annotated[
        list[str] | None,
        typer.Option(
            "--installed", metavar="PACKAGE", help="Take this Python's, not the repository's."
        ),
    ] = None,
    cache_dir: Annotated[
        str | None, typer.Option("--cache-dir", metavar="DIR", help="Directory of the store.")
    ] = None,
) -> None:
    """Run a trusted model's code once and record what it downloads.

    It runs in a process of its own.  Afterwards the model loads without a
    connection, from verified files.
    """
    from torchinf_core.manager import ModelDownloader
    from torchinf_hub.recording import capture

    downloader = ModelDownloader(cache_dir)
    before = {file.path for file in downloader.get_record(name).files}
    info = capture(
        name,
        downloader,
        entry=entry,
        arguments=_arguments(argument or []),
        installed=installed or (),
    )
    for file in info.record.files:
        if file.path not in before:
            typer.echo(f"{file.path}  {file.size} bytes  sha256 {file.sha256}", err=True)
    typer.echo(info.path)


def _arguments(pairs: list[str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key.isidentifier():
            raise OptionError(f"--argument takes KEY=VALUE, not {pair!r}")
        try:
            arguments[key] = json.loads(text)
        except ValueError:
            arguments[key] = text
    return arguments
