"""Unpack zip and tar archives where nothing they say can reach outside.

Writes regular files below one directory and nothing else: no links, devices or
modes.  What was written is counted as it is written, whatever headers claim,
and is removed again when the archive is refused half way.
"""

from __future__ import annotations

import errno
import io
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from torchinf_core.errors import DiskSpaceError, FormatError, PolicyError, StoreError
from torchinf_core.verify import tarstream, zipdir
from torchinf_core.verify.streams import open_entry, open_xz
from torchinf_core.verify.tree import MAX_TARGET, Tree

MAX_ENTRIES = zipdir.MAX_ENTRIES
_TYPES = (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


def unpack(
    archive: Path,
    into: Path,
    *,
    strip: int = 0,
    max_bytes: int,
    max_entries: int = MAX_ENTRIES,
) -> list[str]:
    """Write the files of an archive below a directory.

    A link becomes a copy of the file it leads to, which must be another file of
    the archive.  Permissions, owners and times are dropped; empty directories
    are not made.

    Args:
        archive: zip, or tar as such or compressed by gzip, bzip2 or xz.
        into: a directory that nobody else writes to.
        strip: leading path components dropped from each member; members of no
            more components are left out.
        max_bytes: most bytes to write.
        max_entries: most members, directories included.

    Returns:
        the written paths relative to ``into``, sorted.

    Raises:
        FormatError: damaged, encrypted, or a member that is unsafe: an absolute
            or ``..`` path, a device, two members of one name.
        PolicyError: too many members, or a link that leads to no file of the archive.
        SizeLimitError: more than ``max_bytes``.
        StoreError, DiskSpaceError: ``into`` can't be written.
    """
    tree = Tree(into, strip, max_bytes)
    try:
        try:
            with open(archive, "rb") as file:
                _unpack(file, tree, max_entries)
            return tree.finish()
        except BaseException:
            tree.discard()
            raise
    except (FormatError, PolicyError) as error:
        raise type(error)(f"the archive {error}", hint=error.hint) from None
    except (EOFError, zlib.error) as error:
        raise FormatError(f"the archive is cut or damaged: {error}") from None
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise _translated(error, into) from error


def _unpack(file: BinaryIO, tree: Tree, max_entries: int) -> None:
    head = file.read(tarstream.BLOCK)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        _unpack_zip(file, tree, max_entries)
    elif tarstream.looks_like(head):
        file.seek(0)
        _unpack_tar(file, tree, max_entries)
    else:
        decompress = next((use for magic, use in _DECOMPRESS if head.startswith(magic)), _unknown)
        file.seek(0)
        if not tarstream.looks_like(decompress(file).read(tarstream.BLOCK)):
            raise FormatError("is one compressed file, not an archive of files")
        file.seek(0)
        _unpack_tar(decompress(file), tree, max_entries)


def _unpack_zip(file: BinaryIO, tree: Tree, max_entries: int) -> None:
    size = file.seek(0, io.SEEK_END)
    entries = zipdir.read_entries(file, size, max_entries)
    tree.expect(sum(entry.size for entry in entries))
    for entry in entries:
        kind = stat.S_IFMT(entry.mode)
        if kind not in _TYPES:
            raise FormatError(f"holds {entry.name!a}, which is no file")
        with open_entry(file, entry) as stream:
            if kind == stat.S_IFDIR or entry.name.endswith("/"):
                tree.add_directory(entry.name)
            elif kind == stat.S_IFLNK:
                target = stream.read(MAX_TARGET).decode(errors="surrogateescape")
                tree.add_link(entry.name, target, relative=True)
            else:
                size, crc = tree.add_file(entry.name, stream)
                if (size, crc) != (entry.size, entry.crc):
                    raise FormatError(f"holds {entry.name!a}, which has another size or checksum")


def _unpack_tar(stream: BinaryIO, tree: Tree, max_entries: int) -> None:
    for member in tarstream.read_members(stream, max_entries):
        if member.kind == tarstream.DIRECTORY:
            tree.add_directory(member.name)
        elif member.kind == tarstream.FILE:
            size, _ = tree.add_file(member.name, stream, member.size)
            if size != member.size:
                raise FormatError("is a tar that is cut")
        else:
            tree.add_link(member.name, member.target, relative=member.kind == tarstream.SYMLINK)


def _gzip(file: BinaryIO) -> BinaryIO:
    import gzip

    return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))


def _bzip2(file: BinaryIO) -> BinaryIO:
    import bz2

    return cast("BinaryIO", bz2.BZ2File(file))


def _unknown(file: BinaryIO) -> BinaryIO:
    zstd = file.read(4) == b"\x28\xb5\x2f\xfd"
    raise FormatError(
        "is compressed by zstd, which is not supported" if zstd else "is neither zip nor tar",
        hint="unpack it yourself and download the file: file:///path/to/model",
    )


_DECOMPRESS: tuple[tuple[bytes, Callable[[BinaryIO], BinaryIO]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"BZh", _bzip2),
    (b"\xfd7zXZ\0", open_xz),
)


def _translated(error: OSError, into: Path) -> Exception:
    if error.errno is None:  # what the decompressors raise
        return FormatError(f"the archive is damaged: {error}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskSpaceError(f"no space left to unpack the archive below {into}")
    return StoreError(f"the archive can't be unpacked below {into}: {error.strerror}")
