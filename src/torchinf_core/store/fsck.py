"""Check the parts of a store against each other, and mend what can be mended.

Looking hashes only what was moved; a repair hashes what it restores from, so that nothing
gets a name whose content was not compared with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from torchinf_core import records
from torchinf_core.store.blobs import add_blob, has_blob, set_aside
from torchinf_core.store.check import check
from torchinf_core.store.durable import (
    make_directory,
    open_scratch,
    translated,
    write_all,
    write_file,
)
from torchinf_core.store.layout import (
    DIRECTORIES,
    RECORD_SUFFIX,
    Layout,
    name_of,
)
from torchinf_core.store.models import materialise, recount
from torchinf_core.store.prepare import UnknownLayoutError, check_version, write_version
from torchinf_core.store.reports import Problem
from torchinf_core.types import Record, StoredFile
from torchinf_core.warm import model_id

_PASSES = 3


def fsck(layout: Layout, *, repair: bool) -> list[Problem]:
    """See ``Store.fsck``; an absent store is in order."""
    if not os.path.lexists(layout.root):
        return []
    found = _look(layout)
    if not (repair and found):
        return found
    left = found
    # What one model gives back (a blob) may be what another one lacks.
    for _ in range(_PASSES):
        _repair(layout, left)
        before, left = left, _look(layout)
        if not left or left == before:
            break
    still = {(problem.kind, problem.path) for problem in left}
    seen = {(problem.kind, problem.path) for problem in found}
    return [
        *(replace(item, repaired=(item.kind, item.path) not in still) for item in found),
        *(item for item in left if (item.kind, item.path) not in seen),
    ]


def _look(layout: Layout) -> list[Problem]:
    problems = list(_look_at_layout(layout))
    for ident, found in records.scan(layout.path("records"), RECORD_SUFFIX):
        if isinstance(found, Record) and model_id(found.name) == ident:
            problems += check(layout, found, full=False)
            problems += _look_at_blobs(layout, found)
            continue
        reason = f"it is the record of {found.name!r}" if isinstance(found, Record) else str(found)
        kind = "newer" if isinstance(found, records.NewerRecordError) else "record"
        path = f"{layout.path('records')}/{ident}{RECORD_SUFFIX}"
        problems.append(Problem(kind, path, reason, name_of(ident)))
    return problems


def _look_at_layout(layout: Layout) -> Iterator[Problem]:
    message = "is missing"
    try:
        known = check_version(layout)
        if not known and not any(records.scan(layout.path("records"), RECORD_SUFFIX)):
            return  # not a store yet, or one that was not finished
    except UnknownLayoutError:
        known, message = False, "does not say which layout the store has"
    missing = [name for name in DIRECTORIES if not os.path.isdir(layout.path(name))]
    for name in missing:
        yield Problem("layout", layout.path(name), "is missing")
    if not known:
        yield Problem("layout", layout.path("VERSION"), message)


def _look_at_blobs(layout: Layout, record: Record) -> Iterator[Problem]:
    for digest, size in {file.sha256: file.size for file in record.files}.items():
        if not has_blob(layout, digest, size):
            blob = layout.blob(digest)
            message = "has another size than recorded" if os.path.lexists(blob) else "is missing"
            yield Problem("blob", blob, message, record.name, digest)


def _repair(layout: Layout, problems: list[Problem]) -> None:
    for directory in DIRECTORIES:
        if not os.path.isdir(layout.path(directory)):
            make_directory(layout.path(directory))
    for problem in problems:
        if problem.path == layout.path("VERSION"):
            write_version(layout)
        elif problem.kind == "record":
            set_aside(layout, problem.path, "record")
    content = ("missing", "changed", "blob")
    names = [problem.name for problem in problems if problem.kind in content and problem.name]
    for name in dict.fromkeys(names):
        with suppress(FileNotFoundError, ValueError):  # somebody removed it meanwhile
            _mend(layout, records.read(layout.record(name)))


def _mend(layout: Layout, record: Record) -> None:
    """Restore blobs and files from each other, unless some content is nowhere."""
    whole = [_restore_blob(layout, record, file) for file in record.files]
    if all(whole):
        healed = replace(record, files=materialise(layout, record.name, record.files))
        if healed != record:
            write_file(layout, layout.record(record.name), records.dump(healed))


def _restore_blob(layout: Layout, record: Record, file: StoredFile) -> bool:
    """See that the blob is there and right, from the model's own file if need be."""
    from torchinf_core.verify import hash_file

    blob = layout.blob(file.sha256)
    if has_blob(layout, file.sha256, file.size):
        if hash_file(blob)[0] == file.sha256:
            return True
        set_aside(layout, blob, "blob")
    path = f"{layout.model(record.name, record.generation)}/{file.path}"
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    fd, scratch = open_scratch(layout, ".tmp")
    try:
        with translated(path), open(path, "rb") as source:
            while chunk := source.read(1 << 20):
                write_all(fd, chunk)
        os.fdatasync(fd)
        if hash_file(scratch) != (file.sha256, file.size):
            return False
        add_blob(layout, scratch, file.sha256)
        recount(layout, file.sha256)
        return True
    finally:
        os.close(fd)
        with suppress(OSError):
            os.unlink(scratch)
