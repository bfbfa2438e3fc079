"""Making a store, and recognising one."""

from __future__ import annotations

import json
import os
import shutil

from torchinf_core import records
from torchinf_core.errors import StoreError
from torchinf_core.store import locks
from torchinf_core.store.durable import (
    make_directory,
    sync_directory,
    translated,
    write_file,
)
from torchinf_core.store.layout import DIRECTORIES, LAYOUT, Layout, boot_id

_ELSEWHERE = "choose another directory with --cache-dir or TORCHINF_CACHE_DIR"


class UnknownLayoutError(StoreError):
    """VERSION is there and says nothing; a repair may write it anew."""


def prepare(layout: Layout) -> None:
    """Make the layout durably; see ``Store.prepare``."""
    root = layout.root
    with translated(root):
        _make_root(root)
        known = check_version(layout)
        for directory in DIRECTORIES:
            if not os.path.isdir(layout.path(directory)):
                make_directory(layout.path(directory))
        _make_scratch(layout)
        if not known:
            write_version(layout)
        if not os.access(layout.path("records"), os.W_OK):
            raise StoreError(f"{root} can't be written", hint=_ELSEWHERE)


def check_version(layout: Layout) -> bool:
    """False when there is no VERSION yet.

    Raises:
        StoreError: a layout this version does not know.
    """
    path = layout.path("VERSION")
    try:
        document = json.loads(records.read_bytes(path, 4096))
        number = document["layout"]
        if type(number) is not int:
            raise ValueError("its layout is not a number")
    except FileNotFoundError:
        return False
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UnknownLayoutError(
            f"{path} does not say which layout the store has", hint="torchinf fsck --repair"
        ) from None
    if number != LAYOUT:
        raise StoreError(
            f"{layout.root} has the store layout {number}, this torchinf knows {LAYOUT}",
            hint=f"update torchinf, or {_ELSEWHERE}",
        )
    return True


def write_version(layout: Layout) -> None:
    """Say durably which layout the store has."""
    write_file(layout, layout.path("VERSION"), json.dumps({"layout": LAYOUT}).encode() + b"\n")


def _make_root(root: str) -> None:
    if os.path.isdir(root):
        return
    if os.path.islink(root):
        raise StoreError(
            f"{root} is a link to {os.readlink(root)}, which does not exist", hint=_ELSEWHERE
        )
    if os.path.lexists(root):
        raise StoreError(f"{root} is a file, not a directory", hint=_ELSEWHERE)
    parent = os.path.dirname(root)
    if not os.path.isdir(parent):
        os.makedirs(parent, exist_ok=True)
        sync_directory(os.path.dirname(parent))
    try:
        os.mkdir(root, 0o700)
    except FileExistsError:
        return
    sync_directory(parent)


def _make_scratch(layout: Layout) -> None:
    """The scratch directory of this boot; what earlier boots left goes when it is new."""
    if os.path.isdir(layout.scratch()):
        return
    make_directory(layout.scratch())
    directory = layout.path("locks")
    if not locks.usable(directory) or locks.on_network(directory):
        return  # another machine with another boot id may be at work there
    base = layout.path("tmp")
    for name in os.listdir(base):
        if name != boot_id():
            shutil.rmtree(f"{base}/{name}", ignore_errors=True)
