"""The registry: one JSON record a model, and pointers from requests to names.

There is no index: a name leads to its file, so that writers never meet, adding
costs the same beside any number of models, and damage stays with one model.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from torchinf_core import records
from torchinf_core.errors import NameTakenError, NotCachedError, StoreError
from torchinf_core.frozen import dataclass
from torchinf_core.store.durable import remove_file, sync_directory, translated, write_file
from torchinf_core.store.layout import RECORD_SUFFIX, name_of
from torchinf_core.types import Record
from torchinf_core.warm import model_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchinf_core.store import Store

_REPAIR = "torchinf fsck --repair sets it aside; then download the model again"


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record that can't be read.

    Attributes:
        name: of the model, as far as the file's name tells.
        path: of the file.
        reason: what is wrong with it.
    """

    name: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Every record of a store, in the order of their ids."""

    records: tuple[Record, ...]
    damaged: tuple[Damaged, ...]


class Registry:
    """The records of one store.  Making the object does no I/O.

    An absent store reads as an empty one.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._layout = store.layout

    def get(self, name: str) -> Record:
        """The record of a model.

        Raises:
            NotCachedError: the store has no such model.
            StoreError: its record is damaged or can't be read.
        """
        record = self.find(name)
        if record is None:
            raise NotCachedError(f"the store has no model {name[:200]!r}", hint=self._near(name))
        return record

    def find(self, name: str) -> Record | None:
        """The record of a model, or None.

        Raises:
            StoreError: as for :meth:`get`.
        """
        path = self._layout.record(name)
        try:
            record = records.read(path)
            if record.name != name:
                raise ValueError(f"it is the record of {record.name[:80]!r}")
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StoreError(
                f"the record of {name!r} is damaged: {error} ({path})", hint=_hint(error)
            ) from None
        except OSError:
            with translated(path):
                raise
        return record

    def by_request(self, key: str) -> Record | None:
        """The model that an equal request brought, while it has the same content.

        Reads two small files.  Anything doubtful is None.
        """
        try:
            raw = records.read_bytes(self._layout.request(key), records.MAX_POINTER)
            name = records.pointed_name(raw)
            record = records.read(self._layout.record(name))
        except (OSError, ValueError):
            return None
        if record.name == name and (record.request_key == key or raw == records.pointer(record)):
            return record
        return None

    def put(self, record: Record) -> None:
        """Write a record, in place of any that has its name; durable when this returns.

        Raises:
            UsageError: the name is not one a model may have.
            StoreError: what was there before is still there.
        """
        self._write(record, new=False)

    def amend(self, record: Record, change: Callable[[Record], Record]) -> Record:
        """Change what is said about a model while its content stays.

        Args:
            record: of the model, as it was seen.
            change: makes the new record of the one that is there now, which may
                say more than ``record`` did; nothing is written if they are equal.

        Returns:
            The record that is there now.

        Raises:
            NotCachedError: the model was removed, or has another content by now.
            StoreError: as for :meth:`put`.
        """
        with self.store.lease(), self.store.naming(record.name):
            now = self.get(record.name)
            if now.generation != record.generation:
                raise NotCachedError(
                    f"the content of {record.name!r} was replaced meanwhile", hint="try again"
                )
            changed = change(now)
            if changed != now:
                self.put(changed)
        return changed

    def answers(self, key: str, record: Record) -> None:
        """Let a further request be answered by a record, while that has the same content.

        Raises:
            StoreError: it can't be written.
        """
        with translated(self._layout.request(key)):
            self._point(key, record)

    def remove(self, name: str) -> Record:
        """Forget a model, and free what only it used.

        The record is gone durably before anything else; while a download or
        load holds the lease, the rest is left to ``gc``.

        Raises:
            NotCachedError, StoreError: as for :meth:`get`.
        """
        with self.store.naming(name):
            record = self.get(name)
            path = self._layout.record(name)
            with translated(path):
                if not remove_file(path):
                    raise NotCachedError(f"the store has no model {name!r}", hint=self._near(name))
                self._forget_request(record)
        self.store.reclaim(record)
        return record

    def rename(self, old: str, new: str) -> Record:
        """Give a model another name; its bytes are not copied.

        Raises:
            NotCachedError: there is no ``old``.
            NameTakenError: there is a ``new``.
            UsageError: ``new`` is not a name.
            StoreError: as for :meth:`put`; the model has its old name.
        """
        _check_name(new)
        if old == new:
            return self.get(old)
        first, second = sorted((old, new))  # so that two renames can't wait for each other
        with self.store.lease(), self.store.naming(first), self.store.naming(second):
            record = self.get(old)
            if os.path.lexists(self._layout.record(new)):
                raise _taken(new)
            files = self.store.materialise(new, record.files)
            renamed = replace(record, name=new, files=files)
            self._write(renamed, new=True)
            path = self._layout.record(old)
            with translated(path):
                remove_file(path)
            from torchinf_core.store import derived

            derived.follow(self._layout, old, new, record.generation)
        self.store.reclaim(record)
        return renamed

    def names(self) -> list[str]:
        """The names of all models, sorted; most without opening a file.

        Raises:
            StoreError: the store can't be listed.
        """
        found = []
        for ident in self._idents():
            name = name_of(ident)
            if name is None:
                with suppress(OSError, ValueError):
                    name = records.read(self._path(ident)).name
                name = name or ident
            found.append(name)
        return sorted(found)

    def records(self) -> Listing:
        """Every record, and every file that should be one and is not.

        Raises:
            StoreError: the store can't be listed, or a file in it not be read.
        """
        good: list[tuple[str, Record]] = []
        bad: list[tuple[str, Damaged]] = []
        directory = self._layout.path("records")
        with translated(directory), _without_collector():
            for ident, found in records.scan(directory, RECORD_SUFFIX):
                if isinstance(found, Record):
                    if model_id(found.name) == ident:
                        good.append((ident, found))
                        continue
                    found = ValueError(f"it is the record of {found.name[:80]!r}")
                damaged = Damaged(name_of(ident) or ident, self._path(ident), str(found))
                bad.append((ident, damaged))
        good.sort(key=lambda pair: pair[0])
        bad.sort(key=lambda pair: pair[0])
        return Listing(
            tuple([record for _, record in good]), tuple([damaged for _, damaged in bad])
        )

    def _write(self, record: Record, *, new: bool) -> None:
        _check_name(record.name)
        path = self._layout.record(record.name)
        try:
            data = records.dump(record)
        except ValueError as error:
            raise StoreError(f"the record of {record.name!r} can't be written: {error}") from None
        with translated(path):
            if record.request_key:
                self._point(record.request_key, record)
            try:
                write_file(self._layout, path, data, replace=not new)
            except FileExistsError:
                raise _taken(record.name) from None

    def _point(self, key: str, record: Record) -> None:
        """Before the record: a pointer to nothing is harmless, a missing one costs a resolve."""
        path, data = self._layout.request(key), records.pointer(record)
        with suppress(OSError, ValueError):
            if records.read_bytes(path, records.MAX_POINTER) == data:
                return
        write_file(self._layout, path, data)

    def _forget_request(self, record: Record) -> None:
        if not record.request_key:
            return
        path = self._layout.request(record.request_key)
        with suppress(OSError, ValueError):
            if records.read_bytes(path, records.MAX_POINTER) == records.pointer(record):
                os.unlink(path)
                sync_directory(os.path.dirname(path))

    def _idents(self) -> list[str]:
        directory = self._layout.path("records")
        with translated(directory):
            try:
                names = os.listdir(directory)
            except FileNotFoundError:
                return []
        end = len(RECORD_SUFFIX)
        return [name[:-end] for name in names if name.endswith(RECORD_SUFFIX)]

    def _path(self, ident: str) -> str:
        return f"{self._layout.path('records')}/{ident}{RECORD_SUFFIX}"

    def _near(self, name: str) -> str:
        import difflib

        names: list[str] = []
        with suppress(StoreError):
            names = self.names()
        near = difflib.get_close_matches(name[:200], names[:5000], n=1) if names else []
        return f"did you mean {near[0]!r}?" if near else "torchinf list shows what is there"


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector would run again and again over records that all stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _check_name(name: str) -> None:
    from torchinf_core.refs import check_name

    check_name(name)


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"there is a model {name!r} already", hint="choose another name")


def _hint(error: ValueError) -> str:
    if isinstance(error, records.NewerRecordError):
        return "pip install --upgrade torchinf"
    return _REPAIR
