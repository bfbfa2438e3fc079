"""Arrays in the ``.npy`` format, read from memory without unpickling or copying."""

from __future__ import annotations

import ast
import struct
from math import prod

import numpy as np

from torchinf_core.runtimes import Array
from torchinf_serve.predicting.exchange import BadBodyError

MAGIC = b"\x93NUMPY"
_LONGEST_HEAD = 10_000


def read_npy(body: bytes | bytearray) -> Array:
    """The array of a ``.npy`` file, on its very bytes; nothing is unpickled.

    Raises:
        BadBodyError: it is no such file, or has not as many bytes as it says.
    """
    try:
        if body[:6] != MAGIC:
            raise BadBodyError("the body is no .npy file", hint="numpy.save writes one")
        major = body[6]
        size, start = (2, 10) if major == 1 else (4, 12)
        if major not in (1, 2, 3):
            raise BadBodyError(f"version {major} of .npy is not known")
        (length,) = struct.unpack("<H" if size == 2 else "<I", body[8 : 8 + size])
        if length > _LONGEST_HEAD:
            raise BadBodyError("the head of the .npy file is too long")
        text = bytes(body[start : start + length]).decode("utf-8" if major == 3 else "latin-1")
        head = ast.literal_eval(text)
        dtype, shape = np.dtype(head["descr"]), tuple(int(axis) for axis in head["shape"])
        if dtype.hasobject or dtype.kind not in "biufc" or min(shape, default=0) < 0:
            raise BadBodyError(f"the .npy file holds {str(dtype)[:60]}, and only numbers are taken")
        flat = np.frombuffer(body, dtype, offset=start + length)
        if flat.size != prod(shape):
            raise BadBodyError(f"the .npy file has {flat.size} values, not those of {shape}")
        return flat.reshape(shape, order="F" if head["fortran_order"] else "C")
    except BadBodyError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a hostile head leads to
        raise BadBodyError(f"the body is no .npy file: {type(error).__name__}") from None
