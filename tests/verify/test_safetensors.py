"""The safetensors header, judged beside the safetensors library."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from torchinf_core.errors import FormatError
from torchinf_core.types import Trust
from torchinf_core.verify import Sniffed, sniff

VALID = {
    "__metadata__": {"format": "pt", "é\n": '"\\'},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b.é": {"dtype": "BF16", "shape": [], "data_offsets": [24, 26]},
    "empty": {"dtype": "I64", "shape": [0, 5], "data_offsets": [26, 26]},
    "half bytes": {"dtype": "F4", "shape": [4], "data_offsets": [26, 28]},
}


def packed(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def one(**fields: Any) -> dict[str, Any]:
    return {"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} | fields}


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[bytes], Sniffed]:
    def judge(content: bytes, name: str = "m.safetensors") -> Sniffed:
        path = tmp_path / "blob"
        path.write_bytes(content)
        return sniff(path, name)

    return judge


Judged = Callable[..., Sniffed]


@pytest.mark.parametrize(
    "content",
    [
        packed(VALID, bytes(28)),
        packed({}),
        packed(b"{ }  \n"),
        packed({"__metadata__": {}}),
        packed(json.dumps(VALID, indent=3).encode() + b"   ", bytes(28)),
        packed(json.dumps(VALID, ensure_ascii=False).encode(), bytes(28)),
        packed(
            {
                "late": {"data_offsets": [1, 2], "shape": [1], "dtype": "U8"},
                "early": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]},
            },
            bytes(2),
        ),
    ],
)
def test_a_valid_file_is_data(content: bytes, judged: Judged) -> None:
    assert judged(content) == Sniffed("safetensors", Trust.DATA)
    assert judged(content, "renamed.bin") == Sniffed("safetensors", Trust.DATA)


HOSTILE = {
    "empty": b"",
    "cut in the length": b"\x10\0\0",
    "length of 2^63": packed({}, length=1 << 63),
    "length of 100 MB and one": packed({}, bytes(200), length=100_000_001),
    "length beyond the file": packed({}, length=3),
    "length of zero": packed(b""),
    "not JSON": packed(b"{not json}"),
    "an array": packed(b"[]"),
    "blank before the brace": packed(b" {}"),
    "more behind the brace": packed(b"{} {}"),
    "comma behind the last": packed(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},}'),
    "unfinished": packed(json.dumps(one()).encode()[:-1], bytes(4)),
    "not UTF-8": packed(b'{"\xff":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "a raw control character": packed(b'{"\n":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "a lone surrogate": packed(b'{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "a wrong escape": packed(b'{"\\x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "200 000 levels deep": packed(b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
    "a deep array": packed(b'{"a":{"shape":' + b"[" * 200_000 + b"]" * 200_000 + b"}}"),
    "a name twice": packed(
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
        b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    ),
    "a name twice, once escaped": packed(
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
        b'"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    ),
    "a field twice": packed(b'{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}'),
    "a metadata key twice": packed(b'{"__metadata__":{"k":"1","k":"2"}}'),
    "metadata that is no text": packed({"__metadata__": {"k": 1}}),
    "metadata that is a list": packed({"__metadata__": []}),
    "a missing field": packed({"a": {"dtype": "U8", "shape": [0]}}),
    "an unknown dtype": packed(one(dtype="F7"), bytes(4)),
    "a dtype in lower case": packed(one(dtype="u8"), bytes(4)),
    "a negative dimension": packed(one(shape=[-1]), bytes(4)),
    "a fractional dimension": packed(one(shape=[4.0]), bytes(4)),
    "a boolean dimension": packed(one(shape=[True]), bytes(4)),
    "a nested dimension": packed(one(shape=[[4]]), bytes(4)),
    "a dimension with a leading zero": packed(
        b'{"a":{"dtype":"U8","shape":[04],"data_offsets":[0,4]}}', bytes(4)
    ),
    "a shape that overflows": packed(one(shape=[1 << 33, 1 << 33, 0]), bytes(4)),
    "a dimension of 2^64": packed(one(shape=[1 << 64]), bytes(4)),
    "a shape that contradicts the offsets": packed(one(shape=[3]), bytes(4)),
    "a shape of half a byte": packed(one(dtype="F4", shape=[3], data_offsets=[0, 2]), bytes(2)),
    "offsets that run backwards": packed(one(data_offsets=[4, 0]), bytes(4)),
    "one offset": packed(one(data_offsets=[0]), bytes(4)),
    "offsets beyond the file": packed(one(), bytes(3)),
    "a tail behind the tensors": packed(one(), bytes(5)),
    "a hole in front": packed(one(data_offsets=[1, 5]), bytes(5)),
    "an overlap": packed(one() | {"b": one(data_offsets=[3, 7])["a"]}, bytes(7)),
    "a hole between": packed(one() | {"b": one(data_offsets=[5, 9])["a"]}, bytes(9)),
    "a pickle": b"\x80\x02}q\x00.",
    "a zip": b"PK\3\4" + bytes(60),
    "HTML": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "an LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_header_is_refused_by_name(case: str, judged: Judged) -> None:
    with pytest.raises(FormatError, match=r"m\.safetensors"):
        judged(HOSTILE[case])


def test_more_tensors_than_the_limit_are_refused_before_the_rest_is_read(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchinf_core.verify.safetensors.MAX_TENSORS", 3)
    tensor = one(shape=[0], data_offsets=[0, 0])["a"]
    assert judged(packed(dict.fromkeys("abc", tensor))).format == "safetensors"
    with pytest.raises(FormatError, match="more than 3 tensors"):
        judged(packed(dict.fromkeys("abcd", tensor)))


_DTYPES = st.sampled_from(
    ["F4", "F6_E2M3", "BOOL", "U8", "F8_E8M0", "F8_E4M3FNUZ", "F16", "BF16", "F32", "C64", "I64"]
)
_SMALL = st.integers(-1, 6) | st.just(1 << 62)
_TENSOR = st.fixed_dictionaries(
    {
        "dtype": _DTYPES | st.text(max_size=3),
        "shape": st.lists(_SMALL, max_size=3),
        "data_offsets": st.lists(st.integers(-1, 40), min_size=1, max_size=3),
    }
)
_LOOSE = st.dictionaries(st.text(max_size=3), _TENSOR, max_size=3)
_BITS = {"F4": 4, "F6_E2M3": 6, "F16": 16, "BF16": 16, "F32": 32, "C64": 64, "I64": 64}


@st.composite
def _laid_out(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A header that is right, or nearly: offsets follow from dtype and shape."""
    header: dict[str, Any] = {}
    position = 0
    for name in draw(st.lists(st.text(max_size=3), max_size=4, unique=True)):
        dtype = draw(_DTYPES)
        shape = draw(st.lists(st.integers(0, 4), max_size=2))
        bits = _BITS.get(dtype, 8)
        for factor in shape:
            bits *= factor
        size = bits // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + size]}
        position += size + draw(st.sampled_from([0] * 20 + [1, -1]))
    if draw(st.booleans()):
        header["__metadata__"] = draw(st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
    return header, position


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 3)):
        header, size = draw(_laid_out())
    else:
        header, size = draw(_LOOSE), draw(st.integers(0, 40))
    raw = bytearray(
        json.dumps(
            header,
            ensure_ascii=draw(st.booleans()),
            indent=draw(st.sampled_from([None, 1])),
        ).encode("utf-8", "surrogatepass")
    )
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b" ", b"0", b"}", b"{", b",", b'"', b"\\", b"a", b"-", b"\xc3"])
        )
    padding = b" " * draw(st.sampled_from([0, 0, 7]))
    return packed(bytes(raw) + padding, bytes(max(0, size)))


# The library lets a later key of one name win, ignores keys it does not know, and does not insist
# on the format's rule that the header begins with its brace.
STRICTER = ("twice", "expected, once each", "begin with {")


@given(_files())
@example(packed(VALID, bytes(28)))
def test_what_is_accepted_is_exactly_what_the_library_accepts_but_for_stricter_rules(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    library = pytest.importorskip("safetensors")
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    path.write_bytes(content)
    try:
        library.deserialize(content)
        accepted_there = True
    except library.SafetensorError:
        accepted_there = False
    refused = ""
    try:
        sniff(path, path.name)
    except FormatError as error:
        refused = str(error)
    stricter = any(rule in refused for rule in STRICTER)
    assert accepted_there == (not refused) or (accepted_there and stricter), refused


@given(st.binary(max_size=200), st.integers(0, 250))
def test_any_bytes_are_judged_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{" + content)
    try:
        assert sniff(path, path.name).format == "safetensors"
    except FormatError:
        pass
