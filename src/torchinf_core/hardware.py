"""What a derived artifact is bound to: this machine's processor, and package versions."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """The processor: architecture, model, number of cores, and 12 digits over its features."""
    machine = os.uname().machine
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model, features = "unknown", ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(1 << 16).partition("\n\n")[0]
        fields = dict(re.findall(r"^([^\t:]+?)\s*:[ \t]*(.*)$", first, re.MULTILINE))
        model = fields.get("model name") or fields.get("CPU part") or model
        features = fields.get("flags") or fields.get("Features") or ""
    except OSError:
        pass
    words = " ".join(sorted(features.split()))
    digits = hashlib.sha256(words.encode()).hexdigest()[:12]
    return f"{machine} {model} x{cores} {digits}"


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Distribution → installed version; ``""`` for one that is not there."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
