"""Bids: what this runtime says of an artifact on a device, without importing torch."""

from __future__ import annotations

from torchinf_core.runtimes import Artifact, Claim
from torchinf_torch import devices, framework
from torchinf_torch.forms import form_of

FITS, EAGER, ACCELERATED, PROVEN = 100, 50, 200, 10


def bid(artifact: Artifact, device: str) -> Claim:
    """The bid for the ``claim`` hook."""
    form = form_of(artifact)
    if form.kind is None:
        return Claim(0, "cpu" if device == "auto" else device, form.reason, form.hint)
    version, _ = framework.installed()
    if not version:
        return Claim(0, device, "torch is not installed", framework.INSTALL)
    if framework.is_old(version):
        return Claim(
            0,
            device,
            f"torch {version} is too old to read files of strangers",
            "pip install --upgrade torch",
        )
    found = devices.choose(device)
    derived = artifact.derived
    if derived is not None:
        # Asked for anything, it runs where it was proven; asked for another device, nowhere.
        if device == "auto":
            found = devices.choose(derived.device)
        if found.name != derived.device:
            return Claim(0, found.name, f"it was made for {derived.device}")
    if found.problem:
        return Claim(0, found.name, found.problem, "--device auto takes what is there")
    on = "" if found.name == "cpu" else f" on {found.name}"
    # Plain torch uses a GPU without what only the cuda plugin knows to do there.
    score = FITS if found.name == "cpu" else EAGER + ACCELERATED
    return Claim(score + (PROVEN if derived else 0), found.name, form.reason + on)
