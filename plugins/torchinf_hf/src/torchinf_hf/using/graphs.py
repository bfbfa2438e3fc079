"""Names of the inputs of an ONNX graph, read from the file without the onnx package.

The format is protocol buffers: a graph is field 7 of the model, its inputs are field
11 and its weights field 5, an input's name is field 1.  What is not looked for is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_GRAPH, _INPUT, _NAME = 7, 11, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10
_MOST_NAME = 1000


def input_names(path: Path) -> tuple[str, ...]:
    """The names in the file's order; empty where the file is not understood."""
    found = []
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for number, end in _fields(file, size):
                if number != _GRAPH:
                    continue
                for inner, inner_end in _fields(file, end):
                    if inner == _INPUT:
                        found += [_text(file, e) for n, e in _fields(file, inner_end) if n == _NAME]
    except (OSError, ValueError):
        return ()
    return tuple(found)


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Number and end of each field of bytes up to ``end``; the file stands at its start."""
    place = file.tell()
    while place < end:
        file.seek(place)
        key = _varint(file)
        number, wire = key >> 3, key & 7
        if wire == _BYTES:
            place = _varint(file) + file.tell()
            if place > end:
                raise ValueError("a field is longer than what holds it")
            yield number, place
        elif wire == _VARINT:
            _varint(file)
            place = file.tell()
        elif wire in (_FIXED64, _FIXED32):
            place = file.tell() + (8 if wire == _FIXED64 else 4)
        else:
            raise ValueError(f"wire type {wire}")


def _varint(file: BinaryIO) -> int:
    value = 0
    for place in range(_LONGEST):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    raise ValueError("a number does not end")


def _text(file: BinaryIO, end: int) -> str:
    return file.read(min(end - file.tell(), _MOST_NAME)).decode("utf-8", "replace")
