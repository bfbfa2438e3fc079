"""The registry as its callers see it."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from torchinf_core import records
from torchinf_core.errors import BusyError, NameTakenError, NotCachedError, StoreError, UsageError


def test_what_was_put_is_what_one_gets(shelf):
    record = shelf.add("m", {"m": b"1"}, tags=("a", "b"), metadata={"k": [1, None, {"x": "ü"}]})
    assert shelf.registry.get("m") == record
    assert shelf.registry.find("m") == record
    assert shelf.registry.by_request(record.request_key) == record
    assert shelf.registry.records().records == (record,)


def test_putting_again_replaces(shelf):
    record = shelf.add("m", {"m": b"1"})
    shelf.registry.put(replace(record, description="better"))
    assert shelf.registry.get("m").description == "better"
    assert shelf.registry.names() == ["m"]


def test_an_unknown_name_is_an_error_with_the_nearest_one_as_a_hint(shelf):
    shelf.add("resnet18", {"m": b"1"})
    with pytest.raises(NotCachedError, match="resnet-18") as caught:
        shelf.registry.get("resnet-18")
    assert "resnet18" in caught.value.hint
    with pytest.raises(NotCachedError) as caught:
        shelf.registry.get("something else entirely")
    assert "torchinf list" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", ".", "", "x" * 300, "nul\0", "new\nline", "\x1b[31m", "-x", "all", "CON"],
)
def test_a_name_that_can_be_no_name_is_not_found_and_not_stored(shelf, name):
    shelf.store.prepare()
    assert shelf.registry.find(name) is None
    with pytest.raises(UsageError):
        shelf.registry.put(shelf.record(name, {}))
    assert list((shelf.store.root / "records").iterdir()) == []


def test_names_are_listed_without_opening_a_file(shelf, monkeypatch):
    for name in ("b", "a", "with.dots-and_more+1"):
        shelf.add(name, {"m": b"1"})
    monkeypatch.setattr(records, "read", lambda path: pytest.fail("opened a record"))
    assert shelf.registry.names() == ["a", "b", "with.dots-and_more+1"]


def test_names_with_capitals_are_listed_as_they_are(shelf):
    for name in ("ResNet", "resnet", "RESNET"):
        shelf.add(name, {"m": b"1"})
    assert shelf.registry.names() == ["RESNET", "ResNet", "resnet"]


def test_a_request_finds_its_model_without_looking_at_the_others(shelf, monkeypatch):
    record = shelf.add("m", {"m": b"1"})
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail("listed a directory"))
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("listed a directory"))
    assert shelf.registry.by_request(record.request_key) == record


def test_a_request_no_longer_finds_a_model_whose_content_was_replaced(shelf):
    first = shelf.add("m", {"m": b"1"}, request_key="a" * 64)
    second = shelf.add("m", {"m": b"2"}, request_key="b" * 64)
    assert shelf.registry.by_request(first.request_key) is None
    assert shelf.registry.by_request(second.request_key) == second


def test_two_requests_find_the_same_content(shelf):
    shelf.add("m", {"m": b"1"}, request_key="a" * 64)
    second = shelf.add("m", {"m": b"1"}, request_key="b" * 64)
    assert shelf.registry.by_request("a" * 64) == second
    assert shelf.registry.by_request("b" * 64) == second


def test_a_request_does_not_find_another_model_without_files_under_its_name(shelf):
    shelf.add("m", {}, request_key="a" * 64, model_id="resnet18")
    shelf.add("m", {}, request_key="b" * 64, model_id="resnet50")
    assert shelf.registry.by_request("a" * 64) is None


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff", b"../../x\n", b"x" * 100_000, b"other\n\n\n"]
)
def test_a_damaged_pointer_finds_nothing(shelf, content):
    record = shelf.add("m", {"m": b"1"})
    (shelf.store.root / "requests" / record.request_key).write_bytes(content)
    assert shelf.registry.by_request(record.request_key) is None


def test_a_removed_model_is_gone_for_names_and_requests(shelf):
    record = shelf.add("m", {"m": b"1"})
    assert shelf.registry.remove("m") == record
    assert shelf.registry.find("m") is None
    assert shelf.registry.by_request(record.request_key) is None
    assert shelf.registry.names() == []
    with pytest.raises(NotCachedError):
        shelf.registry.remove("m")


@pytest.mark.parametrize("files", [{"m": b"1"}, {"m.onnx": b"1", "w": b"2"}, {}])
def test_a_renamed_model_has_its_content_and_its_request_under_the_new_name(shelf, files):
    record = shelf.add("old", files)
    renamed = shelf.registry.rename("old", "New")
    assert renamed.name == "New"
    assert shelf.registry.names() == ["New"]
    assert shelf.content("New") == files
    assert shelf.registry.by_request(record.request_key) == renamed
    assert shelf.damage() == []
    assert len(list((shelf.store.root / "models").iterdir())) == 1


def test_renaming_copies_no_bytes(shelf):
    before = shelf.add("old", {"m": b"1" * 100})
    after = shelf.registry.rename("old", "new")
    assert after.files[0].inode == before.files[0].inode


def test_a_name_that_is_taken_is_kept_by_its_model(shelf):
    shelf.add("a", {"m": b"1"})
    shelf.add("b", {"m": b"2"})
    with pytest.raises(NameTakenError, match="'b'"):
        shelf.registry.rename("a", "b")
    assert shelf.content("a") == {"m": b"1"}
    assert shelf.content("b") == {"m": b"2"}
    assert shelf.damage() == []


def test_a_name_that_is_taken_at_the_last_moment_is_kept_too(shelf, monkeypatch):
    shelf.add("a", {"m": b"1"})
    shelf.add("b", {"m": b"2"})
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    with pytest.raises(NameTakenError):
        shelf.registry.rename("a", "b")
    assert shelf.content("b") == {"m": b"2"}


def test_renaming_to_itself_changes_nothing(shelf):
    record = shelf.add("a", {"m": b"1"})
    assert shelf.registry.rename("a", "a") == record
    assert shelf.damage() == []


def test_renaming_nothing_or_to_no_name_is_an_error(shelf):
    shelf.add("a", {"m": b"1"})
    with pytest.raises(NotCachedError):
        shelf.registry.rename("b", "c")
    with pytest.raises(UsageError):
        shelf.registry.rename("a", "../b")
    assert shelf.registry.names() == ["a"]


@pytest.mark.parametrize(
    "metadata", [{"x": float("nan")}, {"x": b"bytes"}, {"x": "\ud800"}, {"x": "y" * (17 << 20)}]
)
def test_what_could_not_be_read_back_is_not_written(shelf, metadata):
    shelf.add("m", {"m": b"1"})
    with pytest.raises(StoreError, match="can't be written"):
        shelf.registry.put(shelf.record("m", {"m": b"1"}, metadata=metadata))
    assert shelf.registry.get("m").metadata == {}


def test_a_change_is_made_to_the_record_that_is_there_now(shelf):
    seen = shelf.add("m", {"m": b"1"})
    shelf.registry.put(replace(seen, tags=("other",)))
    changed = shelf.registry.amend(seen, lambda now: replace(now, description="better"))
    assert (changed.tags, changed.description) == (("other",), "better")
    assert shelf.registry.get("m") == changed


def test_changes_of_many_at_once_are_all_kept(shelf):
    seen = shelf.add("m", {"m": b"1"})

    def work(who: int) -> None:
        for number in range(10):
            tag = f"{who}-{number}"
            shelf.registry.amend(seen, lambda now, tag=tag: replace(now, tags=(*now.tags, tag)))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shelf.registry.get("m").tags) == 40


def test_a_change_brings_back_neither_a_removed_model_nor_its_former_content(shelf):
    seen = shelf.add("m", {"m": b"1"})
    shelf.add("m", {"m": b"2"})
    with pytest.raises(NotCachedError, match="replaced"):
        shelf.registry.amend(seen, lambda now: replace(now, task="x"))
    assert shelf.content("m") == {"m": b"2"}
    assert shelf.registry.get("m").task is None
    shelf.registry.remove("m")
    with pytest.raises(NotCachedError):
        shelf.registry.amend(seen, lambda now: replace(now, task="x"))
    assert shelf.registry.names() == []


def test_a_name_is_removed_or_renamed_only_between_two_changes(shelf):
    shelf.add("m", {"m": b"1"})
    shelf.store.lock_timeout = 0
    with shelf.store.naming("m"):
        with pytest.raises(BusyError, match="'m'"):
            shelf.registry.remove("m")
        for old, new in (("m", "n"), ("n", "m")):
            with pytest.raises(BusyError):
                shelf.registry.rename(old, new)
    assert shelf.registry.names() == ["m"]
