"""From the module that a source describes to an ONNX graph, by PyTorch's exporter.

Only while a candidate is built; what was exported runs without PyTorch.
"""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchinf_core.errors import LoadError
from torchinf_core.runtimes import Architecture, Artifact, TensorSpec
from torchinf_onnx.optimising import quiet

SAFE_TORCH = (2, 6)
"""Before, weights_only could be got round (CVE-2025-32434)."""


def export(artifact: Artifact, target: Path) -> None:
    """Write the graph of a described model, its axes of any length kept so.

    Raises:
        LoadError: the weights do not fit the module, or the exporter can't follow it.
    """
    import torch

    architecture = artifact.architecture()
    if architecture.examples is None:
        raise LoadError(f"{artifact.name!r} has no example inputs to export it with")
    feeds = architecture.examples(2)
    module = make_module(artifact, architecture)
    specs = architecture.signature.inputs or tuple(
        TensorSpec(name, str(array.dtype), ("batch", *array.shape[1:]))
        for name, array in feeds.items()
    )
    names = [spec.name for spec in specs]
    outputs = [spec.name for spec in architecture.signature.outputs]
    parameters = inspect.signature(module.forward).parameters

    class Arrays(torch.nn.Module):  # type: ignore[misc]
        """The module with arrays alone, in the signature's order."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *arrays: Any) -> Any:
            if all(name in parameters for name in names):
                found = self.module(**dict(zip(names, arrays, strict=True)))
            else:
                found = self.module(*arrays)
            if isinstance(found, Mapping):
                return tuple(found[name] for name in outputs or found)
            return tuple(found)[: len(outputs) or None] if isinstance(found, tuple) else found

    axes = tuple(
        {place: axis for place, axis in enumerate(spec.shape or ()) if isinstance(axis, str)}
        for spec in specs
    )
    arrays = tuple(torch.from_numpy(feeds[name]) for name in names)
    # The exporter prints what it could not follow; the error below says it in a line.
    with quiet(), contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
        try:
            torch.onnx.export(
                Arrays().eval(),
                arrays,
                str(target),
                input_names=names,
                output_names=outputs or None,
                dynamic_shapes=(axes,),  # the one variadic parameter
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise LoadError(f"PyTorch can't export {artifact.name!r}: {line[:300]}") from error


def make_module(artifact: Artifact, architecture: Architecture) -> Any:
    """The described module with its weights, in evaluation mode.

    Built for real, not on the meta device: buffers that are in no checkpoint must be right.
    """
    import torch

    if architecture.build is None:
        raise LoadError(f"nothing builds the module of {artifact.name!r}")
    # An untrained model has random weights, the same ones in every runtime.
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = architecture.build().eval()
    if architecture.complete:
        return module
    state: dict[str, Any] = {}
    for path in architecture.weights:
        state.update(_read(artifact.path(path)))
    every = dict(module.named_parameters(remove_duplicate=False))
    tied = len(every) != len(dict(module.named_parameters()))
    # Assigning would leave the other name of a tied tensor with the old one.
    missing, _ = module.load_state_dict(state, strict=False, assign=not tied)
    loaded = {id(every[name]) for name in every if name in state}
    lacking = [name for name in missing if name in every and id(every[name]) not in loaded]
    if lacking:
        raise LoadError(
            f"the weights of {artifact.name!r} lack {lacking[0]!r} and {len(lacking) - 1} more"
        )
    return module


def _read(path: Path) -> dict[str, Any]:
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        found: dict[str, Any] = load_file(path)
        return found
    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE_TORCH:
        raise LoadError(
            f"torch {torch.__version__} does not read checkpoints safely",
            hint="pip install -U torch",
        )
    with open(path, "rb") as file:
        is_zip = file.read(2) == b"PK"  # a legacy checkpoint can't be mapped
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    return state
