"""How the bytes of a store are used."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress

from torchinf_core import records
from torchinf_core.store import gc
from torchinf_core.store.layout import RECORD_SUFFIX, Layout
from torchinf_core.store.reports import Usage
from torchinf_core.types import Record


def usage(layout: Layout, *, locks_work: bool) -> Usage:
    """Add up the store; see :class:`Usage`."""
    by_source: dict[str, dict[str, int]] = {}
    models = damaged = 0
    for _, found in records.scan(layout.path("records"), RECORD_SUFFIX):
        if isinstance(found, Record):
            models += 1
            sizes = by_source.setdefault(found.source, {})
            sizes.update((file.sha256, file.size) for file in found.files)
        else:
            damaged += 1
    victims = gc.find(layout, locks_work=locks_work, now=time.time())
    leaving = _inodes([*victims.unused, *victims.dead, *victims.locked, layout.path("quarantine")])
    return Usage(
        total=_bytes([layout.root]),
        models=models,
        by_source={source: sum(sizes.values()) for source, sizes in sorted(by_source.items())},
        blobs=_bytes([layout.path("blobs"), layout.path("models")]),
        partials=_bytes([layout.path("partial")]),
        reclaimable=sum(size for size, links, seen in leaving.values() if seen >= links),
        damaged=damaged,
    )


def _bytes(paths: Iterable[str]) -> int:
    """Bytes of all files below, each inode once."""
    return sum(size for size, _, _ in _inodes(paths).values())


def _inodes(paths: Iterable[str]) -> dict[int, tuple[int, int, int]]:
    """Inode → bytes, number of links, and how many of those are below ``paths``."""
    found: dict[int, tuple[int, int, int]] = {}
    stack = list(paths)
    while stack:
        path = stack.pop()
        with suppress(OSError):
            if os.path.isdir(path) and not os.path.islink(path):
                with os.scandir(path) as entries:
                    stack.extend(entry.path for entry in entries)
                continue
            status = os.lstat(path)
            count = found[status.st_ino][2] + 1 if status.st_ino in found else 1
            found[status.st_ino] = (status.st_size, status.st_nlink, count)
    return found
