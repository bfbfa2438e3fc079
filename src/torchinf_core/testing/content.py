"""What the testing hub serves: bytes, files, and damaged or made-up variants of them.

A content is a size and a way to read any part of it, so that a body of many
gigabytes costs no memory.  Reads files that a test handed in, nothing else.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Content(Protocol):
    """Bytes of a known size."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def read(self, start: int, stop: int) -> bytes | memoryview:
        """The bytes from ``start`` up to ``stop``; both lie within the size."""
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes held in memory."""

    raw: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.raw)

    def read(self, start: int, stop: int) -> memoryview:
        """A view of a part."""
        return memoryview(self.raw)[start:stop]


@dataclass(frozen=True, slots=True)
class FileData:
    """A file; the kernel sends it without a copy where it can."""

    path: Path
    size: int

    def read(self, start: int, stop: int) -> bytes:
        """A part of the file."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A pattern over and over, up to ``size`` bytes."""

    pattern: bytes
    size: int

    def read(self, start: int, stop: int) -> bytes:
        """A part of the repetition."""
        shift = start % len(self.pattern)
        turns = (shift + stop - start) // len(self.pattern) + 1
        return (self.pattern * turns)[shift : shift + stop - start]


@dataclass(frozen=True, slots=True)
class Damaged:
    """Another content with the bits of ``mask`` flipped in the bytes ``start..stop``."""

    base: Content
    start: int
    stop: int
    mask: int = 1

    @property
    def size(self) -> int:
        """Bytes, the same as of the sound content."""
        return self.base.size

    def read(self, start: int, stop: int) -> bytes:
        """A part, damaged where the damage lies."""
        block = bytearray(self.base.read(start, stop))
        first, last = max(start, self.start) - start, min(stop, self.stop) - start
        if first < last:
            table = bytes(byte ^ self.mask for byte in range(256))
            block[first:last] = block[first:last].translate(table)
        return bytes(block)


@dataclass(frozen=True, slots=True)
class Shifted:
    """Another content read ``by`` bytes further on, wrapping around at its end."""

    base: Content
    by: int

    @property
    def size(self) -> int:
        """Bytes, the same as of the base."""
        return self.base.size

    def read(self, start: int, stop: int) -> bytes:
        """A part of the shifted content."""
        begin = (start + self.by) % self.size
        end = begin + stop - start
        head = bytes(self.base.read(begin, min(end, self.size)))
        return head + bytes(self.base.read(0, end - self.size)) if end > self.size else head


def as_content(source: bytes | Path | Content) -> Content:
    """The content of what a test hands in."""
    if isinstance(source, bytes | bytearray | memoryview):
        return Data(bytes(source))
    if isinstance(source, Path):
        return FileData(source, source.stat().st_size)
    return source


def gzip_bomb(size: int) -> Data:
    """A gzip stream of a thousandth of ``size`` that decodes to that many zeros.

    The stream is built from one repeated block, so making it is fast; the
    checksum at its end is wrong, which nobody sees who stops in time.
    """
    block = 1 << 24
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return Data(head + packed * -(-size // block) + b"\x03\x00" + bytes(8))
