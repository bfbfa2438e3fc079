"""The members of a zip file, read so that no two readers could disagree on them.

Central directory and local headers must say the same, members may not overlap,
share a name, be encrypted or lie outside what the end record describes.  Reads
the directory piece by piece and never a member's content.

Layout: APPNOTE.TXT 6.3.10 of PKWARE.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from torchinf_core.errors import FormatError, PolicyError
from torchinf_core.verify.paths import MAX_PATH_BYTES

MAX_ENTRIES = 100_000
STORED, DEFLATED = 0, 8

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_STREAMED, _UTF8 = 0x0008, 0x0800


@dataclass(frozen=True, slots=True)
class Entry:
    """One member.

    Attributes:
        name: as stored; a directory's ends in ``/``.
        method: ``STORED`` or ``DEFLATED``.
        crc: CRC-32 of the content.
        packed, size: bytes in the archive, and of the content as declared.
        start: where the packed bytes begin in the file.
        mode: Unix file type and permissions, or 0.
    """

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int
    mode: int


def read_entries(file: BinaryIO, size: int, max_entries: int = MAX_ENTRIES) -> list[Entry]:
    """All members by their place in the file.

    Raises:
        FormatError: when the archive is cut, inconsistent, or uses encryption,
            several disks or another compression than deflate.
        PolicyError: when it has more than ``max_entries`` members.
    """
    try:
        begin, end, count = _find_directory(file, size)
        if count > max_entries:
            raise PolicyError(f"is a zip of {count} members; {max_entries} is the limit")
        file.seek(begin)
        central = [_read_central(file) for _ in range(count)]
        if file.tell() != end:
            raise FormatError("is a zip whose directory has another length than it says")
        return _read_members(file, central, begin)
    except struct.error:
        raise FormatError("is a zip that is cut within its directory") from None


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Where the central directory begins and ends, and how many members it lists."""
    tail_at = max(0, size - _END.size - _FULL16)
    file.seek(tail_at)
    tail = file.read(_END.size + _FULL16)
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise FormatError("is a zip without its end: cut, or damaged")
    end_at = tail_at + at
    _, disk, first_disk, here, count, length, begin, comment = _END.unpack_from(tail, at)
    if end_at + _END.size + comment != size:
        raise FormatError("is a zip with bytes behind its end")
    directory_end = end_at
    if end_at >= _LOCATOR.size:
        file.seek(end_at - _LOCATOR.size)
        magic, _, end64_at, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if magic == b"PK\6\7":
            if end64_at > size - _END64.size:
                raise FormatError("is a zip whose second end record lies outside it")
            file.seek(end64_at)
            found = _END64.unpack(file.read(_END64.size))
            wide = found[6:]
            narrow = (here, count, length, begin)
            limits = (_FULL16, _FULL16, _FULL32, _FULL32)
            told = zip(narrow, (wide[0], wide[1], wide[2], wide[3]), limits, strict=True)
            if (
                found[0] != b"PK\6\6"
                or end64_at + 12 + found[1] != end_at - _LOCATOR.size
                or any(short not in (long, full) for short, long, full in told)
            ):
                raise FormatError("is a zip whose two end records contradict each other")
            here, count, length, begin = wide
            disk, first_disk, directory_end = found[4], found[5], end64_at
    if disk or first_disk or here != count:
        raise FormatError("is one part of a split zip")
    if begin + length != directory_end:
        raise FormatError("is a zip with bytes before its first member or behind its directory")
    return begin, directory_end, count


@dataclass(frozen=True, slots=True)
class _Central:
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int


def _read_central(file: BinaryIO) -> _Central:
    fields = _CENTRAL.unpack(file.read(_CENTRAL.size))
    magic, made_by, _, flags, method, _, _, crc, packed, size = fields[:10]
    name_length, extra_length, comment_length, disk, _, attributes, offset = fields[10:]
    if magic != b"PK\1\2" or disk not in (0, _FULL16):
        raise FormatError("is a zip with a damaged directory")
    if not 0 < name_length <= MAX_PATH_BYTES:
        raise FormatError(f"is a zip with a member name of {name_length} bytes")
    raw = file.read(name_length)
    wide = _wide(file.read(extra_length))
    file.seek(comment_length, 1)
    size = wide.pop(0) if size == _FULL32 and wide else size
    packed = wide.pop(0) if packed == _FULL32 and wide else packed
    offset = wide.pop(0) if offset == _FULL32 and wide else offset
    mode = attributes >> 16 if made_by >> 8 == 3 else 0
    return _Central(raw, flags, method, crc, packed, size, offset, mode)


def _read_local(file: BinaryIO, member: _Central) -> Entry:
    name = _decode(member.raw, member.flags)
    if member.flags & _ENCRYPTED:
        raise FormatError(f"is a zip with the encrypted member {ascii(name)[:80]}")
    if member.method not in (STORED, DEFLATED):
        raise FormatError(f"is a zip with the unknown compression {member.method}")
    if member.method == STORED and member.packed != member.size:
        raise FormatError(f"is a zip whose member {ascii(name)[:80]} has two sizes")
    file.seek(member.offset)
    fields = _LOCAL.unpack(file.read(_LOCAL.size))
    magic, _, flags, method, _, _, crc, packed, size, name_length, extra_length = fields
    raw = file.read(name_length) if name_length == len(member.raw) else b""
    wide = _wide(file.read(extra_length)) if _FULL32 in (packed, size) else []
    size = wide.pop(0) if size == _FULL32 and wide else size
    packed = wide.pop(0) if packed == _FULL32 and wide else packed
    same = _ENCRYPTED | _STREAMED | _UTF8
    told, known = (crc, packed, size), (member.crc, member.packed, member.size)
    later = flags & _STREAMED and all(
        short in (0, long) for short, long in zip(told, known, strict=True)
    )
    if (
        magic != b"PK\3\4"
        or raw != member.raw
        or method != member.method
        or (flags ^ member.flags) & same
        or not (told == known or later)
    ):
        raise FormatError(
            f"is a zip that describes its member {ascii(name)[:80]} in two different ways"
        )
    start = member.offset + _LOCAL.size + name_length + extra_length
    return Entry(name, method, member.crc, member.packed, member.size, start, member.mode)


def _read_members(file: BinaryIO, central: list[_Central], limit: int) -> list[Entry]:
    """The members by place, each freed from ``central`` as it is read: there may be many."""
    entries: list[Entry] = []
    central.sort(key=lambda member: member.offset, reverse=True)
    position = 0
    while central:
        member = central.pop()
        if member.offset < position or (not entries and member.offset):
            raise FormatError("is a zip with overlapping members or bytes before the first")
        entries.append(_read_local(file, member))
        position = entries[-1].start + member.packed
    if position > limit:
        raise FormatError("is a zip whose members overlap its directory")
    if len({entry.name for entry in entries}) != len(entries):
        raise FormatError("is a zip with two members of one name")
    return entries


def _wide(extra: bytes) -> list[int]:
    """The 64-bit values of the zip64 extra field, or none."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            field = extra[position + 4 : position + 4 + length]
            return [value for (value,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
        position += 4 + length
    return []


def _decode(raw: bytes, flags: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        if flags & _UTF8:
            raise FormatError("is a zip with a member name that is not UTF-8") from None
        return raw.decode("cp437")
