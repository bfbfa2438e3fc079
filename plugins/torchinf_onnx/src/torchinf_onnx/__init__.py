"""Runtime plugin: ONNX Runtime, on the processor and on CUDA devices.

Bidding looks at the record and at what is installed; onnxruntime is imported by
``load`` and by the candidates when they are built.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from torchinf_core.host import Host
    from torchinf_core.predicting.predictor import Predictor
    from torchinf_core.runtimes import Artifact, Candidate, Claim, LoadOptions

__all__ = ["claim", "load", "optimize"]


@hookimpl
def claim(artifact: Artifact, device: str) -> Claim:
    """A bid for models that have one ONNX graph to run."""
    from torchinf_onnx.claims import make_claim

    return make_claim(artifact, device)


@hookimpl
def load(artifact: Artifact, claim: Claim, options: LoadOptions, host: Host) -> Predictor:
    """A session on the claim's device.

    Raises:
        FormatError: the graph is broken, or reads files that are not the model's.
        DeviceError: onnxruntime could not use the device.
        LoadError: onnxruntime can't run the graph, or not in the precision asked for.
    """
    from torchinf_onnx.loading import load_predictor

    return load_predictor(artifact, claim, options, host)


@hookimpl
def optimize(
    artifact: Artifact, device: str, options: LoadOptions, host: Host
) -> Iterable[Candidate]:
    """The graph optimised in advance, and with 8-bit weights; exported first where it must be."""
    from torchinf_onnx.candidates import offer

    return offer(artifact, device, options, host)
