"""Code as files to read: an archive unpacked for a moment, or a directory as it is.

Archives live in a temporary directory of the process, the few latest of them:
the download that follows a plan takes the bytes from there.  Nothing of it is
left when the process ends.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core.errors import (
    FormatError,
    IntegrityError,
    ModelNotFoundError,
    RefError,
    SizeLimitError,
    from_os_error,
)
from torchinf_core.verify import archives, check_path, hash_file
from torchinf_hub import github
from torchinf_hub.commits import choose
from torchinf_hub.damage import is_damaged
from torchinf_hub.naming import Directory, GitHub, Place

if TYPE_CHECKING:
    from torchinf_core.host import Host

KEPT = 4
MAX_FILES = 20_000
_LEFT_OUT = frozenset({".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache"})


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip of one commit in this process's temporary directory.

    Attributes:
        path: of the zip.
        sha256, size: of its bytes.
    """

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of one state of some code.

    Attributes:
        root: directory to read them from, while the snapshot is open.
        files: relative path to sha256.
        commit, ref: of a repository; None for a directory.
        archive: they came from, or None for a directory.
        notes: sentences for the user.
    """

    root: Path
    files: Mapping[str, str]
    commit: str | None = None
    ref: str | None = None
    archive: Archive | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def digest(self) -> str:
        """sha256 over the sorted paths and digests: equal for equal code."""
        lines = (f"{path}\0{sha256}\n" for path, sha256 in sorted(self.files.items()))
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def opened(place: Place, host: Host) -> Iterator[Snapshot]:
    """The code at a place, to be read within the block.

    Raises:
        IntegrityError: an archive arrived damaged.
        TorchinfError: it is not there, or can't be had.
    """
    if isinstance(place, Directory):
        yield _directory(place)
        return
    chosen = choose(place, github.ask_refs(place, host))
    archive = _archive(place, chosen.commit, host)
    root = Path(_temporary())
    try:
        names = _unpacked(place, archive, root, host)
        files = {name: hash_file(root / name)[0] for name in names}
        notes = (chosen.note,) if chosen.note else ()
        yield Snapshot(root, files, chosen.commit, chosen.ref, archive, notes)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _unpacked(place: GitHub, archive: Archive, root: Path, host: Host) -> list[str]:
    try:
        return archives.unpack(
            archive.path, root, strip=1, max_bytes=host.settings.max_bytes, max_entries=MAX_FILES
        )
    except FormatError as error:
        if not is_damaged(archive.path, MAX_FILES):
            raise
        _forget(archive)
        raise IntegrityError(
            f"the archive of {place} arrived damaged: {error}", hint="try again"
        ) from error


# ARCHIVES OF THIS PROCESS

_lock = threading.Lock()
_kept: OrderedDict[tuple[int, str], Archive] = OrderedDict()


def _archive(place: GitHub, commit: str, host: Host) -> Archive:
    """The archive of a commit, fetched unless one of the latest is of the same commit."""
    key = (os.getpid(), github.archive_url(place, commit, host))
    with _lock:
        archive = _kept.get(key)
        if archive is not None and archive.path.is_file():
            _kept.move_to_end(key)
            return archive
    folder = _temporary()
    atexit.register(_remove, folder, os.getpid())
    path = Path(folder, f"{place.repo}.zip")
    try:
        archive = Archive(path, *github.get_archive(place, commit, host, path))
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise from_os_error(error, path) from error
        raise
    with _lock:
        _kept[key] = archive
        dropped = [_kept.popitem(last=False) for _ in range(len(_kept) - KEPT)]
    for (process, _), old in dropped:
        _remove(str(old.path.parent), process)
    return archive


def _forget(archive: Archive) -> None:
    """Have it fetched anew the next time."""
    with _lock:
        for key in [key for key, kept in _kept.items() if kept is archive]:
            del _kept[key]
    _remove(str(archive.path.parent), os.getpid())


def _temporary() -> str:
    try:
        return tempfile.mkdtemp(prefix="torchinf-hub-")
    except OSError as error:
        raise from_os_error(error, error.filename or "the directory for temporary files") from error


def _remove(folder: str, process: int) -> None:
    """Remove a directory; a child of fork leaves to its parent what is the parent's."""
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


# DIRECTORIES


def _directory(place: Directory) -> Snapshot:
    root = Path(place.path)
    if not root.is_dir():
        raise ModelNotFoundError(f"there is no directory {root}")
    files: dict[str, str] = {}
    notes = []
    try:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
            for name in sorted((*names, *folders)):
                path = Path(folder, name)
                relative = path.relative_to(root).as_posix()
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode):
                    continue
                if not stat.S_ISREG(mode):
                    notes.append(f"{relative} is a link or no file; it was left out")
                    continue
                if len(files) == MAX_FILES:
                    raise SizeLimitError(f"{root} holds more than {MAX_FILES} files")
                files[check_path(relative)] = hash_file(path)[0]
    except OSError as error:
        raise RefError(f"{root} can't be read: {error.strerror}") from error
    return Snapshot(root, files, notes=tuple(notes))
