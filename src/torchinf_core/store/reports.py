"""What the store answers when it is asked how it is."""

from __future__ import annotations

from collections.abc import Mapping

from torchinf_core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be.

    Attributes:
        kind: ``missing``, ``changed`` (size, time or inode differ from the
            record), ``corrupt`` (another content), ``record``, ``newer`` (a record
            of a later version), ``blob`` or ``layout``.
        path: absolute path of what is wrong.
        message: what is wrong with it, a clause without the path.
        name: of the model it belongs to, or None.
        sha256: of the blob it belongs to, or None.
        repaired: True when a repair has dealt with it.
    """

    kind: str
    path: str
    message: str
    name: str | None = None
    sha256: str | None = None
    repaired: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (" (repaired)" if self.repaired else "")


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a garbage collection did, or would do.

    Attributes:
        removed: entries deleted for good.
        freed: bytes that came free.
        quarantined: entries set aside, to be deleted after the grace.
        pending: bytes of everything that is set aside.
        dry_run: True when nothing was touched.
    """

    removed: int
    freed: int
    quarantined: int
    pending: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """How the bytes of the store are used; shared bytes are counted once.

    Attributes:
        total: everything below the root.
        models: number of readable records.
        by_source: source → bytes of its models; a blob that several sources
            share counts for each of them.
        blobs: content of models, with copies where links are not possible.
        partials: unfinished downloads.
        reclaimable: what ``gc`` would free once the grace is over.
        damaged: number of unreadable records.
    """

    total: int
    models: int
    by_source: Mapping[str, int]
    blobs: int
    partials: int
    reclaimable: int
    damaged: int
