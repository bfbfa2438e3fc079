"""Reads the checkpoints that only torchvision's own builders know how to put into a model.

Also tells the shapes of any checkpoint, for a model whose number of classes the
file decides.  Pickles are read with ``weights_only=True`` alone.
"""

from __future__ import annotations

import json
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchinf_core.errors import FormatError, MissingDependencyError

SAFE_TORCH = (2, 6)
"""Before that ``weights_only=True`` could be talked into running code (CVE-2025-32434)."""
_MOST_HEADER = 100_000_000
_WRAPPED = ("state_dict", "model", "model_state_dict")


def read_state(path: Path, format: str | None) -> Any:  # noqa: A002
    """The state dict in a checkpoint, mapped into memory where its format allows.

    Args:
        path: of a file.
        format: ``safetensors`` or ``torch``.

    Raises:
        MissingDependencyError: this torch can't be trusted with pickles.
        FormatError: it can't be read as tensors alone.
    """
    if format == "safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return _unwrapped(_load(path, "cpu"), path)


def read_shapes(path: Path, format: str | None) -> dict[str, tuple[int, ...]]:  # noqa: A002
    """The shapes of a checkpoint's tensors by their names in the module; as :func:`read_state`."""
    if format == "safetensors":
        found = _header_shapes(path)
    else:
        state = _unwrapped(_load(path, "meta"), path)
        found = {key: tuple(value.shape) for key, value in state.items() if hasattr(value, "shape")}
    return {name.removeprefix("module."): shape for name, shape in found.items()}


def _load(path: Path, where: str) -> Any:
    import torch

    release = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if release < SAFE_TORCH:
        raise MissingDependencyError(
            f"torch {torch.__version__} can't read {path.name} safely",
            hint="pip install 'torch>=2.6'",
        )
    try:
        with warnings.catch_warnings():
            # Of torch's own code, where a checkpoint is quantised.
            warnings.filterwarnings("ignore", "TypedStorage is deprecated")
            return torch.load(
                path, map_location=where, weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except Exception as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise FormatError(
            f"{path.name} can't be read as tensors alone: {first}",
            hint="a checkpoint of nothing but tensors, or safetensors, would load",
        ) from error


def _unwrapped(value: Any, path: Path) -> Any:
    for key in _WRAPPED:
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    if not isinstance(value, Mapping):
        raise FormatError(f"{path.name} holds no state dict, but a {type(value).__name__}")
    return value


def _header_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MOST_HEADER:
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
        return {
            name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise FormatError(f"{path.name} is not a safetensors file: {error}") from error
