"""Inputs as the body of a request, and the answer as what a local prediction would give."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import httpx

from torchinf_core.errors import InputError
from torchinf_core.predicting import arrays

_NPY = "application/x-npy"
_NUMBERS = "biuf"


def body_of(inputs: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of httpx that send inputs.

    Arrays go as ``.npy``, files and pictures as uploads, and the rest as JSON.

    Raises:
        InputError: a file can't be read, or it is nothing that can be sent.
    """
    several = isinstance(inputs, list) and bool(inputs)
    files = [_file(item) for item in (inputs if several else [inputs])]
    if all(file is not None for file in files):
        accept = {"accept": _NPY} if arrays.is_array(inputs) else {}
        if len(files) == 1 and not several and not options:
            kind = _NPY if (files[0] or b"")[:6] == b"\x93NUMPY" else "application/octet-stream"
            return {"content": files[0], "headers": {"content-type": kind, **accept}}
        if not arrays.is_array(inputs[0] if several else inputs):
            parts = [("file", (f"{number}", file)) for number, file in enumerate(files)]
            return {"files": parts, "data": {"options": json.dumps(dict(options))}}
    if isinstance(inputs, Mapping):
        inputs = {name: _explicit(value) for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        raise InputError("a server wants several inputs by name", hint='{"input": ..., ...}')
    asked = {"inputs": inputs, **({"options": dict(options)} if options else {})}
    try:
        content = json.dumps(asked, default=_plain, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"that can't be sent: {error}") from None
    return {"content": content, "headers": {"content-type": "application/json"}}


def result_of(answer: httpx.Response) -> Any:
    """What the model made of it: results, an array, or a dict of arrays."""
    import numpy as np

    if answer.headers.get("content-type") == "application/octet-stream":
        return np.load(BytesIO(answer.content), allow_pickle=False)
    body = answer.json()
    if "outputs" not in body:
        return body["result"]
    outputs = {name: array_of(value) for name, value in body["outputs"].items()}
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def array_of(shown: Mapping[str, Any]) -> Any:
    """The array of ``{"shape": …, "dtype": …, "data": …}``."""
    import numpy as np

    try:
        dtype = np.dtype(shown["dtype"])
    except TypeError:  # bfloat16 and its like
        dtype = np.dtype(np.float32)
    return np.array(shown["data"], dtype).reshape(shown["shape"])


def _file(value: Any) -> bytes | None:
    """The content of a file, a picture, or an array as ``.npy``; None for anything else."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise InputError(f"{path!r} can't be read: {error.strerror or error}") from None
    written = BytesIO()
    if hasattr(value, "getbands"):  # a picture of Pillow
        value.save(written, "PNG")
        return written.getvalue()
    if arrays.is_array(value):
        import numpy as np

        array = _array(value)
        if array.dtype.kind in _NUMBERS:
            np.save(written, array, allow_pickle=False)
            return written.getvalue()
    return None


def _array(value: Any) -> Any:
    import numpy as np

    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _explicit(value: Any) -> Any:
    if not arrays.is_array(value) or _array(value).dtype.kind not in _NUMBERS:
        return value
    array = _array(value)
    return {"shape": array.shape, "dtype": str(array.dtype), "data": array.tolist()}


def _plain(value: Any) -> Any:
    if arrays.is_array(value):
        return _array(value).tolist()
    raise TypeError(f"it holds a {type(value).__name__}")
