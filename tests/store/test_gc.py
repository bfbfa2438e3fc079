"""What garbage collection takes, what it leaves, and what ``remove`` frees by itself."""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from contextlib import contextmanager

import pytest

from torchinf_core.store import locks

DAY = 24 * 3600.0


@contextmanager
def at(monkeypatch, seconds):
    """The clock moved by so many seconds."""
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + seconds)
        yield


def files_below(shelf, *directories):
    return sorted(
        path.relative_to(shelf.store.root).as_posix()
        for directory in directories
        for path in (shelf.store.root / directory).rglob("*")
        if path.is_file()
    )


def test_removing_a_model_frees_its_bytes_at_once(shelf):
    shelf.add("m", {"m.bin": b"x" * 1000, "sub/n.bin": b"y" * 1000})
    shelf.registry.remove("m")
    assert files_below(shelf, "blobs", "models", "records", "requests", "quarantine") == []
    assert list((shelf.store.root / "models").iterdir()) == []


def test_removing_an_onnx_model_frees_its_copies_and_blobs_at_once(shelf):
    shelf.add("m", {"m.onnx": b"x" * 1000, "w.data": b"y" * 1000})
    shelf.registry.remove("m")
    assert files_below(shelf, "blobs", "models", "quarantine") == []


def test_bytes_that_another_model_uses_stay(shelf):
    shared = b"s" * 1000
    shelf.add("linked", {"a.bin": shared})
    shelf.add("copied", {"a.onnx": shared, "w.data": b"w"})
    shelf.add("gone", {"b.bin": shared, "c.bin": b"own"})
    shelf.registry.remove("gone")
    assert shelf.damage() == []
    shelf.registry.remove("linked")
    assert shelf.damage() == []
    assert shelf.store.usage().by_source == {"test": 1001}
    shelf.registry.remove("copied")
    assert files_below(shelf, "blobs", "models") == []


def test_while_somebody_holds_the_lease_removal_leaves_the_bytes_to_gc(shelf, holder):
    record = shelf.add("m", {"m.bin": b"x" * 1000})
    process = holder(shelf.store.root, "lease")
    shelf.registry.remove("m")
    assert shelf.registry.names() == []
    assert shelf.store.model_path(record).read_bytes() == b"x" * 1000
    process.communicate("")
    report = shelf.store.gc(dry_run=False, grace=0)
    assert report.freed >= 1000
    assert files_below(shelf, "blobs", "models", "quarantine") == []


def test_a_model_that_came_back_meanwhile_is_not_freed(shelf):
    record = shelf.add("m", {"m.bin": b"x" * 1000})
    assert shelf.store.reclaim(record) == 0
    assert shelf.damage() == []
    shelf.add("m", {"m.bin": b"y"})
    assert shelf.store.reclaim(record) == 1000
    assert shelf.content("m") == {"m.bin": b"y"}


