"""Scanning pickles: beside pickletools, and against those who would hide a global."""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchinf_core.verify import pickles
from torchinf_core.verify.pickles import Scan, scan

CLEAN = Scan(complete=True, calls=False, foreign=None)


def scanned(content: bytes) -> Scan:
    return scan(io.BufferedReader(io.BytesIO(content)))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit",))


def test_the_opcode_table_is_the_standard_librarys() -> None:
    counted = {"string1": 1, "bytes1": 1, "unicodestring1": 1, "long1": 1, "string4": 4}
    counted |= {"bytes4": 4, "unicodestring4": 4, "long4": 4, "bytes8": 8, "bytearray8": 8}
    counted |= {"unicodestring8": 8}
    for opcode in pickletools.opcodes:
        code, arg = ord(opcode.code), opcode.arg
        if arg is None:
            assert pickles.FIXED[code] == 0, opcode.name
        elif arg.n >= 0:
            assert pickles.FIXED[code] == arg.n, opcode.name
        elif arg.name in counted:
            assert pickles.COUNTED[code] == counted[arg.name], opcode.name
        else:
            lines = 2 if arg.name == "stringnl_noescape_pair" else 1
            assert pickles.LINES[code] == lines, opcode.name
    tables = {*pickles.FIXED, *pickles.COUNTED, *pickles.LINES}
    assert tables == {ord(opcode.code) for opcode in pickletools.opcodes}


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(_PLAIN, st.integers(3, 5))
def test_plain_values_are_read_to_their_end_and_name_nothing(value: Any, protocol: int) -> None:
    assert scanned(pickle.dumps(value, protocol)) == CLEAN


@given(_PLAIN, st.integers(0, 5))
def test_a_global_is_found_whatever_surrounds_it(value: Any, protocol: int) -> None:
    found = scanned(pickle.dumps([value, Evil(), value], protocol))
    assert found.complete
    assert found.calls
    assert found.foreign is not None


@pytest.mark.parametrize("protocol", range(6))
def test_what_weights_only_loading_knows_is_not_foreign(protocol: int) -> None:
    found = scanned(pickle.dumps(OrderedDict(a=b"bytes", b={1}, c=bytearray(b"x")), protocol))
    assert found.complete
    assert found.calls
    assert found.foreign in (None, "copy_reg._reconstructor")


def test_every_global_that_the_installed_torch_allows_is_known() -> None:
    unpickler: Any = pytest.importorskip("torch._weights_only_unpickler")
    allowed = unpickler._get_allowed_globals()
    unknown = [name for name in allowed if not pickles._SAFE.fullmatch(name)]
    assert unknown == []


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "builtins.getattr",
        "torch.load",
        "torch.hub.load",
        "torch.nn.Linear",
        "torch.storage._load_from_bytes",
        "torch.jit.load",
        "numpy.load",
        "collections.OrderedDict.x",
        "torch.FloatTensor\nos.system",
        "torch.os.system",
        "torch.utils.FakeTensor",
    ],
)
def test_other_globals_are_foreign(name: str) -> None:
    assert pickles._SAFE.fullmatch(name) is None


HIDDEN = {
    "memoised names": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93.",
    "names put by number": b"\x80\x04\x8c\x06systemq\x078\x8c\x02osh\x07\x93.".replace(b"8", b""),
    "names in another order": b"\x80\x04\x8c\x06system\x94\x8c\x02os\x94h\x01h\x00\x93.",
    "names found by POP": b"\x80\x04\x8c\x05torch\x8c\x02os\x8c\x06system\x8c\x01x0\x93.",
    "names behind a DUP": b"\x80\x04\x8c\x02os2\x93.",
    "mixed memo": b"\x80\x04\x8c\x02osq\x00\x8c\x05torch\x94\x8c\x06Tensorh\x01h\x00\x93.",
    "a name in a list": b"\x80\x04]\x8c\x02os\x94a\x8c\x06Tensor\x94h\x00h\x01\x93.",
    "an extension": b"\x80\x02\x82\x01.",
    "an old instance": b"(ios\nsystem\n.",
    "a quoted name": b"\x80\x04S'os'\nS'system'\n\x93.",
    "an escaped name": b"\x80\x04V\\u006fs\nVsystem\n\x93.",
    "before a cut": b"\x80\x02cos\nsystem\n",
    "before rubbish": b"\x80\x02cos\nsystem\nU\x02idR\xff\xff",
}


