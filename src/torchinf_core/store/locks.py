"""Advisory locks on files that are never deleted: ``flock``, nothing else.

The kernel frees a lock when its holder dies, whatever the clock says.  What a
holder writes into the file is for messages only.  Where locks do not work,
everything here does nothing, and the rest of the store is right without it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from torchinf_core.errors import BusyError, StoreError, from_os_error

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_SHARED = ("nfs", "cifs", "smb", "lustre", "gpfs", "fuse", "9p", "virtiofs", "ceph", "afs")
_LONGEST_PAUSE = 0.1
_usable: dict[tuple[int, int], bool] = {}


def usable(directory: str) -> bool:
    """True when a second lock of one file fails in this directory.

    Tried once per process and directory, with the file ``probe.lock``.
    """
    try:
        found = os.stat(directory)
        key = (found.st_dev, found.st_ino)
        if key not in _usable:
            _usable[key] = _probe(f"{directory}/probe.lock")
        return _usable[key]
    except OSError:
        return False


def _probe(path: str) -> bool:
    first = _open(path)
    second = None
    try:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True  # another process is probing: it excludes us
        second = _open(path)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    finally:
        for fd in (first, second):
            if fd is not None:
                os.close(fd)


def on_network(directory: str) -> bool:
    """True when other machines may write here, whose locks we might not see."""
    try:
        device = os.stat(directory).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.split()
                if fields[2] == wanted:
                    return fields[fields.index("-") + 1].startswith(_SHARED)
    except (OSError, ValueError, IndexError):
        pass
    return False


@contextmanager
def hold(
    path: str,
    *,
    shared: bool,
    timeout: float,
    what: str,
    waiting: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold the lock at ``path``, waiting for it at most ``timeout`` seconds.

    A shared lock of a store that can't be written, or is not there yet, is
    nothing: nobody can collect garbage in it.

    Args:
        path: of the lock file.
        shared: many may hold it, while nobody holds it alone.
        timeout: seconds; 0 does not wait.
        what: what its holder does, as in "the store is in use", for the message.
        waiting: told who holds the lock, when that is first seen and when it changes.

    Raises:
        BusyError: it was not to be had in time; names the holder.
        StoreError: the lock file can't be opened.
    """
    if not usable(os.path.dirname(path)):
        yield
        return
    try:
        fd = _acquire(path, shared=shared, timeout=timeout, what=what, waiting=waiting)
    except OSError as error:
        if isinstance(error, (BusyError, StoreError)):
            raise
        if not (shared and error.errno in (*_READ_ONLY, errno.ENOENT)):
            raise from_os_error(error, path) from error
        fd = None
    try:
        yield
    finally:
        if fd is not None:
            _release(fd)


def take(path: str, *, create: bool) -> int | None:
    """Own the lock at once, alone, or return None; the owner closes the descriptor."""
    try:
        fd = _open(path, create=create)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(fd, path):
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def holder(fd: int) -> str:
    """Who wrote its name into a lock file, as words for a message."""
    try:
        note = json.loads(os.pread(fd, 512, 0))
        pid, host, since = int(note["pid"]), str(note["host"]), float(note["since"])
        here = host == os.uname().nodename
        if here and not os.path.exists(f"/proc/{pid}") and os.path.exists("/proc/self"):
            return "another process"
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return "another process"
    return f"process {pid} on {host}, since {clock}"


def _open(path: str, *, create: bool = True) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return os.open(path, flags | os.O_RDONLY)


def _acquire(
    path: str,
    *,
    shared: bool,
    timeout: float,
    what: str,
    waiting: Callable[[str], None] | None,
) -> int:
    operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
    deadline = time.monotonic() + timeout
    pause, told = 0.001, ""
    fd = _open(path)
    try:
        while True:
            try:
                fcntl.flock(fd, operation)
            except BlockingIOError:
                pass
            else:
                if _is_at(fd, path):
                    _sign(fd)
                    return fd
                # Somebody deleted the file; whoever comes now locks a new one.
                os.close(fd)
                fd = -1
                fd = _open(path)
                continue
            who = holder(fd)
            left = deadline - time.monotonic()
            if left <= 0:
                raise BusyError(
                    f"{what} by {who}" + (f" ({timeout:g} s waited)" if timeout else ""),
                    hint="try again when it is done, or wait longer with --lock-timeout",
                )
            if waiting is not None and who != told:
                waiting(who)
                told = who
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
    except BaseException:
        if fd >= 0:
            os.close(fd)
        raise


def _is_at(fd: int, path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    mine = os.fstat(fd)
    return (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino)


def _sign(fd: int) -> None:
    note = {"pid": os.getpid(), "host": os.uname().nodename, "since": round(time.time(), 3)}
    with suppress(OSError):
        os.pwrite(fd, json.dumps(note).ljust(160).encode() + b"\n", 0)


def _release(fd: int) -> None:
    """Take the name back, unless another holder of a shared lock wrote its own over it."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        if json.loads(os.pread(fd, 512, 0))["pid"] == os.getpid():
            os.ftruncate(fd, 0)
    os.close(fd)
