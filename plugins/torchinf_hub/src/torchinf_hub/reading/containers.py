"""Methods of lists and dicts that code gathers addresses in."""

from __future__ import annotations

from torchinf_hub.reading.texts import MAX_ITEMS
from torchinf_hub.reading.values import UNKNOWN, Value, is_plain


def of_container(
    owner: dict[Value, Value] | list[Value],
    name: str,
    arguments: list[Value],
    keywords: dict[str, Value],
) -> Value:
    """``owner.name(…)``; adding to ``owner`` changes it."""
    if isinstance(owner, list):
        if name == "append" and len(arguments) == 1 and len(owner) < MAX_ITEMS:
            owner.append(arguments[0])
        return None if name == "append" else UNKNOWN
    if name in ("get", "pop") and arguments and is_plain(arguments[0]):
        default = arguments[1] if len(arguments) > 1 else None
        return owner.get(arguments[0], default)
    if name == "update":
        for table in (*arguments, keywords):
            owner.update(table if isinstance(table, dict) else {})
        return None
    if name == "copy":
        return dict(owner)
    views = {"keys": list(owner), "values": list(owner.values()), "items": list(owner.items())}
    return views.get(name, UNKNOWN)
