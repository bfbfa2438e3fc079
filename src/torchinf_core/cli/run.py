"""From arguments to an exit status: no traceback ever reaches a user."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from torchinf_core.cli import output
from torchinf_core.cli.app import build
from torchinf_core.errors import TorchinfError
from torchinf_core.refs import redact

INTERRUPTED, TERMINATED = 130, 143
_ANYWHERE = ("--offline", "--json", "--quiet", "-q", "--verbose", "-v", "-vv", "--cache-dir")


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; clean up as for Ctrl-C."""


def run(argv: Sequence[str]) -> int:
    """Run ``torchinf argv…`` and return its exit status.

    Errors go to stderr as ``error: …`` and ``hint: …``; with ``--json`` also to
    stdout as a document.
    """
    args = _options_after_command(list(argv))
    output.prepare_streams()
    try:
        with _sigterm_as_exception():
            status = _invoke(args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        output.drop_stdout()
        return output.BROKEN_PIPE
    except Terminated:
        return _interrupted("terminated", TERMINATED)
    except KeyboardInterrupt:
        return _interrupted("interrupted", INTERRUPTED)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, EOFError):
        return _report(args, "Aborted", "there was no answer", "--yes answers yes", 2)
    except click.exceptions.NoArgsIsHelpError as error:
        output.say(error.format_message())
        return 0
    except click.ClickException as error:
        return _usage_error(args, error)
    except TorchinfError as error:
        _debug_traceback()
        return _report(args, type(error).__name__, str(error), error.hint, error.exit_code)
    except OSError as error:
        _debug_traceback()
        where = f": {error.filename}" if error.filename else ""
        reason = f"{error.strerror or error}{where}"
        return _report(args, "OSError", reason, "torchinf doctor looks for the cause", 6)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        _debug_traceback()
        return _report(
            args,
            "InternalError",
            f"internal error: {type(error).__name__}: {error}",
            "this is a bug in torchinf; TORCHINF_DEBUG=1 shows where",
            1,
        )


def _invoke(args: list[str]) -> int:
    command = build()
    if "_TORCHINF_COMPLETE" in os.environ:
        command.main(args, prog_name="torchinf")
    with command.make_context("torchinf", args) as context:
        status = command.invoke(context)
    return status if isinstance(status, int) else 0


def _options_after_command(args: list[str]) -> list[str]:
    """``torchinf --json list`` means ``torchinf list --json``."""
    leading: list[str] = []
    while args and args[0].split("=")[0] in _ANYWHERE:
        leading.append(args.pop(0))
        if leading[-1] == "--cache-dir" and args:
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
    return _report(args, "UsageError", message, hint, 2)


def _interrupted(word: str, status: int) -> int:
    output.tell(f"{word}; what arrived is kept, and the same command goes on from there")
    return status


def _report(args: list[str], kind: str, message: str, hint: str, status: int) -> int:
    message, hint = redact(message), redact(hint)
    try:
        if "--json" in args:
            output.json_line(
                {"error": {"type": kind, "message": message, "hint": hint, "exit_code": status}}
            )
        output.labelled("error", message, "31")
        if hint:
            output.labelled("hint", hint, "36")
    except OSError:
        output.drop_stdout()
    return status


def _debug_traceback() -> None:
    if os.environ.get("TORCHINF_DEBUG"):
        import traceback

        traceback.print_exc()


@contextmanager
def _sigterm_as_exception() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
