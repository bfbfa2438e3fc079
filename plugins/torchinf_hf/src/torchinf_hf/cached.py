"""Files that the hub's own tools have already fetched: found by their entity tag.

They are named, not read: the core copies one only when its digest proves it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from torchinf_hf.endpoint import cache_folder
from torchinf_hf.listing import Entry


class Cache:
    """The folders of one repository in the hub's cache.

    Args:
        repos: its ids, now and before a renaming.
    """

    def __init__(self, repos: Sequence[str]) -> None:
        folder = cache_folder()
        names = ("models--" + repo.replace("/", "--") for repo in dict.fromkeys(repos))
        blobs = (os.path.join(folder, name, "blobs") for name in names)
        self._folders = [path for path in blobs if os.path.isdir(path)]

    def find(self, entry: Entry) -> tuple[str, ...]:
        """Paths that may hold the content of a file."""
        if entry.etag is None:
            return ()
        paths = (os.path.join(folder, entry.etag) for folder in self._folders)
        return tuple(path for path in paths if _is_whole(path, entry.size))


def _is_whole(path: str, size: int | None) -> bool:
    try:
        return os.path.isfile(path) and size in (None, os.path.getsize(path))
    except OSError:
        return False
