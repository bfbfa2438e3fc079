"""What a file of torch may look like before torch itself sees it.

``weights_only=True`` keeps a checkpoint from running code; it does not keep one
from costing gigabytes.  So members of the archive may not be compressed (torch
never does that to tensors), and the pickle may have no more opcodes and open marks
than honest ones need.  Opcodes: ``pickletools`` of the standard library; layout of
both kinds of files: ``torch/serialization.py``.
"""

from __future__ import annotations

import errno
import mmap
import re
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from torchinf_core.errors import FormatError, LoadError, PolicyError, StoreError
from torchinf_core.verify.pickles import COUNTED, FIXED, LINES, MAX_LINE
from torchinf_core.verify.zipdir import STORED, Entry, read_entries

MAX_OPCODES = 1_000_000
"""In the pickles of one file: 25,000 tensors' worth."""
MAX_MARKS = 1_000
"""Open at one time; torch's own pickles have fewer than ten."""
MAX_PICKLE = 64 << 20
MAX_CODE = 64 << 20
"""Bytes that the compressed members of a program may inflate to: its source and tables."""

_LEGACY = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
_LEGACY_PICKLES = 5
_MARK, _STOP = b"(."
# Each takes the topmost mark, and what lies above it, off the stack.
_UNMARKS = frozenset(b"tldeuoi1\x90\x91")
_PLAIN, _COUNTED, _LINES = range(3)


def _table() -> list[tuple[int, int] | None]:
    rows: list[tuple[int, int] | None] = [None] * 256
    for kind, known in ((_PLAIN, FIXED), (_COUNTED, COUNTED), (_LINES, LINES)):
        for op, number in known.items():
            rows[op] = (kind, number)
    return rows


_OPCODES = _table()


def check_checkpoint(path: Path, name: str) -> Literal["zip", "legacy"]:
    """See that a checkpoint has the form that ``torch.save`` gives it.

    Args:
        path: of the file.
        name: of the file, for messages.

    Returns:
        How it was written: since torch 1.6, or before.

    Raises:
        FormatError: it is something else, is damaged, or could cost far more than
            its size.
        PolicyError: it has more members than a file may have.
        StoreError: it can't be read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            size = file.seek(0, 2)
            if head.startswith(b"PK\3\4"):
                _check_zip(file, read_entries(file, size))
                return "zip"
            if _LEGACY.match(head):
                _check_legacy(file)
                return "legacy"
    except OSError as error:
        raise _unreadable(error, name) from error
    except (FormatError, PolicyError) as error:
        raise type(error)(f"{name!a} {error}", hint=error.hint) from None
    raise FormatError(
        f"{name!a} is no checkpoint as torch.save writes it", hint="torchinf info shows what it is"
    )


def check_program(path: Path, name: str) -> None:
    """See that TorchScript or an exported program inflates to no more than it should.

    Raises:
        FormatError, PolicyError, StoreError: as :func:`check_checkpoint`.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            entries = read_entries(file, size)
            code = sum(entry.size for entry in entries if entry.method != STORED)
            if code > MAX_CODE:
                raise FormatError(f"holds {code} bytes in compressed members; {MAX_CODE} may be")
    except OSError as error:
        raise _unreadable(error, name) from error
    except (FormatError, PolicyError) as error:
        raise type(error)(f"{name!a} {error}", hint=error.hint) from None


def _unreadable(error: OSError, name: str) -> FormatError | StoreError:
    # A place that no file has, as a damaged directory of a zip may name one.
    if error.errno == errno.EINVAL:
        return FormatError(f"{name!a} is damaged: it points outside of itself")
    return StoreError(f"{name!a} can't be read: {error.strerror or error}")


def _check_zip(file: BinaryIO, entries: list[Entry]) -> None:
    for entry in entries:
        if entry.method != STORED:
            raise FormatError(
                f"has the compressed member {entry.name[:80]!a}, which torch.save never makes"
            )
    # torch finds records in any case.
    pickles = [entry for entry in entries if entry.name.lower().endswith("/data.pkl")]
    if len(pickles) != 1:
        raise FormatError(f"is a torch file with {len(pickles)} members named data.pkl")
    entry = pickles[0]
    if entry.size > MAX_PICKLE:
        raise FormatError(f"has a pickle of {entry.size} bytes; {MAX_PICKLE} may be")
    file.seek(entry.start)
    content = file.read(entry.size)
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise FormatError("is damaged: the checksum of data.pkl is another")
    if weigh(content, 0, MAX_OPCODES)[0] != len(content):
        raise FormatError("has a pickle with bytes behind its end")


def _check_legacy(file: BinaryIO) -> None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        position, left = 0, MAX_OPCODES
        for _ in range(_LEGACY_PICKLES):
            position, left = weigh(content, position, left)


def weigh(content: bytes | mmap.mmap, position: int, left: int) -> tuple[int, int]:
    """Walk over one pickle without running any of it.

    Args:
        content: holds the pickle,
        position: from here.
        left: opcodes it may have.

    Returns:
        Where it ends, and how many opcodes are left.

    Raises:
        FormatError: it is cut, no pickle, or needs more than it may.
    """
    size, marks = len(content), 0
    table, unmarks = _OPCODES, _UNMARKS
    while position < size:
        op = content[position]
        position += 1
        row = table[op]
        if row is None:
            raise FormatError(f"has a pickle with the unknown opcode {op:#04x}")
        left -= 1
        if op == _MARK:
            marks += 1
        elif op in unmarks:
            marks -= 1
        elif op == _STOP:
            return position, left
        if marks > MAX_MARKS or left < 0:
            raise FormatError(
                "has a pickle that is built to exhaust memory: "
                + (f"more than {MAX_OPCODES} steps" if left < 0 else f"{marks} open marks")
            )
        kind, number = row
        if kind == _PLAIN:
            position += number
        elif kind == _COUNTED:
            length = int.from_bytes(content[position : position + number], "little")
            position += number + length
        else:
            for _ in range(number):
                end = content.find(b"\n", position, position + MAX_LINE)
                if end < 0:
                    raise FormatError("has a pickle that is cut or damaged")
                position = end + 1
    raise FormatError("has a pickle that is cut or damaged")


def translate(error: Exception, name: str) -> LoadError | PolicyError:
    """What torch's refusal to read a checkpoint means to the user; no other way is tried."""
    text = str(error)
    found = re.search(r"(?:GLOBAL|global:?) ([\w.]+\.[\w.]+)", text)
    if type(error).__name__ == "UnpicklingError" and found:
        return PolicyError(
            f"{name!a} names {found[1]}, and only plain weights are read from checkpoints",
            hint="ask its author for safetensors or a state dict",
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith("Weights only load")), "")
    what = (first or type(error).__name__)[:300]
    return FormatError(f"{name!a} can't be read as weights: {what}")
