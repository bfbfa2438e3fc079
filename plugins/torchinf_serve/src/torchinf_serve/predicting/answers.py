"""Answers as bytes: arrays and results as JSON, and errors that give nothing away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from torchinf_core.errors import LoadError
from torchinf_core.runtimes import Array
from torchinf_serve.security import problems

JSON = b"application/json"
BUSY_SECONDS = 5
_WIDEST = 8
"""Bytes of the largest numbers that orjson writes."""
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
_NAMES: dict[Any, str] = {}

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]


def dump(value: Any) -> bytes:
    """JSON; arrays as lists, numbers that JSON has no word for (NaN, infinity) as null.

    Raises:
        LoadError: the model gave something that JSON can't show.
    """
    try:
        return orjson.dumps(value, _convert, _OPTIONS)
    except TypeError as error:
        raise LoadError(f"the result can't be shown as JSON: {str(error)[:200]}") from None


def show(array: Array) -> dict[str, Any]:
    """An array as people read it: its shape, its dtype, and its values as lists."""
    return {"shape": array.shape, "dtype": name_of(array.dtype), "data": plain(array)}


def name_of(dtype: Any) -> str:
    """``float32``; remembered, since numpy takes its time to find the word."""
    name = _NAMES.get(dtype)
    if name is None:
        name = _NAMES[dtype] = str(dtype)
    return name


def plain(array: Array) -> Any:
    """An array, or what orjson can make of it: it takes C order and numpy's own dtypes."""
    kind = array.dtype.kind
    if kind == "V":  # bfloat16 and its like, which come from another package
        return np.ascontiguousarray(array, np.float32)
    if kind not in "biuf" or array.dtype.itemsize > _WIDEST:
        return array.tolist()
    if not array.shape:
        return array.item()
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def json_answer(value: Any, status: int = 200, more: Headers | None = None) -> Answer:
    """An answer with a JSON body.

    Raises:
        LoadError: as for :func:`dump`.
    """
    return make_answer(dump(value), JSON, status, more)


def make_answer(body: bytes, kind: bytes, status: int = 200, more: Headers | None = None) -> Answer:
    """An answer with its length and type."""
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    return status, [*headers, *more] if more else headers, body


def problem(error: BaseException, request_id: str = "") -> Answer:
    """An error as ``application/problem+json``."""
    body = problems.problem(error)
    if request_id:
        body["request_id"] = request_id
    kind = problems.MEDIA_TYPE.encode()
    return make_answer(problems.encode(body), kind, body["status"], error_headers(error))


def error_headers(error: BaseException) -> Headers:
    """When to try again, where the error tells, and what else it wants to be sent."""
    headers = [(name.encode(), value.encode()) for name, value in getattr(error, "headers", ())]
    seconds = getattr(error, "retry_after", None)
    if seconds is None and problems.status_of(error) == 503:
        seconds = BUSY_SECONDS
    return [*headers, (b"retry-after", str(int(seconds)).encode())] if seconds else headers


def _convert(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return plain(value)
    if isinstance(value, np.generic):
        made = value.item()
        if isinstance(made, np.generic):
            raise TypeError(f"numpy's {value.dtype} has no word in JSON")
        return made
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if hasattr(value, "detach"):
        return plain(value.detach().cpu().numpy())
    raise TypeError(f"a value of type {type(value).__name__}")
