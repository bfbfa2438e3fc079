"""What the hub says of a model, whatever it says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.types import Json
from torchinf_hf.facts import MOST, read_facts
from torchinf_hf.listing import Entry, parse_entry


@pytest.mark.parametrize(
    ("card", "tags", "expected"),
    [
        ({"license": "mit"}, [], "mit"),
        ({}, ["license:apache-2.0"], "apache-2.0"),
        ({"license": ["mit", "apache-2.0"]}, [], "mit, apache-2.0"),
        ({"license": "other", "license_name": "llama3"}, [], "llama3"),
        ({"license": "other"}, [], "other"),
        ({}, [], None),
        ({"license": {"a": 1}}, [], None),
    ],
)
def test_a_license_is_named_as_its_card_does(
    card: Json, tags: list[str], expected: str | None
) -> None:
    assert read_facts({"cardData": card, "tags": tags}, "org/name").license == expected


@pytest.mark.parametrize(
    "answer",
    [{"tags": ["custom_code"]}, {"config": {"auto_map": {"AutoModel": "modeling_x.Model"}}}],
)
def test_code_of_its_own_is_told_by_tag_or_configuration(answer: Json) -> None:
    assert read_facts(answer, "org/name").custom_code
    assert not read_facts({"config": {"auto_map": {}}}, "org/name").custom_code


@pytest.mark.parametrize("odd", ["../evil", "a/b/c", "a b", "a?b", 3, None, "", "a" * 300])
def test_an_id_that_is_none_is_not_taken(odd: Json) -> None:
    assert read_facts({"id": odd}, "org/name").repo == "org/name"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["id", "sha", "tags", "gated", "cardData", "config", "pipeline_tag", "library_name"]
)


@given(st.dictionaries(KEYS, JSON))
def test_any_answer_gives_facts_that_a_record_can_hold(answer: dict[str, Json]) -> None:
    facts = read_facts(answer, "org/name")

    json.dumps(dict(facts.metadata), allow_nan=False)
    assert len(facts.tags) <= MOST
    assert facts.commit is None or len(facts.commit) == 40
    for text in (facts.task, facts.license, facts.repo):
        assert text is None or text.isprintable()


@given(JSON | st.dictionaries(st.sampled_from(["type", "path", "oid", "size", "lfs"]), JSON))
def test_any_entry_of_a_listing_is_a_file_a_folder_or_an_error(item: Json) -> None:
    try:
        entry = parse_entry(item)
    except ValueError:
        return
    assert entry is None or isinstance(entry.path, str)


def test_the_id_of_a_pointer_is_not_taken_for_that_of_the_content() -> None:
    lfs = {"oid": "ab" * 32, "size": 5, "pointerSize": 130}
    item = {"type": "file", "path": "m.bin", "size": 5, "oid": "cd" * 20, "lfs": lfs}

    assert parse_entry(item) == Entry("m.bin", 5, "ab" * 32, None)
    assert parse_entry({**item, "lfs": None}) == Entry("m.bin", 5, None, "cd" * 20)
