"""Does a model still have the content its record says?"""

from __future__ import annotations

import os
import stat

from torchinf_core.store.layout import Layout
from torchinf_core.store.reports import Problem
from torchinf_core.types import Record, StoredFile


def check(layout: Layout, record: Record, *, full: bool) -> list[Problem]:
    """Compare files with their record; see ``Store.check``."""
    directory = layout.model(record.name, record.generation)
    problems: list[Problem] = []
    for file in record.files:
        path = f"{directory}/{file.path}"
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            problems.append(_problem(record, file, "missing", path, "is missing"))
            continue
        wrong = _hashed(path, found, file) if full else _looked_at(found, file)
        if wrong:
            problems.append(_problem(record, file, wrong[0], path, wrong[1]))
        elif full:
            problems += _check_blob(layout, record, file, found)
    if not record.files and not os.path.isdir(directory):
        problems.append(Problem("missing", directory, "is missing", record.name))
    return problems


def is_as_recorded(found: os.stat_result, file: StoredFile) -> bool:
    """The cheap check: size, and time and inode where they are recorded."""
    return _looked_at(found, file) is None


def _looked_at(found: os.stat_result, file: StoredFile) -> tuple[str, str] | None:
    if not stat.S_ISREG(found.st_mode):
        return "changed", "is not a regular file"
    if found.st_size != file.size:
        return "changed", f"has {found.st_size} bytes, {file.size} are recorded"
    if file.inode and (found.st_ino, found.st_mtime_ns) != (file.inode, file.mtime_ns):
        return "changed", "was touched or replaced since it was recorded"
    return None


def _hashed(path: str, found: os.stat_result, file: StoredFile) -> tuple[str, str] | None:
    from torchinf_core.verify import hash_file

    if not stat.S_ISREG(found.st_mode):
        return "changed", "is not a regular file"
    if found.st_size != file.size:
        return "corrupt", f"has {found.st_size} bytes, {file.size} are recorded"
    actual, _ = hash_file(path)
    if actual != file.sha256:
        return "corrupt", f"has the sha256 {actual}, {file.sha256} is recorded"
    return None


def _check_blob(
    layout: Layout, record: Record, file: StoredFile, found: os.stat_result
) -> list[Problem]:
    """A copy can be right while the blob that later models would share is not."""
    blob = layout.blob(file.sha256)
    try:
        other = os.lstat(blob)
    except FileNotFoundError:
        return []
    if os.path.samestat(found, other):
        return []
    wrong = _hashed(blob, other, file)
    return [_problem(record, file, "blob", blob, wrong[1])] if wrong else []


def _problem(record: Record, file: StoredFile, kind: str, path: str, message: str) -> Problem:
    return Problem(kind, path, message, record.name, file.sha256)
