"""list, info, path, verify, remove, rename, tag."""

import io
import os

import pytest


def test_list_is_a_table_sorted_by_name(stocked, torchinf):
    lines = torchinf("list").out.splitlines()
    assert lines[0].split() == ["NAME", "SOURCE", "FORMAT", "SIZE", "UPDATED", "TASK", "TAGS"]
    assert [line.split()[0] for line in lines[1:]] == ["pair", "tiny"]
    assert "5.0 kB" in lines[2]


def test_list_for_programs(stocked, torchinf):
    document = torchinf("list", "--json").document
    assert [model["name"] for model in document["models"]] == ["pair", "tiny"]
    assert document["damaged"] == []
    assert torchinf("list", "-q").out == "pair\ntiny\n"


def test_list_filters_and_sorts(stocked, torchinf):
    assert torchinf("list", "-q", "--filter", "tag=two").out == "pair\n"
    assert torchinf("list", "-q", "-f", "source=zoo", "-f", "task=testing").out == "tiny\n"
    assert torchinf("list", "-q", "--sort", "size").out == "pair\ntiny\n"
    assert torchinf("list", "-q", "--sort", "name:desc").out == "tiny\npair\n"
    none = torchinf("list", "--filter", "size>1GB")
    assert (none.status, none.out) == (0, "")
    wrong = torchinf("list", "--filter", "sise>1GB")
    assert wrong.status == 2
    assert "did you mean 'size'?" in wrong.err


def test_an_empty_store_says_what_to_do(torchinf):
    ran = torchinf("list")
    assert (ran.status, ran.out) == (0, "")
    assert "torchinf download" in ran.err


def test_a_damaged_record_costs_a_warning(stocked, torchinf, store):
    (record,) = (store / "records").glob("tiny-*")
    record.write_bytes(b"{")
    ran = torchinf("list")
    assert ran.status == 0
    assert "pair" in ran.out
    assert "warning: the record of tiny is damaged" in ran.err
    assert "fsck" in ran.err
    assert torchinf("list", "--json").document["damaged"][0]["name"] == "tiny"
    assert torchinf("info", "tiny").status == 6


def test_info_shows_what_is_known(stocked, torchinf):
    ran = torchinf("info", "tiny")
    assert ran.status == 0
    for word in ("zoo:tiny", "mit", "testing", "published", "weights.bin", "5.0 kB in 1 file"):
        assert word in ran.out
    document = torchinf("info", "tiny", "--json").document
    assert document["path"].endswith("weights.bin")
    assert document["size"] == 5000


def test_a_model_is_also_found_by_its_reference_and_its_older_name(stocked, torchinf):
    assert torchinf("info", "zoo:tiny", "--json").document["name"] == "tiny"
    assert torchinf("info", "zoo_tiny", "--json").document["name"] == "tiny"
    assert torchinf("path", "zoo:nothing").status == 3


def test_a_misspelt_name_is_answered_with_the_nearest(stocked, torchinf):
    ran = torchinf("info", "tiyn")
    assert ran.status == 3
    assert "hint: did you mean 'tiny'?" in ran.err


def test_path_is_a_file_or_a_directory(stocked, torchinf):
    assert os.path.isfile(torchinf("path", "tiny").out.strip())
    assert os.path.isdir(torchinf("path", "pair").out.strip())
    assert torchinf("path", "tiny", "--json").document["name"] == "tiny"


def test_verify_finds_a_flipped_byte(stocked, torchinf):
    ran = torchinf("verify", "--all")
    assert ran.status == 0
    assert ran.out.splitlines() == ["pair: ok", "tiny: ok"]
    path = torchinf("path", "tiny").out.strip()
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.write(b"W")
    ran = torchinf("verify", "tiny", "pair")
    assert ran.status == 5
    assert "tiny: DAMAGED" in ran.out
    assert "torchinf download zoo:tiny" in ran.err
    document = torchinf("verify", "--all", "--json")
    assert document.status == 5
    assert torchinf("download", "zoo:tiny").status == 0
    assert torchinf("verify", "--all").status == 0


def test_verify_wants_to_know_what(stocked, torchinf):
    assert torchinf("verify").status == 2
    assert torchinf("verify", "tiny", "--all").status == 2
    assert torchinf("verify", "nothing").status == 3


def test_remove_forgets_models_and_frees_their_bytes(stocked, torchinf, store):
    ran = torchinf("remove", "tiny", "pair", "--dry-run")
    assert ran.out == "would remove tiny\nwould remove pair\n"
    assert torchinf("remove", "tiny").out == "removed tiny\n"
    assert torchinf("list", "-q").out == "pair\n"
    assert torchinf("remove", "tiny").status == 3
    blobs = [path for path in (store / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 2


def test_remove_takes_all_names_or_none(stocked, torchinf):
    assert torchinf("remove", "tiny", "nothing").status == 3
    assert torchinf("list", "-q").out == "pair\ntiny\n"


def test_remove_all_needs_a_yes_where_nobody_can_be_asked(stocked, torchinf):
    ran = torchinf("remove", "all")
    assert ran.status == 2
    assert "--yes" in ran.err
    assert torchinf("list", "-q").out == "pair\ntiny\n"
    assert torchinf("remove", "all", "--dry-run").out == "would remove pair\nwould remove tiny\n"
    assert torchinf("remove", "all", "--yes", "--json").document["removed"] == ["pair", "tiny"]
    assert torchinf("list", "-q").out == ""
    assert torchinf("remove", "all").status == 0


@pytest.mark.parametrize(
    ("answer", "status", "left"),
    [("y\n", 0, ""), ("n\n", 2, "pair\ntiny\n"), ("", 2, "pair\ntiny\n")],
)
def test_remove_all_asks_a_person(stocked, torchinf, monkeypatch, answer, status, left):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert torchinf("remove", "all").status == status
    assert torchinf("list", "-q").out == left


def test_rename_keeps_the_content(stocked, torchinf):
    assert torchinf("rename", "tiny", "small").out == "tiny is now small\n"
    assert torchinf("list", "-q").out == "pair\nsmall\n"
    assert torchinf("verify", "--all").status == 0
    assert torchinf("rename", "small", "pair").status == 2
    assert torchinf("rename", "small", "a/b").status == 2
    assert torchinf("rename", "nothing", "x").status == 3


def test_tags_come_and_go(stocked, torchinf):
    assert torchinf("tag", "pair", "b", "a").out == "two, b, a\n"
    assert torchinf("tag", "pair", "-r", "two", "c").out == "b, a, c\n"
    assert torchinf("tag", "pair").out == "b, a, c\n"
    assert torchinf("tag", "pair", "", "x").status == 2
    assert torchinf("tag", "pair", "--json").document == {"name": "pair", "tags": ["b", "a", "c"]}
