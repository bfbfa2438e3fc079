"""Says in a line or two what a choice left out and why.  Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from torchinf_hf.choosing.parts import Part, Role
from torchinf_hf.choosing.weights import OTHER_VARIANTS, Picked
from torchinf_hf.listing import Entry

SHOWN = 4
MANY = 4
"""Sets of weights in one folder from which a repository looks like a collection."""


def notes(picked: Picked, entries: Sequence[Entry]) -> tuple[str, ...]:
    """The notes on a choice among ``entries``."""
    sizes = {entry.path: entry.size or 0 for entry in entries}
    found = [*_left(picked, sizes), *_variants(picked), *_collection(picked, sizes)]
    return (*found, *_incomplete(picked))


def size(count: int) -> str:
    """Bytes as people write them."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 100 or unit == "bytes" else f"{value:.1f} {unit}"


def _left(picked: Picked, sizes: dict[str, int]) -> list[str]:
    # What git and the hub keep for themselves is no part of a model, and no news.
    ignored = len(picked.left.get(Role.HOUSEKEEPING.value, ()))
    left = {
        reason: [part.path for part in parts]
        for reason, parts in picked.left.items()
        if parts and reason != Role.HOUSEKEEPING.value
    }
    count = sum(len(paths) for paths in left.values())
    if not count:
        return []
    used = {part.path.partition("/")[0] for part in picked.kept}
    total = size(sum(sizes[path] for paths in left.values() for path in paths))
    reasons = "; ".join(
        f"{len(paths)} other variants of the weights"
        if reason == OTHER_VARIANTS and len(paths) > 1
        else f"{_listed(paths, sizes, used)} ({reason})"
        for reason, paths in left.items()
    )
    of = len(sizes) - ignored
    return [f"left out {count} of {of} files, {total}: {reasons}; --all-files takes everything"]


def _listed(paths: Sequence[str], sizes: dict[str, int], used: set[str]) -> str:
    """The largest of the paths; a folder in place of its files where none of them is used."""
    weight: dict[str, int] = {}
    for path in paths:
        top, slash, _ = path.partition("/")
        shown = f"{top}/" if slash and top not in used else path
        weight[shown] = weight.get(shown, 0) + sizes[path]
    names = sorted(weight, key=lambda name: -weight[name])
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _variants(picked: Picked) -> list[str]:
    """The choice among variants, once however many parts it was made for."""
    if not picked.left.get(OTHER_VARIANTS):
        return []
    taken = list(dict.fromkeys(name for name, _ in picked.variants))
    others = sorted({name for _, names in picked.variants for name in names if name})
    if not others:
        return []
    what = " and ".join(f"the {name} weights" if name else "the plain weights" for name in taken)
    return [f"took {what}; --variant NAME takes {', '.join(others)}"]


def _collection(picked: Picked, sizes: dict[str, int]) -> list[str]:
    sets: dict[tuple[str, str, str], int] = {}
    for part in picked.kept:
        if part.role is Role.WEIGHTS and not part.usual:
            key = (part.unit, part.format, part.stem)
            sets[key] = sets.get(key, 0) + sizes[part.path]
    if len(sets) < MANY:
        return []
    several = f"{len(sets)} separate files of weights, {size(sum(sets.values()))}"
    return [f"these are {several}; --include PATTERN takes some of them"]


def _incomplete(picked: Picked) -> list[str]:
    sets: dict[tuple[str, str, str, int], list[Part]] = {}
    for part in picked.kept:
        if part.role is Role.WEIGHTS and part.shards > 1:
            sets.setdefault((part.unit, part.stem, part.variant, part.shards), []).append(part)
    return [
        f"the repository has {len(parts)} of the {shards} shards of {stem}"
        for (_, stem, _, shards), parts in sets.items()
        if len(parts) < shards
    ]
