"""Which devices this machine and the installed onnxruntime have, without importing it.

What is found here is only a promise: a provider can still fail to load, which
:mod:`torchinf_onnx.sessions` finds out.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

_LIBRARY = "libonnxruntime_providers_cuda.so"


def package() -> Path | None:
    """Where onnxruntime is installed, or None."""
    spec = find_spec("onnxruntime")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def distributions() -> tuple[str, ...]:
    """Names on PyPI of what brought onnxruntime: itself, ``onnxruntime-gpu`` or another."""
    from importlib.metadata import packages_distributions

    return tuple(sorted(set(packages_distributions().get("onnxruntime", ["onnxruntime"]))))


def has_cuda_provider(place: Path) -> bool:
    """True when that onnxruntime was built for CUDA."""
    return (place / "capi" / _LIBRARY).exists()


def count_gpus() -> int:
    """NVIDIA GPUs that this process may use, by their device files."""
    found = sum(1 for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    chosen = [word.strip() for word in visible.split(",")]
    # CUDA itself stops at the first one that is not there.
    stop = next((i for i, word in enumerate(chosen) if word in ("", "-1")), len(chosen))
    return min(found, stop)


def cuda_index(device: str) -> int:
    """``cuda`` → 0, ``cuda:2`` → 2."""
    return int(device.partition(":")[2] or 0)


def gpu_name(device: str) -> str:
    """What the driver calls the GPU, or ``""`` for the processor and where it says nothing."""
    if not device.startswith("cuda"):
        return ""
    places = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    index = cuda_index(device)
    if index >= len(places):
        return ""
    lines = places[index].read_text(errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line[:6] == "Model:"), "")
