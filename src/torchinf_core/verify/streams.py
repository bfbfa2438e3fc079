"""Parts of files as streams: a section, and a section inflated piece by piece."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from torchinf_core.errors import FormatError
from torchinf_core.verify.zipdir import DEFLATED, Entry

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE = 1 << 16
XZ_MEMORY = 1 << 28


def open_section(file: BinaryIO, start: int, end: int) -> io.BufferedReader:
    """Bytes ``start`` to ``end`` of a file, seekable."""
    return io.BufferedReader(_Section(file, start, end), PIECE)


def open_entry(file: BinaryIO, entry: Entry) -> io.BufferedReader:
    """The content of a zip member; memory stays at a piece whatever it inflates to.

    Reading raises FormatError where the packed bytes are damaged or cut.
    """
    section = _Section(file, entry.start, entry.start + entry.packed)
    raw = _Inflated(section) if entry.method == DEFLATED else section
    return io.BufferedReader(raw, PIECE)


def open_xz(file: BinaryIO) -> BinaryIO:
    """The content of an xz file; reading raises FormatError where it is damaged.

    The standard library's own file class sets no limit to the dictionary, whose
    size the file chooses.
    """
    return cast("BinaryIO", io.BufferedReader(_Xz(file), PIECE))


class _Section(io.RawIOBase):
    """A window of a file; several may be open on one file in turn."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._end, self._position = file, start, end, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._position, io.SEEK_END: self._end}
        self._position = max(self._start, base[whence] + offset)
        return self._position - self._start

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        room = max(0, min(len(view), self._end - self._position))
        self._file.seek(self._position)
        data = self._file.read(room)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


class _Inflated(io.RawIOBase):
    """A raw deflate stream, decompressed by no more than was asked for."""

    def __init__(self, source: io.RawIOBase) -> None:
        self._source = source
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        data = b""
        while not data and not self._inflate.eof and view:
            packed = self._inflate.unconsumed_tail or self._source.read(PIECE) or b""
            try:
                data = self._inflate.decompress(packed, len(view))
            except zlib.error as error:
                raise FormatError(f"has a damaged compressed member: {error}") from None
            if not packed and not data and not self._inflate.eof:
                raise FormatError("has a compressed member that is cut")
        view[: len(data)] = data
        return len(data)


class _Xz(io.RawIOBase):
    """One xz stream, decompressed by no more than was asked for."""

    def __init__(self, source: BinaryIO) -> None:
        from lzma import FORMAT_XZ, LZMADecompressor

        self._source = source
        self._xz = LZMADecompressor(FORMAT_XZ, memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        from lzma import LZMAError

        view = memoryview(buffer)
        data = b""
        while not data and not self._xz.eof and view:
            packed = self._source.read(PIECE) if self._xz.needs_input else b""
            if self._xz.needs_input and not packed:
                raise FormatError("is compressed by xz and cut")
            try:
                data = self._xz.decompress(packed, len(view))
            except LZMAError as error:
                raise FormatError(f"is damaged: {error}") from None
        view[: len(data)] = data
        return len(data)
