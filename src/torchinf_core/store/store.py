"""The face of the store; each method says what is durable when it returns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core.errors import DiskSpaceError, StoreError
from torchinf_core.store import durable, locks
from torchinf_core.store.layout import Layout, check_key

if TYPE_CHECKING:
    from torchinf_core.store.reports import GcReport, Problem, Usage
    from torchinf_core.types import Record, StoredFile


class Store:
    """One store on one file system.  Making the object does no I/O.

    Args:
        root: directory; need not exist.
        lock_timeout: seconds to wait for another process.
    """

    def __init__(self, root: str | Path, *, lock_timeout: float = 3600.0) -> None:
        self.layout = Layout(os.path.abspath(root))
        self.lock_timeout = lock_timeout

    @property
    def root(self) -> Path:
        """The store's directory, absolute."""
        return Path(self.layout.root)

    def prepare(self) -> None:
        """Make the directories, and see that the store is one we can write.

        Raises:
            StoreError: the path is a file, a dangling link, read-only, or a
                store of a later layout.
        """
        from torchinf_core.store.prepare import prepare

        prepare(self.layout)

    @property
    def locks_work(self) -> bool:
        """True when locks exclude every other writer, so that a file has one owner.

        False where ``flock`` does nothing and on network file systems, where it
        may not reach other machines.
        """
        directory = self.layout.path("locks")
        return locks.usable(directory) and not locks.on_network(directory)

    def lease(
        self, *, waiting: Callable[[str], None] | None = None
    ) -> AbstractContextManager[None]:
        """Keep garbage collection away while a download or load is between two steps.

        Many hold it together.  Nothing where locks do not work or the store
        can't be written.
        """
        return self._gc_lock(shared=True, waiting=waiting)

    def single_flight(
        self, key: str, *, waiting: Callable[[str], None] | None = None
    ) -> AbstractContextManager[None]:
        """Let one process at a time do what ``key`` stands for; saves bandwidth only.

        Args:
            key: any text.
            waiting: told who holds it (``process 17 on host, since …``).

        Raises:
            BusyError: on entering, after ``lock_timeout`` seconds.
        """
        return locks.hold(
            self.layout.lock(key),
            shared=False,
            timeout=self.lock_timeout,
            what="the same content is being fetched",
            waiting=waiting,
        )

    def naming(self, name: str) -> AbstractContextManager[None]:
        """Let one process at a time change what a name stands for.

        Raises:
            BusyError: on entering, after ``lock_timeout`` seconds.
        """
        return locks.hold(
            self.layout.lock(f"name:{name}"),
            shared=False,
            timeout=self.lock_timeout,
            what=f"the name {name[:80]!r} is being changed",
        )

    def partial(self, key: str) -> Path:
        """Path of an unfinished download."""
        return Path(self.layout.path("partial"), check_key(key) + ".part")

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A fresh empty directory on the store's file system, removed afterwards."""
        with durable.translated(self.layout.path("tmp")):
            fd, owner = durable.open_scratch(self.layout, ".lock")
        path = f"{owner.removesuffix('.lock')}.d"
        try:
            with durable.translated(path):
                os.mkdir(path, 0o700)
            yield Path(path)
        finally:
            durable.remove_tree(path)
            with suppress(OSError):
                os.unlink(owner)
            os.close(fd)

    def check_space(self, need: int) -> None:
        """See that ``need`` bytes fit.

        Raises:
            DiskSpaceError: they don't; says how much is free.
        """
        place = self.layout.root
        while not os.path.exists(place):
            place = os.path.dirname(place)
        with durable.translated(place):
            found = os.statvfs(place)
        free = found.f_bavail * found.f_frsize
        if need > free:
            raise DiskSpaceError(
                f"the download needs {need:,} bytes and {self.layout.root} has {free:,} free",
                hint="torchinf gc, torchinf remove NAME, or --cache-dir on another disk",
            )

    # BLOBS

    def blob(self, sha256: str) -> Path:
        """Path of a blob, whether or not it is there."""
        return Path(self.layout.blob(sha256))

    def has_blob(self, sha256: str, size: int | None = None) -> bool:
        """True when the blob is there, with that size if one is given."""
        from torchinf_core.store import blobs

        with durable.translated(self.layout.root):
            return blobs.has_blob(self.layout, sha256, size)

    def add_blob(self, file: str | Path, sha256: str) -> Path:
        """Move a file in place as a blob; durable when this returns.

        Args:
            file: complete, hashed and fdatasynced by the caller, in the store's
                file system (``partial`` or ``staging``); gone afterwards.
            sha256: of its content.

        Raises:
            StoreError: the blob is not there then.
        """
        from torchinf_core.store import blobs

        with durable.translated(str(file)):
            return Path(blobs.add_blob(self.layout, str(file), sha256))

    def add_blobs(self, files: Sequence[tuple[Path, str]]) -> None:
        """Move many files in place as blobs, in a fraction of the time that one by one takes.

        Args:
            files: complete and hashed, in the store's file system, with their
                sha256; gone afterwards.  They need not be synced.

        Raises:
            StoreError: none of them has been added then.
        """
        from torchinf_core.store import blobs

        with durable.translated(self.layout.root):
            blobs.add_blobs(self.layout, [(str(file), sha256) for file, sha256 in files])

    def quarantine(self, sha256: str) -> None:
        """Set a corrupt blob aside; every model that shares it fails its check then."""
        from torchinf_core.store import blobs

        with durable.translated(self.layout.root):
            blobs.quarantine(self.layout, sha256)

    # MODELS

    def materialise(self, name: str, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """Build the directory of a model from blobs; durable when this returns.

        Files are hard links to their blobs; where links are impossible, and for
        ONNX models with further files, reflinks or copies.  An intact directory
        of the same content is kept.

        Args:
            name: of the model.
            files: all of them; their blobs are in the store.

        Returns:
            The files sorted by path, with ``mtime_ns`` and ``inode`` as they are.

        Raises:
            StoreError: the directory is not there then, unless it was before.
        """
        from torchinf_core.store import models

        with durable.translated(self.layout.home(name)):
            return models.materialise(self.layout, name, files)

    def model_dir(self, record: Record) -> Path:
        """Directory with the files of a model; not looked at."""
        return Path(self.layout.model(record.name, record.generation))

    def model_path(self, record: Record) -> Path:
        """The file of a one-file model, the directory of any other; not looked at."""
        return Path(self.model_location(record))

    def model_location(self, record: Record) -> str:
        """:meth:`model_path` as text, for listings of thousands."""
        directory = self.layout.model(record.name, record.generation)
        return f"{directory}/{record.files[0].path}" if len(record.files) == 1 else directory

    def check(self, record: Record, *, full: bool) -> list[Problem]:
        """Compare the files of a model with its record.

        Args:
            record: of the model.
            full: hash every file; else size, time and inode are compared, and a file
                of which only the inode differs is hashed: it was copied or restored.

        Returns:
            What is wrong; empty for an intact model.  Nothing is changed, but that
            the record of an intact model that was moved gets the new inodes.
        """
        from torchinf_core.store import check

        with durable.translated(self.layout.root):
            return check.check(self.layout, record, full=full)

    def reclaim(self, record: Record) -> int:
        """Free what only a removed model used, unless somebody holds the lease.

        Args:
            record: of the model, which the registry has deleted.

        Returns:
            Bytes that came free; 0 when it is left to :meth:`gc`.
        """
        from torchinf_core.store import models

        if not locks.usable(self.layout.path("locks")):
            return 0
        fd = locks.take(self.layout.lock("gc"), create=True)
        if fd is None:
            return 0
        try:
            with durable.translated(self.layout.root):
                if self._is_current(record):
                    return 0
                digests = [file.sha256 for file in record.files]
                return models.discard(self.layout, record.name, record.generation, digests)
        finally:
            os.close(fd)

    # THE STORE AS A WHOLE

    def gc(
        self,
        *,
        dry_run: bool,
        grace: float = 3600.0,
        waiting: Callable[[str], None] | None = None,
    ) -> GcReport:
        """Collect garbage; waits until no download or load holds the lease.

        Args:
            dry_run: only say what would happen; takes no lock.
            grace: seconds that something unused stays in the quarantine.
            waiting: told who holds the lease.

        Raises:
            BusyError: the lease was not to be had in ``lock_timeout`` seconds.
        """
        from torchinf_core.store import gc

        with durable.translated(self.layout.root):
            if dry_run:
                return gc.collect(
                    self.layout, dry_run=True, grace=grace, locks_work=self.locks_work
                )
            self._refuse_nothing()
            with self._gc_lock(shared=False, waiting=waiting):
                return gc.collect(
                    self.layout, dry_run=False, grace=grace, locks_work=self.locks_work
                )

    def usage(self) -> Usage:
        """How many bytes what takes."""
        from torchinf_core.store import usage

        with durable.translated(self.layout.root):
            return usage.usage(self.layout, locks_work=self.locks_work)

    def fsck(self, repair: bool = False) -> list[Problem]:
        """Check records, model directories and blobs against each other.

        Nothing is hashed but files that were moved; see :meth:`check`.

        Args:
            repair: set damaged records aside, restore what another copy in the
                store allows; a model that lacks content has to be downloaded again.

        Returns:
            What was wrong, each with ``repaired`` set or not.
        """
        from torchinf_core.store import fsck

        with durable.translated(self.layout.root):
            if not repair:
                return fsck.fsck(self.layout, repair=False)
            with self.lease():
                return fsck.fsck(self.layout, repair=True)

    def _gc_lock(
        self, *, shared: bool, waiting: Callable[[str], None] | None
    ) -> AbstractContextManager[None]:
        return locks.hold(
            self.layout.lock("gc"),
            shared=shared,
            timeout=self.lock_timeout,
            what="the store is in use",
            waiting=waiting,
        )

    def _refuse_nothing(self) -> None:
        if os.path.lexists(self.layout.root) and not os.path.isdir(self.layout.root):
            raise StoreError(f"{self.layout.root} is not a directory")

    def _is_current(self, record: Record) -> bool:
        """True when the name came back with the same content, or its record can't be read."""
        from torchinf_core import records

        try:
            return records.read(self.layout.record(record.name)).generation == record.generation
        except FileNotFoundError:
            return False
        except ValueError:
            return True
