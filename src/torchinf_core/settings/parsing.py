"""Reads one setting as people write it; a ValueError says what was expected instead."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}


def parse_size(value: Any) -> int:
    """Bytes of ``4096``, ``"10M"`` (10**7), ``"1.5GiB"``.

    Raises:
        ValueError: for anything else, or a negative size.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", str(value).lower())
    if not match or isinstance(value, bool):
        raise ValueError("a size such as 4096, 10M or 1.5GiB")
    unit = match[2] or ""
    return int(float(match[1]) * (_BINARY[unit] if unit in _BINARY else _UNITS[unit]))


def parse_seconds(value: Any) -> float:
    """Seconds of ``30``, ``"1.5"``, ``"10s"``, ``"5m"`` or ``"2h"``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", str(value).lower())
    if not match or isinstance(value, bool):
        raise ValueError("a time such as 30, 10s or 5m")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def parse_bool(value: Any) -> bool:
    """True or False of a TOML boolean or ``1/0``, ``yes/no``, ``on/off``."""
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("yes or no")


def parse_count(value: Any) -> int:
    """A number from 1 to 999."""
    if not re.fullmatch(r"[1-9]\d{0,2}", str(value)):
        raise ValueError("a number from 1 to 999")
    return int(value)


def parse_text(value: Any) -> str:
    """A text without NUL."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("a text")
    return value


def parse_words(value: Any) -> tuple[str, ...]:
    """Words of a list, or of a text with commas or spaces between them."""
    if isinstance(value, str):
        return tuple(word for word in re.split(r"[,\s]+", value) if word)
    if isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ValueError("a list of names")


def parse_networks(value: Any) -> tuple[str, ...]:
    """Networks in CIDR form, each checked."""
    words = parse_words(value)
    if words:
        from torchinf_core.network import addresses

        addresses.parse_networks(words)
    return words
