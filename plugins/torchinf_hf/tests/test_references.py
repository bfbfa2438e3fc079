"""What a reference names, without a hub."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import RefError
from torchinf_core.refs import check_name, format_ref, parse_ref
from torchinf_core.types import ModelRef
from torchinf_hf import sources
from torchinf_hf.locators import Place, parse_place


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("hf:org/name", Place("org/name", "", None), "name"),
        (
            "huggingface:bert-base-uncased",
            Place("bert-base-uncased", "", None),
            "bert-base-uncased",
        ),
        ("hf:org/name@main", Place("org/name", "", "main"), "name"),
        ("hf:org/name@refs/pr/3", Place("org/name", "", "refs/pr/3"), "name"),
        ("hf:org/name@feat/x", Place("org/name", "", "feat/x"), "name"),
        ("hf://org/name", Place("org/name", "", None), "name"),
        ("hf:org/name/", Place("org/name", "", None), "name"),
        ("hf:org/name/onnx", Place("org/name", "onnx", None), "name-onnx"),
        (
            "hf:Qwen/Qwen2.5-0.5B-GGUF/qwen2.5-0.5b-q4_k_m.gguf@main",
            Place("Qwen/Qwen2.5-0.5B-GGUF", "qwen2.5-0.5b-q4_k_m.gguf", "main"),
            "Qwen2.5-0.5B-GGUF-qwen2.5-0.5b-q4_k_m",
        ),
        ("hf:o/n/a/b c.onnx", Place("o/n", "a/b c.onnx", None), "n-a-b-c"),
    ],
)
def test_a_reference_names_a_repository_or_something_in_it(
    text: str, place: Place, name: str
) -> None:
    found = parse_place(parse_ref(text))

    assert found == place
    assert found.name == check_name(name)


@pytest.mark.parametrize(
    "locator",
    ["org//name", "/", "org/name//x", "org/name/../x", "org/na me", "org/-name", "org/name.",
     "org/a--b", "org/name.git", "org/näme", "org/name/a\\b", "..", "org/" + "a" * 97],
)  # fmt: skip
def test_what_can_be_no_repository_is_refused_with_the_forms_there_are(locator: str) -> None:
    with pytest.raises(RefError) as caught:
        parse_place(ModelRef("hf", locator))

    assert "hf:ORG/NAME@REVISION" in caught.value.hint


def test_the_examples_of_the_source_can_be_parsed() -> None:
    for info in sources():
        for example in info.examples:
            assert parse_place(parse_ref(example)).repo


@given(st.text(min_size=1, max_size=40), st.none() | st.text(min_size=1, max_size=20))
def test_any_locator_is_a_place_or_an_error(locator: str, revision: str | None) -> None:
    try:
        place = parse_place(ModelRef("hf", locator, revision))
    except RefError:
        return
    assert place.repo.count("/") <= 1
    assert not {"", ".", ".."} & set(place.path.split("/")) or place.path == ""
    assert check_name(place.name)
    assert parse_place(ModelRef("hf", f"{place.repo}/{place.path}".strip("/"))).repo == place.repo


def test_a_reference_is_written_as_it_is_read() -> None:
    ref = parse_ref("hf:org/name/a/b.onnx@refs/pr/3")

    assert parse_ref(format_ref(ref)) == ref
