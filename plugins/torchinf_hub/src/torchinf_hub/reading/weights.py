"""Which files an entry point fetches, as far as reading its code tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchinf_core.types import Json
from torchinf_hub.reading.entries import NAME, Entry
from torchinf_hub.reading.names import Download, ExhaustedError, of_module
from torchinf_hub.reading.running import make_run
from torchinf_hub.reading.sources import Sources
from torchinf_hub.reading.values import Value

TOO_LONG = "following its code further would take too long"


@dataclass(frozen=True, slots=True)
class Weights:
    """What was found.

    Attributes:
        downloads: files that it fetches, in the order in which it does.
        repositories: other repositories whose code it runs; ``""`` for one that
            is computed.
        open: why there may be more; empty if the code was followed to its end.
    """

    downloads: tuple[Download, ...]
    repositories: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def find_weights(sources: Sources, entry: Entry, arguments: Mapping[str, Json]) -> Weights:
    """Follow an entry point with given keyword arguments; nothing is run.

    Of several files among which only a run decides, none is taken.
    """
    run = make_run(sources)
    keywords: dict[str, Value] = {name: _known(value) for name, value in arguments.items()}
    try:
        target = of_module(run, sources.required(NAME), entry.name)
        run.call(run, target, [], keywords)
    except (ExhaustedError, RecursionError):
        run.open.append(TOO_LONG)
    unique = {download.url: download for download in run.found}
    for download in run.found:
        if download.checked:
            unique[download.url] = download
    return Weights(
        tuple(unique.values()),
        tuple(dict.fromkeys(run.repositories)),
        tuple(dict.fromkeys(run.open)),
    )


def _known(value: Json) -> Any:
    """JSON as values: copied, because reading changes lists and dicts."""
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items()}
    return [_known(item) for item in value] if isinstance(value, (list, tuple)) else value
