"""Blobs: files named by their content, written once and never changed."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress

from torchinf_core.store.durable import make_directory, sync_directory, token
from torchinf_core.store.layout import Layout

READ_ONLY = 0o444


def has_blob(layout: Layout, sha256: str, size: int | None) -> bool:
    """True when the blob is there, and has this size if one is given."""
    try:
        found = os.lstat(layout.blob(sha256))
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and size in (None, found.st_size)


def add_blob(layout: Layout, file: str, sha256: str) -> str:
    """Move a complete, hashed and fdatasynced file in place; see ``Store.add_blob``."""
    target = layout.blob(sha256)
    directory = os.path.dirname(target)
    make_directory(directory)
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(fd).st_size
        if has_blob(layout, sha256, size):
            os.unlink(file)
            sync_directory(directory)  # the winner may not have come to it yet
            return target
        if os.path.lexists(target):
            set_aside(layout, target, "blob")
        os.rename(file, target)
        # After the rename: an unfinished download must stay writable, or a crash
        # in between would leave a partial that its owner can't continue.
        os.fchmod(fd, READ_ONLY)
        try:
            sync_directory(directory)
            sync_directory(os.path.dirname(directory))
        except OSError:
            with suppress(OSError):
                os.unlink(target)
            raise
    finally:
        os.close(fd)
    return target


def set_aside(layout: Layout, path: str, what: str) -> str | None:
    """Move something into the quarantine; None when it is already gone.

    The name begins with the time, because that decides when it may be deleted.
    Not durable: what comes back after a power cut is found again.
    """
    name = f"{int(time.time())}-{token()}-{what}-{os.path.basename(path)}"
    target = f"{layout.path('quarantine')}/{name[:200]}"
    try:
        os.rename(path, target)
    except FileNotFoundError:
        if not os.path.isdir(layout.path("quarantine")):
            raise
        return None
    return target


def quarantine(layout: Layout, sha256: str) -> None:
    """Set a corrupt blob aside, and make every model that shares it notice."""
    moved = set_aside(layout, layout.blob(sha256), "blob")
    if moved is not None:
        # Links share the inode, so this makes the cheap check of each fail.
        with suppress(OSError):
            os.utime(moved, ns=(0, 0), follow_symlinks=False)
