"""What a client knows of a download: its state, and its events however often a stream breaks."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from torchinf_core.errors import NetworkError, SourceError, TorchinfError
from torchinf_serve.client import problems

ENDED = ("done", "failed", "cancelled")
PATIENCE = 60.0
"""Seconds for which a client tries to go on with a stream that broke."""
_SHORTEST, _LONGEST = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event of a job.

    Attributes:
        id: counts from 1.
        kind: ``queued``, ``running``, ``resolved``, ``started``, ``progress``, ``retry``,
            ``note``, ``waiting``, ``interrupted``, ``done``, ``failed`` or ``cancelled``.
        data: what it tells.
    """

    id: int
    kind: str
    data: dict[str, Any]


class JobFacts:
    """A job as far as it was told.

    Attributes:
        facts: as the server shows it.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    @property
    def id(self) -> str:
        """Of the job; ``""`` where the model was there, and no job was needed."""
        return str(self.facts["id"])

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``interrupted``, ``done``, ``failed`` or ``cancelled``."""
        return str(self.facts["state"])

    @property
    def has_ended(self) -> bool:
        """True when nothing more happens unless it is retried."""
        return self.state in ENDED

    @property
    def hit(self) -> bool:
        """True when the model was in the store before."""
        return bool((self.facts.get("result") or {}).get("hit"))

    @property
    def name(self) -> str | None:
        """Of the model in the store, once it is known."""
        found: str | None = self.facts.get("model_name")
        return found

    @property
    def done(self) -> int:
        """Bytes that have arrived."""
        return int(self.facts["done_bytes"])

    @property
    def total(self) -> int | None:
        """Bytes in all, or None while nobody knows."""
        found: int | None = self.facts["total_bytes"]
        return found

    @property
    def error(self) -> TorchinfError | None:
        """Why it failed."""
        body = self.facts.get("error")
        return problems.made(body) if body else None

    def __repr__(self) -> str:
        return f"<job {self.id or '-'} for {self.name}: {self.state}>"

    def take(self, event: JobEvent) -> None:
        """Take note of an event."""
        known = ("state", "model_name", "done_bytes", "total_bytes", "error", "result", "behind")
        self.facts.update({key: event.data[key] for key in known if key in event.data})
        if event.kind == "done" and event.data.get("result"):
            self.facts["done_bytes"] = self.facts["total_bytes"] = event.data["result"]["size"]

    def raise_failure(self) -> None:
        """Raise what the download would have raised here; nothing for one that is done.

        Raises:
            TorchinfError: it failed, or was cancelled.
        """
        if self.state == "failed":
            raise self.error or SourceError("the job failed, and nobody knows why")
        if self.state == "cancelled":
            raise SourceError("the job was cancelled", hint="it can be retried")


class Following:
    """How far a client is in the events of a job, and how long it still tries.

    Args:
        after: id of the last event that is known.
        patience: seconds.
    """

    def __init__(self, after: int, patience: float) -> None:
        self.last = after
        self.over = False
        self._kind = ""
        self._patience = patience
        self._fields: dict[str, str] = {}
        self._broken: float | None = None
        self._pause = _SHORTEST

    @property
    def headers(self) -> dict[str, str]:
        """For the request that goes on."""
        return {"last-event-id": str(self.last), "accept": "text/event-stream"}

    def read(self, line: str) -> JobEvent | None:
        """Take a line of the stream; the event that it ends."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if not (fields.get("data") and fields.get("id", "").isdecimal()):
            return None
        self.last, self._kind = int(fields["id"]), fields.get("event", "")
        self._broken, self._pause = None, _SHORTEST
        return JobEvent(self.last, self._kind, json.loads(fields["data"]))

    def ended(self) -> None:
        """The stream came to an end by itself: the job is over, or the server stops."""
        self.over = self._kind in ENDED
        self._fields = {}

    def pause(self, error: NetworkError | None) -> float:
        """Seconds to wait before going on.

        Raises:
            NetworkError: it took too long.
        """
        self._fields = {}
        now = time.monotonic()
        self._broken = self._broken or now
        if now - self._broken >= self._patience:
            raise error or NetworkError("the server ends the events of a job that goes on")
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST)
        return min(pause, self._patience)
