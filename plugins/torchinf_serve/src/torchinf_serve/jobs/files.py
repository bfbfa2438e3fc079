"""Jobs on disk: ``<store>/jobs/<id>.json``, replaced at once, and a growing ``<id>.events``.

One server owns the directory at a time, by a lock that dies with it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from contextlib import suppress
from typing import Any

from torchinf_core.errors import BusyError
from torchinf_core.store import Store
from torchinf_core.store.durable import sync_directory, translated, write_all, write_file
from torchinf_serve.jobs.job import Job, is_id

_log = logging.getLogger("torchinf.serve.jobs")


class JobFiles:
    """The directory of jobs in one store.

    Args:
        store: that the jobs fill.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = store.layout.path("jobs")
        self._lock: int | None = None

    @property
    def root(self) -> str:
        """The directory."""
        return self._root

    def own(self) -> None:
        """Make the directory, and be its only owner until :meth:`release`.

        Raises:
            BusyError: another server runs the jobs of this store.
            StoreError: it can't be made.
        """
        self._store.prepare()
        with translated(self._root):
            with suppress(FileExistsError):
                os.mkdir(self._root, 0o700)
                sync_directory(os.path.dirname(self._root))
            fd = os.open(f"{self._root}/owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise BusyError(
                "another server runs the downloads of this store",
                hint="stop it first, or use another --cache-dir",
            ) from None
        self._lock = fd

    def release(self) -> None:
        """Let another server own the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> list[Job]:
        """All jobs, in the order of creation; a damaged file is set aside and logged."""
        jobs = []
        for name in sorted(os.listdir(self._root)):
            ident, _, ending = name.rpartition(".")
            if ending != "json" or not is_id(ident):
                continue
            path = f"{self._root}/{name}"
            try:
                with open(path, "rb") as file:
                    job = Job.restored(json.loads(file.read()))
                if job.id != ident:
                    raise ValueError("it is another job's")
            except (OSError, ValueError, TypeError, AttributeError) as error:
                _log.warning("the file of job %s can't be used: %s", ident, error)
                with suppress(OSError):
                    os.rename(path, f"{path}.damaged")
                continue
            jobs.append(job)
        return jobs

    def save(self, ident: str, body: dict[str, Any]) -> None:
        """Write a job; durable when this returns.

        Raises:
            StoreError: what was there before is still there.
        """
        path = f"{self._root}/{ident}.json"
        with translated(path):
            write_file(self._store.layout, path, json.dumps(body).encode())

    def append(self, ident: str, lines: bytes, *, durable: bool) -> None:
        """Add whole lines to the events of a job.

        Raises:
            StoreError: they may be missing.
        """
        path = f"{self._root}/{ident}.events"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with translated(path):
            fd = os.open(path, flags, 0o600)
            try:
                write_all(fd, lines)
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)

    def events(self, ident: str) -> list[dict[str, Any]]:
        """The events of a job; what a crash left of a line is cut off."""
        path = f"{self._root}/{ident}.events"
        try:
            with open(path, "rb") as file:
                raw = file.read()
        except FileNotFoundError:
            return []
        whole = raw.rfind(b"\n") + 1
        found: list[dict[str, Any]] = []
        for line in raw[:whole].splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                break
            if not isinstance(event, dict) or event.get("id") != len(found) + 1:
                break
            found.append(event)
        good = sum(len(json.dumps(event).encode()) + 1 for event in found)
        if good != len(raw):
            with suppress(OSError):
                os.truncate(path, good)
        return found

    def forget(self, ident: str) -> None:
        """Delete a job."""
        for ending in ("json", "events"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self._root}/{ident}.{ending}")
