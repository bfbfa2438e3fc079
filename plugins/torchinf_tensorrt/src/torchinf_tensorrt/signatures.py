"""What an engine takes and gives, in the core's words."""

from __future__ import annotations

from typing import Any

from torchinf_core.runtimes import Signature, TensorSpec

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}


def make_signature(trt: Any, engine: Any) -> Signature:
    """Inputs and outputs in the engine's order; axes of any length get words."""
    sides: dict[bool, list[TensorSpec]] = {True: [], False: []}
    for place in range(engine.num_io_tensors):
        name = engine.get_tensor_name(place)
        shape = tuple(engine.get_tensor_shape(name))
        taken = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        axes = tuple(
            axis if axis >= 0 else ("batch" if number == 0 else f"{name}_{number}")
            for number, axis in enumerate(shape)
        )
        word = engine.get_tensor_dtype(name).name
        sides[taken].append(TensorSpec(name, _DTYPES.get(word, word.lower()), axes))
    return Signature(tuple(sides[True]), tuple(sides[False]))
