"""``torchinf search hub owner/repo[:ref] [words]``: what a hubconf.py offers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torchinf_core.errors import UsageError
from torchinf_core.types import SearchHit
from torchinf_hub.naming import Directory, Place, parse_repository
from torchinf_hub.plans import read
from torchinf_hub.snapshots import opened

if TYPE_CHECKING:
    from torchinf_core.host import Host


def find(scheme: str, pattern: str, host: Host) -> Iterator[SearchHit]:
    """The entry points of a repository or directory that match all further words.

    Args:
        scheme: for the references.
        pattern: ``owner/repo[:ref]`` or a directory, then words, each a part of
            a name or a pattern with ``*``.
        host: for the requests.

    Raises:
        UsageError: it names no repository; PyTorch Hub has no list of all.
    """
    where, *words = pattern.split() or ["*"]
    if "/" not in where:
        raise UsageError(
            "PyTorch Hub has no list of repositories that could be searched; name one",
            hint=f"torchinf search {scheme} pytorch/vision, or 'pytorch/vision:v0.10.0 resnet*'",
        )
    place = _place(where)
    with opened(place, host) as snapshot:
        _, hubconf = read(place, snapshot)
    for entry in hubconf.entries.values():
        if all(_matches(word.lower(), entry.name.lower()) for word in words):
            yield SearchHit(f"{scheme}:{place}/{entry.name}", entry.summary)


def _place(where: str) -> Place:
    if where.startswith(("/", "./", "../", "~")):
        return Directory(os.path.abspath(os.path.expanduser(where)))
    return parse_repository(where.rstrip("/"))


def _matches(word: str, name: str) -> bool:
    return fnmatchcase(name, word) if set(word) & set("*?[") else word in name
