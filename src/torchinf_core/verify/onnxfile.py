"""ONNX models: the protobuf structure, and the external files they read.

A minimal wire-format reader that visits nothing but messages which can hold a
tensor, skips over weights by seeking, and keeps one window of the file.

Message and field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import BinaryIO

from torchinf_core.errors import FormatError
from torchinf_core.verify.paths import check_path
from torchinf_core.verify.sniffed import Sniffed

WINDOW = 1 << 14
MAX_DEPTH = 100
MAX_PARTS = 20_000_000
MAX_LOCATIONS = 100_000
MAX_ENTRY = 1 << 16
MAX_DIGITS = 20

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_IN_MEMORY = "_ORT_MEM_ADDR_"

Schema = dict[int, "Schema"]

# Field number → message in it, as far as tensors can be found below; the entry of external_data
# is the one schema that is compared by identity.
_EXTERNAL: Schema = {}
_TENSOR: Schema = {13: _EXTERNAL}
_SPARSE: Schema = {1: _TENSOR, 2: _TENSOR}
_GRAPH: Schema = {}
_ATTRIBUTE: Schema = {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE}
_NODE: Schema = {5: _ATTRIBUTE}
_GRAPH.update({1: _NODE, 5: _TENSOR, 15: _SPARSE})
_TRAINING: Schema = {1: _GRAPH, 2: _GRAPH}
_FUNCTION: Schema = {7: _NODE, 11: _ATTRIBUTE}
_MODEL: Schema = {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION}
_MODEL_WIRES = {1: VARINT, 5: VARINT, **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES)}

# Runs of numbers with one-byte tags; they hold no tensor and are many in tree models.
_NUMBERS = re.compile(
    rb"(?:[\x08\x10\x18 (08@HPX`hpx][\x80-\xff]{0,9}+[\x00-\x7f]"
    rb"|[\x0d\x15\x1d%\-5=EMU\]emu}][\s\S]{4}|[\x09\x11\x19!)19AIQYaiqy][\s\S]{8})++"
)


def judge(file: BinaryIO, size: int) -> Sniffed:
    """Check that a file is an ONNX model from first to last byte.

    Returns:
        the verdict with the external files in ``external``.

    Raises:
        FormatError: when it is not, or reads files outside its own directory.
    """
    return Sniffed("onnx", external=tuple(sorted(external_data(file, size))))


def external_data(file: BinaryIO, size: int) -> dict[str, int]:
    """Path of each external file → bytes that it must have for the tensors in it.

    Raises:
        FormatError: as :func:`judge`.
    """
    reader = _Reader(file, size)
    seen: dict[int, int] = {}
    external = _External()
    stack: list[tuple[int, Schema]] = [(size, _MODEL)]
    for _ in range(MAX_PARTS):
        end, schema = stack[-1]
        if reader.position == end:
            stack.pop()
            if schema is _TENSOR:
                external.end_tensor()
            if not stack:
                break
            continue
        if schema is not _MODEL and reader.skip_numbers(end):
            continue
        field, wire = reader.tag(end)
        length = reader.varint(end) if wire == VARINT else reader.length(wire, end)
        if schema is _MODEL:
            _note(seen, field, wire, length)
        if wire == VARINT:
            continue
        child = schema.get(field) if wire == BYTES else None
        if child is _EXTERNAL:
            external.add(reader.take(length))
        elif child is None:
            reader.position += length
        elif len(stack) >= MAX_DEPTH:
            raise FormatError(f"is ONNX that is nested deeper than {MAX_DEPTH}")
        else:
            stack.append((reader.position + length, child))
    else:
        raise FormatError("is ONNX of too many parts to check")
    if 1 not in seen or 7 not in seen:
        raise FormatError("is not an ONNX model: it lacks ir_version or graph")
    return external.reach


class _Reader:
    """A position in a protobuf message, over one window of the file."""

    __slots__ = ("_base", "_file", "_size", "_window", "position")

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self._window, self._base = b"", 0
        self.position = 0

    def tag(self, end: int) -> tuple[int, int]:
        """Field number and wire type of the next part."""
        tag = self.varint(end)
        if not 0 < tag >> 3 < 1 << 29:
            raise FormatError("is not an ONNX model: a field number is wrong")
        return tag >> 3, tag & 7

    def length(self, wire: int, end: int) -> int:
        """Bytes of a part that is no varint; all of them lie before ``end``."""
        fixed = {FIXED64: 8, FIXED32: 4, BYTES: 0}.get(wire)
        if fixed is None:
            raise FormatError(f"is not an ONNX model: it has the wire type {wire}")
        length = fixed or self.varint(end)
        if length > end - self.position:
            raise FormatError("is not an ONNX model, or is cut: a part is longer than its whole")
        return length

    def varint(self, end: int) -> int:
        """An unsigned number of at most 64 bits."""
        start = self._fill()
        piece = self._window[start : start + min(10, end - self.position)]
        value = 0
        for index, byte in enumerate(piece):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                self.position += index + 1
                return value & 0xFFFFFFFFFFFFFFFF
        raise FormatError("is not an ONNX model, or is cut: a number does not end")

    def take(self, length: int) -> bytes:
        """The next ``length`` bytes, which must be few."""
        if length > MAX_ENTRY:
            raise FormatError("is ONNX with an external_data entry that is too long")
        self._file.seek(self.position)
        self.position += length
        return self._file.read(length)

    def skip_numbers(self, end: int) -> bool:
        """Move behind a run of numbers; False when none begins here."""
        start = self._fill()
        run = _NUMBERS.match(self._window, start, start + end - self.position)
        if run:
            self.position += run.end() - start
        return run is not None

    def _fill(self) -> int:
        start = self.position - self._base
        if start + 16 > len(self._window) and self._base + len(self._window) < self._size:
            self._file.seek(self.position)
            self._window, self._base, start = self._file.read(WINDOW), self.position, 0
        return start


class _External:
    """What the tensors of a model say of external files.

    Attributes:
        reach: path → bytes that the file must have.
    """

    def __init__(self) -> None:
        self.reach: dict[str, int] = {}
        self._tensor: dict[bytes, bytes] = {}

    def add(self, entry: bytes) -> None:
        """Note one ``external_data`` entry of the tensor at hand."""
        key, value = _entry(entry)
        if key == b"location":
            self.reach.setdefault(_location(value), 0)
            if len(self.reach) > MAX_LOCATIONS:
                raise FormatError(f"is ONNX with more than {MAX_LOCATIONS} external files")
        self._tensor[key] = value

    def end_tensor(self) -> None:
        """Note how far into its file a tensor reaches, as far as it says so."""
        tensor, self._tensor = self._tensor, {}
        if b"location" not in tensor:
            return
        end = 0
        for key in (b"offset", b"length"):
            number = tensor.get(key, b"0")
            if not number.isdigit() or len(number) > MAX_DIGITS:
                raise FormatError(f"is ONNX with an external {key.decode()} of {number[:60]!a}")
            end += int(number)
        path = _location(tensor[b"location"])
        self.reach[path] = max(self.reach[path], end)


def _note(seen: dict[int, int], field: int, wire: int, value: int) -> None:
    if _MODEL_WIRES.get(field, wire) != wire or field > 100:
        raise FormatError(f"is not an ONNX model: field {field} has the wrong type")
    if field in (1, 7) and field in seen:
        raise FormatError(f"is ONNX with field {field} twice")
    if (field == 1 and not 0 < value < 1000) or (field == 7 and not value):
        raise FormatError(f"is not an ONNX model: field {field} is out of range")
    seen[field] = value


def _entry(entry: bytes) -> tuple[bytes, bytes]:
    """Key and value of an ``external_data`` entry."""
    reader = _Reader(BytesIO(entry), len(entry))
    texts = {1: b"", 2: b""}
    while reader.position < len(entry):
        field, wire = reader.tag(len(entry))
        if wire == VARINT:
            reader.varint(len(entry))
            continue
        value = reader.take(reader.length(wire, len(entry)))
        if wire == BYTES:
            texts[field] = value  # of a repeated field the last one counts, as in protobuf
    return texts[1], texts[2]


def _location(value: bytes) -> str:
    """The path that a location means."""
    location = value.decode("utf-8", "surrogateescape").removeprefix("./")
    if _IN_MEMORY in location:
        raise FormatError(f"is ONNX that reads the memory of its host: {ascii(location)[:100]}")
    try:
        return check_path(location)
    except FormatError as error:
        raise FormatError(f"is ONNX that reads another file than its own: {error}") from None
