"""Tells an archive that arrived damaged from one whose members can't be kept."""

from __future__ import annotations

import stat
import zlib
from pathlib import Path
from typing import BinaryIO

from torchinf_core.errors import FormatError, PolicyError
from torchinf_core.verify.streams import PIECE, open_entry
from torchinf_core.verify.zipdir import Entry, read_entries

_KINDS = (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


def is_damaged(path: Path, max_entries: int) -> bool:
    """True when a zip is not as git writes them: contradictions, wrong checksums, odd types.

    Args:
        path: of a zip of which the commit was found right.
        max_entries: most members.
    """
    try:
        with open(path, "rb") as file:
            entries = read_entries(file, path.stat().st_size, max_entries)
            kinds = all(stat.S_IFMT(entry.mode) in _KINDS for entry in entries)
            return not kinds or not all(_is_whole(file, entry) for entry in entries)
    except FormatError:
        return True
    except PolicyError:
        return False


def _is_whole(file: BinaryIO, entry: Entry) -> bool:
    size = crc = 0
    with open_entry(file, entry) as stream:
        while piece := stream.read(PIECE):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            if size > entry.size:
                break
    return (size, crc) == (entry.size, entry.crc)
