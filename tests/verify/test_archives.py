"""Unpacking: what comes out, and that nothing a hostile archive says reaches outside."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchinf_core.errors import (
    DiskSpaceError,
    FormatError,
    PolicyError,
    SizeLimitError,
    StoreError,
    TorchinfError,
)
from torchinf_core.verify import archives, tarstream, tree

MIB = 1 << 20
Members = Iterable[tuple[str, bytes]]


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()


def zip_special(name: str, content: bytes, mode: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("top/real.txt", b"real")
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = mode << 16
        archive.writestr(info, content)
    return buffer.getvalue()


def tarred(members: Members, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_special(name: str, kind: bytes, target: str = "", content: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        real = tarfile.TarInfo("top/real.txt")
        real.size = 4
        archive.addfile(real, io.BytesIO(b"real"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, target, len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Box:
    """An archive, an empty directory, and a neighbourhood that must stay as it is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.archive = root / "archive"
        self.into = root / "nest" / "into"
        self.into.parent.mkdir(parents=True)
        (root / "secret").write_text("secret")

    def unpack(
        self, content: bytes, strip: int = 0, max_bytes: int = MIB, max_entries: int = 1000
    ) -> list[str]:
        self.archive.write_bytes(content)
        return archives.unpack(
            self.archive, self.into, strip=strip, max_bytes=max_bytes, max_entries=max_entries
        )

    def outside(self) -> set[str]:
        return {
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if self.into != path and self.into not in path.parents
        }


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


MEMBERS = [("top/a.txt", b"a" * 70_000), ("top/sub/b.bin", b""), ("top/é.txt", b"e")]
LONG = [("top/" + "d" * 90 + "/" + "n" * 150, b"long")]
WAYS: dict[str, Callable[[Members], bytes]] = {
    "zip": zipped,
    "stored zip": lambda members: zipped(members, zipfile.ZIP_STORED),
    "pax tar": tarred,
    "gnu tar": lambda members: tarred(members, tarfile.GNU_FORMAT),
    "gzip": lambda members: gzip.compress(tarred(members)),
    "two gzip parts": lambda members: (
        gzip.compress(tarred(members)[:700]) + gzip.compress(tarred(members)[700:])
    ),
    "bzip2": lambda members: bz2.compress(tarred(members)),
    "xz": lambda members: lzma.compress(tarred(members)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_archive_gives_back_its_files(way: str, box: Box) -> None:
    members = [*MEMBERS, *LONG]
    assert box.unpack(WAYS[way](members)) == sorted(name for name, _ in members)
    for name, content in members:
        path = box.into / name
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) & 0o7111 == 0


def test_a_ustar_tar_splits_long_names_and_they_come_back_whole(box: Box) -> None:
    name = "p" * 100 + "/" + "n" * 90
    assert box.unpack(tarred([(name, b"x")], tarfile.USTAR_FORMAT)) == [name]


@pytest.mark.parametrize("way", ["zip", "pax tar"])
def test_leading_components_are_dropped_and_short_paths_left_out(way: str, box: Box) -> None:
    members = [("pax_header", b"x"), ("./top/a", b"1"), ("top/sub/b", b"2")]
    assert box.unpack(WAYS[way](members), strip=1) == ["a", "sub/b"]
    assert sorted(path.name for path in box.into.iterdir()) == ["a", "sub"]


def test_a_commit_in_the_global_header_of_a_git_archive_is_no_file(box: Box) -> None:
    buffer = io.BytesIO()
    headers = {"comment": "0" * 40}
    with tarfile.open(fileobj=buffer, mode="w", pax_headers=headers) as archive:
        info = tarfile.TarInfo("top/a")
        archive.addfile(info)
    assert box.unpack(buffer.getvalue(), strip=1) == ["a"]


def test_directories_alone_make_nothing(box: Box) -> None:
    assert box.unpack(tar_special("top/empty/", tarfile.DIRTYPE)) == ["top/real.txt"]
    assert [path.name for path in (box.into / "top").iterdir()] == ["real.txt"]


def test_permissions_and_setuid_bits_are_dropped(box: Box) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("tool")
        info.mode, info.uid, info.mtime = 0o6777, 12345, 1
        archive.addfile(info)
    box.unpack(buffer.getvalue())
    status = (box.into / "tool").stat()
    assert stat.S_IMODE(status.st_mode) & 0o7111 == 0
    assert status.st_uid == os.getuid()


# LINKS


@pytest.mark.parametrize(
    "content",
    [
        tar_special("top/sub/link", tarfile.SYMTYPE, "../real.txt"),
        tar_special("top/sub/link", tarfile.SYMTYPE, ".././../top/real.txt"),
        tar_special("top/sub/link", tarfile.LNKTYPE, "top/real.txt"),
        zip_special("top/sub/link", b"../real.txt", stat.S_IFLNK | 0o777),
    ],
)
def test_a_link_to_a_file_of_the_archive_becomes_a_copy(content: bytes, box: Box) -> None:
    assert box.unpack(content, strip=1) == ["real.txt", "sub/link"]
    link = box.into / "sub" / "link"
    assert not link.is_symlink()
    assert link.read_bytes() == b"real"
    assert link.stat().st_nlink == 1


def test_a_link_to_a_link_and_a_link_before_its_target_are_followed(box: Box) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, target in (("first", "second"), ("second", "real")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        info = tarfile.TarInfo("real")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    assert box.unpack(buffer.getvalue()) == ["first", "real", "second"]
    assert (box.into / "first").read_bytes() == b"x"


@pytest.mark.parametrize(
    "target",
    ["../../secret", "/etc/passwd", "../../../../etc/passwd", "missing", ".", "sub", "link", ""],
)
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, b"zip"])
def test_any_other_link_is_refused(target: str, kind: bytes, box: Box) -> None:
    if kind == b"zip":
        content = zip_special("top/link", target.encode(), stat.S_IFLNK | 0o777)
    else:
        content = tar_special("top/link", kind, target)
    with pytest.raises(PolicyError, match="link"):
        box.unpack(content)
    assert not box.into.exists()


