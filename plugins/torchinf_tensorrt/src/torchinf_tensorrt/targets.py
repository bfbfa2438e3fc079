"""Kinds of GPUs that engines are built for, and the GPUs of this machine.

Found without a framework: by the driver's files.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from torchinf_core.errors import LoadError, UsageError

_TARGET = r"(?:sm[_-]?)?(\d{1,2})\.?(\d)"
NO_GPU = "there is no NVIDIA GPU on this machine"


def parse_target(text: object) -> str:
    """``sm89`` of ``sm89``, ``SM_89`` or ``8.9``.

    Raises:
        UsageError: it is nothing like that.
    """
    match = re.fullmatch(_TARGET, str(text).strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(
            f"the target {str(text)[:40]!r} is no compute capability",
            hint="such as sm89; torchinf tensorrt targets lists them",
        )
    return f"sm{match[1]}{match[2]}"


def known(trt: Any) -> tuple[str, ...]:
    """Targets that a module can name; none for TensorRT, which builds for the GPU it is on."""
    capabilities = getattr(trt, "ComputeCapability", None)
    names = capabilities.__members__ if capabilities is not None else ()
    return tuple(name.lower() for name in names if name.startswith("SM"))


def aim(trt: Any, config: Any, target: str) -> None:
    """Set what an engine is built for.

    Args:
        trt: the module.
        config: of the builder.
        target: ``sm89``, or ``""`` for the GPU that is there.

    Raises:
        LoadError: the module does not build for that.
    """
    if target and target not in known(trt):
        there = ", ".join(known(trt)) or "the GPU it runs on alone"
        raise LoadError(
            f"{trt.__name__} {trt.__version__} does not build for {target}; it builds for {there}",
            hint="" if known(trt) else "pip install tensorrt-rtx",
        )
    if known(trt):
        name = target.upper() or "CURRENT"
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, name), 0)


def count_gpus() -> int:
    """NVIDIA GPUs that this process may use, by their device files."""
    found = sum(1 for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    chosen = [word.strip() for word in visible.split(",")]
    stop = next((i for i, word in enumerate(chosen) if word in ("", "-1")), len(chosen))
    return min(found, stop)


def gpu_name(index: int) -> str:
    """What the driver calls a GPU, or ``""`` where it says nothing."""
    places = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    if index >= len(places):
        return ""
    lines = places[index].read_text(errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line[:6] == "Model:"), "")


def cuda_index(device: str) -> int:
    """``cuda`` → 0, ``cuda:2`` → 2."""
    return int(device.partition(":")[2] or 0)
