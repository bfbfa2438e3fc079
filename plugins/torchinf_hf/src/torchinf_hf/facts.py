"""What the hub says about a model: task, license, tags, library.  Pure functions.

Nothing is believed to have the type it should have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torchinf_core.types import Json
from torchinf_hf.locators import is_repo

MOST = 40
"""Of tags, languages and whatever else is a list."""
_NOISE = frozenset({"endpoints_compatible", "autotrain_compatible", "custom_code"})
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Facts:
    """The part of the hub's word on a model that a record keeps.

    Attributes:
        repo: the id that the repository has now.
        commit: of the revision asked for, or None.
        gated: True when files are given only to who was let in.
        custom_code: True when the configuration names classes that the
            repository brings itself.
        task, license, tags, metadata: as in :class:`~torchinf_core.types.Plan`.
    """

    repo: str
    commit: str | None = None
    gated: bool = False
    custom_code: bool = False
    task: str | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict)


def read_facts(answer: Mapping[str, Json], repo: str) -> Facts:
    """The facts in an answer about ``repo``."""
    card = _mapping(answer.get("cardData"))
    config = _mapping(answer.get("config"))
    tags = _words(answer.get("tags"))
    task = _text(answer.get("pipeline_tag")) or _text(card.get("pipeline_tag"))
    library = _text(answer.get("library_name")) or _text(card.get("library_name"))
    now = _text(answer.get("id")) or repo
    now = now if is_repo(now) else repo
    commit = _text(answer.get("sha")) or ""
    metadata: dict[str, Json] = {"repo": now}
    described = {
        "library": library,
        "pipeline_tag": task,
        "base_model": _one_or_more(card.get("base_model")),
        "language": _one_or_more(card.get("language")),
        "datasets": _words(card.get("datasets"))[:MOST],
        "model_type": _text(config.get("model_type")),
        "architectures": _words(config.get("architectures"))[:MOST],
        "auto_map": _texts(config.get("auto_map")),
    }
    metadata.update({key: value for key, value in described.items() if value})
    return Facts(
        repo=now,
        commit=commit if _COMMIT.fullmatch(commit) else None,
        gated=answer.get("gated") not in (None, False),
        custom_code="custom_code" in tags or bool(config.get("auto_map")),
        task=task,
        license=_license(card, tags),
        tags=tuple(tag for tag in tags if ":" not in tag and tag not in _NOISE)[:MOST],
        metadata=metadata,
    )


def _license(card: Mapping[str, Json], tags: list[str]) -> str | None:
    names = _words(card.get("license")) or [
        tag.removeprefix("license:") for tag in tags if tag.startswith("license:")
    ]
    if names in (["other"], ["unknown"], []):
        # The hub's list of licenses lacks it; the card then has its name.
        own = _text(card.get("license_name"))
        names = [own] if own else names
    return ", ".join(names) or None


def _one_or_more(value: Json) -> Json:
    words = _words(value)[:MOST]
    return words[0] if len(words) == 1 else words


def _words(value: Json) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [word for item in items if (word := _text(item))]


def _texts(value: Json) -> dict[str, str]:
    pairs = list(_mapping(value).items())[:MOST]
    return {key: text for key, item in pairs if _text(key) and (text := _text(item))}


def _text(value: Json) -> str | None:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        return None
    return value.strip()[:200]


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
