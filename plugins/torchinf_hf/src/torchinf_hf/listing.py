"""The files of a repository at a commit, as the hub lists them.  Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torchinf_core.types import Json

_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file.

    Attributes:
        path: in the repository.
        size: bytes of the content, or None.
        sha256: of the content, for a large file (LFS).
        git_sha1: git's id of the content, for any other.
        xet: True when the content lies in Xet storage.
        source: the path in the repository, where ``path`` begins further down.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    xet: bool = False
    source: str = ""

    @property
    def etag(self) -> str | None:
        """The name under which the hub and its caches know the content."""
        return self.sha256 or self.git_sha1


def parse_entry(item: object) -> Entry | None:
    """A file of a page of the listing; None for a folder.

    Raises:
        ValueError: it is no entry of a listing.
    """
    if not isinstance(item, Mapping) or not isinstance(item.get("path"), str):
        raise ValueError("an entry without a path")  # noqa: TRY004 - of somebody else's data
    if item.get("type") != "file":
        return None
    lfs = item.get("lfs")
    if isinstance(lfs, Mapping):
        # The entry's own id is then that of a pointer.
        sha256 = _hex(lfs.get("oid", lfs.get("sha256")), _SHA256)
        return Entry(item["path"], _size(lfs.get("size")), sha256, None, bool(item.get("xetHash")))
    return Entry(item["path"], _size(item.get("size")), None, _hex(item.get("oid"), _SHA1))


def _size(value: Json) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 1 << 60 else None


def _hex(value: Json, pattern: re.Pattern[str]) -> str | None:
    text = value.lower() if isinstance(value, str) else ""
    return text if pattern.fullmatch(text) else None
