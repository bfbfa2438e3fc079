"""Puts the choice together: weights, what belongs to them, and notes on the rest.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchinf_core.errors import ModelNotFoundError
from torchinf_core.verify.paths import fold_path
from torchinf_hf.choosing import notes
from torchinf_hf.choosing.parts import Part, Role, read_path
from torchinf_hf.choosing.weights import OTHER_FORMATS, Picked, formats_of, is_projector, pick
from torchinf_hf.choosing.wish import Wish, matches
from torchinf_hf.listing import Entry

TWINS = "a name that differs from another one by case alone"


@dataclass(frozen=True, slots=True)
class Choice:
    """Files to take.

    Attributes:
        entries: in the order of the listing.
        format: of the weights, or None.
        formats: those of all weights that are taken.
        notes: sentences for the user, on what was left and what else there is.
    """

    entries: tuple[Entry, ...]
    format: str | None
    formats: frozenset[str]
    notes: tuple[str, ...]

    @property
    def has_code(self) -> bool:
        """True when Python files are among them."""
        return any(entry.path.endswith(".py") for entry in self.entries)


def choose(entries: Sequence[Entry], wish: Wish, *, custom_code: bool, where: str) -> Choice:
    """The files of a repository that a wish means.

    Args:
        entries: all files.
        wish: of the user.
        custom_code: True when the model's configuration names classes of its own,
            so that its Python files are a part of it.
        where: what was listed, for messages.

    Raises:
        ModelNotFoundError: no file fits, or not the format or variant.
    """
    looked_at = [entry for entry in entries if not matches(entry.path, wish.exclude)]
    if wish.include:
        looked_at = [entry for entry in looked_at if matches(entry.path, wish.include)]
    if not looked_at:
        raise _nothing(entries, wish, where)
    paths = frozenset(entry.path for entry in looked_at)
    parts = [read_path(entry.path, paths) for entry in looked_at]
    if wish.all_files or wish.include:
        picked = Picked(next(iter(formats_of(parts)), None), list(parts))
    else:
        picked = _default(parts, wish, where, custom_code=custom_code)
    if not picked.kept:
        raise ModelNotFoundError(
            f"nothing among the {len(entries)} files of {where} looks like a part of a model",
            hint="--all-files takes them, --include PATTERN some of them",
        )
    _drop_twins(picked)
    taken = {part.path for part in picked.kept}
    return Choice(
        entries=tuple(entry for entry in entries if entry.path in taken),
        format=picked.format,
        formats=frozenset(p.format for p in picked.kept if p.role is Role.WEIGHTS),
        notes=notes.notes(picked, looked_at),
    )


def _default(parts: Sequence[Part], wish: Wish, where: str, *, custom_code: bool) -> Picked:
    present = formats_of(parts)
    if not present and any(part.role is Role.ORIGINAL for part in parts):
        # All there is lies in the folder that elsewhere holds a second copy.
        parts = [Part(part.path, Role.OTHER) for part in parts]
    if wish.format and wish.format not in present:
        has = ", ".join(present) or "no weights of a known format"
        raise ModelNotFoundError(
            f"{where} has no {wish.format} weights; it has {has}",
            hint=f"leave the format out, or take one of {has}" if present else "",
        )
    picked = pick(parts, wish.format, wish.variant)
    if wish.variant and not picked.found:
        raise _no_variant(parts, picked, wish.variant, where)
    for part in parts:
        if part.role in (Role.WEIGHTS, Role.INDEX):
            continue
        if part.role is Role.OTHER and part.format not in ("", picked.format):
            picked.left[OTHER_FORMATS].append(part)
        elif part.role is Role.OTHER or (part.role is Role.CODE and custom_code):
            picked.kept.append(part)
        else:
            picked.left[part.role.value].append(part)
    return picked


def _drop_twins(picked: Picked) -> None:
    """Of paths that are one on some file systems the first; the store takes no others."""
    seen: set[str] = set()
    twins = []
    for part in sorted(picked.kept, key=lambda part: part.path):
        key = fold_path(part.path)
        if key in seen:
            twins.append(part)
        seen.add(key)
    if twins:
        picked.left[TWINS] += twins
        picked.kept = [part for part in picked.kept if part not in twins]


def _nothing(entries: Sequence[Entry], wish: Wish, where: str) -> ModelNotFoundError:
    if not entries:
        return ModelNotFoundError(f"{where} has no files", hint="choose another revision")
    words = [f"--include {p}" for p in wish.include] + [f"--exclude {p}" for p in wish.exclude]
    some = ", ".join(entry.path for entry in entries[:8]) + (" …" if len(entries) > 8 else "")
    return ModelNotFoundError(
        f"none of the {len(entries)} files of {where} fits {' '.join(words)}",
        hint=f"it has {some}",
    )


def _no_variant(
    parts: Sequence[Part], picked: Picked, variant: str, where: str
) -> ModelNotFoundError:
    weights = [part for part in parts if part.role is Role.WEIGHTS and not is_projector(part)]
    names = sorted({part.variant for part in weights if part.format == picked.format} - {""})
    has = f"it has {', '.join(names)}" if names else "it has no variants"
    return ModelNotFoundError(
        f"{where} has no variant {variant[:60]!r} of its {picked.format or ''} weights; {has}",
        hint="leave the variant out, or name one of these" if names else "leave the variant out",
    )
