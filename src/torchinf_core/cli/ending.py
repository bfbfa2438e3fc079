"""How a command ends: every error becomes a message, a hint and an exit status.

Needs neither click nor Typer, so that the fast path can end the same way.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from torchinf_core.cli import output
from torchinf_core.errors import TorchinfError

INTERRUPTED, TERMINATED = 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; clean up as for Ctrl-C."""


def ended(args: Sequence[str], command: Callable[[], int]) -> int:
    """Run a command and return its exit status, whatever becomes of it.

    Errors go to stderr as ``error: …`` and ``hint: …``; with ``--json`` also to
    stdout as a document.  Exceptions of click pass.

    Args:
        args: of the command line, to see whether JSON is wanted.
        command: returns the exit status.
    """
    output.prepare_streams()
    try:
        with _sigterm_as_exception():
            status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        output.drop_stdout()
        return output.BROKEN_PIPE
    except Terminated:
        return _interrupted(args, "terminated", TERMINATED)
    except KeyboardInterrupt:
        return _interrupted(args, "interrupted", INTERRUPTED)
    except TorchinfError as error:
        debug_traceback()
        return report(args, type(error).__name__, str(error), error.hint, error.exit_code)
    except OSError as error:
        debug_traceback()
        where = f": {error.filename}" if error.filename else ""
        reason = f"{error.strerror or error}{where}"
        return report(args, "OSError", reason, "torchinf doctor looks for the cause", 6)
    except Exception as error:
        if type(error).__module__.startswith("click"):
            raise
        debug_traceback()
        return report(
            args,
            "InternalError",
            f"internal error: {type(error).__name__}: {error}",
            "this is a bug in torchinf; TORCHINF_DEBUG=1 shows where",
            1,
        )


def report(args: Sequence[str], kind: str, message: str, hint: str, status: int) -> int:
    """Tell an error on stderr, with ``--json`` also on stdout; returns ``status``."""
    from torchinf_core.refs import redact

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


def debug_traceback() -> None:
    """With ``TORCHINF_DEBUG``, show where the error that is being handled came from."""
    if os.environ.get("TORCHINF_DEBUG"):
        import traceback

        traceback.print_exc()


def _interrupted(args: Sequence[str], word: str, status: int) -> int:
    resumes = "download" in args[:1] or "run" in args[:1]
    kept = "; what arrived is kept, and the same command goes on from there" if resumes else ""
    output.tell(f"{word}{kept}")
    return status


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