@pytest.mark.parametrize("case", HIDDEN)
def test_a_hidden_or_doubtful_global_counts_as_foreign(case: str) -> None:
    assert scanned(HIDDEN[case]).foreign is not None


def test_harmless_names_through_the_memo_stay_harmless() -> None:
    content = b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94h\x00h\x01\x93."
    assert scanned(content) == Scan(complete=True, calls=True, foreign=None)


def test_the_stream_is_left_behind_the_stop() -> None:
    stream = io.BufferedReader(io.BytesIO(pickle.dumps(1) + pickle.dumps([2]) + b"rest"))
    assert scan(stream) == scan(stream) == CLEAN
    assert stream.read() == b"rest"


@pytest.mark.parametrize(
    ("limit", "value", "content"),
    [
        ("MAX_OPCODES", 100, b"\x80\x02" + b"(" * 200 + b"."),
        ("MAX_BYTES", 100_000, b"\x80\x02V" + b"x" * 300_000 + b"\n."),
    ],
)
def test_a_pickle_beyond_the_limits_is_unknown(
    limit: str, value: int, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scanned(content).foreign is None
    monkeypatch.setattr(pickles, limit, value)
    assert scanned(content) == Scan(complete=False, calls=False, foreign="unknown")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"\x80\x02",
        b"\x80\x02X\xff\xff\xff\x7fabc",
        b"\x80\x02T\xff\xff\xff\xff",
        b"\x80\x02\x8d" + b"\xff" * 8,
        b"\x80\x02\x8a\x05ab",
        b"\x80\x02F1.5",
        b"\x80\x02cos",
        b"\x80\x02\xff.",
    ],
)
def test_what_is_cut_or_no_opcode_is_incomplete(content: bytes) -> None:
    assert not scanned(content).complete


@given(st.binary(max_size=300))
def test_any_bytes_are_scanned_without_an_exception(content: bytes) -> None:
    found = scanned(content)
    assert not found.complete or b"." in content


_WORDS = st.sampled_from([b"os", b"system", b"torch", b"Tensor", b"collections", b"OrderedDict"])
_FRAGMENTS = st.one_of(
    _WORDS.map(lambda word: b"\x8c" + bytes([len(word)]) + word),
    _WORDS.map(lambda word: b"V" + word + b"\n"),
    _WORDS.map(lambda word: b"S'" + word + b"'\n"),
    st.tuples(_WORDS, _WORDS).map(lambda pair: b"c%b\n%b\n" % pair),
    st.tuples(st.sampled_from([b"h", b"q"]), st.integers(0, 3)).map(
        lambda pair: pair[0] + bytes([pair[1]])
    ),
    st.integers(0, 3).map(lambda index: b"p%d\n" % index),
    st.integers(0, 3).map(lambda index: b"g%d\n" % index),
    st.sampled_from([bytes([code]) for code in b"\x93\x93\x93\x94\x94021(]ate)R\x86\x87N}."]),
    st.sampled_from([b"K\x01", b"\x95" + bytes(8), b"X\x02\0\0\0os"]),
)


class Inert:
    """What the real unpickler gets in place of anything it asks for."""

    def __init__(self, *values: Any) -> None:
        pass


class Watcher(pickle._Unpickler):
    """The real unpickler, with every import noted and none made."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.asked: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        self.asked.append(f"{module}.{name}")
        return Inert


@settings(max_examples=1000, deadline=None)
@given(st.lists(_FRAGMENTS, max_size=14).map(b"".join))
def test_no_import_of_the_real_unpickler_escapes_the_scanner(content: bytes) -> None:
    watcher = Watcher(b"\x80\x04" + content + b".")
    with contextlib.suppress(Exception):
        watcher.load()
    found = scanned(b"\x80\x04" + content + b".")
    if watcher.asked:
        assert found.calls
    if not all(pickles._SAFE.fullmatch(name) for name in watcher.asked):
        assert found.foreign is not None
