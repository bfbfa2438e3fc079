"""Derived artifacts: optimised forms beside the model they were made from.

``models/<id>/<generation>.derived/<digest>/`` holds the files of one form and its
``derived.json``; the digest is over both.  Bound by its place to one model of one
content, a form goes when either goes, and what was made from another content is
never found.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import Any

from torchinf_core.hardware import stale
from torchinf_core.runtimes import Derived
from torchinf_core.store import verdicts
from torchinf_core.store.check import looked_at, stamped
from torchinf_core.store.durable import (
    make_directory,
    remove_tree,
    sync_directory,
    sync_file,
    token,
)
from torchinf_core.store.layout import DERIVED_SUFFIX, Layout, is_safe_path
from torchinf_core.types import StoredFile
from torchinf_core.warm import hex_digest

RECORD = "derived.json"
SCHEMA = 1
UNUSED = 30 * 24 * 3600.0
"""Seconds for which a form is kept that is of no use here: other environments of this
machine, and other machines, may share the store."""
_MOST = 1 << 20
_FIELDS = {item.name for item in fields(Derived)} | {"schema"}
_TEXTS = ("runtime", "label", "format", "device", "precision", "hardware", "parent", "created",
          "arch")  # fmt: skip
_NUMBERS = ("error", "tolerance", "seconds", "reference_seconds")


class NewerFormError(ValueError):
    """A later torchinf made this form; it is in order, but not for us."""


def find(layout: Layout, name: str, parent: str) -> list[tuple[str, Derived]]:
    """Directory and provenance of each form; damaged ones are left out and logged."""
    found = []
    for directory in _directories(layout.derived(name, parent)):
        try:
            found.append((directory, read(directory, parent)))
        except (OSError, ValueError) as error:
            import logging

            logging.getLogger("torchinf").info("derived form %s left out: %s", directory, error)
    return found


def read(directory: str, parent: str) -> Derived:
    """The provenance of a form whose files look as they did when it was made.

    Raises:
        NewerFormError: of a later schema.
        ValueError, OSError: it is damaged, or was made from another content.
    """
    with open(f"{directory}/{RECORD}", "rb") as source:
        data = source.read(_MOST + 1)
    if len(data) > _MOST:
        raise ValueError("its derived.json is too large")
    try:
        derived = _parse(json.loads(data))
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"its derived.json is not one: {error}") from None
    if _digest(derived) != os.path.basename(directory):
        raise ValueError("its derived.json was changed")
    if derived.parent != parent:
        raise ValueError("it was made from another content")
    files = tuple(_compared(f"{directory}/{file.path}", file) for file in derived.files)
    if files != derived.files:
        derived = replace(derived, files=files)
        with suppress(OSError):  # of a store that can't be written; the same the next time
            _note(directory, derived)
    return derived


def publish(layout: Layout, name: str, derived: Derived, stage: str) -> str:
    """Keep a form that was built in ``stage``, in place of those it replaces here.

    Args:
        layout: of the store.
        name: of the model.
        derived: its provenance; ``files`` are those in ``stage``, hashed.
        stage: directory on the store's file system; moved away.

    Returns:
        The directory that now holds the files; durable.

    Raises:
        OSError: what was there before is still there.
        ValueError: the provenance holds something that JSON can't.
    """
    place = layout.derived(name, derived.parent)
    stored = tuple(stamped(file, os.lstat(f"{stage}/{file.path}")) for file in derived.files)
    _write(f"{stage}/{RECORD}", replace(derived, files=stored))
    for folder, _, names in os.walk(stage, topdown=False):
        for each in names:
            path = f"{folder}/{each}"
            os.chmod(path, 0o444)
            sync_file(path)
        sync_directory(folder)
    make_directory(layout.home(name))
    make_directory(place)
    target = f"{place}/{_digest(derived)}"
    _move(stage, target)
    retire(layout, name, derived.parent, derived.device, besides=target)
    return target


def retire(layout: Layout, name: str, parent: str, device: str, *, besides: str = "") -> None:
    """Discard the forms for a device that are of use here, except one; others are not ours."""
    for directory, derived in find(layout, name, parent):
        same = derived.device == device and not stale(derived.hardware, derived.versions)
        if same and directory != besides:
            discard(directory)


def follow(layout: Layout, old: str, new: str, parent: str) -> None:
    """Take the forms along when a model gets another name."""
    before, after = layout.derived(old, parent), layout.derived(new, parent)
    with suppress(OSError):
        entries = os.listdir(before)
        make_directory(after)
        for entry in entries:
            # What an earlier model of the new name left was made from the same content.
            with suppress(OSError):
                os.rename(f"{before}/{entry}", f"{after}/{entry}")
        sync_directory(after)
        os.rmdir(before)


def forget(layout: Layout, name: str, parent: str) -> None:
    """Discard every form made from one content, and what is remembered of trying."""
    discard(layout.derived(name, parent))


def discard(directory: str) -> None:
    """Delete one form; what has its files open or mapped keeps them."""
    with suppress(OSError):
        aside = f"{directory}.tmp-{token()}"
        os.rename(directory, aside)
        remove_tree(aside)


def touch(directory: str) -> None:
    """Note that a form was used just now, so that other environments leave it alone."""
    with suppress(OSError):
        os.utime(directory)


def unusable(place: str, now: float) -> Iterator[str]:
    """What ``gc`` may take of the forms and verdicts in ``<generation>.derived``.

    Leftovers and damaged forms at once; what is bound to other hardware or versions
    when nobody has used it for :data:`UNUSED` seconds.  The caller holds the lease alone.
    """
    parent = os.path.basename(place).removesuffix(DERIVED_SUFFIX)
    for path in _entries(place):
        if ".tmp-" in path:
            yield path
            continue
        try:
            if os.path.isdir(path):
                derived = read(path, parent)
                reason = stale(derived.hardware, derived.versions)
            else:
                verdict = verdicts.read(path)
                reason = stale(verdict.hardware, verdict.versions)
        except NewerFormError:
            reason = "it is newer"
        except (OSError, ValueError):
            yield path
            continue
        with suppress(OSError):
            if reason and now - os.lstat(path).st_ctime > UNUSED:
                yield path


def _entries(place: str) -> list[str]:
    try:
        return [f"{place}/{entry}" for entry in sorted(os.listdir(place))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _directories(place: str) -> list[str]:
    return [path for path in _entries(place) if ".tmp-" not in path and os.path.isdir(path)]


def _move(stage: str, target: str) -> None:
    try:
        os.rename(stage, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        # The same form, made in the same second: ours is known to be whole.
        discard(target)
        os.rename(stage, target)
    try:
        sync_directory(os.path.dirname(target))
    except OSError:
        remove_tree(target)
        raise


def _document(derived: Derived) -> dict[str, Any]:
    document = {item.name: getattr(derived, item.name) for item in fields(derived)}
    document["files"] = [
        {"path": file.path, "size": file.size, "sha256": file.sha256, "format": file.format}
        for file in derived.files
    ]
    for key in ("options", "versions"):
        document[key] = dict(document[key])
    document["shapes"] = {key: list(value) for key, value in derived.shapes.items()}
    return {"schema": SCHEMA, **document}


def _digest(derived: Derived) -> str:
    """32 hex digits over the provenance and, through their digests, the files."""
    try:
        text = json.dumps(_document(derived), sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return hex_digest(text.encode())[:32]


def _compared(path: str, file: StoredFile) -> StoredFile:
    """The file as it looks now, when it is the one that was made."""
    found = os.lstat(path)
    if wrong := looked_at(path, found, file):
        raise ValueError(f"{file.path} {wrong[1]}")
    return stamped(file, found)


def _note(directory: str, derived: Derived) -> None:
    """Replace the provenance of a form whose files were moved."""
    new = f"{directory}.tmp-{token()}"
    try:
        _write(new, derived)
        os.chmod(new, 0o444)
        sync_file(new)
        os.rename(new, f"{directory}/{RECORD}")
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new)


def _write(path: str, derived: Derived) -> None:
    document = {**_document(derived), "files": [asdict(file) for file in derived.files]}
    try:
        text = json.dumps(document, indent=1, allow_nan=False)
    except TypeError as error:
        raise ValueError(str(error)) from None
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)


def _parse(document: Mapping[str, Any]) -> Derived:
    schema = document["schema"]
    if type(schema) is not int:
        raise ValueError("it has no schema number")
    if schema != SCHEMA:
        raise NewerFormError(f"it has schema {schema}, this torchinf knows {SCHEMA}")
    if set(document) != _FIELDS:
        raise ValueError("its derived.json has other fields")
    for key in _TEXTS:
        _expect(document, key, str)
    for key in _NUMBERS:
        _expect(document, key, (int, float))
    for key in ("options", "versions", "shapes"):
        _expect(document, key, dict)
    _expect(document, "files", list)
    files = tuple(StoredFile(**entry) for entry in document["files"])
    for file in files:
        if not is_safe_path(file.path):
            raise ValueError(f"it lists {file.path[:80]!r}")
    shapes = {key: tuple(value) for key, value in document["shapes"].items()}
    rest = {k: v for k, v in document.items() if k not in ("schema", "files", "shapes")}
    return Derived(**rest, files=files, shapes=shapes)


def _expect(document: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> None:
    if not isinstance(document[key], kind):
        found = type(document[key]).__name__
        raise ValueError(f"its {key} is {found}")  # noqa: TRY004 - as all damage
