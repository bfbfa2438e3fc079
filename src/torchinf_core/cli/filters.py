"""The small language of ``list --filter`` and ``list --sort``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from torchinf_core.errors import OptionError
from torchinf_core.settings.parsing import parse_size
from torchinf_core.types import Record

_FILTER = re.compile(r"\s*([a-z]+)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*", re.DOTALL)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_TEXTS: dict[str, Callable[[Record], Sequence[str | None]]] = {
    "name": lambda record: (record.name,),
    "source": lambda record: (record.source,),
    "format": lambda record: (record.format,),
    "task": lambda record: (record.task,),
    "license": lambda record: (record.license,),
    "trust": lambda record: (record.trust.name.lower(),),
    "verified": lambda record: (record.verified,),
    "tag": lambda record: record.tags,
}
_NUMBERS: dict[str, Callable[[Record], float]] = {
    "size": lambda record: record.size,
    "created": lambda record: _age(record.created),
    "updated": lambda record: _age(record.updated),
}
_SORTS: dict[str, tuple[Callable[[Record], Any], str]] = {
    "name": (lambda record: record.name.lower(), "asc"),
    "source": (lambda record: (record.source, record.name.lower()), "asc"),
    "size": (lambda record: record.size, "desc"),
    "created": (lambda record: record.created, "desc"),
    "updated": (lambda record: record.updated, "desc"),
}


def select(records: Iterable[Record], filters: Sequence[str]) -> list[Record]:
    """The records that every filter accepts.

    Args:
        records: to choose from.
        filters: ``KEY OP VALUE``: texts know ``=`` and ``!=`` with ``*`` as a
            wildcard; sizes (``1GB``) and ages (``7d``) know ``< <= > >=`` too.

    Raises:
        OptionError: a filter can't be understood.
    """
    tests = [_parse(text) for text in filters]
    return [record for record in records if all(test(record) for test in tests)]


def sort_records(records: list[Record], order: str) -> list[Record]:
    """The records by ``KEY``, ``KEY:asc`` or ``KEY:desc``.

    Raises:
        OptionError: there is no such key or direction.
    """
    key, _, direction = order.partition(":")
    if key not in _SORTS or direction not in ("", "asc", "desc"):
        raise OptionError(
            f"--sort {order!r} is not understood",
            hint=f"one of {', '.join(_SORTS)}, with :asc or :desc behind it",
        )
    by, usual = _SORTS[key]
    return sorted(records, key=by, reverse=(direction or usual) == "desc")


def _parse(text: str) -> Callable[[Record], bool]:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise OptionError(
            f"the filter {text!r} is not understood",
            hint="--filter 'size>1GB', --filter source=torchvision, --filter 'tag=x'",
        )
    key, sign, value = match[1], match[2], match[3]
    if key in _TEXTS:
        if sign not in ("=", "!="):
            raise OptionError(f"the filter {text!r} compares a text; only = and != can do that")
        texts = _TEXTS[key]
        wanted = sign == "="
        return lambda record: (
            any(
                word is not None and fnmatchcase(word.lower(), value.lower())
                for word in texts(record)
            )
            == wanted
        )
    if key not in _NUMBERS:
        import difflib

        near = difflib.get_close_matches(key, [*_TEXTS, *_NUMBERS], n=1)
        raise OptionError(
            f"there is nothing to filter by named {key!r}",
            hint=f"did you mean {near[0]!r}?"
            if near
            else f"one of {', '.join([*_TEXTS, *_NUMBERS])}",
        )
    limit = _size(text, value) if key == "size" else _period(text, value)
    number = _NUMBERS[key]
    compare: dict[str, Callable[[float], bool]] = {
        "<": lambda n: n < limit,
        "<=": lambda n: n <= limit,
        ">": lambda n: n > limit,
        ">=": lambda n: n >= limit,
        "=": lambda n: n == limit,
        "!=": lambda n: n != limit,
    }
    holds = compare[sign]
    return lambda record: holds(number(record))


def _size(text: str, value: str) -> float:
    try:
        return parse_size(value)
    except ValueError as error:
        raise OptionError(f"the filter {text!r} needs {error}") from None


def _period(text: str, value: str) -> float:
    match = _AGE.fullmatch(value.lower())
    if match is None:
        raise OptionError(f"the filter {text!r} needs an age such as 12h, 7d or 2w")
    return float(match[1]) * _SECONDS[match[2]]


def _age(timestamp: str) -> float:
    """Seconds since a record's time; 0 for one that can't be read."""
    try:
        then = datetime.fromisoformat(timestamp)
    except ValueError:
        return 0.0
    return (datetime.now(UTC) - then.replace(tzinfo=then.tzinfo or UTC)).total_seconds()
