"""ONNX: structure, and the external files a model reads."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchinf_core.errors import FormatError
from torchinf_core.types import Trust
from torchinf_core.verify import Sniffed, onnxfile


def varint(value: int) -> bytes:
    raw = bytearray()
    while value > 0x7F:
        raw.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*raw, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def entry(key: str, value: str) -> bytes:
    return part(13, part(1, key.encode()) + part(2, value.encode("utf-8", "surrogateescape")))


def tensor(location: str | None = None) -> bytes:
    body = number(2, 1) + part(8, b"w") + part(9, b"\x08\x10" * 500)
    if location is not None:
        body += entry("offset", "0") + entry("location", location) + number(14, 1)
    return body


def model(graph: bytes = part(2, b"graph"), more: bytes = b"") -> bytes:
    return number(1, 8) + part(2, b"maker") + part(7, graph) + part(8, number(2, 17)) + more


WAYS = {
    "initializer": lambda t: model(part(5, t)),
    "sparse values": lambda t: model(part(15, part(1, t))),
    "sparse indices": lambda t: model(part(15, part(2, t))),
    "node attribute": lambda t: model(part(1, part(5, part(5, t)))),
    "attribute list": lambda t: model(part(1, part(5, part(10, t)))),
    "sparse attribute": lambda t: model(part(1, part(5, part(22, part(1, t))))),
    "sparse attribute list": lambda t: model(part(1, part(5, part(23, part(2, t))))),
    "subgraph": lambda t: model(part(1, part(5, part(6, part(5, t))))),
    "subgraph list": lambda t: model(part(1, part(5, part(11, part(5, t))))),
    "subgraph of a subgraph": lambda t: model(
        part(1, part(5, part(6, part(1, part(5, part(6, part(5, t)))))))
    ),
    "training graph": lambda t: model(more=part(20, part(2, part(5, t)))),
    "function node": lambda t: model(more=part(25, part(7, part(5, part(5, t))))),
    "function attribute": lambda t: model(more=part(25, part(11, part(5, t)))),
    "behind many numbers": lambda t: model(
        part(1, part(5, number(8, 300) * 9000 + b"\x3d\0\0\0\0" * 9000 + part(5, t)))
    ),
    "behind a large tensor": lambda t: model(part(5, part(9, bytes(100_000))) + part(5, t)),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_external_file_is_found_wherever_a_tensor_can_be(way: str, judge: Any) -> None:
    found = judge(WAYS[way](tensor("weights/w.data")), "m.onnx")
    assert found == Sniffed("onnx", Trust.DATA, ("weights/w.data",))
    assert judge(WAYS[way](tensor()), "m.onnx").external == ()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "location",
    [
        "../w.data",
        "a/../../w",
        "/etc/passwd",
        "C:\\w",
        "..\\w",
        "",
        "a\0b",
        "./../w",
        "*/_ORT_MEM_ADDR_/*",
        "\udcff",
    ],
)
def test_a_location_outside_the_models_directory_is_refused(
    way: str, location: str, judge: Any
) -> None:
    with pytest.raises(FormatError, match=r"m\.onnx.* reads"):
        judge(WAYS[way](tensor(location)), "m.onnx")


def test_locations_are_listed_once_sorted_and_without_a_leading_dot(judge: Any) -> None:
    graph = b"".join(part(5, tensor(name)) for name in ("z", "./a", "z", "b/c"))
    assert judge(model(graph), "m.onnx").external == ("a", "b/c", "z")


def test_of_two_values_of_one_entry_the_last_counts_as_it_does_in_protobuf(judge: Any) -> None:
    twice = part(13, part(1, b"location") + part(2, b"fine") + part(2, b"../evil"))
    with pytest.raises(FormatError, match="evil"):
        judge(model(part(5, twice)), "m.onnx")


def test_a_model_is_recognised_under_any_name_and_demanded_under_its_own(judge: Any) -> None:
    assert judge(model(), "weights.bin").format == "onnx"
    assert judge(model()[:-1], "weights.bin").format is None
    with pytest.raises(FormatError, match="ONNX"):
        judge(model()[:-1], "m.onnx")


NO_MODELS = {
    "a pickle": b"\x80\x02}q\0.",
    "a zip": b"PK\3\4" + bytes(40),
    "text": b"hello world, this is no model",
    "no graph": number(1, 8) + part(8, number(2, 17)),
    "an empty graph": number(1, 8) + part(7, b""),
    "no version": part(7, part(2, b"g")),
    "a version of zero": number(1, 0) + part(7, part(2, b"g")),
    "two graphs": model() + part(7, part(2, b"g")),
    "two versions": model() + number(1, 8),
    "a graph that is a number": number(1, 8) + number(7, 7),
    "a group": model() + b"\x53\x54",
    "field zero": model() + b"\x00\x00",
    "a number without end": model() + b"\x28" + b"\xff" * 11,
    "a cut tail": model()[:-2],
    "a length beyond the file": number(1, 8) + b"\x3a\xff\xff\xff\xff\x7f",
    "a length beyond its message": model(b"\x2a\x7f"),
    "a broken tensor": model(part(5, part(13, b"\x0a\x7f"))),
    "a huge external entry": model(part(5, part(13, part(1, b"k" * 70_000)))),
}


@pytest.mark.parametrize("case", NO_MODELS)
def test_what_is_no_model_is_refused_under_the_name_of_one(case: str, judge: Any) -> None:
    with pytest.raises(FormatError, match=r"m\.onnx"):
        judge(NO_MODELS[case], "m.onnx")


def test_graphs_nested_without_end_are_refused(judge: Any) -> None:
    graph = part(2, b"g")
    for _ in range(200):
        graph = part(1, part(5, part(6, graph)))
    with pytest.raises(FormatError, match="deeper"):
        judge(model(graph), "m.onnx")


def test_a_model_of_too_many_parts_is_refused(judge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxfile, "MAX_PARTS", 1000)
    with pytest.raises(FormatError, match="too many parts"):
        judge(model(part(11, b"") * 1000), "m.onnx")


@given(graph=st.binary(max_size=60), at=st.integers(0, 80), patch=st.binary(max_size=3))
def test_mutated_models_are_judged_or_refused(
    graph: bytes, at: int, patch: bytes, judge: Any
) -> None:
    content = bytearray(model(part(5, tensor("w")) + graph))
    content[at : at + len(patch)] = patch
    try:
        assert judge(bytes(content), "m.onnx").format == "onnx"
    except FormatError:
        pass


@settings(deadline=None)
@given(
    locations=st.lists(st.sampled_from(["w", "a/b", "../x", "/x"]), max_size=3),
    extra=st.integers(0, 3),
)
def test_the_onnx_package_and_the_reader_agree_on_locations(
    locations: list[str], extra: int, judge: Any
) -> None:
    onnx: Any = pytest.importorskip("onnx")
    helper = importlib.import_module("onnx.helper")
    tensors = []
    for index, location in enumerate(locations):
        made = helper.make_tensor(f"t{index}", 1, [1], [1.0])
        made.ClearField("float_data")
        made.data_location = onnx.TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
        tensors.append(made)
    plain = [helper.make_tensor(f"p{index}", 1, [300], [0.5] * 300) for index in range(extra)]
    node = helper.make_node("Tree", ["x"], ["y"], ids=list(range(500)), weights=[0.5] * 500)
    graph = helper.make_graph([node], "g", [], [], initializer=[*plain, *tensors])
    content = helper.make_model(graph).SerializeToString()
    bad = [name for name in locations if name.startswith((".", "/"))]
    try:
        assert judge(content, "m.onnx").external == tuple(sorted(set(locations)))
    except FormatError:
        assert bad
    else:
        assert not bad