def test_links_that_lead_in_a_circle_are_refused(box: Box) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, target in (("a", "b"), ("b", "a")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    with pytest.raises(PolicyError, match="no file"):
        box.unpack(buffer.getvalue())


def test_nothing_is_written_through_a_link_of_the_archive(box: Box) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("door")
        info.type, info.linkname = tarfile.SYMTYPE, str(box.root)
        archive.addfile(info)
        info = tarfile.TarInfo("door/planted")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(PolicyError, match="door"):
        box.unpack(buffer.getvalue())
    assert not (box.root / "planted").exists()


def test_copies_for_links_count_as_bytes(box: Box) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("real")
        info.size = 1000
        archive.addfile(info, io.BytesIO(bytes(1000)))
        for index in range(10):
            info = tarfile.TarInfo(f"link{index}")
            info.type, info.linkname = tarfile.LNKTYPE, "real"
            archive.addfile(info)
    with pytest.raises(SizeLimitError):
        box.unpack(buffer.getvalue(), max_bytes=10_999)
    assert not box.into.exists()
    assert len(box.unpack(buffer.getvalue(), max_bytes=11_000)) == 11


# HOSTILE

BAD_NAMES = [
    "../evil",
    "top/../../evil",
    "/tmp/evil",
    "//evil",
    "top/./../..//evil",
    "..",
    "top/..",
    "C:evil",
    "a\\..\\..\\evil",
    "top/CON",
    "top/x.",
    "top/\x1b[2J",
    "top/\u202egpj.exe",
    "a" * 300,
    "/".join(["d"] * 100),
    "/".join(["d" * 200] * 30),
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("way", ["zip", "pax tar", "gnu tar", "gzip"])
@pytest.mark.parametrize("strip", [0, 1])
def test_an_unsafe_name_is_refused_and_nothing_is_left(
    name: str, way: str, strip: int, box: Box
) -> None:
    before = box.outside()
    with pytest.raises(FormatError):
        box.unpack(WAYS[way]([("top/good", b"x"), (name, b"evil")]), strip=strip)
    assert box.outside() == before | {"archive"}
    assert not box.into.exists()


def twice(way: str, one: str, other: str) -> bytes:
    content = WAYS[way]([(one, b"1"), ("Q" * len(other.encode()), b"2")])
    if way == "zip":
        return content.replace(b"Q" * len(other.encode()), other.encode())
    return WAYS[way]([(one, b"1"), (other, b"2")])


@pytest.mark.parametrize("way", ["zip", "pax tar"])
@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "a"), ("a", "A"), ("é", "e\u0301"), ("a", "a/b"), ("a/b", "a"), ("a", "./a")],
)
def test_members_that_would_overwrite_each_other_are_refused(
    way: str, one: str, other: str, box: Box
) -> None:
    with pytest.raises(FormatError):
        box.unpack(twice(way, one, other))
    assert not box.into.exists()


