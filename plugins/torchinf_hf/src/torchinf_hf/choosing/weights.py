"""Which of the weights of a repository a person wants: one copy of each.  Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torchinf_hf.choosing import quants
from torchinf_hf.choosing.parts import FORMATS, GGUF, ONNX, SAFETENSORS, TORCH, Part, Role

OTHER_FORMATS = "other formats of the same weights"
OTHER_VARIANTS = "other variants of the same weights"
OTHER_PACKAGING = "the same weights packed otherwise"
SINGLE_FILE = "copies of the whole pipeline or additions to it"

_SAME = ("model", "pytorch_model", "diffusion_pytorch_model")
_SAME_FOR_OTHERS = ("consolidated", "open_clip_model", "open_clip_pytorch_model")
"""What the maker's own code and open_clip call what transformers calls ``model``."""
_VARIANTS = ("", "fp32", "bf16", "fp16", "f16", "quantized", "q8", "int8", "uint8", "q4")


@dataclass(slots=True)
class Picked:
    """What was decided so far.

    Attributes:
        format: the one that the weights of the repository are taken in, or None
            without weights.
        kept: parts to take.
        left: parts to leave, by the reason.
        variants: for a set whose variant was a choice, the one taken and the others.
        found: whether any set has the variant that was asked for.
    """

    format: str | None = None
    kept: list[Part] = field(default_factory=list)
    left: dict[str, list[Part]] = field(default_factory=lambda: defaultdict(list))
    variants: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    found: bool = False


def formats_of(parts: Iterable[Part]) -> list[str]:
    """The formats that there are weights in, the most wanted first."""
    weights = [part for part in parts if part.role is Role.WEIGHTS]
    # A file of an unusual name may be anything: a voice, a vocabulary, a part.
    certain = {part.format for part in weights if part.usual}
    perhaps = {part.format for part in weights} - certain
    return [name for name in FORMATS if name in certain] + [
        name for name in FORMATS if name in perhaps
    ]


def pick(parts: Sequence[Part], wanted: str | None, variant: str | None) -> Picked:
    """One copy of each set of weights, with its index.

    Args:
        parts: weights and indexes of a repository.
        wanted: a format that is there, or None for the best one.
        variant: wanted where there is one of that name.
    """
    picked = Picked(wanted or next(iter(formats_of(parts)), None))
    weights = [part for part in parts if part.role is Role.WEIGHTS]
    weights = _of_format(weights, picked, asked=wanted is not None)
    groups: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in weights:
        groups[part.unit, _same_model(part)].append(part)
    for _, group in sorted(groups.items()):
        rest = _one_format(group, picked)
        rest = _one_variant(rest, variant, picked)
        picked.kept += _one_packaging(rest, picked)
    _drop_whole_pipelines(parts, picked)
    _drop_split_decoders(picked)
    _indexes([part for part in parts if part.role is Role.INDEX], picked)
    return picked


def _of_format(weights: Sequence[Part], picked: Picked, *, asked: bool) -> list[Part]:
    """Without what repeats the model in a format that was not chosen."""
    family = (SAFETENSORS, TORCH) if picked.format in (SAFETENSORS, TORCH) else (picked.format,)
    stems = {(part.unit, part.stem) for part in weights if part.format in family}
    kept = []
    for part in weights:
        # Small parts beside the model keep the format they were made in.
        could_be_apart = part.format in (SAFETENSORS, TORCH, ONNX) and not part.usual
        apart = could_be_apart and (part.unit, part.stem) not in stems and not asked
        if part.format in family or apart:
            kept.append(part)
        else:
            picked.left[OTHER_FORMATS].append(part)
    return kept


def _same_model(part: Part) -> str:
    """Equal for parts of one unit that hold the same weights, whatever their form."""
    if part.format == GGUF:
        return "mmproj.gguf" if is_projector(part) else f"{part.stem.lower()}.gguf"
    return "model" if part.stem in _SAME or _is_for_others(part) else part.stem


def _is_for_others(part: Part) -> bool:
    numbered = part.stem.startswith("consolidated.")
    return numbered or part.stem in _SAME_FOR_OTHERS


