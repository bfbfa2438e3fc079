"""Options that several commands share, and what they open."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torchinf_core.manager import ModelDownloader
    from torchinf_core.settings import Settings

CacheDir = Annotated[
    str | None,
    typer.Option(
        "--cache-dir",
        metavar="DIR",
        help="Use this store.  [default: torchinf config]",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print as little as possible.")]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="Say what is done; -vv for every step.",
        show_default=False,
    ),
]
Offline = Annotated[
    bool | None, typer.Option("--offline", help="Make no connection.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and stop.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
LockTimeout = Annotated[
    str | None,
    typer.Option(
        "--lock-timeout",
        metavar="TIME",
        help="Longest wait for another process: 0, 30s, 5m.",
        show_default=False,
    ),
]


def complete_name(incomplete: str) -> list[str]:
    """Names of stored models for the shell's completion."""
    from torchinf_core.manager import ModelDownloader

    return [name for name in ModelDownloader().registry.names() if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of a stored model.",
        show_default=False,
        autocompletion=complete_name,
    ),
]
Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...",
        help="Names of stored models.",
        show_default=False,
        autocompletion=complete_name,
    ),
]


def open_downloader(
    cache_dir: str | None = None, verbose: int = 0, **settings: Any
) -> ModelDownloader:
    """The store and settings that a command works with; ``-v`` starts logging here."""
    from torchinf_core.manager import ModelDownloader

    log_to_stderr(verbose)
    return ModelDownloader(cache_dir, **settings)


def warn_of_plugins(settings: Settings) -> None:
    """A line for each plugin that can't be used, if any plugin was needed at all."""
    if "torchinf_core.plugins" in sys.modules:
        from torchinf_core.cli import output
        from torchinf_core.plugins import load_plugins

        for line in load_plugins(settings).warnings:
            output.labelled("warning", line, "33")


def log_to_stderr(verbose: int) -> None:
    """Show the ``torchinf`` logger: warnings, with ``-v`` steps, with ``-vv`` everything."""
    logger = logging.getLogger("torchinf")
    for handler in [h for h in logger.handlers if h.get_name() == "torchinf-cli"]:
        logger.removeHandler(handler)
    if not verbose:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("torchinf-cli")
    handler.setFormatter(logging.Formatter("%(relativeCreated)6d ms  %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
