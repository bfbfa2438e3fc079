"""Writing so that it survives: the only module that creates names in the store.

The rule everywhere: complete the content under a temporary name, fsync it,
rename it, fsync the directory, and only then report success.  After a failed
fsync the kernel may have dropped the data and will not say so twice, so a
failure is final: the name is taken back and nothing is tried again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from torchinf_core.errors import StoreError, TorchinfError, from_os_error
from torchinf_core.store.layout import Layout

_counter = 0


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn an ``OSError`` about ``path`` into a StoreError that names the file it is about."""
    try:
        yield
    except TorchinfError:
        raise
    except OSError as error:
        raise from_os_error(error, error.filename or path) from error


def token() -> str:
    """A file name part that no other process, thread or host has."""
    global _counter
    _counter += 1
    return f"{os.getpid()}-{_counter}-{os.urandom(6).hex()}"


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network file systems can't do this for directories at all,
        # which is not a failed write.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def sync_file(path: str) -> None:
    """Make the content of a file durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: str) -> None:
    """Make a directory whose parent exists, durably; fine if it is there."""
    make_directories([path])


def make_directories(paths: Sequence[str]) -> None:
    """Make directories whose parents exist, durably; fine if they are there."""
    parents = set()
    for path in paths:
        try:
            os.mkdir(path)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise NotADirectoryError(
                    errno.ENOTDIR, "is in the way of a directory of the store", path
                ) from None
        else:
            parents.add(os.path.dirname(path))
    for parent in parents:
        sync_directory(parent)


def open_scratch(layout: Layout, suffix: str) -> tuple[int, str]:
    """A new empty file in the scratch directory, owned through its flock.

    Returns:
        Its descriptor, which the caller closes, and its path.
    """
    path = f"{layout.scratch()}/{token()}{suffix}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(layout.scratch(), exist_ok=True)
        fd = os.open(path, flags, 0o666)
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd, path


def write_all(fd: int, data: bytes) -> None:
    """Write everything, in as many steps as the kernel wants."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_file(layout: Layout, target: str, data: bytes, *, replace: bool = True) -> None:
    """Put ``data`` at ``target``, durably and at once.

    Args:
        layout: of the store; the scratch file is made there.
        target: final path; its directory exists.
        data: the whole content.
        replace: False to fail when ``target`` exists.

    Raises:
        FileExistsError: ``target`` exists and ``replace`` is False.
        OSError: nothing changed at ``target``.
    """
    fd, scratch = open_scratch(layout, ".tmp")
    backup = f"{scratch.removesuffix('.tmp')}.old"
    try:
        write_all(fd, data)
        os.fsync(fd)
        with suppress(OSError):
            os.link(target, backup)
        if replace:
            os.rename(scratch, target)
        else:
            _rename_new(scratch, target)
        try:
            sync_directory(os.path.dirname(target))
        except OSError:
            _take_back(target, backup)
            raise
    finally:
        try:
            for leftover in (scratch, backup):
                with suppress(OSError):
                    os.unlink(leftover)
        finally:
            os.close(fd)


def _rename_new(scratch: str, target: str) -> None:
    try:
        os.link(scratch, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here; between this look and the rename somebody else
        # may win, and then be replaced.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "exists", target) from None
        os.rename(scratch, target)


def _take_back(target: str, backup: str) -> None:
    """After a directory fsync failed: the old content if there was one, else nothing."""
    with suppress(OSError):
        if os.path.lexists(backup):
            os.rename(backup, target)
        else:
            os.unlink(target)


def remove_tree(path: str) -> None:
    """Delete a directory and what is in it as far as that can be done."""
    # What it imports takes as long as all else that a load needs of the store.
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def remove_file(path: str) -> bool:
    """Unlink durably; False when there was nothing."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_directory(os.path.dirname(path))
    return True


def open_for_reading(path: str) -> int:
    """A descriptor of a regular file; a link, pipe or directory is refused.

    Raises:
        StoreError: it is something else than a regular file.
        OSError: it can't be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StoreError(f"{path} is not a regular file")
    return fd
