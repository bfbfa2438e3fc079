"""Does a model still have the content its record says?"""

from __future__ import annotations

import os
import stat
from dataclasses import replace

from torchinf_core.store.layout import Layout
from torchinf_core.store.reports import Problem
from torchinf_core.types import Record, StoredFile


def check(layout: Layout, record: Record, *, full: bool) -> list[Problem]:
    """Compare files with their record; see ``Store.check``."""
    directory = layout.model(record.name, record.generation)
    problems: list[Problem] = []
    moved: dict[str, os.stat_result] = {}
    for file in record.files:
        path = f"{directory}/{file.path}"
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            problems.append(_problem(record, file, "missing", path, "is missing"))
            continue
        wrong = _hashed(path, found, file) if full else looked_at(path, found, file)
        if not wrong and found.st_ino != file.inode and _was_moved(found, file):
            moved[file.path] = found
        if wrong:
            problems.append(_problem(record, file, wrong[0], path, wrong[1]))
        elif full:
            problems += _check_blob(layout, record, file, found)
    if not record.files and not os.path.isdir(directory):
        problems.append(Problem("missing", directory, "is missing", record.name))
    if moved and not problems:
        from torchinf_core.store.moved import remember

        # Not beside damage: a repair takes a record that changed for one that was mended.
        remember(layout, record, moved)
    return problems


def _was_moved(found: os.stat_result, file: StoredFile) -> bool:
    """True when a file differs from what was recorded in its inode alone.

    Some archives keep whole seconds of a time.
    """
    if file.inode in (0, found.st_ino):
        return False
    seconds, fraction = divmod(found.st_mtime_ns, 10**9)
    same_second = not fraction and seconds == file.mtime_ns // 10**9
    same_time = found.st_mtime_ns == file.mtime_ns or same_second
    return same_time and stat.S_ISREG(found.st_mode) and found.st_size == file.size


def stamped(file: StoredFile, found: os.stat_result) -> StoredFile:
    """The file with the time and the inode by which the cheap check knows it."""
    return replace(file, mtime_ns=found.st_mtime_ns, inode=found.st_ino)


def looked_at(path: str, found: os.stat_result, file: StoredFile) -> tuple[str, str] | None:
    """The cheap check: kind of the problem and a clause, or None when there is none.

    Raises:
        OSError: the file was moved, and can't be read.
    """
    if not stat.S_ISREG(found.st_mode):
        return "changed", "is not a regular file"
    if found.st_size != file.size:
        return "changed", f"has {found.st_size} bytes, {file.size} are recorded"
    if not file.inode or (found.st_ino, found.st_mtime_ns) == (file.inode, file.mtime_ns):
        return None
    if _was_moved(found, file):
        from torchinf_core.store.moved import is_same

        if is_same(path, found, file):
            return None
    return "changed", "was touched or replaced since it was recorded"


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
