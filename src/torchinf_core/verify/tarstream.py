"""The members of a tar file, read once from front to back.

Knows what real archives use (ustar, GNU long names, pax paths and sizes) and
refuses the rest, so that nobody has to guess what another reader would make of
it.  Memory stays at one header whatever the archive claims.

Layout: POSIX.1-2017 ``pax``, and the GNU tar manual's "Basic Tar Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from torchinf_core.errors import FormatError, PolicyError

BLOCK = 512
MAX_HEADER = 1 << 20
MAX_PADDING = 1 << 20
FILE, HARD_LINK, SYMLINK, DIRECTORY = "file", "hard link", "symbolic link", "directory"

_KINDS = {
    **dict.fromkeys(b"\x0007", FILE),
    ord("1"): HARD_LINK,
    ord("2"): SYMLINK,
    ord("5"): DIRECTORY,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a tar file.

    Attributes:
        name: as stored.
        kind: ``FILE``, ``HARD_LINK``, ``SYMLINK`` or ``DIRECTORY``.
        size: bytes of content behind the header.
        target: what a link points to, or ``""``.
    """

    name: str
    kind: str
    size: int
    target: str


def looks_like(block: bytes) -> bool:
    """Whether the first 512 bytes are a tar header, by its checksum."""
    return len(block) == BLOCK and block != bytes(BLOCK) and _checksum_fits(block)


def read_members(stream: BinaryIO, max_entries: int) -> Iterator[Member]:
    """Yield the members; the caller reads the ``size`` bytes of each before asking for the next.

    Raises:
        FormatError: when the archive is cut or damaged, or holds a device, a
            FIFO, a sparse file or anything else but files, directories and links.
        PolicyError: when it has more than ``max_entries`` headers.
    """
    attributes: dict[str, str] = {}
    for _ in range(max_entries):
        block = _exactly(stream, BLOCK)
        if not any(block):
            _check_end(stream)
            return
        if not _checksum_fits(block):
            raise FormatError("is a tar with a damaged header")
        kind, size = block[156], _number(block[124:136])
        if kind in b"xgLK":
            found = _extension(kind, stream, size)
            # A global header is about the archive: git writes its commit there.
            attributes |= {} if kind == ord("g") else found
            continue
        member = _member(block, size, attributes)
        attributes = {}
        yield member
        _exactly(stream, -member.size % BLOCK)
    raise PolicyError(f"is a tar of more than {max_entries} members")


def _check_end(stream: BinaryIO) -> None:
    # Reading on also reaches the checksum behind a compressed archive.
    for _ in range(MAX_PADDING // BLOCK):
        padding = stream.read(BLOCK)
        if not padding:
            return
        if any(padding):
            break
    raise FormatError("is a tar with bytes behind its end")


def _member(block: bytes, size: int, attributes: dict[str, str]) -> Member:
    kind = _KINDS.get(block[156])
    if kind is None or any(key.startswith("GNU.sparse") for key in attributes):
        raise FormatError(f"is a tar with a member of type {chr(block[156])!a}, which is no file")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    name = attributes.get("path", name)
    if kind == FILE and name.endswith("/"):
        kind = DIRECTORY
    if "size" in attributes:
        size = _decimal(attributes["size"])
    target = attributes.get("linkpath", _text(block[157:257]))
    return Member(name, kind, size if kind == FILE else 0, "" if kind == FILE else target)


def _extension(kind: int, stream: BinaryIO, size: int) -> dict[str, str]:
    """What a header about the next member says: a long name, or pax attributes."""
    if size > MAX_HEADER:
        raise FormatError(f"is a tar with a header of {size} bytes")
    data = _exactly(stream, size)
    _exactly(stream, -size % BLOCK)
    if kind in b"LK":
        return {"path" if kind == ord("L") else "linkpath": _text(data)}
    attributes: dict[str, str] = {}
    position = 0
    while position < size:
        digits, _, _ = data[position : position + 20].partition(b" ")
        length = _decimal(digits.decode("latin-1"))
        record = data[position : position + length]
        key, sign, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != length or length < len(digits) + 3 or not sign or record[-1:] != b"\n":
            raise FormatError("is a tar with a damaged pax header")
        attributes[key.decode(errors="replace")] = value.decode(errors="surrogateescape")
        position += length
    return attributes


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise FormatError("is a tar that is cut")
    return data


def _checksum_fits(block: bytes) -> bool:
    try:
        told = _number(block[148:156])
    except FormatError:
        return False
    return told == sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def _number(field: bytes) -> int:
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        if field[0] == 0xFF or value >= 1 << 62:
            raise FormatError("is a tar with a number that is out of range")
        return value
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not all(byte in b"01234567" for byte in digits):
        raise FormatError("is a tar with a damaged number")
    return int(digits or b"0", 8)


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise FormatError("is a tar with a damaged pax header")
    return int(text)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode(errors="surrogateescape")
