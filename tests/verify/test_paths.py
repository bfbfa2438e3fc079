"""Path safety and file names out of URLs and headers."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import FormatError
from torchinf_core.verify import check_path, fold_path, safe_filename

GOOD = [
    "model.onnx",
    "a/b/c.safetensors",
    ".gitattributes",
    "a b/c",
    "modèle.pt",
    "模型/weights.bin",
    "🙂.pt",
    "1_Pooling/config.json",
    "a..b",
    "x" * 255,
    "console.txt",
    "-leading",
]
BAD = [
    "",
    ".",
    "..",
    "a/..",
    "../x",
    "a/../../x",
    "/etc/passwd",
    "//host/share",
    "a//b",
    "a/",
    "./a",
    "a/./b",
    "a\\b",
    "..\\x",
    "C:x",
    "c:/x",
    "a\0b",
    "a\nb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x9bb",
    "gpj.\u202etp",
    "a\u2066b",
    "a\u200bb",
    "a\ufeff",
    "a\ud800",
    "CON",
    "con",
    "a/NUL.txt",
    "aux.py",
    "COM1",
    "lpt9.bin",
    "COM¹.x",
    "conin$",
    "con .txt",
    "a.",
    "a ",
    "a./b",
    "a /b",
    "x" * 256,
    "é" * 128,
    "/".join(["d" * 100] * 11),
    "/".join("d" * 65),
]


@pytest.mark.parametrize("path", GOOD)
def test_an_ordinary_relative_path_is_returned_unchanged(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize("path", BAD)
def test_a_path_that_could_escape_or_collide_is_refused(path: str) -> None:
    with pytest.raises(FormatError) as caught:
        check_path(path)
    assert str(caught.value).isascii() or "¹" in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.text(max_size=80) | st.text("./\\abC:\0 \u202e", max_size=30))
def test_whatever_passes_stays_below_the_directory_it_is_joined_to(text: str) -> None:
    try:
        path = check_path(text)
    except FormatError:
        return
    assert path == text
    assert not path.startswith("/")
    assert all(part not in ("", ".", "..") for part in path.split("/"))
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in path)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Model.PT", "model.pt"),
        (unicodedata.normalize("NFC", "é.pt"), unicodedata.normalize("NFD", "é.pt")),
        ("straße", "STRASSE"),
        ("ﬁle", "file"),
        ("a\u200db", "ab"),
        ("K", "\u212a"),
    ],
)
def test_twins_of_case_or_normal_form_fold_to_one_key(one: str, other: str) -> None:
    assert fold_path(one) == fold_path(other)


def test_different_names_keep_different_keys() -> None:
    assert len({fold_path(path) for path in GOOD}) == len(GOOD)


URL = "https://host/dir/from-url.onnx?download=true"
DISPOSITIONS = {
    'attachment; filename="model.pt"': "model.pt",
    "attachment; filename=model.pt": "model.pt",
    "inline;filename=model.pt;size=3": "model.pt",
    'ATTACHMENT; FileName="model.pt"': "model.pt",
    "attachment; filename*=UTF-8''na%C3%AFve.pt": "naïve.pt",
    "attachment; filename*=iso-8859-1'en'%A3.pt": "£.pt",
    "attachment; filename=\"plain.pt\"; filename*=UTF-8''star.pt": "star.pt",
    "attachment; filename=\"plain.pt\"; filename*=UTF-8''%FF%FE": "plain.pt",
    'attachment; filename="plain.pt"; filename*=bogus': "plain.pt",
    'attachment; filename="a \\"quoted\\" b.pt"': "a _quoted_ b.pt",
    'attachment; filename="semi;colon.pt"': "semi;colon.pt",
    'attachment; filename="../../x"': "x",
    'attachment; filename="/etc/x"': "x",
    'attachment; filename="..\\\\..\\\\x.pt"': "x.pt",
    "attachment; filename*=UTF-8''..%2f..%2fx": "x",
    "attachment; filename*=UTF-8''a%00b%0d%0ac.pt": "abc.pt",
    'attachment; filename="C:evil.pt"': "C_evil.pt",
    'attachment; filename="CON"': "_CON",
    'attachment; filename="nul.pt"': "_nul.pt",
    'attachment; filename="🙂.pt"': "🙂.pt",
    'attachment; filename="gpj\u202etp.exe"': "gpjtp.exe",
    'attachment; filename=".bashrc"': "bashrc",
    'attachment; filename="model.pt. . "': "model.pt",
    'attachment; filename=".."': "from-url.onnx",
    'attachment; filename=""': "from-url.onnx",
    'attachment; filename="///"': "from-url.onnx",
    "attachment": "from-url.onnx",
    "": "from-url.onnx",
    ";;;=": "from-url.onnx",
    'filename="no-type.pt"': "from-url.onnx",
}


@pytest.mark.parametrize(("header", "name"), DISPOSITIONS.items())
def test_a_content_disposition_gives_one_sane_component(header: str, name: str) -> None:
    assert safe_filename(URL, header) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (URL, "from-url.onnx"),
        ("https://host/a%20b.pt", "a b.pt"),
        ("https://host/x/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://host/dir/", "dir"),
        ("https://host", "model"),
        ("https://host/%00", "model"),
        ("https://host/..", "model"),
        ("https://[broken/x.pt", "model"),
    ],
)
def test_the_last_component_of_the_url_is_the_name_without_a_header(url: str, name: str) -> None:
    assert safe_filename(url, None) == name


def test_a_name_of_300_characters_is_cut_and_keeps_its_extension() -> None:
    name = safe_filename(URL, f'attachment; filename="{"é" * 300}.safetensors"')
    assert name.endswith(".safetensors")
    assert len(name.encode()) <= 255
    assert check_path(name) == name


_HEADERS = st.text(max_size=60) | st.builds(
    "attachment; {}={}{}{}".format,
    st.sampled_from(["filename", "filename*", "FILENAME"]),
    st.sampled_from(["", '"', "UTF-8''", "utf-8'x'"]),
    st.text(max_size=320) | st.text("./\\%0:cCoOnN \u202e", max_size=20),
    st.sampled_from(["", '"', "; filename=x"]),
)


@given(st.text(max_size=60) | st.builds("https://h/{}".format, st.text(max_size=300)), _HEADERS)
def test_any_url_and_header_give_a_single_safe_component(url: str, header: str) -> None:
    name = safe_filename(url, header)
    assert check_path(name) == name
    assert "/" not in name
    assert not name.startswith(".")
