"""What a git server advertises: its refs and their commits, read from pkt-lines.

The answer to ``GET …/info/refs?service=git-upload-pack`` (gitprotocol-http,
protocol version 0).  Pure and strict: whatever departs from the format is
refused, and nothing is kept but branches and tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from torchinf_core.errors import SourceError

MAX_BYTES = 64 << 20
MAX_LINE = 65520
"""Longest pkt-line with its length field (gitprotocol-common)."""

_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_REF = re.compile(rb"([0-9a-f]{40}) ([^\x00-\x20\x7f]+)(?:\0([^\n]*))?\n?", re.DOTALL)
_PEELED = "^{}"
_NONE = "capabilities^{}"
_SERVICE = b"# service=git-upload-pack"


@dataclass(frozen=True, slots=True)
class Advertisement:
    """The refs of a repository.

    Attributes:
        branches, tags: short name to commit; annotated tags are peeled.
        head: the branch that HEAD is at, or None.
    """

    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    head: str | None = None


def parse(pieces: Iterable[bytes]) -> Advertisement:
    """Read an advertisement that arrives in pieces of any size.

    Raises:
        SourceError: it is no advertisement, is cut, or is larger than
            :data:`MAX_BYTES`.
    """
    lines = _lines(pieces)
    first = next(lines, None)
    if first is None or first.rstrip(b"\n") != _SERVICE or next(lines, b"") is not None:
        raise _broken("it does not begin as git's protocol demands")
    branches: dict[str, str] = {}
    tags: dict[str, str] = {}
    head = None
    for number, line in enumerate(lines):
        if line is None:
            break
        match = _REF.fullmatch(line)
        if match is None or (number and match[3] is not None):
            raise _broken(f"line {number + 1} is no ref: {line[:60]!a}")
        if match[3] is not None:
            head = _head(match[3])
        _put(match[2].decode("utf-8", "surrogateescape"), match[1].decode(), branches, tags)
    else:
        raise _broken("it is cut")
    if next(lines, b"") != b"":
        raise _broken("something follows its end")
    return Advertisement(branches, tags, head)


def _put(name: str, commit: str, branches: dict[str, str], tags: dict[str, str]) -> None:
    if name == _NONE:
        return
    if name.startswith("refs/heads/"):
        branches[name.removeprefix("refs/heads/")] = commit
    elif name.startswith("refs/tags/"):
        # The commit of an annotated tag follows the tag's own object.
        tags[name.removeprefix("refs/tags/").removesuffix(_PEELED)] = commit


def _head(capabilities: bytes) -> str | None:
    for word in capabilities.split():
        key, _, value = word.partition(b"=")
        if key == b"symref" and value.startswith(b"HEAD:refs/heads/"):
            return value.removeprefix(b"HEAD:refs/heads/").decode("utf-8", "surrogateescape")
    return None


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    """The payloads of the pkt-lines; None is a flush."""
    buffer = bytearray()
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_BYTES:
            raise _broken(f"it is larger than {MAX_BYTES} bytes")
        buffer += piece
        start = 0
        while len(buffer) - start >= 4:
            field_ = bytes(buffer[start : start + 4])
            length = int(field_, 16) if _LENGTH.fullmatch(field_) else -1
            if length and not 4 < length <= MAX_LINE:
                raise _broken(f"a line has the length {field_!a}")
            if len(buffer) - start < length:
                break
            yield bytes(buffer[start + 4 : start + length]) if length else None
            start += length or 4
        del buffer[:start]
    if buffer:
        raise _broken("it is cut within a line")


def _broken(reason: str) -> SourceError:
    return SourceError(
        f"the server's list of branches and tags can't be read: {reason}",
        hint="is the github setting the URL of a git server? try again later",
    )
