"""A directory being filled with the members of an archive, or emptied again.

Every path is checked, opened exclusively and counted here, so the readers of
the archive formats can't get it wrong one by one.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from torchinf_core.errors import FormatError, PolicyError, SizeLimitError
from torchinf_core.verify.paths import check_path, fold_path

PIECE = 1 << 18
MAX_TARGET = 4096
MAX_CHAIN = 40
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """What an archive has put below ``root`` so far.

    Args:
        root: the directory, made if it is missing.
        strip: leading components dropped from each member's path.
        max_bytes: most bytes written, copies for links included.
    """

    def __init__(self, root: Path, strip: int, max_bytes: int) -> None:
        self._root, self._strip, self._max_bytes = root, strip, max_bytes
        self._bytes = 0
        self._files: dict[str, str] = {}  # path in the archive → path below root
        self._links: dict[str, tuple[str, str | None]] = {}  # the same → target there, own path
        self._keys: dict[str, bool] = {}  # folded path → whether it is a directory
        self._made: list[tuple[str, Callable[[str], None]]] = []

    def add_file(self, name: str, content: BinaryIO, size: int | None = None) -> tuple[int, int]:
        """Write a file from the next ``size`` bytes of ``content``, or from all.

        Returns:
            the bytes there were and their CRC-32.
        """
        path, place = self._claim(name)
        if place is None:
            return self._copy(content, None, size)
        self._files[path] = place
        with self._create(place) as file:
            return self._copy(content, file, size)

    def add_directory(self, name: str) -> None:
        """Note that the archive has this directory; it is made with its first file."""
        if any(part != "." for part in name.rstrip("/").split("/")) or name.startswith("/"):
            self._claim(name.rstrip("/"), directory=True)

    def add_link(self, name: str, target: str, *, relative: bool) -> None:
        """Note a link to be turned into a copy of its target by :meth:`finish`.

        Args:
            name: path of the link in the archive.
            target: path it leads to.
            relative: seen from the link's directory, not from the archive's root.
        """
        path, place = self._claim(name)
        parts = path.split("/")[:-1] if relative else []
        for part in target.split("/"):
            if part == ".." and parts:
                parts.pop()
            elif part == ".." or target.startswith("/"):
                raise PolicyError(f"holds the link {name!a}, which leads outside: {target!a:.200}")
            elif part not in ("", "."):
                parts.append(part)
        self._links[path] = ("/".join(parts), place)

    def expect(self, count: int) -> None:
        """Refuse a declared size over the limit before anything is written."""
        if self._bytes + count > self._max_bytes:
            raise SizeLimitError(
                f"unpacks to at least {self._bytes + count} bytes; "
                f"max_bytes allows {self._max_bytes}",
                hint="set TORCHINF_MAX_BYTES higher if you trust the source",
            )

    def finish(self) -> list[str]:
        """Make the copies for links and return all paths below the root, sorted."""
        written = list(self._files.values())
        for path, (_, place) in self._links.items():
            if place is not None:
                source = self._follow(path)
                with open(self._root / source, "rb") as content, self._create(place) as file:
                    self._copy(content, file, None)
                written.append(place)
        return sorted(written)

    def discard(self) -> None:
        """Remove everything that was made, and nothing else."""
        for path, remove in reversed(self._made):
            try:
                remove(path)
            except OSError:  # something else is in there, or it is gone already
                continue
        self._made.clear()

    def _claim(self, name: str, *, directory: bool = False) -> tuple[str, str | None]:
        """The member's safe path, and where it goes unless it is stripped away."""
        path = check_path("/".join(part for part in name.split("/") if part != "."))
        rest = path.split("/", self._strip)[self._strip :]
        if not rest:
            return path, None
        key = fold_path(rest[0])
        if key in self._keys and not (directory and self._keys[key]):
            raise FormatError(f"holds {path!a} twice, at least for some file systems")
        self._keys[key] = directory
        while key := key.rpartition("/")[0]:
            if not self._keys.setdefault(key, True):
                raise FormatError(f"holds {path!a} below something that is a file")
        return path, rest[0]

    def _follow(self, link: str) -> str:
        path = link
        for _ in range(MAX_CHAIN):
            if path in self._files:
                return self._files[path]
            if path not in self._links:
                break
            path = self._links[path][0]
        raise PolicyError(f"holds the link {link!a}, which leads to no file of the archive")

    def _create(self, place: str) -> BinaryIO:
        folder = self._root
        self._make(folder)
        for part in place.split("/")[:-1]:
            folder /= part
            self._make(folder)
        path = str(self._root / place)
        descriptor = os.open(path, _CREATE, 0o644)
        self._made.append((path, os.unlink))
        return open(descriptor, "wb", buffering=0)

    def _make(self, folder: Path) -> None:
        try:
            os.mkdir(folder, 0o755)
            self._made.append((str(folder), os.rmdir))
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                raise

    def _copy(self, content: BinaryIO, file: BinaryIO | None, size: int | None) -> tuple[int, int]:
        done = crc = 0
        while piece := content.read(PIECE if size is None else min(PIECE, size - done)):
            done += len(piece)
            crc = zlib.crc32(piece, crc)
            self.expect(len(piece))
            self._bytes += len(piece)
            if file is not None:
                _write(file, piece)
        return done, crc


def _write(file: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]