def _one_format(group: list[Part], picked: Picked) -> list[Part]:
    order = sorted({part.format for part in group}, key=lambda name: _wish(name, picked.format))
    picked.left[OTHER_FORMATS] += [part for part in group if part.format != order[0]]
    return [part for part in group if part.format == order[0]]


def _wish(name: str, wanted: str | None) -> int:
    return -1 if name == wanted else FORMATS.index(name)


def _one_variant(group: list[Part], wanted: str | None, picked: Picked) -> list[Part]:
    names = sorted({part.variant for part in group})
    chosen = next((name for name in names if wanted and name.lower() == wanted.lower()), None)
    picked.found |= chosen is not None
    if chosen is None:
        chosen = min(names, key=lambda name: _variant_rank(name, group))
    others = tuple(name for name in names if name != chosen)
    if others and not is_projector(group[0]):
        picked.variants.append((chosen, others))
    picked.left[OTHER_VARIANTS] += [part for part in group if part.variant != chosen]
    return [part for part in group if part.variant == chosen]


def _variant_rank(name: str, group: list[Part]) -> tuple[int, str]:
    if group[0].format == GGUF:
        # A projector for pictures is used in half precision, with every quantisation.
        half = is_projector(group[0]) and name.lower() in ("f16", "fp16")
        return (0 if half else 1 + quants.rank(name)), name
    return (_VARIANTS.index(name) if name in _VARIANTS else len(_VARIANTS)), name


def is_projector(part: Part) -> bool:
    """True for the part of a GGUF model that reads pictures or sounds."""
    return part.format == GGUF and "mmproj" in part.stem.lower()


def _one_packaging(group: list[Part], picked: Picked) -> list[Part]:
    """One file before its shards, loaders' own names before the maker's, the upper folder."""
    if group[0].format not in (SAFETENSORS, TORCH, ONNX, GGUF):
        return group
    companions = [part for part in group if not part.path.endswith(_main_endings(part))]
    mains = [part for part in group if part not in companions]
    if not mains:
        return group
    packagings: dict[tuple[bool, int, int, str, str], list[Part]] = defaultdict(list)
    for part in mains:
        folder, _, name = part.path.rpartition("/")
        ending = name.rpartition(".")[2]
        depth = 0 if part.format == GGUF else folder.count("/") + bool(folder)
        packagings[_is_for_others(part), part.shards, depth, folder, ending].append(part)
    best = packagings[min(packagings)]
    folders = {part.path.rpartition("/")[0] for part in best}
    for part in companions:
        near = part.path.rpartition("/")[0] in folders
        (best if near else picked.left[OTHER_PACKAGING]).append(part)
    picked.left[OTHER_PACKAGING] += [part for part in mains if part not in best]
    return best


def _main_endings(part: Part) -> tuple[str, ...]:
    """Endings of files that are weights themselves, not tensors that another file reads."""
    return (".onnx", ".ort") if part.format == ONNX else ("",)


def _drop_whole_pipelines(parts: Sequence[Part], picked: Picked) -> None:
    """Of a diffusers pipeline, whose parts lie in folders, the files above them."""
    if not any(part.path == "model_index.json" for part in parts):
        return
    if any(part.unit and part.format in (SAFETENSORS, TORCH) for part in picked.kept):
        above = [part for part in picked.kept if not part.unit]
        picked.left[SINGLE_FILE] += above
        picked.kept = [part for part in picked.kept if part.unit]


def _drop_split_decoders(picked: Picked) -> None:
    """An ONNX decoder in one file makes the two for the first and later steps redundant."""
    merged = {part.unit for part in picked.kept if part.stem == "decoder_model_merged"}
    split = ("decoder_model", "decoder_with_past_model")
    redundant = [p for p in picked.kept if p.stem in split and p.unit in merged]
    picked.left[OTHER_PACKAGING] += redundant
    picked.kept = [part for part in picked.kept if part not in redundant]


def _indexes(indexes: Sequence[Part], picked: Picked) -> None:
    """Each set of shards with the index that lists them; no index of another set."""
    sets = {(p.unit, p.format, p.stem, p.variant) for p in picked.kept if p.shards > 1}
    for part in indexes:
        if (part.unit, part.format, part.stem, part.variant) in sets:
            picked.kept.append(part)
        else:
            same = part.format == picked.format
            picked.left[OTHER_PACKAGING if same else OTHER_FORMATS].append(part)
