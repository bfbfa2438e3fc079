"""Garbage: what no record needs, and what no living process is working on.

Marking and moving happen while the lease is held alone, so nobody is between
adding a blob and writing the record that needs it.  Victims are moved to the
quarantine and deleted after a grace; unfinished work (partials, and blobs that
no model ever used) is left alone for a day, because it can be resumed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from torchinf_core import records
from torchinf_core.store import derived, locks
from torchinf_core.store.blobs import set_aside
from torchinf_core.store.layout import DERIVED_SUFFIX, LINKS_SUFFIX, RECORD_SUFFIX, Layout
from torchinf_core.store.models import delete, weight
from torchinf_core.store.reports import GcReport
from torchinf_core.types import Record
from torchinf_core.warm import model_id

RESUMABLE = 24 * 3600.0
"""Seconds for which unfinished work is kept, in case somebody goes on with it."""


@dataclass(slots=True)
class Marks:
    """What the records need.

    Attributes:
        generations: id → the generation that is in use.
        broken: ids whose record can't be read; nothing of theirs is touched.
        blobs: digests in use.
    """

    generations: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Victims:
    """Paths that can go: the first kind to the quarantine, the second for good."""

    unused: tuple[str, ...]
    dead: tuple[str, ...]
    locked: tuple[str, ...]


def mark(layout: Layout) -> Marks:
    """Read every record."""
    marks = Marks()
    for ident, found in records.scan(layout.path("records"), RECORD_SUFFIX):
        if isinstance(found, Record):
            marks.generations[ident] = found.generation
            marks.blobs.update(file.sha256 for file in found.files)
        else:
            marks.broken.add(ident)
    return marks


def find(layout: Layout, *, locks_work: bool, now: float) -> Victims:
    """What can go.  Without working locks anything younger than a day stays."""
    marks = mark(layout)
    unused = [*_unused_models(layout, marks), *_unused_forms(layout, marks, now)]
    if not locks_work:
        unused = [path for path in unused if _age(path, now) > RESUMABLE]
    needed = _inodes_of(layout, marks.broken)
    leaving = _links_below(unused)
    for path, digest in _blobs(layout):
        with suppress(OSError):
            found = os.lstat(path)
            if digest in marks.blobs or found.st_ino in needed:
                continue
            once_used = found.st_nlink > 1 and leaving.get(found.st_ino, 0) > 0
            if _age(path, now) > RESUMABLE or (once_used and locks_work):
                unused.append(path)
    dead = [path for path in _entries(layout.path("requests")) if _dangles(path, marks)]
    locked = [*_stale_partials(layout, now), *_dead_scratch(layout, locks_work, now)]
    return Victims(tuple(unused), tuple(dead), tuple(locked))


def collect(layout: Layout, *, dry_run: bool, grace: float, locks_work: bool) -> GcReport:
    """Collect garbage; the caller holds the lease alone unless ``dry_run``."""
    now = time.time()
    victims = find(layout, locks_work=locks_work, now=now)
    if dry_run:
        expired = [path for path in _set_aside(layout) if _is_over(path, now, grace)]
        gone = (*victims.dead, *victims.locked, *expired)
        pending = sum(map(weight, _set_aside(layout))) + sum(map(_size, victims.unused))
        freed = sum(map(weight, gone))
        return GcReport(len(gone), freed, len(victims.unused), pending - freed, dry_run=True)
    removed = freed = 0
    for path in victims.unused:
        set_aside(layout, path, "unused")
    _drop_empty_directories(layout)
    for path in victims.dead:
        freed, removed = freed + delete(path), removed + 1
    for path in victims.locked:
        bytes_, count = _delete_unless_owned(path, locks_work=locks_work)
        freed, removed = freed + bytes_, removed + count
    for path in _set_aside(layout):
        if _is_over(path, now, grace):
            freed, removed = freed + delete(path), removed + 1
    pending = sum(map(_size, _set_aside(layout)))
    return GcReport(removed, freed, len(victims.unused), pending, dry_run=False)


def _entries(directory: str) -> list[str]:
    try:
        return [f"{directory}/{name}" for name in sorted(os.listdir(directory))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unused_models(layout: Layout, marks: Marks) -> Iterator[str]:
    for home in _entries(layout.path("models")):
        ident = os.path.basename(home)
        if ident in marks.broken:
            continue
        current = marks.generations.get(ident)
        kept = (current, f"{current}{LINKS_SUFFIX}", f"{current}{DERIVED_SUFFIX}")
        yield from (path for path in _entries(home) if os.path.basename(path) not in kept)


def _unused_forms(layout: Layout, marks: Marks, now: float) -> Iterator[str]:
    for ident, current in marks.generations.items():
        place = f"{layout.path('models')}/{ident}/{current}{DERIVED_SUFFIX}"
        yield from derived.unusable(place, now)


def _drop_empty_directories(layout: Layout) -> None:
    for path in (*_entries(layout.path("models")), *_entries(layout.path("tmp"))):
        if path != layout.scratch():
            with suppress(OSError):
                os.rmdir(path)


def _blobs(layout: Layout) -> Iterator[tuple[str, str]]:
    for directory in _entries(layout.path("blobs/sha256")):
        for path in _entries(directory):
            digest = os.path.basename(path)
            if len(digest) == 64:
                yield path, digest


def _inodes_of(layout: Layout, idents: set[str]) -> set[int]:
    found: set[int] = set()
    for ident in idents:
        found.update(_links_below([f"{layout.path('models')}/{ident}"]))
    return found


def _links_below(paths: list[str]) -> dict[int, int]:
    links: dict[int, int] = {}
    for path in paths:
        for folder, _, names in os.walk(path):
            for name in names:
                with suppress(OSError):
                    inode = os.lstat(f"{folder}/{name}").st_ino
                    links[inode] = links.get(inode, 0) + 1
    return links


def _dangles(path: str, marks: Marks) -> bool:
    try:
        ident = model_id(records.pointed_name(records.read_bytes(path, records.MAX_POINTER)))
    except (OSError, ValueError):
        return True
    return ident not in marks.generations and ident not in marks.broken


def _stale_partials(layout: Layout, now: float) -> list[str]:
    """Unfinished downloads of which no file was touched for a day."""
    groups: dict[str, list[str]] = {}
    for path in _entries(layout.path("partial")):
        groups.setdefault(os.path.splitext(path)[0], []).append(path)
    return [
        path
        for group in groups.values()
        if min(_age(path, now) for path in group) > RESUMABLE
        for path in group
    ]


def _dead_scratch(layout: Layout, locks_work: bool, now: float) -> list[str]:
    paths = [path for boot in _entries(layout.path("tmp")) for path in _entries(boot)]
    return [path for path in paths if locks_work or _age(path, now) > RESUMABLE]


def _delete_unless_owned(path: str, *, locks_work: bool) -> tuple[int, int]:
    """Delete what has no living owner; (bytes, entries).

    A directory and a sidecar belong to the owner of the file they are named after.
    """
    stem, _ = os.path.splitext(path)
    owners = dict.fromkeys([path, f"{stem}.part", f"{stem}.lock", f"{stem}.tmp"])
    held: list[int] = []
    try:
        for owner in owners:
            if locks_work and os.path.isfile(owner):
                fd = locks.take(owner, create=False)
                if fd is None:
                    return 0, 0
                held.append(fd)
        return delete(path), 1
    finally:
        for fd in held:
            os.close(fd)


def _set_aside(layout: Layout) -> list[str]:
    return _entries(layout.path("quarantine"))


def _is_over(path: str, now: float, grace: float) -> bool:
    """True when it was set aside at least ``grace`` seconds ago, or the clock was changed."""
    stamp = os.path.basename(path).split("-")[0]
    return not stamp.isdigit() or abs(now - int(stamp)) >= grace


def _age(path: str, now: float) -> float:
    """Seconds since anything about it changed; renaming and linking count."""
    try:
        return now - os.lstat(path).st_ctime
    except OSError:
        return 0.0


def _size(path: str) -> int:
    if not os.path.isdir(path) or os.path.islink(path):
        with suppress(OSError):
            return os.lstat(path).st_size
        return 0
    return weight(path)
