"""Searches the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice

from torchinf_core.types import SearchHit
from torchinf_torchvision.catalogue import Model, load


def find(pattern: str, limit: int) -> list[SearchHit]:
    """Weights members that match every word of a pattern, best first.

    A word is a part of the model's name, the member's, the task or a tag, or
    with ``*``, ``?`` or ``[`` a pattern for the whole of one of them.  Models
    whose name matches come first, and of a model its default.

    Args:
        pattern: words; none match everything.
        limit: most hits.
    """
    words = pattern.lower().split()
    found = []
    for name, model in load()["models"].items():
        for member in model["weights"]:
            if all(_matches(word, name, member, model) for word in words):
                rank = min((_rank(word, name) for word in words), default=0)
                found.append((rank, name, member != model["default"], member))
    return list(islice(_hits(sorted(found)), limit))


def _hits(found: list[tuple[int, str, bool, str]]) -> Iterator[SearchHit]:
    for _, name, _, member in found:
        model = load()["models"][name]
        weights = model["weights"][member]
        facts = ["default"] if member == model["default"] and len(model["weights"]) > 1 else []
        facts += [
            f"{dataset} {metric} {value:g}"
            for dataset, metrics in weights["metrics"].items()
            for metric, value in list(metrics.items())[:1]
        ][:1]
        facts.append(f"{weights['num_params'] / 1e6:.3g} M parameters")
        yield SearchHit(
            ref=f"torchvision:{name}@{member}",
            description=", ".join(facts),
            size=weights["size"],
            task=weights["task"],
        )


def _matches(word: str, name: str, member: str, model: Model) -> bool:
    weights = model["weights"][member]
    texts = (name, member.lower(), f"{name}@{member.lower()}", weights["task"], *model["tags"])
    if set(word) & set("*?["):
        return any(fnmatchcase(text, word) for text in texts)
    return any(word in text for text in texts)


def _rank(word: str, name: str) -> int:
    """0 for the very name, then what starts with it, has it, matches elsewhere."""
    if word == name:
        return 0
    if name.startswith(word):
        return 1
    return 2 if word in name or fnmatchcase(name, word) else 3
