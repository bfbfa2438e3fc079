"""Computing with texts that came out of somebody's code, within bounds.

A few characters of code can ask for gigabytes (``"{:9999999999}"``); nothing
here makes a text longer than :data:`MAX_TEXT`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Any

from torchinf_hub.reading.values import UNKNOWN, Value, is_plain

MAX_TEXT = 4096
MAX_ITEMS = 1000
_METHODS = frozenset(
    (
        *("lower", "upper", "strip", "lstrip", "rstrip", "replace", "removeprefix"),
        *("removesuffix", "startswith", "endswith", "split", "rsplit", "partition"),
        *("rpartition", "capitalize", "title", "join", "format"),
    )
)
_CONVERSIONS: dict[int, Callable[[object], str]] = {115: str, 114: repr, 97: ascii}
_SPEC = re.compile(r"[^0-9{}]?[0-9]{0,2}(\.[0-9]{1,2})?[a-z]?")
_PERCENT = re.compile(r"%(?:\([^)]*\))?([^a-zA-Z%]*)[a-zA-Z%]")


def bounded(value: Value) -> Value:
    """The value, or UNKNOWN for a text that is too long to be of use."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return UNKNOWN
    if isinstance(value, (tuple, list)) and len(value) > MAX_ITEMS:
        return UNKNOWN
    return value


def method(text: str, name: str, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    """``text.name(…)`` for the methods that code builds addresses with."""
    if name not in _METHODS:
        return UNKNOWN
    if name == "join":
        parts = arguments[0] if len(arguments) == 1 else None
        if not isinstance(parts, (tuple, list)) or not all(isinstance(p, str) for p in parts):
            return UNKNOWN
        return bounded(text.join(parts)) if len(parts) <= MAX_ITEMS else UNKNOWN
    if not all(is_plain(value) for value in (*arguments, *keywords.values())):
        return UNKNOWN
    if name == "format" and not _harmless_format(text):
        return UNKNOWN
    if keywords and name != "format":
        return UNKNOWN
    try:
        result: Any = getattr(text, name)(*arguments, **keywords)
    except (TypeError, ValueError, LookupError, AttributeError):
        return UNKNOWN
    return bounded(result)


def percent(text: str, values: Value) -> Value:
    """``text % values``."""
    items = values if isinstance(values, tuple) else (values,)
    if isinstance(values, dict):
        items = tuple(values.values())
    widths = "".join(match[1] for match in _PERCENT.finditer(text))
    if not all(is_plain(item) for item in items) or re.search(r"\*|[0-9]{3}", widths):
        return UNKNOWN
    try:
        return bounded(text % values)
    except (TypeError, ValueError, LookupError, OverflowError):
        return UNKNOWN


def formatted(value: Value, conversion: int, spec: Value) -> Value:
    """One ``{value!conversion:spec}`` of an f-string."""
    if not is_plain(value) or not isinstance(spec, str) or not _SPEC.fullmatch(spec):
        return UNKNOWN
    try:
        convert = _CONVERSIONS.get(conversion)
        return bounded(format(convert(value) if convert else value, spec))
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN


def _harmless_format(text: str) -> bool:
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        return False
    return all(
        re.fullmatch(r"\w*", name or "") and _SPEC.fullmatch(spec or "")
        for _, name, spec, _ in fields
    )
