"""What there is to load in an artifact: a module and its weights, or a program of torch.

Decided by the record alone; no file is opened and no source is asked.
"""

from __future__ import annotations

from typing import Literal

from torchinf_core.frozen import dataclass
from torchinf_core.runtimes import Artifact

MODULE_OPTIONS = "torch-module"
"""Format of a derived form that is the module with other options, and has no files."""
AOT = "aotinductor"
"""Format of a derived form that AOTInductor compiled."""

Kind = Literal["module", "torchscript", "torch-export", "aotinductor"]
_PROGRAMS = {"torchscript": "TorchScript", "torch-export": "an exported program"}
_WEIGHTS = ("safetensors", "torch")
_HOLDS = {"safetensors": "safetensors", "torch": "a checkpoint"}
_ARCH = "name the architecture: --arch torchvision:resnet18, or arch=... in Python"


@dataclass(frozen=True, slots=True)
class Form:
    """What this runtime makes of an artifact.

    Attributes:
        kind: how it is loaded; None when it can't be.
        reason: for people, without a period.
        hint: how it could be loaded after all, or ``""``.
    """

    kind: Kind | None
    reason: str
    hint: str = ""


def original(artifact: Artifact) -> Artifact:
    """The model as downloaded, which holds the weights of a form without files."""
    return artifact.parent or artifact


def form_of(artifact: Artifact, runtime: str = "torch") -> Form:
    """What there is to load.

    Args:
        artifact: a model as downloaded, or a derived form.
        runtime: name of the plugin that asks; forms of others are not for it.
    """
    derived = artifact.derived
    if derived is not None:
        if derived.runtime != runtime:
            return Form(None, f"only {derived.runtime} loads what it made")
        if derived.format == AOT:
            return Form("aotinductor", f"{derived.label}, compiled here")
        made = form_of(original(artifact), runtime)
        return Form(made.kind, derived.label) if made.kind else made
    kind = artifact.record.format
    if kind in _PROGRAMS:
        return Form("torchscript" if kind == "torchscript" else "torch-export", _PROGRAMS[kind])
    weights = artifact.having(*_WEIGHTS)
    if artifact.describable and (weights or kind is None or kind in ("torchhub", *_WEIGHTS)):
        return Form("module", "a module of torch with its weights" if weights else "a torch module")
    if weights:
        names = f"{_HOLDS[str(weights[0].format)]} holds weights alone"
        return Form(None, f"{names}, and nothing tells the architecture", _ARCH)
    for program in _PROGRAMS:
        if artifact.having(program):
            return Form("torchscript" if program == "torchscript" else "torch-export", program)
    if kind == "torchhub":
        return Form(None, "the source of this code is not there", "pip install 'torchinf[hub]'")
    if kind == "pickle":
        return Form(None, "a pickle that is no checkpoint could hold any code; none is unpickled")
    return Form(None, f"torch does not read {kind or 'files of no known format'}")
