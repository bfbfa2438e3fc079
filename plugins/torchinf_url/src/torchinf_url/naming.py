"""From what was found at a URL or path to a plan: file name, model name, unpacking.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from torchinf_core.errors import OptionError
from torchinf_core.refs import suggest_name
from torchinf_core.types import Json, ModelRef, Plan, RemoteFile
from torchinf_core.verify import safe_filename

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Endings of file names that can be unpacked."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file somewhere, before a byte of it is read.

    Attributes:
        url: where the core gets it.
        filename: one harmless path component.
        size: bytes, or None when nobody says.
        etag: strong entity tag with its quotes, or None.
        metadata: more that is known, JSON values.
    """

    url: str
    filename: str
    size: int | None
    etag: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)


def make_plan(ref: ModelRef, found: Found, extract: Json) -> Plan:
    """The plan for one file.

    Raises:
        OptionError: ``extract`` is not a bool, or asked for what is no archive.
    """
    if not isinstance(extract, bool | None):
        raise OptionError(f"extract is {extract!r}, expected yes or no")
    ending = archive_ending(found.filename)
    if extract and not ending:
        raise OptionError(
            f"extract was asked for, but {found.filename!r} is not called like an archive",
            hint=f"leave it out; what can be unpacked ends in {' '.join(ARCHIVES)}",
        )
    notes: tuple[str, ...] = ()
    if ending and not extract:
        notes = (f"{found.filename} is kept as one file; --extract unpacks it",)
    file = RemoteFile(
        path=found.filename,
        url=found.url,
        size=found.size,
        sha256=ref.sha256,
        validator=found.etag,
        unpack=bool(extract),
    )
    return Plan(
        ref=ref,
        name=model_name(found.filename),
        files=(file,),
        # The quotes belong to the header's grammar, not to the tag.
        revision=found.etag.strip('"') if found.etag else None,
        metadata=found.metadata,
        notes=notes,
    )


def model_name(filename: str) -> str:
    """Name of a model for the name of its file: that without its ending.

    What looks like a hash in the name stays: it tells two contents apart.
    """
    ending = archive_ending(filename) or PurePosixPath(filename).suffix
    name = suggest_name(filename[: len(filename) - len(ending)])
    return name if any(character.isalnum() for character in name) else "model"


def archive_ending(filename: str) -> str:
    """The ending that marks an archive, as written, or ``""``."""
    lower = filename.lower()
    length = max((len(ending) for ending in ARCHIVES if lower.endswith(ending)), default=0)
    return filename[len(filename) - length :]


def best_filename(asked: str, final: str, disposition: str | None) -> str:
    """Name for what came from ``final`` when ``asked`` was asked for.

    Args:
        asked: the URL that the user wrote.
        final: the URL after all redirects.
        disposition: the ``Content-Disposition`` header of the answer, or None.

    Content-Disposition wins, then the final URL; but object stores behind a
    redirect often know a file by its hash alone, and then the name that was
    asked for says more.
    """
    name = safe_filename(final, disposition)
    if not PurePosixPath(name).suffix:
        own = safe_filename(asked)
        if PurePosixPath(own).suffix:
            return own
    return name
