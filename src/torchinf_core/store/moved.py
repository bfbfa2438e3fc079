"""Files that were moved: copied with their store, synced, or restored from a backup.

Only their inodes tell them from what was recorded, so their content decides.  It
is hashed once: the record gets the new inodes, by which the next look is a cheap
one again.  Imported when something was moved, which is seldom.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from torchinf_core import records
from torchinf_core.store import locks
from torchinf_core.store.check import stamped
from torchinf_core.store.durable import write_file
from torchinf_core.store.layout import Layout
from torchinf_core.types import Record, StoredFile

_known: set[tuple[str, str, int, int, int, int]] = set()
"""What this process has hashed: a store that can't be written remembers nothing."""


def is_same(path: str, found: os.stat_result, file: StoredFile) -> bool:
    """Whether a moved file has the recorded content.

    Args:
        path: of the file.
        found: what was seen there; looked at before the content is read.
        file: as recorded.

    Raises:
        OSError: it can't be read.
    """
    from torchinf_core import verify

    key = (path, file.sha256, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
    if key in _known:
        return True
    if verify.hash_file(path) != (file.sha256, file.size):
        return False
    _known.add(key)
    return True


def remember(layout: Layout, record: Record, moved: Mapping[str, os.stat_result]) -> None:
    """Note in the record how its files look now, where that can be done at once.

    Args:
        layout: of the store.
        record: whose files were moved.
        moved: path in the model → what was seen there before the content was compared.
    """
    fd = None
    if locks.usable(layout.path("locks")):
        # Who changes the name may be our own caller; the next look is soon enough.
        fd = locks.take(layout.lock(f"name:{record.name}"), create=True)
        if fd is None:
            return
    try:
        # ValueError: somebody damaged the record meanwhile.
        with suppress(OSError, ValueError):
            path = layout.record(record.name)
            now = records.read(path)
            if (now.name, now.generation) != (record.name, record.generation):
                return
            files = tuple(
                stamped(file, moved[file.path]) if file.path in moved else file
                for file in now.files
            )
            if files != now.files:
                write_file(layout, path, records.dump(replace(now, files=files)))
    finally:
        if fd is not None:
            os.close(fd)
