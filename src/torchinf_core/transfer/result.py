"""What a transfer hands back for each file."""

from __future__ import annotations

from dataclasses import dataclass

from torchinf_core.types import RemoteFile


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file of a plan that is now a verified blob of the store.

    Attributes:
        file: as planned.
        sha256, size: of the content, computed while it arrived.
        validator: entity tag of the answer, or None.
        verified: ``"published"`` when the bytes were compared with something the
            source (or the user) stated, ``"recorded"`` when this is the first
            time they are seen, ``"none"`` when not even a cut would have shown.
    """

    file: RemoteFile
    sha256: str
    size: int
    validator: str | None
    verified: str


def fetched(
    file: RemoteFile, sha256: str, size: int, validator: str | None, *, framed: bool
) -> Fetched:
    """The result for bytes that passed the digest checks."""
    if file.sha256 or file.sha256_prefix or file.git_sha1:
        verified = "published"
    else:
        verified = "recorded" if framed or file.size is not None else "none"
    return Fetched(file, sha256, size, validator, verified)