def test_members_that_collide_only_once_stripped_are_refused(box: Box) -> None:
    with pytest.raises(FormatError, match="twice"):
        box.unpack(tarred([("x/a", b"1"), ("y/a", b"2")]), strip=1)


@pytest.mark.parametrize(
    "content",
    [
        tar_special("top/dev", tarfile.CHRTYPE),
        tar_special("top/dev", tarfile.BLKTYPE),
        tar_special("top/pipe", tarfile.FIFOTYPE),
        tar_special("top/sparse", tarfile.GNUTYPE_SPARSE),
        tar_special("top/?", b"Z"),
        zip_special("top/dev", b"", stat.S_IFCHR | 0o666),
        zip_special("top/pipe", b"", stat.S_IFIFO | 0o666),
        zip_special("top/socket", b"", stat.S_IFSOCK | 0o666),
    ],
)
def test_what_is_no_file_directory_or_link_is_refused(content: bytes, box: Box) -> None:
    with pytest.raises(FormatError):
        box.unpack(content)
    assert not box.into.exists()


@pytest.mark.parametrize("way", [*WAYS])
def test_more_bytes_than_allowed_are_refused_and_nothing_is_left(way: str, box: Box) -> None:
    content = WAYS[way]([("a", b"x"), ("bomb", bytes(3 * MIB))])
    with pytest.raises(SizeLimitError, match=str(2 * MIB)):
        box.unpack(content, max_bytes=2 * MIB)
    assert not box.into.exists()
    assert len(box.unpack(content, max_bytes=3 * MIB + 1)) == 2


def test_a_zip_that_lies_about_its_size_is_stopped_by_what_is_written(box: Box) -> None:
    content = bytearray(zipped([("bomb", bytes(3 * MIB))]))
    for magic, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        position = content.index(magic) + at
        content[position : position + 4] = struct.pack("<L", 10)
    with pytest.raises(SizeLimitError):
        box.unpack(bytes(content), max_bytes=MIB)
    with pytest.raises(FormatError, match="another size or checksum"):
        box.unpack(bytes(content), max_bytes=4 * MIB)
    assert not box.into.exists()


def test_overlapping_members_are_refused_before_anything_is_written(box: Box) -> None:
    content = bytearray(zipped([("a", b"x" * 100), ("b", b"x" * 100)]))
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
    content[second + 42 : second + 46] = bytes(4)
    with pytest.raises(FormatError):
        box.unpack(bytes(content))
    assert not box.into.exists()


@pytest.mark.parametrize("way", ["zip", "pax tar", "gzip"])
def test_more_members_than_allowed_are_refused(way: str, box: Box) -> None:
    members = [(f"m{index}", b"") for index in range(21)]
    with pytest.raises(PolicyError, match="members"):
        box.unpack(WAYS[way](members), max_entries=20)
    assert not box.into.exists()


def test_directories_count_as_members(box: Box) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index in range(30):
            info = tarfile.TarInfo(f"d{index}")
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
    with pytest.raises(PolicyError, match="members"):
        box.unpack(buffer.getvalue(), max_entries=20)


def test_a_header_that_claims_a_gigabyte_is_refused_unread(box: Box) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(FormatError, match="header of"):
        box.unpack(info.tobuf())


