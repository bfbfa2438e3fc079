"""One download as the server knows it: what was asked, how far it is, how it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from torchinf_core.refs import URL_SCHEMES, redact

QUEUED, RUNNING, INTERRUPTED = "queued", "running", "interrupted"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
ENDED = frozenset({DONE, FAILED, CANCELLED})
STATES = (QUEUED, RUNNING, INTERRUPTED, DONE, FAILED, CANCELLED)

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(slots=True)
class Job:
    """A download, from the request on.

    Attributes:
        id: 26 characters that nobody can guess, in the order of creation.
        asked: arguments of :meth:`ModelDownloader.obtain`.
        key: equal for equal requests; see :mod:`torchinf_core.warm`.
        by: label of the token that asked.
        state: one of :data:`STATES`; ``interrupted`` waits to go on.
        attempt: counts from 1.
        name: of the model in the store, once it is known.
        done, total: bytes; total is None while nobody knows.
        error: problem document of a failed job.
        result: of a job that is done: ``hit``, ``fetched``, ``size``, ``notes``.
        behind: id of the job that fetches the same content, and is waited for.
        created, started, finished: ISO 8601, UTC.
    """

    id: str
    asked: dict[str, Any]
    key: str
    by: str
    state: str = QUEUED
    attempt: int = 1
    name: str | None = None
    done: int = 0
    total: int | None = None
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    behind: str | None = None
    created: str = ""
    started: str | None = None
    finished: str | None = None

    @property
    def has_ended(self) -> bool:
        """True when nothing more happens unless it is retried."""
        return self.state in ENDED

    @property
    def source(self) -> str:
        """The word for the source: a scheme, or ``url``."""
        return self._words()[0]

    def _words(self) -> tuple[str, str]:
        """The source, and what it calls the model."""
        text = str(self.asked.get("source", ""))
        scheme, _, locator = text.partition(":")
        return ("url", text) if scheme.lower() in URL_SCHEMES else (scheme.lower()[:40], locator)

    def shown(self) -> dict[str, Any]:
        """The job as clients see it; secrets in URLs are hidden."""
        source, model_id = self._words()
        return {
            "id": self.id,
            "state": self.state,
            "source": source,
            "model_id": redact(model_id),
            "model_name": self.name or self.asked.get("name"),
            "done_bytes": self.done,
            "total_bytes": self.total,
            "attempt": self.attempt,
            "created": self.created,
            "started": self.started,
            "finished": self.finished,
            "error": self.error,
            "result": self.result,
            "behind": self.behind,
        }

    def stored(self) -> dict[str, Any]:
        """The job as it is written; what is over keeps no secrets."""
        body = asdict(self)
        if self.state in (DONE, CANCELLED):
            body["asked"]["source"] = redact(str(body["asked"].get("source", "")))
        return body

    @classmethod
    def restored(cls, body: Mapping[str, Any]) -> Self:
        """A job that :meth:`stored` wrote.

        Raises:
            ValueError: it is something else.
        """
        known = {item.name for item in fields(cls)}
        try:
            job = cls(**{key: value for key, value in body.items() if key in known})
        except TypeError as error:
            raise ValueError(f"not a job: {error}") from None
        asked: object = job.asked
        if job.state not in STATES or not isinstance(asked, dict) or not is_id(job.id):
            raise ValueError("not a job: its state, id or request is none")
        return job


def new_id() -> str:
    """A ULID: 48 bits of time in milliseconds, 80 random bits, in Crockford's base 32."""
    number = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10))
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_id(text: object) -> bool:
    """Whether a text can be the id of a job; nothing else ever becomes part of a path."""
    return isinstance(text, str) and len(text) == 26 and all(c in _DIGITS for c in text)


def now() -> str:
    """Now: ISO 8601 in UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
