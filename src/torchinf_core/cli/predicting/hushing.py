"""Keeps what libraries print while they load and compute away from the user.

ONNX Runtime writes to file descriptor 2 from C++, transformers draws bars on
stderr, others print: none of that is data, and none of it is news.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_null: list[TextIO] = []


@contextmanager
def hushed(*, verbose: int = 0) -> Iterator[None]:
    """Nothing reaches stdout while this lasts; stderr only with ``-v`` or ``TORCHINF_TRACE``.

    For one thread at a time.  Streams that Python code kept from inside stay usable.
    """
    if not _null:
        _null.append(open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - others keep it too
        atexit.register(_null[0].close)
    streams = sys.stdout, sys.stderr
    for stream in streams:
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    kept = [_duplicate(number) for number in (1, 2)]
    quiet = _null[0].fileno()
    try:
        if verbose or os.environ.get("TORCHINF_TRACE"):
            sys.stdout = sys.stderr
            _lead(2, 1)
        else:
            sys.stdout = sys.stderr = _null[0]
            _lead(quiet, 1)
            _lead(quiet, 2)
        yield
    finally:
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        sys.stdout, sys.stderr = streams
        for number, copy in zip((1, 2), kept, strict=True):
            if copy is not None:
                os.dup2(copy, number)
                os.close(copy)


def lasting(stream: TextIO) -> TextIO:
    """A stream to where ``stream`` leads now, which is not hushed; its caller closes it.

    The stream itself where it is no file, as in tests.
    """
    try:
        return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding)
    except (OSError, ValueError, AttributeError):
        return stream


def _duplicate(number: int) -> int | None:
    try:
        return os.dup(number)
    except OSError:  # closed by who started us
        return None


def _lead(source: int, target: int) -> None:
    with suppress(OSError):
        os.dup2(source, target)
