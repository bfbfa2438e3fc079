"""What the user asked for beside the reference: the options of this source, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torchinf_core.errors import OptionError
from torchinf_core.types import Json
from torchinf_hf.choosing.parts import FORMATS, TORCH

OPTIONS = ("include", "exclude", "all_files", "variant", "format")

_WORDS = {
    **{name: name for name in FORMATS},
    **dict.fromkeys(("bin", "pt", "pth", "pytorch", "pickle"), TORCH),
    **dict.fromkeys(("tf", "h5", "keras"), "tensorflow"),
    **dict.fromkeys(("jax", "msgpack"), "flax"),
    "ov": "openvino",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """Options, all absent by default.

    Attributes:
        include: patterns of the only files wanted; they replace the choice.
        exclude: patterns of files that are not looked at.
        all_files: every file there is.
        variant: of the weights: ``fp16``, ``Q5_K_M``, ``quantized``.
        format: of the weights, one of :data:`FORMATS`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    all_files: bool = False
    variant: str | None = None
    format: str | None = None


def read_wish(options: Mapping[str, Json]) -> Wish:
    """The options as a wish.

    Raises:
        OptionError: a value is not of its type, or there is no such format.
    """
    for name, kind in (("all_files", bool), ("variant", str), ("format", str)):
        if options.get(name) is not None and not isinstance(options[name], kind):
            raise OptionError(f"{name} is {options[name]!r}, expected a {kind.__name__}")
    wanted = options.get("format")
    if wanted is not None and wanted.lower().lstrip(".") not in _WORDS:
        raise OptionError(
            f"there is no format {wanted[:40]!r}", hint=f"one of {', '.join(FORMATS)}"
        )
    return Wish(
        include=_patterns("include", options.get("include")),
        exclude=_patterns("exclude", options.get("exclude")),
        all_files=bool(options.get("all_files")),
        variant=options.get("variant") or None,
        format=None if wanted is None else _WORDS[wanted.lower().lstrip(".")],
    )


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path fits a pattern, as the hub's own client has it.

    ``*`` takes slashes, too, and ``folder/`` is everything below that folder.
    """
    return any(
        fnmatchcase(path, pattern + "*" if pattern.endswith("/") else pattern)
        for pattern in patterns
    )


def _patterns(name: str, value: Json) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(x, str) and x for x in value):
        raise OptionError(f"{name} is {value!r}, expected a list of patterns")
    return tuple(value)
