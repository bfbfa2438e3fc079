"""Files that torch writes, and what attackers make of them; nothing is ever unpickled."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import FormatError, PolicyError, TorchinfError
from torchinf_core.types import Trust
from torchinf_core.verify import Sniffed, sniff

MAKE = """
import collections, sys, warnings
import torch
warnings.simplefilter("ignore")
to = sys.argv[1] + "/"
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).eval()
state = model.state_dict()
old = {"_use_new_zipfile_serialization": False}
torch.save(state, to + "state.pt")
torch.save(state, to + "state_legacy.pt", **old)
torch.save(state, to + "state_protocol_4.pt", pickle_protocol=4)
torch.save(state, to + "state_legacy_protocol_5.pt", pickle_protocol=5, **old)
torch.save({
    "epoch": 3, "state": state, "optimizer": torch.optim.Adam(model.parameters()).state_dict(),
    "parameter": torch.nn.Parameter(torch.ones(2)), "sparse": torch.eye(2).to_sparse(),
    "half": torch.ones(2, dtype=torch.bfloat16), "eighth": torch.ones(2).to(torch.float8_e4m3fn),
    "counter": collections.Counter("ab"), "set": {1}, "dtype": torch.float16, "bytes": b"x",
    "device": torch.device("cpu"), "size": torch.Size([1]), "complex": torch.ones(1) * 1j,
}, to + "checkpoint.ckpt")
torch.save(model, to + "whole.pt")
torch.save(model, to + "whole_legacy.pt", **old)
torch.jit.save(torch.jit.script(model), to + "script.pt")
torch.export.save(torch.export.export(model, (torch.ones(1, 3),)), to + "exported.pt2")
"""
MADE = {
    "state.pt": Sniffed("torch", Trust.PICKLE),
    "state_legacy.pt": Sniffed("torch", Trust.PICKLE),
    "state_protocol_4.pt": Sniffed("torch", Trust.PICKLE),
    "state_legacy_protocol_5.pt": Sniffed("torch", Trust.PICKLE),
    "checkpoint.ckpt": Sniffed("torch", Trust.PICKLE),
    "whole.pt": Sniffed("torch", Trust.CODE),
    "whole_legacy.pt": Sniffed("torch", Trust.CODE),
    "script.pt": Sniffed("torchscript", Trust.CODE),
    "exported.pt2": Sniffed("torch-export", Trust.CODE),
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files written by the installed torch, in a process of its own."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    folder = tmp_path_factory.mktemp("torch")
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", MADE)
def test_what_torch_writes_is_told_apart(name: str, made: Path) -> None:
    assert sniff(made / name, name) == MADE[name]
    assert sniff(made / name, "pytorch_model.bin") == MADE[name]


def test_a_real_state_dict_beside_a_directory_of_code_is_code(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes((made / "state.pt").read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("state/code/__torch__.py", "x")
    assert sniff(path, "x.pt") == Sniffed("torchscript", Trust.CODE)


# ATTACKS


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.marker,))


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[str]:
    """A path that the payload would create; it must never appear."""
    path = tmp_path / "pwned"
    yield str(path)
    assert not path.exists()


def torch_zip(
    data: bytes, root: str = "archive", member: str = "data.pkl", method: int = zipfile.ZIP_STORED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(f"{root}/{member}", data)
        archive.writestr(f"{root}/version", "3\n")
    return buffer.getvalue()


MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["m.pt", "m.bin", "m.pkl", "m.dat", "m"])
def test_a_payload_is_code_in_any_protocol_and_under_any_name(
    protocol: int, name: str, marker: str, judge: Any
) -> None:
    payload = pickle.dumps({"weights": [1.0], "x": Payload(marker)}, protocol)
    assert judge(payload, name).trust == Trust.CODE
    assert judge(torch_zip(payload), name) == Sniffed("torch", Trust.CODE)
    legacy = MAGIC + pickle.dumps({}, 2) + payload + pickle.dumps([], 2)
    assert judge(legacy, name) == Sniffed("torch", Trust.CODE)


def test_a_payload_hides_nowhere(marker: str, judge: Any) -> None:
    payload = pickle.dumps(Payload(marker), 2)
    plain = pickle.dumps({}, 2)
    hidden = {
        "in the magic's place": payload,
        "in the system information": MAGIC + payload,
        "in the list of storages": MAGIC + plain + plain + payload,
        "behind a harmless pickle": plain + payload,
        "before a corrupt tail": payload[:-1] + b"\xff\xff\xff",
        "before a cut": payload[:-1],
        "in a compressed member": torch_zip(payload, method=zipfile.ZIP_DEFLATED),
        "in upper case": torch_zip(payload, member="DATA.PKL"),
        "under another root": torch_zip(payload, root="x"),
    }
    for where, content in hidden.items():
        assert judge(content, "m.pt").trust == Trust.CODE, where


def test_a_payload_in_gzip_or_a_legacy_tar_is_no_torch_file(marker: str, judge: Any) -> None:
    import gzip

    payload = pickle.dumps(Payload(marker), 2)
    packed = gzip.compress(payload)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("pickle")
        info.size = len(payload)
        archive.addfile(info, io.BytesIO(payload))
    for content in (packed, buffer.getvalue()):
        with pytest.raises(FormatError, match="not a torch file"):
            judge(content, "m.pt")
    assert judge(packed, "m.pkl") == Sniffed("gzip", Trust.CODE)
    assert judge(packed, "m.tar.gz") == Sniffed("gzip", Trust.DATA)


def test_a_broken_checksum_hides_nothing(marker: str, judge: Any) -> None:
    content = bytearray(torch_zip(pickle.dumps(Payload(marker), 2)))
    for magic, at in ((b"PK\3\4", 14), (b"PK\1\2", 16)):
        position = content.index(magic) + at
        content[position : position + 4] = b"\xde\xad\xbe\xef"
    assert judge(bytes(content), "m.pt").trust == Trust.CODE


def patched(content: bytes, magic: bytes, at: int, value: bytes, which: int = 0) -> bytes:
    position = -1
    for _ in range(which + 1):
        position = content.index(magic, position + 1)
    return content[: position + at] + value + content[position + at + len(value) :]


GOOD = torch_zip(pickle.dumps({"a": 1}, 2))
DEFLATED = torch_zip(pickle.dumps({"a": 1}, 2), method=zipfile.ZIP_DEFLATED)
CENTRAL, LOCAL, END = b"PK\1\2", b"PK\3\4", b"PK\5\6"
DAMAGED_ZIPS = {
    "cut": GOOD[:-5],
    "cut in the directory": GOOD[: GOOD.index(CENTRAL) + 20],
    "bytes behind the end": GOOD + b"x",
    "bytes before the start": LOCAL + b"x" * 40 + GOOD,
    "encrypted, says the directory": patched(GOOD, CENTRAL, 8, b"\x01"),
    "encrypted, says the member": patched(GOOD, LOCAL, 6, b"\x01"),
    "encrypted, say both": patched(patched(GOOD, CENTRAL, 8, b"\x01"), LOCAL, 6, b"\x01"),
    "another name in the member": patched(GOOD, LOCAL, 30, b"X"),
    "another name in the directory": patched(GOOD, CENTRAL, 46, b"X"),
    "another size in the member": patched(GOOD, LOCAL, 18, b"\x01\0\0\0\x01\0\0\0"),
    "another method in the member": patched(GOOD, LOCAL, 8, b"\x08"),
    "an unknown method": patched(patched(GOOD, LOCAL, 8, b"\x0c"), CENTRAL, 10, b"\x0c"),
    "an offset beyond the file": patched(GOOD, CENTRAL, 42, b"\xff\xff\xff\x7f"),
    "an offset into another member": patched(GOOD, CENTRAL, 42, bytes(4), which=1),
    "more members than there are": patched(GOOD, END, 8, b"\x09\0\x09\0"),
    "fewer members than there are": patched(GOOD, END, 8, b"\x01\0\x01\0"),
    "several disks": patched(GOOD, END, 4, b"\x01\0"),
    "a directory elsewhere": patched(GOOD, END, 16, bytes(4)),
    "a member without a name": patched(GOOD, CENTRAL, 28, bytes(2)),
    "damaged compressed data": patched(DEFLATED, b"archive/data.pkl", 16, b"\xff" * 6),
    "no end": LOCAL + bytes(100),
}


def twins(one: str, other: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"archive/{one}", pickle.dumps({}, 2))
        archive.writestr(f"archive/{'x' * len(other)}", pickle.dumps({}, 2))
    return buffer.getvalue().replace(b"x" * len(other), other.encode())


DAMAGED_ZIPS["two of one name"] = twins("data.pkl", "data.pkl")
DAMAGED_ZIPS["two of one name but for case"] = twins("data.pkl", "DATA.pkl")


@pytest.mark.parametrize("case", DAMAGED_ZIPS)
def test_a_zip_that_readers_could_disagree_about_is_refused(case: str, judge: Any) -> None:
    with pytest.raises(FormatError, match=r"m\.pt"):
        judge(DAMAGED_ZIPS[case], "m.pt")


def test_a_zip_of_too_many_members_is_refused_by_its_count_alone(judge: Any) -> None:
    count, begin = 3_000_000, 0
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, 0, begin)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    end = struct.pack("<4s4H2LH", END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    # The first bytes must be a member's for the file to be taken for a zip at all.
    prefix = LOCAL + bytes(26)
    moved = end64[:48] + struct.pack("<Q", len(prefix))
    content = prefix + moved + locator[:8] + struct.pack("<QL", len(prefix), 1) + end
    with pytest.raises(PolicyError, match="3000000 members"):
        judge(content, "m.pt")


@pytest.mark.parametrize("at", [10**6, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_zip_whose_second_end_record_is_elsewhere_is_refused(at: int, judge: Any) -> None:
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4s4H2LH", END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with pytest.raises(FormatError, match="lies outside it"):
        judge(LOCAL + bytes(90) + locator + end, "m.pt")


def test_a_zip_with_64_bit_records_is_read(judge: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        with archive.open("archive/data.pkl", "w", force_zip64=True) as member:
            member.write(pickle.dumps({}, 2))
        archive.writestr("archive/version", "3")
    assert judge(buffer.getvalue(), "m.pt") == Sniffed("torch", Trust.PICKLE)


def test_a_zip_written_to_a_pipe_with_sizes_behind_the_data_is_read(judge: Any) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.content += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
    assert judge(bytes(pipe.content), "m.pt") == Sniffed("torch", Trust.PICKLE)


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ("constants.pkl", "torchscript"),
        ("CONSTANTS.pkl", "torchscript"),
        ("code/__torch__.py", "torchscript"),
        ("archive_format", "torch-export"),
        ("data/aotinductor/model/x.so", "torch-export"),
        (".data/extern_modules", "torch-package"),
    ],
)
def test_a_member_that_only_programs_have_makes_it_code(member: str, kind: str, judge: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps({}, 2))
        archive.writestr(f"m/{member}", b"x")
    assert judge(buffer.getvalue(), "m.pt") == Sniffed(kind, Trust.CODE)


def test_an_ordinary_zip_is_an_archive_but_no_torch_file(judge: Any) -> None:
    content = torch_zip(b"hello", member="README.md")
    assert judge(content, "m.zip") == Sniffed("zip", Trust.DATA)
    with pytest.raises(FormatError, match="not a torch file; it holds zip"):
        judge(content, "m.pth")


def test_a_cut_legacy_file_is_refused(judge: Any) -> None:
    legacy = MAGIC + pickle.dumps({}, 2) + pickle.dumps({"a": [1, 2]}, 2)
    assert judge(legacy + pickle.dumps([], 2) + b"storage", "m.pt").trust == Trust.PICKLE
    with pytest.raises(FormatError, match="cut or damaged"):
        judge(legacy[:-3], "m.pt")


def test_a_bomb_of_a_pickle_member_is_scanned_piece_by_piece(judge: Any) -> None:
    import zlib

    # 512 MiB in half a megabyte: one text that never ends.
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeeze.compress(b"\x80\x02V")
    for _ in range(512):
        packed += squeeze.compress(b"x" * (1 << 20))
    packed += squeeze.flush()
    content = torch_zip(b"", member="data.pkl")
    local = content[: content.index(LOCAL, 4)]
    name = b"archive/data.pkl"
    size = 3 + (512 << 20)
    header = struct.pack("<5H3L2H", 20, 0, 8, 0, 33, 0, len(packed), size, len(name), 0)
    local = LOCAL + header + name + packed
    central = (
        struct.pack(
            "<4s6H3L5H2L",
            CENTRAL,
            20,
            20,
            0,
            8,
            0,
            33,
            0,
            len(packed),
            size,
            len(name),
            0,
            0,
            0,
            0,
            0,
            0,
        )
        + name
    )
    end = struct.pack("<4s4H2LH", END, 0, 0, 1, 1, len(central), len(local), 0)
    assert judge(local + central + end, "m.pt") == Sniffed("torch", Trust.CODE)


_ZIPS = st.sampled_from([GOOD, DEFLATED, MAGIC + pickle.dumps({"a": [1.0]}, 2) * 3])


@given(
    content=_ZIPS,
    at=st.floats(0, 1),
    patch=st.binary(min_size=1, max_size=8),
    cut=st.sampled_from([0, 0, 0, 1, 9]),
)
def test_a_mutated_torch_file_is_judged_or_refused(
    content: bytes, at: float, patch: bytes, cut: int, judge: Any
) -> None:
    mutated = bytearray(content)
    position = int(at * len(mutated))
    mutated[position : position + len(patch)] = patch
    try:
        assert isinstance(judge(bytes(mutated[: len(mutated) - cut]), "m.pt"), Sniffed)
    except TorchinfError:
        pass
