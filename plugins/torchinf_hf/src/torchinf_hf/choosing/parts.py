"""What a file of a repository is, by its path: weights of a format, or something beside them.

Pure functions.  The conventions are those of transformers, diffusers, optimum,
sentence-transformers, timm and llama.cpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from torchinf_hf.choosing.quants import split_quant

SAFETENSORS, TORCH, ONNX, GGUF = "safetensors", "torch", "onnx", "gguf"
FORMATS = (
    *(SAFETENSORS, TORCH, ONNX, GGUF, "tensorflow", "flax", "openvino", "coreml", "tflite"),
    *("rust", "paddle", "nemo", "tensorrt"),
)
"""Formats of weights, the most wanted first."""


class Role(Enum):
    """What a file is for."""

    WEIGHTS = "weights"
    INDEX = "the list of a set of shards"
    CODE = "Python code"
    TRAINING = "left from training"
    ORIGINAL = "the release before its conversion"
    MEDIA = "pictures, sounds and data sets"
    HOUSEKEEPING = "of git and the hub alone"
    OTHER = "configuration, tokenizer, words"


@dataclass(frozen=True, slots=True)
class Part:
    """A file and what its path says.

    Attributes:
        path: in the repository.
        role: what it is for.
        format: of weights and of what belongs to them alone, else ``""``.
        unit: folder of the model that it is a part of.
        stem: name without ending, shard number and variant.
        variant: ``fp16``, ``Q4_K_M``, ``quantized`` …, or ``""``.
        shards: how many files the set has, 1 for a whole one.
        usual: True when the name is the one the format's loaders look for.
    """

    path: str
    role: Role
    format: str = ""
    unit: str = ""
    stem: str = ""
    variant: str = ""
    shards: int = 1
    usual: bool = False


_ENDINGS = {
    ".safetensors": SAFETENSORS,
    **dict.fromkeys((".bin", ".pt", ".pth", ".ckpt", ".th", ".ptl", ".torchscript"), TORCH),
    **dict.fromkeys((".onnx", ".ort"), ONNX),
    **dict.fromkeys((".gguf", ".llamafile"), GGUF),
    **dict.fromkeys((".h5", ".keras", ".hdf5"), "tensorflow"),
    ".msgpack": "flax",
    ".tflite": "tflite",
    ".mlmodel": "coreml",
    ".ot": "rust",
    ".nemo": "nemo",
    **dict.fromkeys((".pdparams", ".pdmodel", ".pdiparams"), "paddle"),
    **dict.fromkeys((".engine", ".plan", ".trt"), "tensorrt"),
}
_FOLDERS = {
    "onnx": ONNX,
    "openvino": "openvino",
    "coreml": "coreml",
    "tflite": "tflite",
    "saved_model": "tensorflow",
    "tensorrt": "tensorrt",
}
"""Folders that repeat the model of the folder above in another format."""

_USUAL = {
    SAFETENSORS: r"(?:diffusion_)?(?:pytorch_)?model|adapter_model|consolidated(?:\.\d+)?"
    r"|pytorch_lora_weights|open_clip_(?:pytorch_)?model",
    ONNX: r"(?:\w+_)?model(?:_merged)?|decoder_with_past_model|text_model|vision_model",
}
_USUAL[TORCH] = _USUAL[SAFETENSORS]

_SHARD = re.compile(r"[-_.]\d{4,6}-of-(\d{4,6})")
_INDEX = re.compile(
    r"(.+?)\.(safetensors|bin|h5|msgpack)((?:\.[\w-]+)?\.index|\.index\.[\w-]+)\.json"
)
_DATA = re.compile(r"(.+\.onnx)[._]data(?:_\d+)?")
_VARIANT = re.compile(
    r"(.+?)[._-](fp16|fp32|bf16|fp8|int8|int4|non_ema|ema|8bit|4bit)", re.IGNORECASE
)
_ONNX_VARIANT = re.compile(
    r"(.+?)_(fp16|fp32|bf16|int8|uint8|int4|uint4|q4|q4f16|q8|q8f16|bnb4|quantized\w*|optimized"
    r"|O[1-4]|qu?int8\w*)"
)
_TRAINING = re.compile(
    r"(?:.*/)?(?:training_args\.bin|trainer_state\.json|optimizer(?:[._-]\w+)*\.(?:pt|bin|pth)"
    r"|scheduler\.(?:pt|bin)|scaler\.pt|rng_state\w*\.pth|random_states_\d+\.pkl"
    r"|events\.out\.tfevents.*|.*tfevents.*|zero_to_fp32\.py|imatrix[^/]*\.(?:dat|gguf)"
    r"|[^/]*\.imatrix)"
    r"|(?:.*/)?(?:checkpoint-\d+|global_step\d+|runs|wandb|lightning_logs|tensorboard)/.*"
)
_MEDIA = re.compile(
    r".*\.(?:png|jpe?g|gif|webp|bmp|svg|ico|mp4|webm|mov|avi|mkv|wav|mp3|flac|ogg|m4a|pdf|ipynb"
    r"|parquet|arrow)",
    re.IGNORECASE,
)
_TOKENS = re.compile(r"(?:.*[-_.])?(?:vocab|tokenizer|merges|spiece|sentencepiece)(?:[-_.].*)?")


def read_path(path: str, paths: frozenset[str]) -> Part:
    """The part that a path of a repository with those ``paths`` is."""
    folder, _, name = path.rpartition("/")
    above = folder.split("/") if folder else []
    if any(part.startswith(".") for part in (*above, name)):
        return Part(path, Role.HOUSEKEEPING)
    if _TRAINING.fullmatch(path):
        return Part(path, Role.TRAINING)
    if above[:1] == ["original"] or "original" in above[1:]:
        return Part(path, Role.ORIGINAL)
    packed = next(
        (i for i, part in enumerate(above) if part.endswith((".mlpackage", ".mlmodelc"))), -1
    )
    if packed >= 0:
        outside = [part for part in above[:packed] if part != "coreml"]
        return Part(path, Role.WEIGHTS, "coreml", "/".join(outside), above[packed], usual=True)
    if index := _INDEX.fullmatch(name):
        kind = _ENDINGS[f".{index[2]}"]
        variant = index[3].replace("index", "").strip(".")
        stem, own = _variant(index[1], _VARIANT)
        return Part(path, Role.INDEX, kind, folder, stem, own or variant, 0)
    inside = next((_FOLDERS[part] for part in above if part in _FOLDERS), "")
    if part := _weights(path, folder, name, inside, paths):
        return part
    unit = _outside(above)
    if inside:
        return Part(path, Role.OTHER, inside, unit)
    if _MEDIA.fullmatch(name):
        return Part(path, Role.MEDIA)
    return Part(path, Role.CODE if name.endswith(".py") else Role.OTHER, "", folder)


def _weights(path: str, folder: str, name: str, inside: str, paths: frozenset[str]) -> Part | None:
    data = _DATA.fullmatch(name)
    if data:
        name = data[1]
    stem, dot, ending = name.rpartition(".")
    kind = _ENDINGS.get((dot + ending).lower(), "")
    if kind == TORCH and f"{folder}/{stem}.xml".lstrip("/") in paths:
        kind = "openvino"
    if ending == "xml" and f"{folder}/{stem}.bin".lstrip("/") in paths:
        kind = "openvino"
    if not stem or not kind or (kind == TORCH and _TOKENS.fullmatch(stem.lower())):
        return None
    if inside and kind in (SAFETENSORS, TORCH):
        kind = inside
    unit = _outside(folder.split("/")) if inside else folder
    shard = _SHARD.search(stem)
    stem = _SHARD.sub("", stem)
    if kind == GGUF:
        stem, variant = split_quant(stem)
        # Each quantisation may have a folder of its own.
        outer, _, own = folder.rpartition("/")
        unit = outer if split_quant(own)[1] else folder
    else:
        stem, variant = _variant(stem, _ONNX_VARIANT if kind in (ONNX, "openvino") else _VARIANT)
    usual = kind not in _USUAL or bool(re.fullmatch(_USUAL[kind], stem)) or inside == kind
    return Part(path, Role.WEIGHTS, kind, unit, stem, variant, int(shard[1]) if shard else 1, usual)


def _variant(stem: str, pattern: re.Pattern[str]) -> tuple[str, str]:
    match = pattern.fullmatch(stem)
    return (match[1], match[2]) if match else (stem, "")


def _outside(above: list[str]) -> str:
    return "/".join(part for part in above if part not in _FOLDERS)
