"""The PyTorch runtime of torchinf: safetensors, checkpoints, TorchScript, exported programs.

Importing it imports no framework; torch is loaded with the first model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl
from torchinf_core.runtimes import Artifact, Candidate, Claim, LoadOptions

if TYPE_CHECKING:
    from torchinf_core.predicting.predictor import Predictor

__all__ = ["claim", "load", "optimize"]


@hookimpl
def claim(artifact: Artifact, device: str) -> Claim:
    """Bid for weights whose architecture is known, TorchScript and exported programs.

    Args:
        artifact: a model as downloaded, or a form that this plugin made.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    """
    from torchinf_torch.bidding import bid

    return bid(artifact, device)


@hookimpl
def load(artifact: Artifact, claim: Claim, options: LoadOptions) -> Predictor:
    """Load a model without a second copy of its weights.

    Args:
        artifact: its files were checked and its code, if any, is trusted.
        claim: this plugin's own.
        options: precision, threads and batch.

    Raises:
        FormatError: a file is damaged, hostile, or does not fit the architecture.
        PolicyError: a checkpoint names code.
        DeviceError: the device is not there, or too small.
        LoadError: anything else that keeps the model from being loaded.
    """
    from torchinf_torch.loading import load_predictor

    return load_predictor(artifact, claim, options)


@hookimpl
def optimize(artifact: Artifact, device: str, options: LoadOptions) -> Iterable[Candidate]:
    """Offer other ways to run the same weights.

    Args:
        artifact: a model as downloaded.
        device: that the result is to run on.
        options: what the user wants.
    """
    from torchinf_torch.optimizing import candidates

    return candidates(artifact, device, options)
