"""The grammar of references: what people write, what it means, and what never gets through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import RefError, UsageError
from torchinf_core.refs import (
    check_name,
    format_ref,
    join_words,
    parse_ref,
    redact,
    suggest_name,
)
from torchinf_core.types import ModelRef

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torchvision:resnet18", ModelRef("torchvision", "resnet18")),
        (
            "torchvision:resnet18@IMAGENET1K_V1",
            ModelRef("torchvision", "resnet18", "IMAGENET1K_V1"),
        ),
        ("HF:org/name@main", ModelRef("hf", "org/name", "main")),
        (
            "hub:pytorch/vision:v0.10.0/resnet50",
            ModelRef("hub", "pytorch/vision:v0.10.0/resnet50"),
        ),
        ("https://h/m.onnx", ModelRef("https", "https://h/m.onnx")),
        ("https://u@h/m@2.onnx", ModelRef("https", "https://u@h/m@2.onnx")),
        (f"https://h/m#sha256={DIGEST.upper()}", ModelRef("https", "https://h/m", None, DIGEST)),
        ("url:https://h/m", ModelRef("https", "https://h/m")),
        ("file:///a%20b/m.pt", ModelRef("file", "/a b/m.pt")),
        ("/a/../b/m.pt", ModelRef("file", "/b/m.pt")),
        (f"hf:org/name#sha256={DIGEST}", ModelRef("hf", "org/name", None, DIGEST)),
    ],
)
def test_what_people_write_means(text: str, expected: ModelRef) -> None:
    assert parse_ref(text) == expected


def test_a_relative_path_and_an_existing_file_are_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").touch()
    expected = ModelRef("file", str(tmp_path / "model.onnx"))
    assert parse_ref("./model.onnx") == parse_ref("model.onnx") == expected


def test_a_source_is_given_a_relative_path_as_the_absolute_one_it_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = parse_ref("hub:./dir/entry")
    assert here == ModelRef("hub", f"{tmp_path}/dir/entry")
    assert parse_ref(format_ref(here)) == here
    assert here.is_local
    assert not parse_ref("hub:owner/repo/entry").is_local
    assert not parse_ref("zoo://bucket/model").is_local


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "resnet18",
        "org/name",
        "torchvision:",
        "torchvision:@v1",
        "torchvision:resnet18@",
        "https://",
        "https:///m.onnx",
        "https:/h/m",
        "https://h:99999/m",
        "https://h:0/m",
        "https://[::1/m",
        "https://h/a b",
        "https://h/a\\b",
        "https://h/m#sha256=123",
        "https://h/m#part",
        "file://elsewhere/m.pt",
        "file:relative",
        "hf:a\nb",
        "hf:a\x1b[31mb",
        "hf:a\u202eb",
        "hf:\udcff",
        "x" * 9000,
    ],
)
def test_what_can_not_be_meant_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(RefError) as caught:
        parse_ref(text)
    assert len(str(caught.value)) > 10


@given(st.text(max_size=60))
def test_any_text_parses_or_is_a_reference_error(text: str) -> None:
    try:
        ref = parse_ref(text)
    except RefError:
        return
    assert parse_ref(format_ref(ref)) == ref


@given(
    scheme=st.sampled_from(["torchvision", "hf", "hub", "zoo"]),
    locator=st.from_regex(r"[\w./:-]{1,40}", fullmatch=True).filter(
        lambda text: text == text.strip() and not text.startswith(("./", "../"))
    ),
    revision=st.none() | st.from_regex(r"[\w./-]{1,20}", fullmatch=True),
    sha256=st.none() | st.just(DIGEST),
)
def test_writing_a_reference_and_reading_it_gives_it_back(
    scheme: str, locator: str, revision: str | None, sha256: str | None
) -> None:
    ref = ModelRef(scheme, locator, revision, sha256)
    assert parse_ref(format_ref(ref)) == ref


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("torchvision", "resnet18"), "torchvision:resnet18"),
        (("torchvision", "torchvision:resnet18"), "torchvision:resnet18"),
        (("url", "https://h/m.pt"), "url:https://h/m.pt"),
        (("https", "https://h/m.pt"), "https://h/m.pt"),
    ],
)
def test_two_words_are_one_reference(words: tuple[str, str], expected: str) -> None:
    assert join_words(*words) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@h/m",
        "https://h/m?token=s3cret",
        "https://h/m?a=1&X-Amz-Signature=s3cret&b=2",
        "https://h/m?x-goog-credential=s3cret",
        "see https://h/m?sig=s3cret, and https://u:s3cret@h",
    ],
)
def test_secrets_of_urls_are_never_shown(url: str) -> None:
    assert "s3cret" not in redact(url)
    assert "h/m" in redact(url) or "@h" in redact(url)


@given(st.text())
def test_redaction_takes_any_text(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("name", ["resnet18", "a", "A.b_c-d+1", "_x", "x" * 128])
def test_ordinary_names_are_allowed(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "CON",
        "con.onnx",
        "nul",
        "all",
        "ALL",
        "-x",
        "a b",
        "a\0b",
        "a\nb",
        "\x1b[31m",
        "é",
        "e\u0301",
        "x" * 129,
    ],
)
def test_dangerous_names_are_refused_with_an_allowed_one(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name)
    check_name(caught.value.hint.removeprefix("--name "))


@given(st.text())
def test_any_text_suggests_an_allowed_name(text: str) -> None:
    check_name(suggest_name(text))
