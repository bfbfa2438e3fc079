"""Derived artifacts: optimised forms beside the model they were made from.

``models/<id>/<generation>.derived/<digest>/`` holds the files of one form and its
``derived.json``.  Bound by its place to one model of one content, a form goes when
either goes, and what was made from another content is never found.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

from torchinf_core.runtimes import Derived
from torchinf_core.store.durable import make_directory, sync_directory, sync_file, token
from torchinf_core.store.layout import DERIVED_SUFFIX, Layout, generation, is_safe_path
from torchinf_core.types import StoredFile

RECORD = "derived.json"
_MOST = 1 << 20
_FIELDS = {item.name for item in fields(Derived)}


def home(layout: Layout, name: str, parent: str) -> str:
    """Directory of the forms made from one content of a model."""
    return f"{layout.model(name, parent)}{DERIVED_SUFFIX}"


def find(layout: Layout, name: str, parent: str) -> list[tuple[str, Derived]]:
    """Directory and provenance of each form; damaged ones are left out and logged."""
    found = []
    place = home(layout, name, parent)
    try:
        entries = sorted(os.listdir(place))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        directory = f"{place}/{entry}"
        if ".tmp-" in entry:
            continue
        try:
            derived = _read(f"{directory}/{RECORD}")
            if derived.parent != parent:
                raise ValueError("it was made from another content")
            for file in derived.files:
                _compare(f"{directory}/{file.path}", file)
        except (OSError, ValueError, TypeError, KeyError) as error:
            import logging

            logging.getLogger("torchinf").info("derived form %s left out: %s", directory, error)
            continue
        found.append((directory, derived))
    return found


def publish(layout: Layout, name: str, derived: Derived, stage: str) -> str:
    """Keep a form that was built in ``stage``, in place of those for the same device.

    Args:
        layout: of the store.
        name: of the model.
        derived: its provenance; ``files`` are those in ``stage``, hashed.
        stage: directory on the store's file system; moved away.

    Returns:
        The directory that now holds the files; durable.
    """
    place = home(layout, name, derived.parent)
    make_directory(layout.home(name))
    make_directory(place)
    stored = tuple(_stamped(f"{stage}/{file.path}", file) for file in derived.files)
    document = {**asdict(derived), "files": [asdict(file) for file in stored]}
    with open(f"{stage}/{RECORD}", "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False)
    for folder, _, names in os.walk(stage):
        for each in names:
            path = f"{folder}/{each}"
            os.chmod(path, 0o444)
            sync_file(path)
        sync_directory(folder)
    target = f"{place}/{generation(stored)[:32]}-{token().rpartition('-')[2]}"
    os.rename(stage, target)
    sync_directory(place)
    for directory, other in find(layout, name, derived.parent):
        if directory != target and other.device == derived.device:
            discard(directory)
    return target


def follow(layout: Layout, old: str, new: str, parent: str) -> None:
    """Take the forms along when a model gets another name."""
    with suppress(OSError):
        os.rename(home(layout, old, parent), home(layout, new, parent))


def discard(directory: str) -> None:
    """Delete one form; what has its files open or mapped keeps them."""
    with suppress(OSError):
        import shutil

        aside = f"{directory}.tmp-{token()}"
        os.rename(directory, aside)
        shutil.rmtree(aside, ignore_errors=True)


def _stamped(path: str, file: StoredFile) -> StoredFile:
    status = os.lstat(path)
    return StoredFile(
        path=file.path,
        size=status.st_size,
        sha256=file.sha256,
        format=file.format,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
    )


def _compare(path: str, file: StoredFile) -> None:
    status = os.lstat(path)
    seen = (status.st_size, status.st_mtime_ns, status.st_ino)
    if seen != (file.size, file.mtime_ns, file.inode):
        raise ValueError(f"{file.path} was touched since it was made")


def _read(path: str) -> Derived:
    with open(path, "rb") as source:
        data = source.read(_MOST + 1)
    if len(data) > _MOST:
        raise ValueError("its derived.json is too large")
    document = json.loads(data)
    if not isinstance(document, dict) or set(document) != _FIELDS:
        raise ValueError("its derived.json has other fields")
    texts = ("runtime", "label", "format", "device", "precision", "hardware", "parent", "created")
    numbers = ("error", "tolerance", "seconds", "reference_seconds")
    for key in texts:
        _expect(document, key, str)
    for key in numbers:
        _expect(document, key, (int, float))
    for key in ("options", "versions", "shapes"):
        _expect(document, key, dict)
    _expect(document, "files", list)
    files = tuple(StoredFile(**entry) for entry in document.pop("files"))
    for file in files:
        if not is_safe_path(file.path):
            raise ValueError(f"it lists {file.path[:80]!r}")
    shapes = {key: tuple(value) for key, value in document.pop("shapes").items()}
    return Derived(**document, files=files, shapes=shapes)


def _expect(document: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> None:
    if not isinstance(document[key], kind):
        raise ValueError(  # noqa: TRY004 - of a file's content
            f"its {key} is {type(document[key]).__name__}"
        )
