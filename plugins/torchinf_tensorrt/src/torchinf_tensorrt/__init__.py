"""Runtime plugin: TensorRT and TensorRT for RTX, whose Python modules have one interface.

An engine is code for one kind of GPU.  This plugin builds engines from ONNX graphs,
and loads those alone that it built and the core kept as a form of a model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl

if TYPE_CHECKING:
    import typer

    from torchinf_core.host import Host
    from torchinf_core.predicting.predictor import Predictor
    from torchinf_core.runtimes import Artifact, Candidate, Claim, LoadOptions

__all__ = ["claim", "commands", "load", "optimize"]


@hookimpl
def claim(artifact: Artifact, device: str) -> Claim:
    """A bid for engines that this plugin built, where their GPU is."""
    from torchinf_tensorrt.claims import make_claim

    return make_claim(artifact, device)


@hookimpl
def load(artifact: Artifact, claim: Claim, options: LoadOptions) -> Predictor:
    """An engine with its execution context.

    Raises:
        UntrustedError: it is no engine that this plugin built.
        DeviceError: its GPU is not there.
        LoadError: it was built by another version, or TensorRT refuses it.
    """
    from torchinf_tensorrt.loading import load_engine

    return load_engine(artifact, claim, options)


@hookimpl
def optimize(
    artifact: Artifact, device: str, options: LoadOptions, host: Host
) -> Iterable[Candidate]:
    """Engines for an ONNX graph, where there is a GPU or a target is set."""
    from torchinf_tensorrt.candidates import offer

    return offer(artifact, device, options, host)


@hookimpl
def commands(app: typer.Typer) -> None:
    """``torchinf tensorrt build`` and ``torchinf tensorrt targets``."""
    from torchinf_tensorrt.command import build, targets

    app.command("build")(build)
    app.command("targets")(targets)
