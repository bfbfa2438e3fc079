"""Which options reach a source, which are ignored with a word, which are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchinf_core.download.request import COMMON, DEFAULTS
from torchinf_core.errors import OptionError
from torchinf_core.types import Json, SourceInfo


def select_options(
    options: Mapping[str, Json], task: str | None, source: SourceInfo, sources: Sequence[SourceInfo]
) -> tuple[dict[str, Json], tuple[str, ...]]:
    """The options for ``source``, and a note for each that means nothing to it.

    Args:
        options: as the user gave them.
        task: the user's label; a source that asks for it gets it too.
        source: the one that will resolve.
        sources: all installed ones; an option that one of them knows is a
            misplaced word, any other is a mistake.

    Raises:
        OptionError: no installed source knows an option.
    """
    selected: dict[str, Json] = {}
    notes = []
    known = {name for entry in sources for name in entry.options} | DEFAULTS.keys() | COMMON
    for name, value in options.items():
        if name in source.options:
            selected[name] = value
        elif name in known:
            notes.append(f"the {source.name} source has no option {name!r}; it was ignored")
        else:
            raise _unknown(name, source, known)
    if task is not None and "task" in source.options:
        selected["task"] = task
    return selected, tuple(notes)


def _unknown(name: str, source: SourceInfo, known: set[str]) -> OptionError:
    import difflib

    near = difflib.get_close_matches(name, sorted(known | {"task"}), n=1)
    offered = ", ".join(source.options) or "none"
    hint = f"did you mean {near[0]!r}?" if near else f"the {source.name} source has: {offered}"
    return OptionError(f"no installed source has an option {name!r}", hint=hint)
