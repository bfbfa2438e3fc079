"""What a session takes and gives, in the core's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchinf_core.errors import FormatError, LoadError
from torchinf_core.runtimes import Signature, TensorSpec

_DTYPES = {"float": "float32", "double": "float64", "string": "object"}
_LONGEST_WORD = 40


def make_signature(session: Any, name: str) -> Signature:
    """The inputs and outputs, each axis of any length with a word.

    Raises:
        LoadError: an input is a sequence, a map or optional, which no array is.
        FormatError: a name in the graph is no text.
    """
    try:
        inputs, outputs = _specs(session.get_inputs()), _specs(session.get_outputs())
    except UnicodeDecodeError:  # onnxruntime decodes a name when it is asked for
        raise FormatError(f"{name!r} is damaged: a name in its graph is no text") from None
    for spec, value in zip(inputs, session.get_inputs(), strict=True):
        if dtype(value.type) is None:
            raise LoadError(
                f"the input {spec.name!r} of {name!r} is {value.type}, and only arrays are taken"
            )
    return Signature(inputs, outputs)


def dtype(kind: str) -> str | None:
    """``tensor(float)`` → ``float32``; None for what is no dense tensor."""
    if not kind.startswith("tensor("):
        return None
    word = kind[len("tensor(") : -1]
    return _DTYPES.get(word, word)


def _specs(values: Sequence[Any]) -> tuple[TensorSpec, ...]:
    """Unnamed axes get names of their own, for nothing says that two of them are equal."""
    specs = []
    for place, value in enumerate(values):
        kind = dtype(value.type)
        if kind is None:
            specs.append(TensorSpec(value.name, value.type))
            continue
        if not value.shape:  # onnxruntime says so of a single number and of any shape at all
            specs.append(TensorSpec(value.name, kind))
            continue
        shape = tuple(
            _axis(axis, "batch" if place == number == 0 else f"{value.name}_{number}")
            for number, axis in enumerate(value.shape)
        )
        specs.append(TensorSpec(value.name, kind, shape))
    return tuple(specs)


def _axis(axis: object, default: str) -> int | str:
    if isinstance(axis, int):
        return axis if axis >= 0 else default
    if isinstance(axis, str) and axis.isprintable() and 0 < len(axis) <= _LONGEST_WORD:
        return axis
    return default
