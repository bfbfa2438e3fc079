"""Bids: a GPU that is really there, found without importing torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torchinf_core.runtimes import Artifact, Claim
from torchinf_torch import devices, framework
from torchinf_torch.bidding import ACCELERATED, FITS, PROVEN
from torchinf_torch.forms import form_of

RUNTIME = "cuda"
_GPUS = Path("/proc/driver/nvidia/gpus")
_MODEL = r"^Model:\s*(.+?)\s*$"


def bid(artifact: Artifact, device: str) -> Claim:
    """The bid for the ``claim`` hook."""
    form = form_of(artifact, RUNTIME)
    if form.kind is None:
        return Claim(0, "cuda:0" if device == "auto" else device, form.reason, form.hint)
    version, built = framework.installed()
    if not version:
        return Claim(0, device, "torch is not installed", "pip install 'torchinf[cuda]'")
    if framework.is_old(version):
        reason = f"torch {version} is too old to read files of strangers"
        return Claim(0, device, reason, "pip install --upgrade torch")
    derived = artifact.derived
    found = devices.choose(derived.device if derived and device == "auto" else device)
    if not found.name.startswith("cuda"):
        there = "there is none here" if device == "auto" else f"{device} was asked for"
        return Claim(0, found.name, f"it runs on NVIDIA GPUs alone, and {there}")
    if found.problem:
        hint = "" if built else "install a torch that is built for CUDA"
        return Claim(0, found.name, found.problem, hint or "--device auto takes what is there")
    if derived is not None:
        if found.name != derived.device:
            return Claim(0, found.name, f"it was made for {derived.device}")
        wanted = derived.hardware.partition("; ")[2]
        if wanted and wanted not in gpu_names():
            return Claim(0, found.name, f"it was made on a GPU of the name {wanted}")
    score = FITS + ACCELERATED + (PROVEN if derived else 0)
    return Claim(score, found.name, f"{form.reason} on {found.name}")


def gpu_names(root: Path = _GPUS) -> tuple[str, ...]:
    """What the GPUs are called, by torch if that is imported anyway, else by the driver."""
    torch: Any = framework.loaded()
    if torch is not None and hasattr(torch, "cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return tuple(torch.cuda.get_device_name(number) for number in range(count))
    names = []
    try:
        for folder in sorted(root.iterdir()):
            told = (folder / "information").read_text(encoding="utf-8")
            found = re.search(_MODEL, told, re.MULTILINE)
            if found:
                names.append(found[1])
    except OSError:
        pass
    return tuple(names)
