"""Memory of GPUs: how much a module needs, and what running out of it means to the user."""

from __future__ import annotations

import re
from typing import Any

from torchinf_core.errors import DeviceError
from torchinf_torch.predictor import is_memory_error

_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+ [KMGT]?i?B)")
_FREE = re.compile(r"of which ([\d.]+ [KMGT]?i?B) is free|([\d.]+ [KMGT]?i?B) free")
_HINT = "a smaller batch, --precision bf16, another --device, or close other models"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def translate(error: BaseException, name: str, device: str) -> DeviceError | None:
    """The DeviceError for torch's out-of-memory error, with the sizes it tells; else None."""
    if not is_memory_error(error):
        return None
    text = str(error)
    asked, free = _ASKED.search(text), _FREE.search(text)
    needs = f"{asked[1]} more" if asked else "more memory"
    has = f", which has {free[1] or free[2]} free" if free else ""
    return DeviceError(f"{name!r} needs {needs} on {device}{has}", hint=_HINT)


def size_of(module: Any) -> int:
    """Bytes of the parameters and buffers of a module; what is shared counts once."""
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def human(size: float) -> str:
    """``1.5 GiB``."""
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    raise AssertionError
