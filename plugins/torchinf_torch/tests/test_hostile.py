"""Hostile and damaged checkpoints: an error, no code, no gigabytes, no second attempt."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from torchinf_core.errors import FormatError, PolicyError, TorchinfError
from torchinf_torch import limits, reading

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


class Payload:
    """Writes the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def zipped(path: Path, pickled: bytes, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/version", b"3\n")
        archive.writestr("m/byteorder", b"little")
        for name, content in members.items():
            archive.writestr(f"m/data/{name}", content)


def read(path: Path) -> Any:
    return reading.read_checkpoint(torch, path, path.name)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def _as_zip(path: Path, payload: Payload) -> None:
    torch.save({"a": payload}, path)


def _as_legacy(path: Path, payload: Payload) -> None:
    torch.save({"a": payload}, path, _use_new_zipfile_serialization=False)


def _as_pickle(path: Path, payload: Payload) -> None:
    path.write_bytes(pickle.dumps(payload))


def _as_gzip(path: Path, payload: Payload) -> None:
    path.write_bytes(gzip.compress(pickle.dumps(payload)))


def _as_tar(path: Path, payload: Payload) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(payload)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _as_zip_with_cut_tail(path: Path, payload: Payload) -> None:
    _as_zip(path, payload)
    path.write_bytes(path.read_bytes()[:-30])


def _as_legacy_with_cut_tail(path: Path, payload: Payload) -> None:
    _as_legacy(path, payload)
    path.write_bytes(path.read_bytes()[:-30])


def _as_broken_checksum(path: Path, payload: Payload) -> None:
    zipped(path, pickle.dumps(payload, 2))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 14), (b"PK\1\2", 16)):
        place = content.index(signature) + offset
        content[place] ^= 1
    path.write_bytes(content)


def _as_encrypted_flag(path: Path, payload: Payload) -> None:
    zipped(path, pickle.dumps(payload, 2))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "write",
    [
        _as_zip,
        _as_legacy,
        _as_pickle,
        _as_gzip,
        _as_tar,
        _as_zip_with_cut_tail,
        _as_legacy_with_cut_tail,
        _as_broken_checksum,
        _as_encrypted_flag,
    ],
)
@pytest.mark.parametrize("variable", ["", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
def test_no_form_of_a_checkpoint_runs_code(
    tmp_path: Path,
    marker: Path,
    write: Callable[[Path, Payload], None],
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable:
        monkeypatch.setenv(variable, "1")
    for name in ("m.pt", "m.bin"):
        write(tmp_path / name, Payload(marker))
        with pytest.raises((FormatError, PolicyError)) as caught:
            read(tmp_path / name)
        assert caught.value.exit_code in (7, 8)
        assert name in str(caught.value)
    assert not marker.exists()


def test_the_code_that_a_checkpoint_names_is_told(tmp_path: Path, marker: Path) -> None:
    for write in (_as_zip, _as_legacy):
        write(tmp_path / "m.pt", Payload(marker))
        with pytest.raises(PolicyError, match=r"'m.pt' names posix.system, and only plain weights"):
            read(tmp_path / "m.pt")


def test_torch_is_asked_once_and_for_weights_alone(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as_zip(tmp_path / "m.pt", Payload(marker))
    asked = []
    real = torch.load

    def noted(*args: Any, **options: Any) -> Any:
        asked.append(options["weights_only"])
        return real(*args, **options)

    monkeypatch.setattr(torch, "load", noted)
    with pytest.raises(PolicyError):
        read(tmp_path / "m.pt")
    assert asked == [True]


def test_a_compressed_member_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/data/0", bytes(32 << 20))
    with pytest.raises(FormatError, match=r"compressed member 'm/data.pkl'"):
        read(tmp_path / "m.pt")


def test_two_pickles_in_one_archive_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/DATA.pkl", b"\x80\x02}.")
    with pytest.raises(FormatError, match="2 members named"):
        read(tmp_path / "m.pt")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"(" * 3_000_000 + b".", "open marks"),
        (b"(" * 500 + b"\x8f" * 1_100_000 + b".", "steps"),
        (b"}" + b"0}" * 600_000 + b".", "steps"),
        (b"}q\x01\x8e" + struct.pack("<Q", 1 << 60), "cut or damaged"),
        (b"\xff", "unknown opcode"),
        (b"I1234", "cut or damaged"),
    ],
    ids=["marks", "sets", "dicts", "length", "opcode", "line"],
)
def test_a_pickle_that_is_built_to_exhaust_memory_never_reaches_torch(
    tmp_path: Path, legacy: bool, body: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_args, **_options: pytest.fail("torch saw it"))
    path = tmp_path / "m.pt"
    pickled = b"\x80\x02" + body
    if legacy:
        path.write_bytes(LEGACY + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + pickled)
    else:
        zipped(path, pickled)
    with pytest.raises(FormatError, match=why):
        read(path)


