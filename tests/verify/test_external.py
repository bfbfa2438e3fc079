"""External data of ONNX models, as it is on the disk when a runtime is about to read it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core.errors import FormatError
from torchinf_core.types import StoredFile
from torchinf_core.verify.external import SCANNED, check_external

Check = Callable[..., tuple[str, ...]]


def part(field: int, payload: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def model(*tensors: dict[str, str], filler: int = 0) -> bytes:
    graph = part(2, b"g" * (filler + 1))
    for entries in tensors:
        pairs = (part(1, k.encode()) + part(2, v.encode()) for k, v in entries.items())
        graph += part(5, b"".join(part(13, pair) for pair in pairs))
    return b"\x08\x08" + part(7, graph)


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def run(files: dict[str, bytes], main: str = "m.onnx", *, unlisted: tuple[str, ...] = ()):
        for path, content in files.items():
            (tmp_path / "d" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "d" / path).write_bytes(content)
        stored = [
            StoredFile(path, len(content), hashlib.sha256(content).hexdigest())
            for path, content in files.items()
            if path not in unlisted
        ]
        return lambda: check_external(tmp_path / "d", main, stored)

    return run


def test_the_files_a_model_reads_are_told(check):
    files = {"a/m.onnx": model({"location": "w/x"}, {"location": "y"}), "a/w/x": b"1", "a/y": b"2"}
    assert check(files, "a/m.onnx")() == ("a/w/x", "a/y")
    assert check({"m.onnx": model()})() == ()


def test_a_large_graph_is_parsed_without_being_searched(check):
    files = {"m.onnx": model({"location": "w"}, filler=SCANNED), "w": b"1"}
    assert check(files)() == ("w",)


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "../secret"},
        {"location": "/etc/passwd"},
        {"location": "*/_ORT_MEM_ADDR_/*", "offset": "0", "length": "8"},
        {"location": "absent"},
        {"location": "unlisted"},
        {"location": "w", "offset": "0", "length": "11"},
        {"location": "w", "offset": "8", "length": "4"},
        {"location": "w", "length": "-1"},
        {"location": "w", "offset": "0x0"},
        {"location": "w", "offset": "9" * 30},
    ],
)
def test_what_is_not_in_the_models_own_files_is_refused(check, entries):
    files = {"m.onnx": model({"location": "w"}, entries), "w": b"0123456789", "unlisted": b"1"}
    with pytest.raises(FormatError, match=r"m\.onnx"):
        check(files, unlisted=("unlisted",))()


@pytest.mark.parametrize("kind", ["symbolic", "hard", "directory", "cut", "gone"])
def test_a_file_that_became_something_else_is_refused(check, tmp_path, kind):
    run = check({"m.onnx": model({"location": "f/w"}), "f/w": b"0123456789"})
    assert run() == ("f/w",)
    weights, outside = tmp_path / "d/f/w", tmp_path / "outside"
    outside.mkdir()
    (outside / "w").write_bytes(b"0123456789")
    if kind == "directory":
        weights.unlink()
        weights.parent.rmdir()
        weights.parent.symlink_to(outside)
    elif kind == "cut":
        os.truncate(weights, 3)
    else:
        weights.unlink()
    if kind == "symbolic":
        weights.symlink_to(outside / "w")
    elif kind == "hard":
        weights.hardlink_to(outside / "w")
    with pytest.raises(FormatError):
        run()


def test_the_graph_itself_may_be_shared_but_no_symbolic_link(check, tmp_path):
    run = check({"m.onnx": model()})
    (tmp_path / "twin").hardlink_to(tmp_path / "d/m.onnx")
    assert run() == ()
    (tmp_path / "d/m.onnx").unlink()
    (tmp_path / "d/m.onnx").symlink_to(tmp_path / "twin")
    with pytest.raises(FormatError):
        run()
