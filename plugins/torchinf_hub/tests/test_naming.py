"""What may be written behind ``hub:``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import RefError
from torchinf_core.refs import format_ref, parse_ref
from torchinf_hub import sources
from torchinf_hub.naming import (
    Directory,
    GitHub,
    is_commit,
    is_entry,
    parse_model,
    parse_repository,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "place", "entry"),
    [
        ("hub:pytorch/vision/resnet50", GitHub("pytorch", "vision"), "resnet50"),
        ("pytorch_hub:pytorch/vision/resnet50", GitHub("pytorch", "vision"), "resnet50"),
        ("hub:pytorch/vision:v0.10.0/resnet50", GitHub("pytorch", "vision", "v0.10.0"), "resnet50"),
        ("hub:o/r/entry@v1", GitHub("o", "r", "v1"), "entry"),
        ("hub:o/r:feat/x/entry", GitHub("o", "r", "feat/x"), "entry"),
        ("hub:o/r/entry@feat/x", GitHub("o", "r", "feat/x"), "entry"),
        ("hub:o/r:refs/heads/v1/entry", GitHub("o", "r", "refs/heads/v1"), "entry"),
        ("hub:o/r:pkg@1.0/entry", GitHub("o", "r", "pkg@1.0"), "entry"),
        (f"hub:o/r:{COMMIT}/entry", GitHub("o", "r", COMMIT, COMMIT), "entry"),
        (f"hub:o/r/entry@{COMMIT}", GitHub("o", "r", COMMIT, COMMIT), "entry"),
        (f"hub:o/r:v1/entry@{COMMIT}", GitHub("o", "r", "v1", COMMIT), "entry"),
        ("hub:my-org.x/my.repo-2/Entry_1", GitHub("my-org.x", "my.repo-2"), "Entry_1"),
        ("hub:/srv/models/repo/entry", Directory("/srv/models/repo"), "entry"),
        ("hub:/srv/a@b/repo/entry", Directory("/srv/a@b/repo"), "entry"),
    ],
)
def test_what_people_write_means(text: str, place: object, entry: str) -> None:
    assert parse_model(parse_ref(text)) == (place, entry)


@pytest.mark.parametrize(
    "text",
    [
        "hub:resnet50",
        "hub:pytorch/resnet50",
        "hub:o/r/x/entry",
        "hub:o/../entry",
        "hub:o/./entry",
        "hub:-o/r/entry",
        "hub:o/r:/entry",
        "hub:o/r:a b/entry",
        "hub:o/r:a..b/entry",
        "hub:o/r:~x/entry",
        "hub:o/r:x.lock/entry",
        "hub:o/r/_private",
        "hub:o/r/1entry",
        "hub:o/r/a-b",
        "hub:o/r/",
        "hub:o/r:v1/entry@v2",
        "hub:/entry",
        "hub:/dir/_private",
        "hub:/dir/entry@v1",
        "hub:o?x/r/entry",
        "hub:o/r%2f/entry",
    ],
)
def test_what_can_not_be_meant_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RefError) as caught:
        parse_model(parse_ref(text))
    assert caught.value.hint


@pytest.mark.parametrize("example", [text for info in sources() for text in info.examples])
def test_the_examples_parse(example: str) -> None:
    parse_model(parse_ref(example))


@given(st.text(max_size=60))
def test_any_text_is_a_model_or_a_reference_error(text: str) -> None:
    try:
        place, entry = parse_model(parse_ref(f"hub:{text}"))
    except RefError:
        return
    assert is_entry(entry)
    if isinstance(place, GitHub):
        # Both become parts of URLs as they are.
        assert not set(f"{place.owner}{place.repo}") & set("/?#%:@\\ ")
        assert place.repo not in (".", "..")


word = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,10}", fullmatch=True)
refs = st.lists(word, min_size=1, max_size=3).map("/".join)


@given(
    owner=word,
    repo=word,
    ref=st.none() | refs,
    entry=st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True),
)
def test_both_ways_to_write_a_ref_mean_the_same(
    owner: str, repo: str, ref: str | None, entry: str
) -> None:
    expected = GitHub(owner, repo, ref, ref if ref and is_commit(ref) else None)
    inside = parse_ref(f"hub:{owner}/{repo}{f':{ref}' if ref else ''}/{entry}")
    behind = parse_ref(f"hub:{owner}/{repo}/{entry}{f'@{ref}' if ref else ''}")
    assert parse_model(inside) == parse_model(behind) == (expected, entry)
    assert parse_model(parse_ref(format_ref(inside))) == (expected, entry)
    assert parse_repository(str(expected)) == expected
