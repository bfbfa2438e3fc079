"""The files that are served, and the check that what arrived is the same.

They are safetensors files of one random tensor, so that a client that looks at
the content finds a model.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import PeerError

CHUNK = 8 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One served file.

    Attributes:
        path: ``REPO/NAME`` below the server's root.
        size: bytes.
        sha256: in hex.
        git: git's id of a file that the repository itself holds; a file without is
            a large one, of which git has a pointer.
        xet: the Xet hash of a large file that lies in such storage too.
    """

    path: str
    size: int
    sha256: str
    git: str = ""
    xet: str = ""

    @property
    def repo(self) -> str:
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        return self.path.partition("/")[2]


def make(root: Path, path: str, size: int) -> Item:
    """Write a file of ``size`` bytes, unless one of that path and size is there."""
    target = root / path
    if not target.exists() or target.stat().st_size != size:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            head = _header(size)
            file.write(head)
            left = size - len(head)
            while left:
                left -= file.write(os.urandom(min(CHUNK, left)))
    return Item(path, size, digest(target))


def make_text(root: Path, path: str, text: str) -> Item:
    """Write a file that a repository holds itself."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    content = text.encode()
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return Item(path, len(content), digest(target), git)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(folder: Path, items: Iterable[Item]) -> None:
    """See that every item is somewhere below ``folder``, to the last byte.

    Raises:
        PeerError: one is missing or differs.
    """
    wanted = {item.sha256: item.path for item in items}
    seen: set[int] = set()
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file() or path.stat().st_ino in seen:
            continue
        seen.add(path.stat().st_ino)
        wanted.pop(digest(path), None)
    if wanted:
        raise PeerError(f"{len(wanted)} files did not arrive whole, such as {min(wanted.values())}")


def _header(size: int) -> bytes:
    """Opening of a safetensors file of ``size`` bytes, padded with spaces to 128."""
    length = 128
    tensor = {"dtype": "U8", "shape": [size - length], "data_offsets": [0, size - length]}
    text = json.dumps({"weights": tensor}).encode().ljust(length - 8)
    return (length - 8).to_bytes(8, "little") + text
