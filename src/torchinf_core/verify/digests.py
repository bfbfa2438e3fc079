"""Digests of files, and the comparison with what was pinned or published.

Reads files in fixed-size pieces; writes nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core.errors import IntegrityError
from torchinf_core.refs import redact

if TYPE_CHECKING:
    from torchinf_core.types import RemoteFile


def hash_file(path: str | Path) -> tuple[str, int]:
    """The sha256 (64 lower-case hex digits) and the size (bytes) of a file.

    Both are of the bytes that were read, also while another process writes.
    """
    digest = hashlib.sha256()
    size = 0
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])
            size += count
    return digest.hexdigest(), size


def hash_git_blob(path: str | Path) -> str:
    r"""The git object id of a file, ``sha1(b"blob <size>\0" + content)``."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        return hashlib.file_digest(file, head.copy).hexdigest()


def check_digests(file: RemoteFile, sha256: str, size: int, git_sha1: str | None = None) -> None:
    """Compare what arrived with everything the plan says about the file.

    Args:
        file: with the expected values; those that are None are not compared.
        sha256: of the bytes that arrived.
        size: number of the bytes that arrived.
        git_sha1: of the same bytes; may be None when ``file.git_sha1`` is, or
            when ``file.sha256`` says more.

    Raises:
        IntegrityError: on the first difference, with both values.
    """
    prefix = file.sha256_prefix
    actual_git = git_sha1 if git_sha1 is not None or file.sha256 else "not computed"
    expectations = (
        ("size", file.size, size),
        ("sha256", file.sha256, sha256),
        ("sha256 prefix", prefix, sha256[: len(prefix)] if prefix else None),
        ("git blob id", file.git_sha1 if actual_git is not None else None, actual_git),
    )
    for what, expected, actual in expectations:
        if expected is not None and expected != actual:
            raise IntegrityError(
                f"{file.path} from {redact(file.url)} has another {what}: "
                f"expected {expected}, got {actual}"
                + (f" (sha256 {sha256})" if what == "size" else ""),
                hint="the source changed or the transfer was tampered with; nothing was kept",
            )
