"""Bearer tokens: made at the first start, kept in a file that only the user can read.

A token file holds one token a line, ``TOKEN [read|write] [label]``; ``write`` is
what a line without a word means, and it implies ``read``.  Lines that begin with
``#`` are remarks.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from torchinf_core.errors import UsageError, from_os_error
from torchinf_core.settings import config_path

SHORTEST = 20
"""Characters of a token; fewer could be guessed."""
_LARGEST_FILE = 1 << 16


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        label: for logs; never the token.
        may_write: whether it may change anything.
    """

    label: str
    may_write: bool


class Tokens:
    """The tokens a server believes, by their digests."""

    def __init__(self, entries: Sequence[tuple[str, Caller]]) -> None:
        self._known = [(sha256(token.encode()).digest(), caller) for token, caller in entries]

    def find(self, header: bytes) -> Caller | None:
        """The caller behind an ``Authorization`` header; takes the same time for any.

        Args:
            header: its value, as it came.
        """
        scheme, _, token = header.partition(b" ")
        given = sha256(token.strip()).digest()
        found = None
        for digest, caller in self._known:
            if compare_digest(digest, given):
                found = caller
        return found if scheme.lower() == b"bearer" else None

    def __len__(self) -> int:
        return len(self._known)


def default_path() -> str:
    """Where the tokens are when nobody says so: beside the settings file."""
    return os.path.join(os.path.dirname(config_path()), "serve.token")


def reading_path(path: str) -> str:
    """Where the token that may only read is made, beside the other one."""
    return f"{path}.read"


def load_tokens(path: str) -> tuple[Tokens, bool]:
    """The tokens of a file, which is made where there is none.

    Returns:
        The tokens, and whether they were made just now.

    Raises:
        UsageError: the file is open to others, or holds no token.
        StoreError: it can't be read or made.
    """
    made = not os.path.exists(path)
    if made:
        _make(path, "write")
        if not os.path.exists(reading_path(path)):
            _make(reading_path(path), "read")
    entries = _read(path)
    if os.path.exists(reading_path(path)):
        entries += _read(reading_path(path))
    if not entries:
        raise UsageError(f"{path} holds no token", hint="delete it to have one made")
    return Tokens(entries), made


def _make(path: str, scope: str) -> None:
    line = secrets.token_urlsafe(32) + (" read" if scope == "read" else "") + "\n"
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(line)
            file.flush()
            os.fsync(fd)
    except FileExistsError:
        return  # another server was faster
    except OSError as error:
        raise from_os_error(error, path) from error


def _read(path: str) -> list[tuple[str, Caller]]:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise UsageError(
                    f"other users may read the tokens in {path}", hint=f"chmod 600 {path}"
                )
            text = file.read(_LARGEST_FILE).decode("ascii", "replace")
    except OSError as error:
        if isinstance(error, UsageError):
            raise
        raise from_os_error(error, path) from error
    return [
        entry
        for number, line in enumerate(text.splitlines(), 1)
        if (entry := _parse(line, number, path)) is not None
    ]


def _parse(line: str, number: int, path: str) -> tuple[str, Caller] | None:
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    token, scope = words[0], words[1] if len(words) > 1 else "write"
    fits = token.isascii() and token.isprintable() and len(token) >= SHORTEST
    if scope not in ("read", "write") or not fits or len(words) > 3:
        raise UsageError(
            f"line {number} of {path} is no token of {SHORTEST} characters or more, "
            "then read or write, then a label"
        )
    label = words[2] if len(words) > 2 else f"{scope}-{number}"
    return token, Caller(label, scope == "write")
