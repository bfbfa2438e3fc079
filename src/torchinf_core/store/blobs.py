"""Blobs: files named by their content, written once and never changed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress

from torchinf_core.store.durable import (
    make_directories,
    make_directory,
    sync_directory,
    sync_file,
    token,
)
from torchinf_core.store.layout import Layout

READ_ONLY = 0o444
AT_ONCE = 16
"""Syncs under way at one time; a file system writes its journal once for many of them."""


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


def add_blobs(layout: Layout, files: Sequence[tuple[str, str]]) -> None:
    """Move many complete, hashed files in place; see ``Store.add_blobs``.

    The steps of :func:`add_blob` for all files at once: their data is synced side
    by side, and each directory once.
    """
    from concurrent.futures import ThreadPoolExecutor

    folders = sorted({os.path.dirname(layout.blob(sha256)) for _, sha256 in files})
    placed: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(sync_file, [file for file, _ in files]))
        make_directories(folders)
        try:
            for file, sha256 in files:
                target = layout.blob(sha256)
                if has_blob(layout, sha256, os.lstat(file).st_size):
                    os.unlink(file)
                    continue
                if os.path.lexists(target):
                    set_aside(layout, target, "blob")
                os.rename(file, target)
                placed.append(target)
                os.chmod(target, READ_ONLY)
            list(pool.map(sync_directory, folders))
            for parent in {os.path.dirname(folder) for folder in folders}:
                sync_directory(parent)
        except OSError:
            for target in placed:
                with suppress(OSError):
                    os.unlink(target)
            raise


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
