"""Which devices there are, found without importing torch.

A device that was named and is not there is never replaced by another one.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from typing import Any

from torchinf_core.errors import DeviceError
from torchinf_core.frozen import dataclass
from torchinf_torch import framework

_HINT = "--device cpu, or auto"
_GPUS = "/proc/driver/nvidia/gpus"
_NODE = r"nvidia\d{1,2}"


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model would run.

    Attributes:
        name: ``cpu``, ``cuda:N`` or ``mps``.
        problem: why it can't run there, or ``""``.
    """

    name: str
    problem: str = ""


def choose(asked: str) -> Device:
    """The device for what the user asked for: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``mps``."""
    if asked == "cpu":
        return Device("cpu")
    if asked == "mps":
        return Device("mps", "" if has_mps() else "there is no Apple GPU that torch could use")
    if asked == "auto":
        return Device("cuda:0" if count_gpus() else "mps" if has_mps() else "cpu")
    number = asked.partition(":")[2] or "0"
    if not number.isdigit():
        return Device(asked, f"torch has no device {asked!r}")
    return Device(f"cuda:{int(number)}", _missing(int(number)))


def _missing(number: int) -> str:
    if not framework.installed()[1] and framework.loaded() is None:
        return "the installed torch was built without CUDA"
    count = count_gpus()
    if number < count:
        return ""
    if not count:
        return "there is no NVIDIA GPU that torch could use"
    return f"there is no GPU {number}; the last is cuda:{count - 1}"


def require(torch: Any, name: str) -> Any:
    """The ``torch.device`` of that name, which is there.

    Raises:
        DeviceError: torch can't use it; says why.
    """
    if name.startswith("cuda"):
        number = int(name.partition(":")[2] or 0)
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if number >= there:
            what = f"the last is cuda:{there - 1}" if there else "torch finds no NVIDIA GPU"
            raise DeviceError(f"there is no {name}: {what}", hint=_HINT)
    elif name == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("there is no mps: torch finds no Apple GPU", hint=_HINT)
    return torch.device(name)


def count_gpus() -> int:
    """NVIDIA GPUs that this process may use, by torch if that is imported anyway."""
    torch: Any = framework.loaded()
    if torch is not None and hasattr(torch, "cuda"):
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not framework.installed()[1]:
        return 0
    return _visible(_count_nodes(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def has_mps() -> bool:
    """True where torch can use the GPU of an Apple computer."""
    torch: Any = framework.loaded()
    if torch is not None and hasattr(torch, "backends"):
        return bool(torch.backends.mps.is_available())
    return sys.platform == "darwin" and os.uname().machine == "arm64"


def _visible(count: int, allowed: str | None) -> int:
    """How many of so many GPUs ``CUDA_VISIBLE_DEVICES`` leaves; a wrong one ends the list."""
    if allowed is None:
        return count
    visible = 0
    for word in allowed.split(","):
        word = word.strip()
        if not word or (word.lstrip("-").isdigit() and not 0 <= int(word) < count):
            break
        visible += 1
    return min(visible, count)


def _count_nodes() -> int:
    try:
        return len(os.listdir(_GPUS))
    except OSError:
        pass
    try:
        found = sum(1 for name in os.listdir("/dev") if re.fullmatch(_NODE, name))
    except OSError:
        return 0
    # Windows' subsystem for Linux shows one node for all.
    return found or int(os.path.exists("/dev/dxg"))


@lru_cache(maxsize=1)
def has_fast_bf16() -> bool:
    """True for a processor that multiplies bfloat16 in hardware, as Linux tells its features."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return tells_bf16(file.read(1 << 16))
    except OSError:
        return False


def tells_bf16(cpuinfo: str) -> bool:
    """Whether the features of the first processor in ``/proc/cpuinfo`` are enough."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    words = set(found[1].split()) if found else set()
    return not words.isdisjoint(("avx512_bf16", "amx_bf16", "bf16"))
