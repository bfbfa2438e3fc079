"""Hostile files cost no memory: each is judged in a process that reports its peak."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

JUDGE = """
import sys
from torchinf_core.errors import TorchinfError
from torchinf_core.verify import sniff
try:
    print(sniff(sys.argv[1], sys.argv[2]).format)
except TorchinfError as error:
    print(type(error).__name__)
# Not ru_maxrss, which a process inherits from the one that started it.
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM")))
"""
LIMIT_MIB = 64


def many_tensors(path: Path) -> None:
    header = {
        f"model.layers.{i}.self_attention.query.weight": {
            "dtype": "U8",
            "shape": [1],
            "data_offsets": [i, i + 1],
        }
        for i in range(100_000)
    }
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(100_000))


def many_keys(path: Path) -> None:
    raw = json.dumps({"__metadata__": {str(i): "x" for i in range(900_000)}}).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)


def deep_header(path: Path) -> None:
    raw = b'{"a":' * 3_100_000
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)


def long_header(path: Path) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 100_000_000) + b'{"')
        file.truncate(200_000_000)


def marks(path: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"(" * 3_000_000 + b".")


def texts(path: Path) -> None:
    path.write_bytes(pickle.dumps([str(i) * 20 for i in range(200_000)], 4))


def large_bytes(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"\x80\x04\x8e" + struct.pack("<Q", 2 << 30))
        file.seek(2 << 30, 1)
        file.write(b".")


def endless_line(path: Path) -> None:
    path.write_bytes(b"cos" + b"x" * 100_000_000)


def many_members(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(100_000):
            archive.writestr(f"m/{i}", b"")


def large_tensor(path: Path) -> None:
    size = 2 << 30
    length = b"".join(bytes([size >> shift & 0x7F | 0x80]) for shift in (0, 7, 14, 21))
    length += bytes([size >> 28])
    with path.open("wb") as file:
        file.write(b"\x08\x08\x12" + length)
        file.seek(size, 1)
        file.write(b"\x3a\x03\x12\x01g")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see memory")
@pytest.mark.parametrize(
    ("make", "name", "verdict"),
    [
        (many_tensors, "m.safetensors", "safetensors"),
        (many_keys, "m.safetensors", "FormatError"),
        (deep_header, "m.safetensors", "FormatError"),
        (long_header, "m.safetensors", "FormatError"),
        (marks, "m.pkl", "pickle"),
        (texts, "m.pkl", "pickle"),
        (large_bytes, "m.pkl", "pickle"),
        (endless_line, "m.bin", "None"),
        (many_members, "m.zip", "zip"),
        (large_tensor, "m.onnx", "onnx"),
    ],
)
def test_judging_a_hostile_or_large_file_stays_within_the_memory_limit(
    make: Callable[[Path], None], name: str, verdict: str, tmp_path: Path
) -> None:
    make(tmp_path / "blob")
    command = [sys.executable, "-c", JUDGE, str(tmp_path / "blob"), name]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert output[0] == verdict
    assert int(output[1]) < LIMIT_MIB