def test_bombs_cost_no_memory(tmp_path: Path) -> None:
    zipped(tmp_path / "marks.pt", b"\x80\x02" + b"(" * 3_000_000 + b".")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        with archive.open("m/data/0", "w") as member:
            for _ in range(256):
                member.write(bytes(1 << 20))
    claim = pickle.dumps({}, 2)[:-1]  # storages of a terabyte, in a file of a kilobyte
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    )
    storage += b"\x8a\x06\x00\x00\x00\x00\x00\x01Nt" + b"Q"
    path = tmp_path / "claim.pt"
    path.write_bytes(
        LEGACY
        + b"\x80\x02M\xe9\x03."
        + b"\x80\x02}."
        + claim
        + b"X\x01\x00\x00\x00a"
        + storage
        + b"s.\x80\x02]."
    )
    script = f"""
import resource, sys
from pathlib import Path
import torch
from torchinf_core.errors import TorchinfError
from torchinf_torch import reading
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
before = peak()
for name in ("marks.pt", "zip.pt", "claim.pt"):
    path = Path({str(tmp_path)!r}) / name
    try:
        reading.read_checkpoint(torch, path, name)
    except TorchinfError as error:
        print(name, error.exit_code)
    else:
        print(name, "was read")
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    *lines, kilobytes = done.stdout.split("\n")[:4]
    assert lines == ["marks.pt 8", "zip.pt 8", "claim.pt 8"]
    assert int(kilobytes) < 64 << 10


def test_real_pickles_are_walked_to_their_end() -> None:
    values: Any = {"a": [1, 2.5, None, (True, {"b"})], "c": b"x" * 300, "d": {1: 2 << 70}, "e": "ü"}
    values["f"] = frozenset([1])
    values["g"] = bytearray(b"abc")
    for protocol in range(2, 6):
        pickled = pickle.dumps(values, protocol)
        end, left = limits.weigh(pickled + b"more", 0, 1000)
        assert end == len(pickled)
        assert 1000 - left == len(list(pickletools.genops(pickled)))


@pytest.mark.parametrize("zipped_", [True, False])
def test_damage_anywhere_in_a_pickle_is_an_error_or_changes_nothing_but_values(
    tmp_path: Path, zipped_: bool
) -> None:
    path = tmp_path / "m.pt"
    state = {"weight": torch.ones(2, 4), "bias": torch.ones(2)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped_)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        broken = bytearray(content)
        broken[place] ^= 0x41
        path.write_bytes(broken)
        try:
            found = read(path)
        except TorchinfError as error:
            assert error.exit_code in (7, 8)  # noqa: PT017
        else:
            assert all(isinstance(value, torch.Tensor) for value in found.values())


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([torch.ones(1)], "holds a list, not a state dict"),
        ({"epoch": 3, "lr": 0.1}, "holds no state dict but 'epoch', 'lr'"),
        (torch.ones(1), "holds a Tensor, not a state dict"),
    ],
)
def test_what_is_no_state_dict_is_told(tmp_path: Path, value: Any, why: str) -> None:
    torch.save(value, tmp_path / "m.pt")
    with pytest.raises(FormatError, match=why):
        read(tmp_path / "m.pt")


def test_a_module_saved_whole_is_refused_with_its_class(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(4, 2), tmp_path / "m.pt")
    with pytest.raises(PolicyError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read(tmp_path / "m.pt")


@pytest.mark.parametrize(
    "header",
    [
        b"{" + b",".join([b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'] * 2) + b"}",
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}}',
        b"[" * 200_000,
    ],
    ids=["twice", "beyond", "deep"],
)
def test_a_bad_safetensors_header_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(FormatError, match=r"m\.safetensors"):
        reading.read_safetensors(torch, path, path.name)