@pytest.mark.parametrize(
    "pax",
    [
        b"9 path=a\n" + b"9999999999999999999 x=y\n",
        b"x path=a\n",
        b"0 path=a\n",
        b"11 path=../e\n",
        b"10 size=-1\n",
        b"16 size=99999999\n"[:-1] + b"x",
        b"22 GNU.sparse.major=1\n",
    ],
)
def test_a_pax_header_that_is_damaged_or_escapes_is_refused(pax: bytes, box: Box) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(pax)
    content = info.tobuf() + pax.ljust(512, b"\0") + tarred([("real", b"x")])
    with pytest.raises(FormatError):
        box.unpack(content)
    assert not box.into.exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.98])
def test_a_cut_archive_is_refused_and_nothing_is_left(way: str, kept: float, box: Box) -> None:
    members = [(f"f{index}", os.urandom(5000)) for index in range(10)]
    content = WAYS[way](members)
    if "tar" in way:  # the padding to a full record may go
        content = content[: 10 * (512 + 5120) + 1024]
    with pytest.raises(FormatError):
        box.unpack(content[: int(len(content) * kept)])
    assert not box.into.exists()


@pytest.mark.parametrize("way", ["gzip", "bzip2", "xz", "zip"])
def test_a_flipped_bit_is_noticed(way: str, box: Box) -> None:
    content = bytearray(WAYS[way]([("f", os.urandom(5000))]))
    content[len(content) // 2] ^= 1
    with pytest.raises(FormatError):
        box.unpack(bytes(content))
    assert not box.into.exists()


@pytest.mark.parametrize("tail", [b"x", bytes(600) + b"x", tarred([("b", b"x")]), bytes(2 * MIB)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_bytes_behind_the_end_of_a_tar_are_refused(
    tail: bytes, pack: Callable[[bytes], bytes], box: Box
) -> None:
    with pytest.raises(FormatError, match="behind its end"):
        box.unpack(pack(tarred([("a", b"x")]) + tail))
    assert not box.into.exists()


def test_a_damaged_tar_header_is_refused(box: Box) -> None:
    content = bytearray(tarred(MEMBERS, tarfile.GNU_FORMAT))
    content[512 + 70_144 + 3] ^= 1
    with pytest.raises(FormatError, match="damaged header"):
        box.unpack(bytes(content))
    assert not box.into.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither zip nor tar"),
        (b"<html>", "neither zip nor tar"),
        (b"\x28\xb5\x2f\xfd" + bytes(90), "zstd"),
        (gzip.compress(b"just one file"), "one compressed file"),
        (lzma.compress(b"just one file"), "one compressed file"),
        (b"\x1f\x8b rubbish", "archive"),
        (b"BZh9 rubbish", "archive"),
        (b"\xfd7zXZ\0 rubbish", "archive"),
        (b"PK\3\4 rubbish", "archive"),
    ],
)
def test_what_is_no_archive_is_refused_with_the_reason(
    content: bytes, message: str, box: Box
) -> None:
    with pytest.raises(FormatError, match=message):
        box.unpack(content)
    assert not box.into.exists()


def test_an_xz_that_wants_more_memory_than_allowed_is_refused(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchinf_core.verify.streams.XZ_MEMORY", MIB)
    with pytest.raises(FormatError, match="damaged"):
        box.unpack(lzma.compress(tarred(MEMBERS), preset=9))


# THE DIRECTORY


def test_an_empty_zip_gives_no_files(box: Box) -> None:
    assert box.unpack(zipped([])) == []


def test_what_was_in_the_directory_before_stays_when_an_archive_is_refused(box: Box) -> None:
    (box.into / "top").mkdir(parents=True)
    (box.into / "top" / "mine").write_text("mine")
    with pytest.raises(FormatError):
        box.unpack(tarred([("top/new/file", b"x"), ("../evil", b"x")]))
    assert [path.name for path in (box.into / "top").iterdir()] == ["mine"]


def test_a_file_that_exists_is_not_overwritten(box: Box) -> None:
    box.into.mkdir()
    (box.into / "a").write_text("mine")
    with pytest.raises(StoreError):
        box.unpack(tarred([("a", b"theirs")]))
    assert (box.into / "a").read_text() == "mine"


@pytest.mark.parametrize("link", ["a", "sub"])
def test_a_link_that_somebody_planted_in_the_directory_is_not_followed(link: str, box: Box) -> None:
    box.into.mkdir()
    (box.into / link).symlink_to(box.root / "elsewhere" if link == "a" else box.root)
    with pytest.raises(StoreError):
        box.unpack(tarred([("a", b"x"), ("sub/b", b"x")]))
    assert not (box.root / "elsewhere").exists()
    assert not (box.root / "b").exists()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, DiskSpaceError), (errno.EDQUOT, DiskSpaceError), (errno.EIO, StoreError)],
)
def test_a_full_or_failing_disk_is_an_error_of_the_store_and_nothing_is_left(
    code: int, kind: type[StoreError], box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    real = tree._write

    def fail_the_second_time(file: Any, piece: bytes) -> None:
        written.append(piece)
        if len(written) == 2:
            raise OSError(code, os.strerror(code))
        real(file, piece)

    monkeypatch.setattr(tree, "_write", fail_the_second_time)
    with pytest.raises(kind, match="into"):
        box.unpack(tarred([("a", b"x"), ("b/c", b"y")]))
    assert not box.into.exists()


def test_an_interrupt_leaves_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(file: Any, piece: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tree, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        box.unpack(tarred([("a/b", b"x")]))
    assert not box.into.exists()


# ANY ARCHIVE

_PARTS = st.sampled_from(["a", "b", "..", ".", "", "A", "é", "CON", "x" * 260, "\\", "c.txt"])
_NAMES = st.lists(_PARTS, min_size=1, max_size=4).map("/".join) | st.text(min_size=1, max_size=8)
_KINDS = st.sampled_from(
    [tarfile.REGTYPE] * 4 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
_MEMBERS = st.lists(st.tuples(_NAMES, _KINDS, _NAMES, st.binary(max_size=40)), max_size=6)


def any_tar(members: list[tuple[str, bytes, str, bytes]], form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogatepass") as archive:
        for name, kind, target, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def any_zip(members: list[tuple[str, bytes, str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    types = {tarfile.SYMTYPE: stat.S_IFLNK, tarfile.DIRTYPE: stat.S_IFDIR}
    types[tarfile.FIFOTYPE] = stat.S_IFIFO
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, kind, target, content in members:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (types.get(kind, stat.S_IFREG) | 0o644) << 16
            archive.writestr(info, target.encode() if kind == tarfile.SYMTYPE else content)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@settings(deadline=None)
@given(
    members=_MEMBERS,
    way=st.sampled_from(["zip", "pax", "gnu"]),
    strip=st.integers(0, 2),
    patch=st.none() | st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)),
)
def test_no_archive_writes_outside_or_leaves_halves(
    members: list[tuple[str, bytes, str, bytes]],
    way: str,
    strip: int,
    patch: tuple[float, bytes] | None,
) -> None:
    formats = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}
    content = bytearray(any_zip(members) if way == "zip" else any_tar(members, formats[way]))
    if patch is not None:
        position = int(patch[0] * len(content))
        content[position : position + len(patch[1])] = patch[1]
    with tempfile.TemporaryDirectory() as folder:
        box = Box(Path(folder))
        before = box.outside()
        try:
            written = box.unpack(bytes(content), strip=strip, max_bytes=500)
        except TorchinfError:
            assert not box.into.exists()
        else:
            found = {p.relative_to(box.into).as_posix() for p in box.into.rglob("*") if p.is_file()}
            assert found == set(written)
            assert len(written) == len(found)
            assert not any(path.is_symlink() for path in box.into.rglob("*"))
        assert box.outside() == before | {"archive"}
        assert (box.root / "secret").read_text() == "secret"


_PLAIN_NAMES = st.lists(
    st.text("abcdé._- ", min_size=1, max_size=70).filter(lambda part: part[-1] not in " ."),
    min_size=1,
    max_size=5,
).map("/".join)


@settings(deadline=None)
@given(
    members=st.dictionaries(_PLAIN_NAMES, st.binary(max_size=1200), max_size=5),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_the_reader_sees_in_a_tar_what_the_standard_library_wrote(
    members: dict[str, bytes], form: int
) -> None:
    stream = io.BytesIO(tarred(members.items(), form))
    found = {
        member.name: stream.read(member.size) for member in tarstream.read_members(stream, 100)
    }
    assert found == members
