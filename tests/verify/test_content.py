"""What a file is by its content, and what is refused whatever it is called."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import FormatError, StoreError, TorchinfError
from torchinf_core.types import Trust
from torchinf_core.verify import Sniffed, sniff

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n"
PAGES = [
    b"<!DOCTYPE html><html><head><title>Sign in</title>",
    b"<!doctype HTML>\n<p>",
    b"\n\n  <html lang=en>",
    b"\xef\xbb\xbf<HTML>",
    b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC>",
    b"<!-- portal - v2 -->\r\n<!-- x -- y -->\n<html>",
    b"<head></head>",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "name", ["m.safetensors", "m.pt", "m.onnx", "m.bin", "m.gguf", "vocab.txt", "config.json", "m"]
)
def test_an_html_page_is_not_taken_for_a_model(page: bytes, name: str, judge: Any) -> None:
    with pytest.raises(FormatError, match=r"got HTML \(a login or error page\?\)") as caught:
        judge(page, name)
    assert name in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["index.html", "page.HTM", "README.md", "doc/x.rst", "logo.svg"])
def test_a_document_may_be_html(name: str, judge: Any) -> None:
    assert judge(PAGES[0], name) == Sniffed(None)


@pytest.mark.parametrize(
    "text", [b"<htmlish>", b"<p>text", b"see <html>", b"<!-- <html> -->", b"<"]
)
def test_text_with_angle_brackets_is_no_page(text: bytes, judge: Any) -> None:
    assert judge(text, "notes.txt") == Sniffed(None)


@pytest.mark.parametrize("name", ["m.safetensors", "m.bin", "tokenizer.json", "m.pth", "m"])
def test_a_git_lfs_pointer_is_not_taken_for_the_file(name: str, judge: Any) -> None:
    with pytest.raises(FormatError, match="a Git LFS pointer, not the file"):
        judge(LFS, name)


@pytest.mark.parametrize("name", ["logo.png", "demo/clip.mp4", "README.md"])
def test_a_pointer_in_place_of_a_picture_spoils_no_repository(name: str, judge: Any) -> None:
    assert judge(LFS, name) == Sniffed(None)


@pytest.mark.parametrize("name", ["m.safetensors", "m.PT", "m.onnx", "pytorch_model.bin", "m.gguf"])
def test_an_empty_weight_file_is_refused(name: str, judge: Any) -> None:
    with pytest.raises(FormatError, match="is empty"):
        judge(b"", name)


@pytest.mark.parametrize("name", ["__init__.py", ".gitkeep", "LICENSE", "merges.txt"])
def test_other_files_may_be_empty(name: str, judge: Any) -> None:
    assert judge(b"", name).trust in (Trust.DATA, Trust.CODE)


def gguf(version: int = 3, counts: tuple[int, int] = (0, 1), order: str = "<") -> bytes:
    widths = "II" if version == 1 else "QQ"
    return b"GGUF" + struct.pack(order + "I" + widths, version, *counts) + bytes(40)


FORMATS: list[tuple[bytes, str, Sniffed]] = [
    (gguf(), "m.gguf", Sniffed("gguf")),
    (gguf(2), "m.bin", Sniffed("gguf")),
    (gguf(1), "m.gguf", Sniffed("gguf")),
    (gguf(order=">"), "m.gguf", Sniffed("gguf")),
    (b"\x1f\x8b\x08" + bytes(9), "m.tar.gz", Sniffed("gzip")),
    (b"BZh91AY&SY", "m.tar.bz2", Sniffed("bzip2")),
    (b"\xfd7zXZ\0\0\4", "m.tar.xz", Sniffed("xz")),
    (b"\x28\xb5\x2f\xfd\x04", "m.tar.zst", Sniffed("zstd")),
    (b"name".ljust(257, b"\0") + b"ustar\x0000", "m.tar", Sniffed("tar")),
    (b"\x89HDF\r\n\x1a\n" + bytes(8), "m.h5", Sniffed("hdf5")),
    (b'{"a": 1}', "config.json", Sniffed("json")),
    (b"a,b\n1,2\n", "labels.csv", Sniffed(None)),
    (b"hello world", "README", Sniffed(None)),
    (bytes(100), "weights.bin", Sniffed(None)),
    (bytes(range(256)) * 4, "weights.bin", Sniffed(None)),
    (b"cos\nsystem\n", "words.txt", Sniffed(None)),
    (b"import os\n", "hubconf.py", Sniffed("python", Trust.CODE)),
    (gguf(), "hubconf.py", Sniffed("gguf", Trust.CODE)),
    (b"\x7fELF\x02\x01\x01" + bytes(9), "data.bin", Sniffed("library", Trust.CODE)),
    (b"MZ", "x.dll", Sniffed("library", Trust.CODE)),
    (b"ptrt" + bytes(20), "m.bin", Sniffed("tensorrt", Trust.CODE)),
    (b"\0\0", "m.engine", Sniffed("tensorrt", Trust.CODE)),
    (b"\x78\x9c" + bytes(20), "m.joblib", Sniffed("pickle", Trust.CODE)),
]


@pytest.mark.parametrize(("content", "name", "found"), FORMATS)
def test_the_content_decides_and_a_name_only_adds_caution(
    content: bytes, name: str, found: Sniffed, judge: Any
) -> None:
    assert judge(content, name) == found


@pytest.mark.parametrize(
    "content",
    [
        gguf(4),
        gguf(0),
        gguf(counts=(1 << 60, 1)),
        gguf(counts=(0, 1 << 63)),
        gguf()[:12],
        b"GGUF",
        b"ggml" + bytes(30),
    ],
)
def test_a_gguf_file_with_an_impossible_header_is_refused(content: bytes, judge: Any) -> None:
    with pytest.raises(FormatError, match="GGUF"):
        judge(content, "m.gguf")


@pytest.mark.parametrize("name", ["m.safetensors", "m.onnx", "m.gguf"])
@pytest.mark.parametrize("content", [b"\x80\x02}q\0.", b"PK\3\4" + bytes(40), b'{"error": "no"}'])
def test_an_extension_that_promises_data_is_held_to_it(
    name: str, content: bytes, judge: Any
) -> None:
    with pytest.raises(FormatError, match=name):
        judge(content, name)


@pytest.mark.parametrize("content", [b'{"error": "gated"}', b"Not found", bytes(50), gguf()])
def test_a_torch_extension_is_held_to_what_torch_reads(content: bytes, judge: Any) -> None:
    with pytest.raises(FormatError, match="is not a torch file"):
        judge(content, "m.pth")


@pytest.mark.parametrize("content", [b"PK\3\4rubbish", b"\x80\x04rubbish", gguf(9)])
def test_damage_in_an_attachment_spoils_no_repository(content: bytes, judge: Any) -> None:
    assert judge(content, "examples/sample.dat") == Sniffed(None)
    with pytest.raises(FormatError):
        judge(content, "download")


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises((FormatError, StoreError), match=r"m\.bin"):
            sniff(path, "m.bin")


def test_a_missing_file_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"m\.bin"):
        sniff(tmp_path / "missing", "m.bin")


def test_a_name_with_escape_codes_reaches_no_terminal(judge: Any) -> None:
    with pytest.raises(FormatError) as caught:
        judge(b"", "\x1b[31m\u202e.pt")
    assert str(caught.value).isprintable()


_HEADS = st.sampled_from(
    [
        *(b"", b"PK\3\4", b"PK\5\6", b"GGUF\3\0\0\0", b"\x80\x02", b"\x80\x04\x95", b"\x08\x08"),
        *(b"\x08\x08\x3a", b"\x10" + bytes(7) + b"{", b"<", b"<!--", b"c", b"(lp0\n", b"ustar"),
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    ]
)
_NAMES = st.sampled_from(
    ["m.safetensors", "m.onnx", "m.pt", "m.bin", "m.gguf", "m.pkl", "m.json", "m.zip", "m.py", "m"]
)


@given(head=_HEADS, tail=st.binary(max_size=600), name=_NAMES | st.text(max_size=12))
def test_any_bytes_under_any_name_are_judged_or_refused(
    head: bytes, tail: bytes, name: str, judge: Any
) -> None:
    shown = ""
    try:
        assert isinstance(judge(head + tail, name), Sniffed)
    except TorchinfError as error:
        shown = str(error)
    assert shown.isprintable()
