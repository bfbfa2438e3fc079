"""From arguments to an exit status: no traceback ever reaches a user."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence

import click

from torchinf_core.cli import output
from torchinf_core.cli.app import build
from torchinf_core.cli.elsewhere import commands_of, take_server, usual_server
from torchinf_core.cli.ending import ended, report

_WITH_VALUE = ("--cache-dir", "--token-file")
_ANYWHERE = ("--offline", "--json", "--quiet", "-q", "--verbose", "-v", "-vv", *_WITH_VALUE)


def run(argv: Sequence[str]) -> int:
    """Run ``torchinf argv…`` and return its exit status; see :func:`ended`."""
    named, rest = take_server(argv)
    args = _options_after_command(rest)
    server = usual_server(args) if named is None else named
    try:
        return ended(args, lambda: _invoke(args, server))
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.Abort:
        return _no_answer(args)
    except click.exceptions.NoArgsIsHelpError as error:
        output.say(error.format_message())
        return 0
    except click.ClickException as error:
        return _usage_error(args, error)


def _invoke(args: list[str], server: str | None) -> int:
    command = build() if server is None else commands_of(server, args)
    if "_TORCHINF_COMPLETE" in os.environ:
        command.main(args, prog_name="torchinf")
    try:
        with command.make_context("torchinf", args) as context:
            status = command.invoke(context)
    except EOFError:
        return _no_answer(args)
    return status if isinstance(status, int) else 0


def _options_after_command(args: list[str]) -> list[str]:
    """``torchinf --json list`` means ``torchinf list --json``."""
    leading: list[str] = []
    while args and args[0].split("=")[0] in _ANYWHERE:
        leading.append(args.pop(0))
        if leading[-1] in _WITH_VALUE and args:
            leading.append(args.pop(0))
    return [*args[:1], *leading, *args[1:]] if args else leading


def _usage_error(args: list[str], error: click.ClickException) -> int:
    message = error.format_message().rstrip(".")
    hint = getattr(error, "hint", "")
    possible = getattr(error, "possibilities", None)
    if isinstance(error, click.NoSuchOption):
        message = f"there is no option {error.option_name}"
        if possible and (near := difflib.get_close_matches(error.option_name, possible, n=1)):
            hint = f"did you mean {near[0]}?"
    context = getattr(error, "ctx", None)
    if not hint and context is not None:
        hint = f"{context.command_path} --help shows what it takes"
    message = message[:1].lower() + message[1:]
    return report(args, "UsageError", message, hint, 2)


def _no_answer(args: list[str]) -> int:
    return report(args, "Aborted", "there was no answer", "--yes answers yes", 2)
