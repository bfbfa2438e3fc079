"""Tensors as the Open Inference Protocol writes them, in JSON and in binary."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from torchinf_core.errors import InputError
from torchinf_core.runtimes import Array, TensorSpec
from torchinf_serve.predicting.answers import name_of, plain
from torchinf_serve.predicting.exchange import BadBodyError

_NAMES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
_WORDS = {name: word for word, name in _NAMES.items()}
_MOST_AXES = 16


def datatype(dtype: str) -> str:
    """``float32`` → ``FP32``; what the protocol has no word for is BYTES, as JSON."""
    return _WORDS.get(dtype, "BYTES")


def describe(spec: TensorSpec) -> dict[str, Any]:
    """An input or output for a model's metadata; -1 is an axis of any length."""
    shape = [axis if isinstance(axis, int) else -1 for axis in spec.shape or ()]
    return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": shape}


def read_tensor(tensor: Mapping[str, Any], binary: memoryview | None) -> Array:
    """The array of one input.

    Args:
        tensor: ``{name, shape, datatype, data?}``.
        binary: its part of the body behind the JSON, if it has one.

    Raises:
        BadBodyError: it is not as the protocol wants it.
        InputError: its values are not of its type.
    """
    name, word, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if not isinstance(word, str) or word not in _NAMES:
        raise BadBodyError(
            f"the input {name!r} has the datatype {str(word)[:30]!r}",
            hint=f"one of {', '.join(_NAMES)}",
        )
    if (
        type(shape) is not list
        or len(shape) > _MOST_AXES
        or not all(type(axis) is int and axis >= 0 for axis in shape)
    ):
        raise BadBodyError(f"the input {name!r} has no shape")
    count = prod(shape)
    if binary is not None:
        if "data" in tensor:
            raise BadBodyError(f"the input {name!r} has data twice")
        flat = _texts(binary, name) if word == "BYTES" else _numbers(binary, _NAMES[word], name)
    elif word == "BYTES":
        flat = _strings(tensor.get("data"), name)
    else:
        flat = _listed(tensor.get("data"), _NAMES[word], name)
    if flat.size != count:
        raise InputError(f"the input {name!r} has {flat.size} values, and its shape {count}")
    return flat.reshape(shape)


def write_tensor(
    name: str, array: Array, *, binary: bool
) -> tuple[dict[str, Any], bytes | memoryview | None]:
    """One output: its JSON, and its bytes where it was asked for in binary."""
    word = datatype(name_of(array.dtype))
    if word == "BYTES" and array.dtype.kind == "V":  # bfloat16: no client's numpy knows it
        array, word = array.astype(np.float32), "FP32"
    head: dict[str, Any] = {"name": name, "datatype": word, "shape": list(array.shape)}
    if not binary:
        if word == "BYTES":
            head["data"] = [_text(value) for value in array.reshape(-1)]
        else:
            head["data"] = plain(array.reshape(-1))
        return head, None
    content: bytes | memoryview
    if word == "BYTES":
        content = b"".join(
            struct.pack("<I", len(raw)) + raw for raw in map(_raw, array.reshape(-1))
        )
    else:
        content = np.ascontiguousarray(array).data.cast("B") if array.size else b""
    head["parameters"] = {"binary_data_size": len(content)}
    return head, content


def texts(values: Sequence[bytes]) -> Array:
    """A one-dimensional array of BYTES."""
    array: Array = np.empty(len(values), object)
    array[:] = values
    return array


# INSIDE


def _numbers(binary: memoryview, dtype: str, name: object) -> Array:
    made = np.dtype(dtype)
    if binary.nbytes % made.itemsize:
        raise BadBodyError(f"the bytes of the input {name!r} are no whole number of values")
    if binary.nbytes == 0:
        return np.empty(0, made)
    return np.frombuffer(binary, made)


def _listed(data: Any, dtype: str, name: object) -> Array:
    if type(data) is not list:
        raise BadBodyError(f"the input {name!r} has no data")
    try:
        found = np.array(data)
        kinds = {"b": "b", "u": "bui", "i": "bui", "f": "buif"}[np.dtype(dtype).kind]
        if found.dtype.kind not in kinds and found.size:
            raise InputError(f"the values of the input {name!r} are not all {datatype(dtype)}")
        return np.array(data, dtype).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the input {name!r} makes no array: {str(error)[:200]}") from None


def _strings(data: Any, name: object) -> Array:
    if type(data) is not list:
        raise BadBodyError(f"the input {name!r} has no data")
    flat: list[bytes] = []
    pending = list(reversed(data))
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif isinstance(value, str):
            flat.append(value.encode())
        else:
            raise InputError(f"the values of the input {name!r} are not all texts")
    return texts(flat)


def _texts(binary: memoryview, name: object) -> Array:
    found: list[bytes] = []
    place, end = 0, binary.nbytes
    while place < end:
        if place + 4 > end:
            raise BadBodyError(f"the bytes of the input {name!r} end too early")
        (length,) = struct.unpack_from("<I", binary, place)
        place += 4
        if place + length > end:
            raise BadBodyError(f"the bytes of the input {name!r} end too early")
        found.append(bytes(binary[place : place + length]))
        place += length
    return texts(found)


def _raw(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
