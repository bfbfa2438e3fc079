"""Check the parts of a store against each other, and mend what can be mended.

Looking hashes nothing; a repair hashes what it restores from, so that nothing
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
from torchinf_core.store.models import materialise
from torchinf_core.store.prepare import check_version, write_version
from torchinf_core.store.reports import Problem
from torchinf_core.types import Record, StoredFile
from torchinf_core.warm import model_id


def fsck(layout: Layout, *, repair: bool) -> list[Problem]:
    """See ``Store.fsck``; an absent store is in order."""
    if not os.path.lexists(layout.root):
        return []
    problems = [*_check_layout(layout, repair=repair)]
    for ident, found in records.scan(layout.path("records"), RECORD_SUFFIX):
        if isinstance(found, Record) and model_id(found.name) != ident:
            found = ValueError(f"it is the record of {found.name!r}")
        if isinstance(found, Record):
            problems += _check_model(layout, found, repair=repair)
        else:
            problems.append(_check_record(layout, ident, found, repair=repair))
    return problems


def _check_layout(layout: Layout, *, repair: bool) -> Iterator[Problem]:
    from torchinf_core.errors import StoreError

    path = layout.path("VERSION")
    message = "is missing"
    try:
        known = check_version(layout)
    except StoreError as error:
        if error.hint != "torchinf fsck --repair":
            raise
        known, message = False, "does not say which layout the store has"
    missing = [name for name in DIRECTORIES if not os.path.isdir(layout.path(name))]
    if known or missing != list(DIRECTORIES):
        for name in missing:
            if repair:
                make_directory(layout.path(name))
            yield Problem("layout", layout.path(name), "is missing", repaired=repair)
        if not known:
            if repair:
                write_version(layout)
            yield Problem("layout", path, message, repaired=repair)


def _check_record(layout: Layout, ident: str, reason: ValueError, *, repair: bool) -> Problem:
    path = f"{layout.path('records')}/{ident}{RECORD_SUFFIX}"
    mends = repair and not isinstance(reason, records.NewerRecordError)
    if mends:
        set_aside(layout, path, "record")
    return Problem("record", path, str(reason), name_of(ident), repaired=mends)


def _check_model(layout: Layout, record: Record, *, repair: bool) -> list[Problem]:
    problems = check(layout, record, full=False)
    for digest, size in {file.sha256: file.size for file in record.files}.items():
        if not has_blob(layout, digest, size):
            blob = layout.blob(digest)
            message = "has another size than recorded" if os.path.lexists(blob) else "is missing"
            problems.append(Problem("blob", blob, message, record.name, digest))
    if not (repair and problems):
        return problems
    mended = _mend(layout, record)
    return [replace(problem, repaired=mended) for problem in problems]


def _mend(layout: Layout, record: Record) -> bool:
    """Restore blobs and files from each other; False when some content is nowhere."""
    whole = [_restore_blob(layout, record, file) for file in record.files]
    if not all(whole):
        return False
    files = materialise(layout, record.name, record.files)
    healed = replace(record, files=files)
    if healed != record:
        write_file(layout, layout.record(record.name), records.dump(healed))
    return True


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
        return True
    finally:
        os.close(fd)
        with suppress(OSError):
            os.unlink(scratch)
