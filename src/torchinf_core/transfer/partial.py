"""A file that is being downloaded, and what survives of it when the process dies.

Three files in the store's ``partial/``::

    <key>.part   the bytes so far, possibly with holes; flocked by its owner
    <key>.json   what they are a part of, written before the first of them
    <key>.map    16 bytes that bind it to the .json, then one byte for each block:
                 0 absent, 1 written, 2 written and known to be on the disk

After a crash of the process blocks in state 1 are good, after a power cut only
those in state 2; the boot id tells the two apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torchinf_core.errors import from_os_error
from torchinf_core.types import RemoteFile

SCHEMA = 1
WRITTEN, DURABLE = 1, 2
_NONCE = 16


@dataclass(frozen=True, slots=True)
class Source:
    """What the bytes of a partial are a part of.

    Attributes:
        url: redacted; for people.
        total: bytes of the whole file.
        block: bytes of a block.
        etag, last_modified: validators of the answer that began it, or None.
        sha256: the expected digest, or None.
        nonce, boot: bind the map to this value and to this boot of the machine.
    """

    url: str
    total: int
    block: int
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    nonce: str = ""
    boot: str = ""

    @property
    def blocks(self) -> int:
        """Number of blocks, the last one possibly short."""
        return -(-self.total // self.block)


class Partial:
    """The open files of one partial.  Owned by one process at a time."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.direct_fd: int | None = None
        self._map: int | None = None

    @classmethod
    def open(cls, path: Path, *, locks_work: bool) -> Partial:
        """Open (or create) the partial and become its owner.

        When another process owns it, or locks do not work on this file system,
        a file of this process's own is used: safe, but not resumable.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            while locks_work:
                fd = os.open(path, flags, 0o644)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(fd)
                    break
                if _is_same_file(fd, path):
                    return cls(path, fd)
                os.close(fd)  # its owner published or removed it in between
            own = path.with_name(f"{path.stem}-{os.getpid()}-{secrets.token_hex(4)}.part")
            return cls(own, os.open(own, flags | os.O_EXCL, 0o644))
        except OSError as error:
            raise from_os_error(error, path) from error

    def load(self) -> tuple[Source, bytearray] | None:
        """What an earlier process left: its source, and the state of each block.

        Anything doubtful counts as nothing.
        """
        try:
            raw = json.loads(self._sidecar(".json").read_bytes())
            if raw.pop("schema") != SCHEMA:
                return None
            source = Source(**raw)
            states = bytearray(self._sidecar(".map").read_bytes())
            if states[:_NONCE].hex() != source.nonce or os.fstat(self.fd).st_size > source.total:
                return None
            del states[:_NONCE]
            if len(states) != source.blocks:
                return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        trusted = WRITTEN if source.boot and source.boot == boot_id() else DURABLE
        have = os.fstat(self.fd).st_size
        for index, state in enumerate(states):
            end = min((index + 1) * source.block, source.total)
            states[index] = state if trusted <= state <= DURABLE and end <= have else 0
        return source, states

    def restart(self) -> None:
        """Forget every block, for a file of unknown size; it can't be continued later."""
        try:
            self._forget()
            os.ftruncate(self.fd, 0)
        except OSError as error:
            raise from_os_error(error, self.path) from error

    def begin(self, source: Source, states: bytearray | None = None) -> Source:
        """Start over (``states`` None) or go on with the blocks that are there."""
        try:
            self._forget()
            source = replace(source, nonce=secrets.token_hex(_NONCE), boot=boot_id())
            if states is None:
                os.ftruncate(self.fd, 0)
                states = bytearray(source.blocks)
            os.ftruncate(self.fd, source.total)
            content = bytes.fromhex(source.nonce) + states
            self._map = os.open(
                self._sidecar(".map"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644
            )
            os.pwrite(self._map, content, 0)
            temporary = self._sidecar(".tmp")
            temporary.write_text(json.dumps({"schema": SCHEMA, **asdict(source)}))
            temporary.rename(self._sidecar(".json"))
        except OSError as error:
            raise from_os_error(error, self.path) from error
        return source

    def mark(self, index: int, state: int) -> None:
        """Remember the state of a block; cheap, and survives the process."""
        if self._map is not None:
            os.pwrite(self._map, bytes((state,)), _NONCE + index)

    def reserve(self, total: int) -> None:
        """Take the disk space now, so that a full disk is known early."""
        try:
            os.posix_fallocate(self.fd, 0, total)
        except OSError as error:
            import errno

            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise from_os_error(error, self.path) from error

    def open_direct(self) -> None:
        """Open a second descriptor that bypasses the page cache, where that works."""
        if hasattr(os, "O_DIRECT"):
            try:
                self.direct_fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_DIRECT)
            except OSError:
                self.direct_fd = None

    def sync(self) -> None:
        """Bring everything written so far to the disk; a failure is final."""
        os.fdatasync(self.fd)

    def checkpoint(self, indices: list[int]) -> None:
        """Make blocks survive a power cut: their bytes first, then their marks."""
        self.sync()
        for index in indices:
            self.mark(index, DURABLE)
        if self._map is not None:
            os.fsync(self._map)
            for name in (self._sidecar(".json"), self.path.parent):
                fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    def settle(self) -> None:
        """The file is complete: its sidecars go, so that none is left behind it."""
        try:
            self._forget()
        except OSError as error:
            raise from_os_error(error, self.path) from error

    def discard(self) -> None:
        """Remove everything and close."""
        try:
            self._forget()
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Close the descriptors; what is on the disk stays for the next process."""
        for fd in (self.direct_fd, self._map, self.fd):
            if fd is not None and fd >= 0:
                os.close(fd)
        self.direct_fd = self._map = None
        self.fd = -1

    def _sidecar(self, suffix: str) -> Path:
        return self.path.with_suffix(suffix)

    def _forget(self) -> None:
        if self._map is not None:
            os.close(self._map)
            self._map = None
        for suffix in (".json", ".map"):
            self._sidecar(suffix).unlink(missing_ok=True)


def partial_key(file: RemoteFile) -> str:
    """32 hex digits that name the bytes of ``file``: its digest where known, else its URL."""
    name = file.sha256 or f"{file.url}\n{file.sha256_prefix}\n{file.git_sha1}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def boot_id() -> str:
    """Identifies this boot of this machine; ``""`` where the system has no such thing."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _is_same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
