"""Searches the hub: the most downloaded models whose id holds the words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torchinf_core.types import Json, SearchHit
from torchinf_hf.api import Api
from torchinf_hf.facts import read_facts

if TYPE_CHECKING:
    from torchinf_core.host import Host

_PATTERN = re.compile(r"[*?\[\]]+")
MOST_LOOKED_AT = 1000
"""Models of a search that a pattern is held against before it ends."""


def find(scheme: str, pattern: str, limit: int, host: Host) -> Iterator[SearchHit]:
    """Models that match, the most downloaded first.

    The hub finds parts of ids; a pattern with ``*``, ``?`` or ``[`` is then held
    against the whole id or the name in it.
    """
    words = " ".join(_PATTERN.sub(" ", pattern).split())
    exact = _PATTERN.search(pattern) is not None
    for count, item in enumerate(Api(host).search(words, MOST_LOOKED_AT if exact else limit)):
        if count >= MOST_LOOKED_AT:
            return
        name = item.get("id")
        if not isinstance(name, str) or (exact and not _fits(name, pattern)):
            continue
        yield _hit(scheme, name, item)


def _fits(name: str, pattern: str) -> bool:
    text = pattern.strip().lower()
    return any(fnmatchcase(part, text) for part in (name.lower(), name.lower().rpartition("/")[2]))


def _hit(scheme: str, name: str, item: dict[str, Json]) -> SearchHit:
    facts = read_facts(item, name)
    downloads = item.get("downloads")
    about = [f"{_count(downloads)} downloads"] if isinstance(downloads, int) else []
    about += [str(word) for word in (facts.metadata.get("library"), facts.license) if word]
    about += ["gated"] if facts.gated else []
    return SearchHit(f"{scheme}:{name}", ", ".join(about), None, facts.task)


def _count(number: int) -> str:
    for unit, factor in (("M", 1_000_000), ("k", 1000)):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return str(number)
