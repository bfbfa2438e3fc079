"""The safetensors header, validated at least as strictly as the safetensors library does.

The header is read once and parsed by regular expressions that never backtrack,
against the one shape it may have: what deviates is refused at the first wrong
byte, so time and memory grow with what was valid so far and nothing recurses.

Layout and rules: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
import re
from typing import BinaryIO

from torchinf_core.errors import FormatError
from torchinf_core.verify.sniffed import Sniffed

MAX_HEADER = 16_000_000
MAX_TENSORS = 100_000
MAX_KEYS = 10_000

_BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_WORD = 1 << 64
_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"((?:[^"\\\x00-\x1f]++|\\.)*+)"'
_NAME = re.compile(_SPACE + _STRING + _SPACE + b":" + _SPACE + rb"\{" + _SPACE, re.DOTALL)
_FIELD = re.compile(
    rb'"(dtype|shape|data_offsets)"%(s)b:%(s)b(?:"(\w{1,16})"|\[([0-9, \t\r\n]{0,4096})\])%(s)b'
    rb"([,}])%(s)b" % {b"s": _SPACE}
)
_PAIR = re.compile(
    rb"%(t)b%(s)b:%(s)b%(t)b%(s)b([,}])%(s)b" % {b"t": _STRING, b"s": _SPACE}, re.DOTALL
)
_AFTER = re.compile(_SPACE + b"([,}])")
_EMPTY = re.compile(rb"\{" + _SPACE + rb"\}")
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,19}")
_END = re.compile(_SPACE)


def looks_like(head: bytes, size: int) -> bool:
    """Whether the first bytes could only be meant as a safetensors header."""
    return size >= 10 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def judge(file: BinaryIO, size: int) -> Sniffed:
    """Validate a file from its start.

    Args:
        file: positioned anywhere; only the header is read.
        size: bytes of the file.

    Raises:
        FormatError: with the first rule that is broken.
    """
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 10 or length > size - 8:
        raise FormatError("is not safetensors: the header is longer than the file")
    if length > MAX_HEADER:
        raise FormatError(f"has a safetensors header of {length} bytes; {MAX_HEADER} is the limit")
    if file.read(1) != b"{":
        raise FormatError("is not safetensors: the header does not begin with {")
    file.seek(8)
    header = file.read(length)
    if len(header) != length:
        raise FormatError("became shorter while it was read")
    _check_coverage(_parse(header), size - 8 - length)
    return Sniffed("safetensors")


def _parse(header: bytes) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    names: set[str] = set()
    empty = _EMPTY.match(header)
    position, more = (empty.end(), False) if empty else (1, True)
    while more:
        opened = _NAME.match(header, position)
        if opened is None:
            raise _broken(position, "a tensor name and { are expected")
        name = _text(opened[1], position)
        if name in names:
            raise FormatError(f"has a safetensors header that names {ascii(name)[:80]} twice")
        names.add(name)
        if len(names) > MAX_TENSORS:
            raise FormatError(f"has more than {MAX_TENSORS} tensors")
        if name == "__metadata__":
            position = _skip_metadata(header, opened.end())
        else:
            span, position = _parse_tensor(header, opened.end())
            spans.append(span)
        after = _AFTER.match(header, position)
        if after is None:
            raise _broken(position, ", or } is expected")
        position, more = after.end(), after[1] == b","
    if not _END.fullmatch(header, position):
        raise _broken(position, "the header should end")
    return spans


def _parse_tensor(header: bytes, position: int) -> tuple[tuple[int, int], int]:
    fields: dict[bytes, re.Match[bytes]] = {}
    while True:
        match = _FIELD.match(header, position)
        if match is None or match[1] in fields:
            raise _broken(position, "dtype, shape and data_offsets are expected, once each")
        fields[match[1]] = match
        position = match.end()
        if match[4] == b"}":
            break
    try:
        dtype = fields[b"dtype"][2].decode()
        shape = _numbers(fields[b"shape"][3])
        begin, end = _numbers(fields[b"data_offsets"][3])
    except (KeyError, AttributeError, TypeError, ValueError):
        raise _broken(position, "dtype, two data_offsets or shape are wrong") from None
    if dtype not in _BITS:
        raise FormatError(f"has a tensor of the unknown safetensors dtype {dtype!r}")
    bits = 1
    for factor in (*shape, _BITS[dtype]):
        bits *= factor
        if bits >= _WORD:
            raise FormatError("has a tensor whose shape overflows")
    if begin > end or bits != 8 * (end - begin):
        raise FormatError("has a tensor whose data_offsets contradict its dtype and shape")
    return (begin, end), match.end(4)


def _numbers(text: bytes) -> list[int]:
    if not text.strip():
        return []
    values = []
    for word in text.split(b","):
        digits = word.strip(b" \t\r\n")
        if not _NUMBER.fullmatch(digits) or int(digits) >= _WORD:
            raise ValueError(word)
        values.append(int(digits))
    return values


def _skip_metadata(header: bytes, position: int) -> int:
    if header[position : position + 1] == b"}":
        return position + 1
    keys: set[str] = set()
    while True:
        pair = _PAIR.match(header, position)
        if pair is None:
            raise _broken(position, "__metadata__ maps text to text")
        key = _text(pair[1], position)
        _text(pair[2], position)
        if key in keys:
            raise FormatError(f"has __metadata__ that names {ascii(key)[:80]} twice")
        keys.add(key)
        if len(keys) > MAX_KEYS:
            raise FormatError(f"has __metadata__ of more than {MAX_KEYS} keys")
        position = pair.end()
        if pair[3] == b"}":
            return pair.end(3)


def _text(raw: bytes, position: int) -> str:
    try:
        text = raw.decode()
        if "\\" in text:
            text = str(json.loads(f'"{text}"'))
            text.encode()  # an escaped lone surrogate is no text
    except ValueError:
        raise _broken(position, "a string is not valid") from None
    return text


def _check_coverage(spans: list[tuple[int, int]], size: int) -> None:
    spans.sort()
    position = 0
    for begin, end in spans:
        if begin != position:
            what = "overlap" if begin < position else "leave a hole"
            raise FormatError(f"has tensors that {what} at byte {min(begin, position)} of the data")
        position = end
    if position != size:
        raise FormatError(f"has {size} bytes of data where its tensors need {position}")


def _broken(position: int, expected: str) -> FormatError:
    return FormatError(f"has a broken safetensors header: at byte {position}, {expected}")
