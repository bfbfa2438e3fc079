"""Graphs whose weights and arithmetic are fp16, their inputs and outputs as before.

For builders that compute in the types of the graph alone, as TensorRT for RTX does.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

from torchinf_core.errors import MissingDependencyError

NEEDED = ("onnx", "onnxruntime")


def can_halve() -> bool:
    """True when the packages that do it are installed."""
    return all(find_spec(name) is not None for name in NEEDED)


def halve(graph: Path, folder: Path) -> Path:
    """Write the fp16 form of a checked graph into an empty folder.

    Raises:
        MissingDependencyError: onnx or onnxruntime, whose tool it is, is not installed.
    """
    if not can_halve():
        raise MissingDependencyError(
            "making a graph fp16 needs onnx and onnxruntime", hint=f"pip install {' '.join(NEEDED)}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        made = convert_float_to_float16(onnx.load(graph), keep_io_types=True)
    target = folder / graph.name
    # In one file protobuf would end at 2 GiB.
    onnx.save(made, target, save_as_external_data=True, location=f"{graph.name}.data")
    return target