def test_a_mapped_file_stays_readable_when_its_model_is_removed(shelf):
    record = shelf.add("m", {"m.bin": b"x" * 100_000})
    with open(shelf.store.model_path(record), "rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    shelf.registry.remove("m")
    shelf.store.gc(dry_run=False, grace=0)
    assert mapping[:] == b"x" * 100_000
    mapping.close()


def test_gc_takes_nothing_that_a_record_needs(shelf):
    contents = {
        "one": {"a": b"1", "b": b"2"},
        "two": {"a": b"1"},
        "graph": {"m.onnx": b"1", "w.data": b"3"},
        "none": {},
    }
    for name, files in contents.items():
        shelf.add(name, files)
    report = shelf.store.gc(dry_run=False, grace=0)
    assert (report.removed, report.freed, report.quarantined) == (0, 0, 0)
    assert {name: shelf.content(name) for name in contents} == contents
    assert shelf.damage() == []


def test_a_replaced_generation_goes_and_the_new_one_stays(shelf):
    old = shelf.add("m", {"m": b"old", "same": b"same"})
    shelf.add("m", {"m": b"new", "same": b"same"})
    shelf.store.gc(dry_run=False, grace=0)
    assert not shelf.store.model_dir(old).exists()
    assert not shelf.store.has_blob(old.files[0].sha256)
    assert shelf.content("m") == {"m": b"new", "same": b"same"}
    assert shelf.damage() == []


def test_victims_stay_in_the_quarantine_until_the_grace_is_over(shelf, monkeypatch):
    shelf.add("m", {"m": b"x" * 1000})
    shelf.add("m", {"m": b"y"})
    first = shelf.store.gc(dry_run=False, grace=3600)
    assert (first.freed, first.removed) == (0, 0)
    assert first.quarantined == 2
    second = shelf.store.gc(dry_run=False, grace=3600)
    assert (second.freed, second.quarantined) == (0, 0)
    with at(monkeypatch, 3601):
        third = shelf.store.gc(dry_run=False, grace=3600)
    assert third.freed == 1000
    assert files_below(shelf, "quarantine") == []


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_set_years_off_neither_keeps_garbage_for_years_nor_takes_models(
    shelf, monkeypatch, years
):
    shelf.add("kept", {"m": b"kept"})
    shelf.add("m", {"m": b"x" * 1000})
    shelf.add("m", {"m": b"y"})
    shelf.store.gc(dry_run=False)
    with at(monkeypatch, years * 365 * DAY):
        with shelf.store.staging() as path, shelf.store.lease():
            assert path.is_dir()
        shelf.store.gc(dry_run=False)
    assert files_below(shelf, "quarantine") == []
    assert shelf.content("kept") == {"m": b"kept"}
    assert shelf.damage() == []


def test_a_dry_run_touches_nothing_and_says_what_a_run_does(shelf):
    shelf.add("m", {"m": b"x" * 1000})
    shelf.add("m", {"m": b"y"})
    before = files_below(shelf, ".")
    dry = shelf.store.gc(dry_run=True)
    assert files_below(shelf, ".") == before
    real = shelf.store.gc(dry_run=False)
    assert (dry.removed, dry.freed, dry.quarantined) == (
        real.removed,
        real.freed,
        real.quarantined,
    )
    assert dry.dry_run
    assert not real.dry_run


def test_what_an_interrupted_download_has_fetched_is_kept_for_a_day(shelf, monkeypatch):
    shelf.store.prepare()
    digest = shelf.blob(b"one of ten files")
    part = shelf.store.partial("k")
    part.write_bytes(b"half")
    part.with_suffix(".json").write_text("{}")
    with at(monkeypatch, DAY - 60):
        shelf.store.gc(dry_run=False, grace=0)
    assert shelf.store.has_blob(digest)
    assert part.exists()
    with at(monkeypatch, DAY + 60):
        shelf.store.gc(dry_run=False, grace=0)
    assert files_below(shelf, "blobs", "partial", "quarantine") == []


def test_a_partial_that_somebody_owns_is_kept_however_old(shelf, monkeypatch):
    shelf.store.prepare()
    part = shelf.store.partial("k")
    part.write_bytes(b"half")
    part.with_suffix(".json").write_text("{}")
    part.with_suffix(".map").write_bytes(b"map")
    with open(part, "rb") as owner, at(monkeypatch, 30 * DAY):
        fcntl.flock(owner, fcntl.LOCK_EX)
        shelf.store.gc(dry_run=False, grace=0)
    assert len(files_below(shelf, "partial")) == 3
    with at(monkeypatch, 30 * DAY):
        shelf.store.gc(dry_run=False, grace=0)
    assert files_below(shelf, "partial") == []


def test_a_partial_that_was_written_lately_keeps_its_older_companions(shelf, monkeypatch):
    from torchinf_core.store import gc

    shelf.store.prepare()
    part = shelf.store.partial("k")
    part.write_bytes(b"half")
    part.with_suffix(".json").write_text("{}")
    ages = {str(part): 60.0, str(part.with_suffix(".json")): 3 * DAY}
    monkeypatch.setattr(gc, "_age", lambda path, now: ages.get(path, 0.0))
    shelf.store.gc(dry_run=False, grace=0)
    assert len(files_below(shelf, "partial")) == 2


def test_the_staging_of_a_living_process_stays_and_that_of_a_dead_one_goes(shelf):
    shelf.store.prepare()
    with shelf.store.staging() as living:
        (living / "file").write_bytes(b"x")
        dead = living.with_name("4194304-1-abc.d")
        dead.mkdir()
        (dead / "file").write_bytes(b"x" * 1000)
        dead.with_suffix(".lock").touch()
        report = shelf.store.gc(dry_run=False)
        assert (living / "file").exists()
        assert not dead.exists()
        assert report.freed == 1000


def test_nothing_of_a_model_with_a_damaged_record_is_touched(shelf, monkeypatch):
    linked = shelf.add("linked", {"m": b"linked"})
    copied = shelf.add("copied", {"m.onnx": b"graph", "w": b"weights"})
    for name in ("linked", "copied"):
        with open(shelf.store.layout.record(name), "r+b") as file:
            file.truncate(10)
    with at(monkeypatch, 3 * DAY):
        shelf.store.gc(dry_run=False, grace=0)
    for record in (linked, copied):
        assert shelf.store.check(record, full=True) == []
        assert all(shelf.store.has_blob(file.sha256) for file in record.files)


def test_pointers_to_models_that_are_gone_are_dropped(shelf):
    kept = shelf.add("kept", {"m": b"1"})
    shelf.add("gone", {"m": b"2"})
    os.unlink(shelf.store.layout.record("gone"))
    (shelf.store.root / "requests" / "junk").write_bytes(b"\xff\xfe")
    shelf.store.gc(dry_run=False)
    assert [path.name for path in (shelf.store.root / "requests").iterdir()] == [kept.request_key]


def test_foreign_files_are_left_alone(shelf):
    shelf.add("m", {"m": b"1"})
    foreign = [
        shelf.store.root / "README",
        shelf.store.root / "blobs" / "README",
        shelf.store.root / "blobs" / "sha256" / "ab.txt",
        shelf.store.root / "records" / "README",
    ]
    for path in foreign:
        path.write_text("mine")
    shelf.store.gc(dry_run=False, grace=0)
    assert all(path.read_text() == "mine" for path in foreign)
    assert shelf.registry.names() == ["m"]
    assert shelf.damage() == []


def test_without_working_locks_only_what_is_a_day_old_goes(shelf, monkeypatch):
    monkeypatch.setattr(locks, "usable", lambda directory: False)
    old = shelf.add("m", {"m": b"old"})
    shelf.add("m", {"m": b"new"})
    shelf.store.gc(dry_run=False, grace=0)
    assert shelf.store.model_path(old).exists()
    with at(monkeypatch, DAY + 60):
        shelf.store.gc(dry_run=False, grace=0)
    assert not shelf.store.model_path(old).exists()
    assert shelf.content("m") == {"m": b"new"}


def test_where_links_are_impossible_gc_still_keeps_what_records_need(shelf, monkeypatch):
    def link(*args, **options):
        raise OSError(95, "no links here")

    monkeypatch.setattr(os, "link", link)
    shelf.add("one", {"m": b"shared"})
    shelf.add("two", {"m": b"shared", "n": b"own"})
    shelf.registry.remove("two")
    with at(monkeypatch, DAY + 60):
        shelf.store.gc(dry_run=False, grace=0)
    assert shelf.damage() == []
    assert len(files_below(shelf, "blobs")) == 1


def test_thousands_of_orphans_neither_slow_the_list_nor_stay(shelf, monkeypatch):
    shelf.add("m", {"m": b"1"})
    for number in range(1000):
        shelf.store.partial(f"{number}").write_bytes(b"x")
    assert shelf.registry.names() == ["m"]
    assert shelf.store.usage().partials == 1000
    with at(monkeypatch, 2 * DAY):
        assert shelf.store.gc(dry_run=False).removed == 1000


def test_usage_counts_shared_bytes_once_and_knows_what_can_go(shelf):
    shelf.add("one", {"a": b"s" * 1000})
    shelf.add("two", {"a": b"s" * 1000, "b": b"t" * 500}, source="other")
    before = shelf.store.usage()
    assert (before.models, before.blobs, before.damaged) == (2, 1500, 0)
    assert before.by_source == {"test": 1000, "other": 1500}
    assert before.reclaimable == 0
    shelf.add("two", {"a": b"s" * 1000}, source="other")
    after = shelf.store.usage()
    assert after.reclaimable == 500
    shelf.store.gc(dry_run=False, grace=0)
    assert shelf.store.usage().total <= after.total - 500
    (shelf.store.root / "records" / "x-00000000.json").write_bytes(b"")
    assert shelf.store.usage().damaged == 1
