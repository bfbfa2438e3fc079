"""Models on NVIDIA GPUs with PyTorch, for torchinf.

Builds on the torch plugin, which reads the files; this one knows what only CUDA has.
Importing it imports no framework.
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
    """Bid for what the torch plugin loads, where there is a GPU for it.

    Args:
        artifact: a model as downloaded, or a form that this plugin made.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    """
    from torchinf_cuda.bidding import bid

    return bid(artifact, device)


@hookimpl
def load(artifact: Artifact, claim: Claim, options: LoadOptions) -> Predictor:
    """Load a model onto a GPU, or over several where one is too small.

    Args:
        artifact: its files were checked and its code, if any, is trusted.
        claim: this plugin's own.
        options: precision, threads and batch.

    Raises:
        DeviceError: the GPU is not there, or the GPUs are too small.
        TorchinfError: what the torch plugin raises for the files.
    """
    from torchinf_cuda.loading import load_predictor

    return load_predictor(artifact, claim, options)


@hookimpl
def optimize(artifact: Artifact, device: str, options: LoadOptions) -> Iterable[Candidate]:
    """Offer other ways to run the same weights on a GPU.

    Args:
        artifact: a model as downloaded.
        device: that the result is to run on.
        options: what the user wants.
    """
    from torchinf_cuda.optimizing import candidates

    return candidates(artifact, device, options)
