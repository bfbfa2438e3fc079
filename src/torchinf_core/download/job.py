"""What one download carries along, and what it leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core.download.request import Request
from torchinf_core.refs import redact
from torchinf_core.registry import Registry
from torchinf_core.settings import Settings
from torchinf_core.store import Store
from torchinf_core.types import Event, Plan, Record

if TYPE_CHECKING:
    from torchinf_core.plugins import Plugins


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a download led to.

    Attributes:
        record: of the model, as the registry now has it.
        path: the file of a one-file model, the directory of any other.
        hit: True when nothing had to be fetched.
        notes: sentences for the user.
        fetched: bytes of the files that were not in the store before.
    """

    record: Record
    path: Path
    hit: bool
    notes: tuple[str, ...] = ()
    fetched: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a download would do.

    Attributes:
        plan: the files, sizes and digests.
        name: the name the model would get.
        cached: the record that would answer it, or None.
        transfer: bytes that would be fetched; None when a size is unknown.
    """

    plan: Plan
    name: str
    cached: Record | None
    transfer: int | None


@dataclass(frozen=True, slots=True)
class Job:
    """One download on its way: the request and everything it works with."""

    request: Request
    settings: Settings
    store: Store
    registry: Registry
    on_event: Callable[[Event], None]

    @property
    def shown(self) -> str:
        """The reference without secrets."""
        return redact(str(self.request.ref))


@dataclass(frozen=True, slots=True)
class Resolved:
    """A plan that passed every check which needs no bytes.

    Attributes:
        plan: what the source offers.
        name: the name the model gets.
        source: what records call the source.
        plugins: that resolved it and may fetch it.
        same_ref: True when ``existing`` came from the same model of the same source.
        existing: the record that has the name now, or None.
        strict: the record whose digests the content must have, or None.
        published: paths of files for which the source itself states a digest.
    """

    plan: Plan
    name: str
    source: str
    plugins: Plugins
    existing: Record | None = None
    same_ref: bool = False
    strict: Record | None = None
    published: frozenset[str] = frozenset()


def make_job(request: Request, settings: Settings, on_event: Callable[[Event], None]) -> Job:
    """A job on the store that the settings name."""
    store = Store(settings.cache_dir, lock_timeout=settings.lock_timeout)
    return Job(request, settings, store, Registry(store), on_event)


def ignore(_event: Event) -> None:
    """The progress callback of a caller that gave none."""


def decision(how: str) -> str:
    """What a record keeps of the decision that a model's code may run."""
    return f"{how} on {timestamp()}"


def timestamp() -> str:
    """Now, as records write it: ISO 8601 in UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
