"""Refs as git advertises them, and the commit that a reference means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import ModelNotFoundError, RefError, SourceError
from torchinf_core.testing.github import GitHub as Loopback
from torchinf_core.testing.hub import Hub
from torchinf_hub import advertisement
from torchinf_hub.advertisement import Advertisement, parse
from torchinf_hub.commits import choose
from torchinf_hub.naming import GitHub, parse_repository

ONE, TWO, THREE = ("1" * 40, "2" * 40, "3" * 40)
SERVICE = "# service=git-upload-pack\n"


def line(text: str | bytes) -> bytes:
    raw = text if isinstance(text, bytes) else text.encode()
    return b"%04x%s" % (len(raw) + 4, raw)


def advertised(*refs: str | bytes) -> bytes:
    return line(SERVICE) + b"0000" + b"".join(map(line, refs)) + b"0000"


# THE FORMAT


def test_branches_and_tags_are_read_and_annotated_tags_peeled() -> None:
    found = parse(
        [
            advertised(
                f"{ONE} HEAD\0multi_ack symref=HEAD:refs/heads/dev/x agent=git/2\n",
                f"{ONE} refs/heads/dev/x\n",
                f"{TWO} refs/heads/main",
                f"{THREE} refs/pull/1/head\n",
                f"{THREE} refs/tags/v1\n",
                f"{TWO} refs/tags/v1^{{}}\n",
                f"{THREE} refs/tags/v2\n",
            )
        ]
    )
    assert found == Advertisement(
        {"dev/x": ONE, "main": TWO}, {"v1": TWO, "v2": THREE}, head="dev/x"
    )


def test_an_empty_repository_has_no_refs() -> None:
    zero = "0" * 40
    assert parse([advertised(f"{zero} capabilities^{{}}\0agent=git/2")]) == Advertisement()
    assert parse([advertised()]) == Advertisement()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "does not begin"),
        (b"<!doctype html><title>Sign in</title>", "length"),
        (line("# service=git-receive-pack\n") + b"0000", "does not begin"),
        (line(SERVICE) + line(f"{ONE} HEAD\0\n") + b"0000", "does not begin"),
        (line(SERVICE) + b"0000" + line(f"{ONE} HEAD\0\n"), "cut"),
        (line(SERVICE) + b"0000" + line(f"{ONE} HEAD\0\n")[:-3], "cut within a line"),
        (line(SERVICE) + b"0000" + b"0001", "length"),
        (line(SERVICE) + b"0000" + b"0004", "length"),
        (line(SERVICE) + b"0000" + b"fff1" + b"x" * 70_000, "length"),
        (line(SERVICE) + b"0000" + b"+0a0" + b"x" * 200, "length"),
        (advertised(f"{ONE}  refs/heads/x"), "no ref"),
        (advertised(f"{ONE[:-1]}g refs/heads/x"), "no ref"),
        (advertised(f"{ONE.replace('1', 'A')} refs/heads/x"), "no ref"),
        (advertised(f"{ONE} refs/heads/a b"), "no ref"),
        (advertised(f"{ONE} refs/heads/a", f"{ONE} refs/heads/b\0more"), "no ref"),
        (advertised("ERR access denied"), "no ref"),
        (advertised(f"{ONE} HEAD") + b"x", "cut within"),
        (advertised(f"{ONE} HEAD") + b"0000", "something follows"),
    ],
)
def test_what_departs_from_the_format_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        parse([raw])


def test_an_endless_list_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advertisement, "MAX_BYTES", 10_000)
    endless = iter(lambda: line(f"{ONE} refs/heads/x"), b"")
    with pytest.raises(SourceError, match="larger"):
        parse([line(SERVICE) + b"0000", *[next(endless) for _ in range(300)]])


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_list_or_an_error(raw: bytes, begin_well: bool) -> None:
    if begin_well:
        raw = line(SERVICE) + b"0000" + raw
    try:
        parse([raw])
    except SourceError:
        pass


names = st.from_regex(r"[a-z0-9][a-z0-9/._-]{0,12}", fullmatch=True)
tables = st.dictionaries(names, st.from_regex("[0-9a-f]{40}", fullmatch=True), max_size=6)


@given(branches=tables, tags=tables, size=st.integers(1, 50))
def test_a_list_reads_the_same_in_pieces_of_any_size(
    branches: dict[str, str], tags: dict[str, str], size: int
) -> None:
    refs = [f"{sha} refs/heads/{name}\n" for name, sha in branches.items()]
    refs += [f"{sha} refs/tags/{name}\n" for name, sha in tags.items()]
    if refs:
        refs[0] = refs[0].replace("\n", "\0agent=x\n")
    raw = advertised(*refs)
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    assert parse(pieces) == Advertisement(branches, tags)


def test_the_loopback_hub_says_what_we_read(hub: Hub, github: Loopback) -> None:
    repo = github.add_repo("ada/nets", {"a": b"1"}, default="dev")
    repo.branch("feat/x")
    repo.tag("v1", annotate=True)
    repo.pull(repo.sha)
    assert parse([repo.advertisement()]) == Advertisement(
        {"dev": repo.sha, "feat/x": repo.sha}, {"v1": repo.sha}, "dev"
    )


# THE CHOICE

OFFERED = Advertisement(
    {"main": ONE, "master": TWO, "both": ONE, "alike": ONE, "feat/x": THREE, "deadbeef": TWO},
    {"v1": TWO, "both": TWO, "alike": ONE},
    "feat/x",
)


@pytest.mark.parametrize(
    ("text", "commit", "ref"),
    [
        ("o/r", ONE, "refs/heads/main"),
        ("o/r:v1", TWO, "refs/tags/v1"),
        ("o/r:feat/x", THREE, "refs/heads/feat/x"),
        ("o/r:refs/heads/both", ONE, "refs/heads/both"),
        ("o/r:refs/tags/both", TWO, "refs/tags/both"),
        ("o/r:alike", ONE, "refs/heads/alike"),
        ("o/r:deadbeef", TWO, "refs/heads/deadbeef"),
        ("o/r:333333", THREE, "refs/heads/feat/x"),
        (f"o/r:{TWO}", TWO, "refs/heads/master"),
    ],
)
def test_a_ref_is_the_commit_it_points_at(text: str, commit: str, ref: str) -> None:
    chosen = choose(parse_repository(text), OFFERED)
    assert (chosen.commit, chosen.ref, chosen.note) == (commit, ref, "")


@pytest.mark.parametrize(
    ("offered", "ref"),
    [
        (Advertisement({"master": TWO, "dev": ONE}, {}, "dev"), "master"),
        (Advertisement({"dev": ONE, "other": TWO}, {}, "dev"), "dev"),
    ],
)
def test_without_a_ref_it_is_main_then_master_then_the_default_branch(
    offered: Advertisement, ref: str
) -> None:
    assert choose(GitHub("o", "r"), offered).ref == f"refs/heads/{ref}"


def test_a_commit_that_nothing_points_at_is_taken_as_written_with_a_warning() -> None:
    commit = "a" * 40
    chosen = choose(parse_repository(f"o/r:{commit}"), OFFERED)
    assert (chosen.commit, chosen.ref) == (commit, None)
    assert "fork" in chosen.note


def test_a_name_of_two_things_is_refused_with_both_ways_to_write_it() -> None:
    with pytest.raises(RefError, match=f"{ONE} and {TWO}") as caught:
        choose(parse_repository("o/r:both"), OFFERED)
    assert "refs/heads/both or refs/tags/both" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("o/r:v2", "did you mean v1?"),
        ("o/r:zzz", "it has main, master"),
        ("o/r:abcdef1", "all their 40"),
        ("o/r:refs/heads/v1", "main"),
        ("o/r:refs/pull/1/head", "main"),
    ],
)
def test_what_is_not_there_is_not_found(text: str, hint: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        choose(parse_repository(text), OFFERED)
    assert hint in caught.value.hint


def test_the_beginning_of_several_commits_is_none_of_them() -> None:
    offered = Advertisement({"a": "abcd" + "1" * 36, "b": "abcd" + "2" * 36})
    with pytest.raises(RefError, match="2 commits"):
        choose(parse_repository("o/r:abcd"), offered)
    with pytest.raises(RefError, match="no commit") as caught:
        choose(parse_repository("o/r:" + "A" * 40), offered)
    assert "lower case" in caught.value.hint


def test_a_repository_without_branches_says_so() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        choose(GitHub("o", "r"), Advertisement())
    assert caught.value.hint == "it is empty"
