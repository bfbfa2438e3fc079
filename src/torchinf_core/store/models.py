"""The directory of a model: real files under their own names, built beside and renamed.

Files are hard links to blobs.  ONNX models with external data get copies (on
file systems that can, reflinks), because ONNX refuses weights that are links;
a hidden link beside the copies keeps the link count of a blob equal to the
number of its users.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from torchinf_core.errors import StoreError
from torchinf_core.store.blobs import READ_ONLY, set_aside
from torchinf_core.store.durable import make_directory, open_for_reading, sync_directory, token
from torchinf_core.store.layout import (
    DERIVED_SUFFIX,
    LINKS_SUFFIX,
    Layout,
    generation,
    is_safe_path,
)
from torchinf_core.types import StoredFile

_FICLONE = 0x40049409
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)


def wants_copies(files: Sequence[StoredFile]) -> bool:
    """True when the files include an ONNX graph that may refer to others."""
    return len(files) > 1 and any(
        file.format == "onnx" or file.path.lower().endswith(".onnx") for file in files
    )


def materialise(layout: Layout, name: str, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
    """Build ``models/<id>/<generation>/``; see ``Store.materialise``."""
    for file in files:
        if not is_safe_path(file.path):
            raise StoreError(f"{file.path[:200]!r} can't be the path of a file of a model")
    ordered = sorted(files, key=lambda file: file.path)
    home, target = layout.home(name), layout.model(name, generation(ordered))
    make_directory(home)
    if _is_whole(layout, target, ordered):
        sync_directory(home)
        return _stamped(target, ordered)
    before = _inode(target)
    stage = f"{target}.tmp-{token()}"
    try:
        _build(layout, stage, f"{target}{LINKS_SUFFIX}", ordered)
        # What came meanwhile was built by another process and is as good as ours.
        aside = None
        if before != -1 and _inode(target) == before:
            aside = set_aside(layout, target, "model")
        try:
            os.rename(stage, target)
        except OSError as error:
            if aside is not None:
                with suppress(OSError):
                    os.rename(aside, target)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(stage, ignore_errors=True)
        try:
            sync_directory(home)
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
            raise
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    return _stamped(target, ordered)


def _is_whole(layout: Layout, target: str, files: Sequence[StoredFile]) -> bool:
    """True when the directory has exactly the files, each the very blob or equal to it.

    Replacing a directory takes two renames, so an intact one is never replaced.
    """
    copies = wants_copies(files)
    try:
        if sum(len(names) for _, _, names in os.walk(target)) != len(files):
            return False
        return os.path.isdir(target) and all(
            _is_right(f"{target}/{file.path}", layout.blob(file.sha256), file, copies=copies)
            for file in files
        )
    except OSError:
        return False


def _is_right(path: str, blob: str, file: StoredFile, *, copies: bool) -> bool:
    found = os.lstat(path)
    if not copies and os.path.samestat(found, os.lstat(blob)):
        return True
    if not stat.S_ISREG(found.st_mode) or (copies and found.st_nlink != 1):
        return False
    from torchinf_core.verify import hash_file

    return found.st_size == file.size and hash_file(path)[0] == file.sha256


def _stamped(target: str, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
    stamped = []
    for file in files:
        found = os.lstat(f"{target}/{file.path}")
        stamped.append(replace(file, mtime_ns=found.st_mtime_ns, inode=found.st_ino))
    return tuple(stamped)


def _build(layout: Layout, stage: str, links: str, files: Sequence[StoredFile]) -> None:
    copies = wants_copies(files)
    os.mkdir(stage)
    for file in files:
        path = f"{stage}/{file.path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        blob = layout.blob(file.sha256)
        if copies or not _link(blob, path):
            _copy(blob, path)
            _keep_count(blob, links)
    if os.path.isdir(links):
        sync_directory(links)
    for directory, _, _ in os.walk(stage, topdown=False):
        sync_directory(directory)


def _link(blob: str, path: str) -> bool:
    try:
        os.link(blob, path, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    if os.lstat(path).st_mode & 0o222:
        os.chmod(path, READ_ONLY)  # its writer died between the rename and this
    return True


def _keep_count(blob: str, links: str) -> None:
    """Link the blob out of sight, so that its link count still says who uses it."""
    with suppress(FileExistsError):
        os.mkdir(links)
    try:
        os.link(blob, f"{links}/{os.path.basename(blob)}", follow_symlinks=False)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise


def recount(layout: Layout, sha256: str) -> None:
    """Let the models that hold copies count the blob that took the place of a bad one."""
    blob = layout.blob(sha256)
    for folder, inner, names in os.walk(layout.path("models")):
        if folder.endswith(LINKS_SUFFIX):
            inner.clear()
            held = f"{folder}/{os.path.basename(blob)}"
            if os.path.basename(blob) in names and _inode(held) != _inode(blob):
                os.unlink(held)
                _keep_count(blob, folder)


def _copy(blob: str, path: str) -> None:
    source = open_for_reading(blob)
    try:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.ioctl(target, _FICLONE, source)
            except OSError:
                while chunk := os.read(source, 1 << 20):
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(target, view) :]
            os.fchmod(target, READ_ONLY)
            os.fsync(target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def discard(layout: Layout, name: str, made: str, sha256s: Sequence[str]) -> int:
    """Delete a model's directory and the blobs nobody else uses; the bytes that came free.

    The caller holds the lease alone and has deleted the record.  Blobs of which
    the links do not tell their users are left to ``gc``.
    """
    target = layout.model(name, made)
    links = f"{target}{LINKS_SUFFIX}"
    inodes = {*_inodes(target), *_inodes(links)}
    countable = [path for path in map(layout.blob, set(sha256s)) if _inode(path) in inodes]
    freed = 0
    for path in (target, links, f"{target}{DERIVED_SUFFIX}"):
        moved = set_aside(layout, path, "model")
        if moved is not None:
            freed += delete(moved)
    with suppress(OSError):
        os.rmdir(layout.home(name))
    for blob in countable:
        with suppress(FileNotFoundError):
            if os.lstat(blob).st_nlink == 1:
                freed += delete(blob)
    return freed


def _inode(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return -1


def _inodes(directory: str) -> set[int]:
    return {_inode(f"{folder}/{name}") for folder, _, names in os.walk(directory) for name in names}


def delete(path: str) -> int:
    """Delete a file or a tree; the bytes that came free.  Never truncates."""
    freed = weight(path)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)
    return freed


def weight(path: str) -> int:
    """Bytes that come free when a file or a tree is deleted: those with no other link."""
    total = 0
    with suppress(OSError):
        found = os.lstat(path)
        if not os.path.isdir(path) or os.path.islink(path):
            return found.st_size if found.st_nlink == 1 else 0
    for directory, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                found = os.lstat(f"{directory}/{name}")
                total += found.st_size if found.st_nlink == 1 else 0
    return total
