"""``torchinf --server URL COMMAND``: the commands of a plugin that asks a server.

They have the names of the core's own commands, and stand in for them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import click
import typer

from torchinf_core.cli.commands import MODULE_OF
from torchinf_core.errors import UsageError

OPTION, VARIABLE = "--server", "TORCHINF_SERVER"


def take_server(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """The server that a command line names, and the command line without it.

    Returns:
        None where it names none, ``""`` where the option has no value.
    """
    rest: list[str] = []
    words = iter(argv)
    server: str | None = None
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == OPTION:
            server = next(words, "")
        elif word.startswith(f"{OPTION}="):
            server = word.partition("=")[2]
        else:
            rest.append(word)
    return server, rest


def usual_server(args: Sequence[str]) -> str | None:
    """The server that the environment names, for a command; None where this machine is meant."""
    is_command = bool(args) and args[0][:1] != "-" and "_TORCHINF_COMPLETE" not in os.environ
    return (os.environ.get(VARIABLE) or None) if is_command else None


def commands_of(server: str, args: Sequence[str]) -> click.Command:
    """The commands that ask a server.

    Args:
        server: its address.
        args: the command line, to see which command is meant.

    Raises:
        MissingDependencyError: no plugin is installed that has such commands.
        UsageError: the command is none of them.
    """
    from torchinf_core.plugins import load_plugins
    from torchinf_core.settings import load_settings

    if not server or server.startswith("-"):
        raise UsageError(
            f"{OPTION} wants the address of a server", hint=f"{OPTION} http://HOST:PORT"
        )
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        help=f"Commands for the server {server}.",
    )
    app.callback()(lambda: None)
    settings = load_settings()
    load_plugins(settings).remote(app, server, settings)
    group = typer.main.get_group(app)
    name = args[0] if args else "--help"
    if name[:1] != "-" and name not in group.commands:
        if name in MODULE_OF:
            raise UsageError(
                f"{name!r} is for this machine, and no server does it",
                hint=f"without {OPTION}, or with {VARIABLE}= before the command",
            )
        raise UsageError(
            f"a server has no command {name!r}", hint=f"torchinf {OPTION} {server} --help"
        )
    return group
