"""What came of optimising a model here, so that it is not tried at each load.

One small file for each device and each set of wishes, beside the forms made from
the same content.  It says nothing of a model with another content, and nothing on
other hardware or with other versions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

from torchinf_core.frozen import dataclass
from torchinf_core.hardware import stale
from torchinf_core.store.durable import make_directory, write_file
from torchinf_core.store.layout import Layout
from torchinf_core.types import Json
from torchinf_core.warm import hex_digest

_PREFIX = "verdict-"
_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one optimisation.

    Attributes:
        device: it was for.
        asked: settings that decide what is tried and what passes.
        hardware: fingerprint of the machine.
        versions: distribution → version of everything that had a part in it.
        runtime: that loads the model as downloaded.
        seconds: median time of one call of that; 0 when nothing was measured.
        chosen: label of the form that was faster, or ``""``.
        reason: why nothing was tried, or ``""``.
        rows: what became of each candidate.
        created: ISO 8601, UTC.
    """

    device: str
    asked: Mapping[str, Json]
    hardware: str
    versions: Mapping[str, str]
    runtime: str
    seconds: float = 0.0
    chosen: str = ""
    reason: str = ""
    rows: tuple[Mapping[str, Json], ...] = field(default=())
    created: str = ""


def write(layout: Layout, name: str, parent: str, verdict: Verdict) -> None:
    """Remember a verdict, in place of an earlier one for the same wishes; durable."""
    place = _place(layout, name, parent)
    make_directory(layout.home(name))
    make_directory(place)
    wishes = json.dumps([verdict.device, dict(verdict.asked), verdict.hardware], sort_keys=True)
    key = hex_digest(wishes.encode())[:32]
    data = json.dumps(asdict(verdict), indent=1, allow_nan=False).encode()
    write_file(layout, f"{place}/{_PREFIX}{key}.json", data)


def fresh(layout: Layout, name: str, parent: str) -> list[Verdict]:
    """The verdicts on a model that hold here and now, the newest first."""
    place = _place(layout, name, parent)
    try:
        entries = [entry for entry in os.listdir(place) if entry.startswith(_PREFIX)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for entry in entries:
        try:
            found.append(read(f"{place}/{entry}"))
        except (OSError, ValueError):
            continue
    good = [verdict for verdict in found if not stale(verdict.hardware, verdict.versions)]
    return sorted(good, key=lambda verdict: verdict.created, reverse=True)


def read(path: str) -> Verdict:
    """The verdict in a file.

    Raises:
        ValueError, OSError: there is none in it.
    """
    with open(path, "rb") as source:
        data = source.read(_MOST + 1)
    if len(data) > _MOST:
        raise ValueError("it is too large")
    try:
        document: dict[str, Any] = json.loads(data)
        verdict = Verdict(**{**document, "rows": tuple(document["rows"])})
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"it is no verdict: {error}") from None
    for key in ("device", "hardware", "runtime", "chosen", "reason", "created"):
        _expect(verdict, key, str)
    for key in ("asked", "versions"):
        _expect(verdict, key, dict)
    _expect(verdict, "seconds", (int, float))
    return verdict


def _expect(verdict: Verdict, key: str, kind: type | tuple[type, ...]) -> None:
    value = getattr(verdict, key)
    if not isinstance(value, kind):
        raise ValueError(f"its {key} is {type(value).__name__}")  # noqa: TRY004 - as all damage


def _place(layout: Layout, name: str, parent: str) -> str:
    return layout.derived(name, parent)
