"""Searching the hub."""

from collections.abc import Callable

import pytest

from torchinf_core.plugins import load_plugins
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace
from torchinf_core.types import SearchHit

Search = Callable[..., list[SearchHit]]


@pytest.fixture
def search(hf: HuggingFace, settings: Settings) -> Search:
    for number, name in enumerate(["org/bert-small", "org/bert-large", "bert-tiny", "org/gpt"]):
        card = {"downloads": 10 ** (2 * number), "pipeline_tag": "fill-mask", "license": "mit",
                "library_name": "transformers"}  # fmt: skip
        hf.add_repo(name, {"config.json": b"{}"}, card=card)

    def call(pattern: str, limit: int = 20, scheme: str = "hf") -> list[SearchHit]:
        return load_plugins(settings).search(scheme, pattern, limit, settings)

    return call


def names(hits: list[SearchHit]) -> list[str]:
    return [hit.ref for hit in hits]


def test_the_most_downloaded_come_first(search: Search) -> None:
    hits = search("bert")

    assert names(hits) == ["hf:bert-tiny", "hf:org/bert-large", "hf:org/bert-small"]
    assert hits[0] == SearchHit(
        "hf:bert-tiny", "10k downloads, transformers, mit", None, "fill-mask"
    )


def test_a_hit_is_written_with_the_users_word_for_the_source(search: Search) -> None:
    assert names(search("gpt", scheme="huggingface")) == ["huggingface:org/gpt"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("bert-*", ["hf:bert-tiny", "hf:org/bert-large", "hf:org/bert-small"]),
        ("org/*", ["hf:org/gpt", "hf:org/bert-large", "hf:org/bert-small"]),
        ("*-LARGE", ["hf:org/bert-large"]),
        ("bert", ["hf:bert-tiny", "hf:org/bert-large", "hf:org/bert-small"]),
        ("bert large", ["hf:org/bert-large"]),
        ("nothing-like-it", []),
    ],
)
def test_a_pattern_is_held_against_the_id_or_the_name(
    pattern: str, expected: list[str], search: Search
) -> None:
    assert names(search(pattern)) == expected


def test_no_more_pages_are_asked_for_than_hits_are_wanted(
    hub: Hub, hf: HuggingFace, search: Search
) -> None:
    hf.page = 1

    assert len(search("bert", 2)) == 2
    assert len(hub.requests) == 2


def test_gated_models_are_marked(hf: HuggingFace, search: Search) -> None:
    hf.add_repo("org/closed", {"config.json": b"{}"}, gated=True, card={"downloads": 3})

    assert search("closed")[0].description.endswith("gated")
