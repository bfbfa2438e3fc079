"""What a derived artifact is bound to: this machine's processor, and package versions.

Read from ``/proc`` and from the names of installed distributions alone, since
every load of an optimised model asks for both.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache

_CODE = (
    r"(avx|sse|ssse|amx|fma|f16c|bmi|abm|adx|movbe|popcnt|aes|vaes|pclmul|vpclmul|sha|gfni|lm$"
    r"|neon|asimd|sve|sme|fphp|i8mm|bf16|atomics|crc32|pmull)"
)
"""Features that compilers use; others come and go with kernels and microcode."""


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """The processor: architecture, model, number of cores, and 12 digits over its features."""
    machine = os.uname().machine
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            model, digits = processor(file.read(1 << 16))
    except OSError:
        model, digits = processor("")
    return f"{machine} {model} x{cores} {digits}"


def processor(cpuinfo: str) -> tuple[str, str]:
    """Model and 12 hex digits over the features of the first processor in ``/proc/cpuinfo``."""
    first = cpuinfo.partition("\n\n")[0]
    fields = dict(re.findall(r"^([^\t:]+?)\s*:[ \t]*(.*)$", first, re.MULTILINE))
    model = fields.get("model name") or fields.get("CPU part") or "unknown"
    features = (fields.get("flags") or fields.get("Features") or "").split()
    words = " ".join(sorted(filter(re.compile(_CODE).match, features)))
    from torchinf_core.warm import hex_digest

    return model, hex_digest(words.encode())[:12]


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Distribution → installed version; ``""`` for one that is not there."""
    wanted = {name: _folded(name) for name in sorted(set(distributions))}
    if not wanted:
        return {}
    found: dict[str, str] = {}
    for folder in dict.fromkeys(sys.path):
        try:
            entries = os.listdir(folder or ".")
        except (OSError, TypeError, ValueError):
            continue
        for entry in entries:
            if entry.endswith(".dist-info"):
                name, _, version = entry.removesuffix(".dist-info").partition("-")
                found.setdefault(_folded(name), version)
    return {name: found.get(folded) or _asked(name) for name, folded in wanted.items()}


def stale(hardware: str, bound_to: Mapping[str, str]) -> str:
    """Why something that was made for a machine and versions is of no use here, or ``""``.

    Args:
        hardware: a fingerprint, and what a runtime added to it behind ``"; "``.
        bound_to: distribution → version.
    """
    own, _, _ = hardware.partition("; ")
    if own != fingerprint():
        return "it was made on other hardware"
    for name, version in versions(bound_to).items():
        if version != bound_to[name]:
            return f"it was made with {name} {bound_to[name]}, here is {version or 'none'}"
    return ""


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _asked(name: str) -> str:
    """The slow way, for what is installed in another form than a directory."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except (PackageNotFoundError, ValueError):
        return ""
