"""Every call of the operating system may fail, or be the last: nothing is lost or faked."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace

import pytest

from torchinf_core.errors import DiskSpaceError, StoreError

OLD = {"model.bin": b"old weights", "config.json": b"{}"}
NEW = {"model.bin": b"new weights", "sub/extra.bin": b"more", "config.json": b"{}"}
ONNX = {"model.onnx": b"new graph", "weights.data": b"new weights"}


def publish(shelf, name, files):
    """What a download does once its bytes are there; a StoreError or a record."""
    with shelf.store.lease():
        for content in files.values():
            shelf.blob(content)
        record = shelf.record(name, files)
        stored = shelf.store.materialise(name, record.files)
        record = replace(record, files=stored)
        shelf.registry.put(record)
    return record


def steps(make_shelf, failing, tmp_path, action, **how):
    """Run ``action(shelf)`` in fresh stores, with one more call succeeding each time."""
    for number in range(1, 1000):
        shelf = make_shelf(tmp_path / str(number))
        shelf.add("old", OLD)
        shelf.add("m", OLD)
        outcome = None
        with failing.at_call(number, **how):
            try:
                outcome = action(shelf)
            except BaseException as error:  # a power cut is one, too
                outcome = error
        yield number, shelf, outcome
        if not failing.happened:
            return
    pytest.fail("no end to the calls")


@pytest.mark.parametrize("files", [NEW, ONNX], ids=["plain", "onnx"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_whatever_call_of_a_publication_fails_the_old_version_stays(
    make_shelf, failing, tmp_path, files, error
):
    failures = 0
    for number, shelf, outcome in steps(
        make_shelf, failing, tmp_path, lambda shelf: publish(shelf, "m", files), error=error
    ):
        where = f"call {number} ({failing.log[min(number, len(failing.log)) - 1]})"
        assert shelf.damage() == [], where
        assert shelf.content("old") == OLD, where
        if isinstance(outcome, BaseException):
            failures += 1
            assert isinstance(outcome, OSError), where
            assert shelf.content("m") == OLD, where
        else:
            assert shelf.content("m") == files, where
        publish(shelf, "m", files)
        assert shelf.content("m") == files, where
        assert shelf.damage() == [], where
    assert failures > 15


def test_no_space_has_its_own_error_that_names_the_file(make_shelf, failing, tmp_path):
    shelf = make_shelf(tmp_path / "store")
    shelf.add("m", OLD)
    record = shelf.record("m", OLD)
    with failing.at_call(2, error=errno.ENOSPC), pytest.raises(DiskSpaceError, match=str(tmp_path)):
        shelf.registry.put(record)


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO])
def test_other_failures_name_the_path_and_what_to_do(make_shelf, failing, tmp_path, error):
    shelf = make_shelf(tmp_path / "store")
    shelf.add("m", OLD)
    with failing.at_call(2, error=error), pytest.raises(StoreError, match=str(tmp_path)) as caught:
        shelf.registry.put(shelf.record("m", OLD))
    assert caught.value.hint


@pytest.mark.parametrize("files", [NEW, ONNX], ids=["plain", "onnx"])
def test_a_power_cut_at_any_call_leaves_the_old_or_the_new_version(
    make_shelf, failing, tmp_path, files
):
    seen = set()
    for number, shelf, outcome in steps(
        make_shelf, failing, tmp_path, lambda shelf: publish(shelf, "m", files), crash=True
    ):
        where = f"call {number}"
        assert shelf.damage() == [], where
        assert shelf.content("old") == OLD, where
        content = shelf.content("m")
        assert content in (OLD, files), where
        assert content == files or isinstance(outcome, BaseException), where
        seen.add(content == files)
        publish(shelf, "m", files)
        assert shelf.content("m") == files, where
        assert shelf.damage() == [], where
        shelf.registry.remove("m")
        shelf.registry.remove("old")
        shelf.store.gc(dry_run=False, grace=0)
        assert list((shelf.store.root / "models").iterdir()) == [], where
        assert [p for p in (shelf.store.root / "tmp").rglob("*") if p.is_file()] == [], where
    assert seen == {True, False}


@pytest.mark.parametrize("how", [{"error": errno.EIO}, {"crash": True}], ids=["error", "crash"])
def test_a_rename_that_breaks_off_leaves_the_model_under_one_name_at_least(
    make_shelf, failing, tmp_path, how
):
    for number, shelf, outcome in steps(
        make_shelf, failing, tmp_path, lambda shelf: shelf.registry.rename("m", "n"), **how
    ):
        assert shelf.damage() == [], number
        names = set(shelf.registry.names()) - {"old"}
        assert names in ({"m"}, {"n"}, {"m", "n"}), number
        assert all(shelf.content(name) == OLD for name in names), number
        assert "n" in names or isinstance(outcome, BaseException)
        assert shelf.content("old") == OLD


@pytest.mark.parametrize("how", [{"error": errno.EIO}, {"crash": True}], ids=["error", "crash"])
def test_a_removal_that_breaks_off_harms_no_other_model(make_shelf, failing, tmp_path, how):
    for number, shelf, outcome in steps(
        make_shelf, failing, tmp_path, lambda shelf: shelf.registry.remove("m"), **how
    ):
        assert shelf.content("old") == OLD, number
        assert shelf.damage() == [], number
        if not isinstance(outcome, BaseException):
            assert shelf.registry.find("m") is None
        if shelf.registry.find("m"):
            assert shelf.content("m") == OLD, number


@pytest.mark.parametrize("how", [{"error": errno.EIO}, {"crash": True}], ids=["error", "crash"])
def test_a_collection_that_breaks_off_harms_no_model(make_shelf, failing, tmp_path, how):
    def action(shelf):
        with failing_off(failing):
            shelf.add("gone", {"x": b"garbage", "y.onnx": b"graph"})
            os.unlink(shelf.store.layout.record("gone"))
        shelf.store.gc(dry_run=False, grace=0)

    for number, shelf, _ in steps(make_shelf, failing, tmp_path, action, **how):
        assert shelf.damage() == [], number
        assert shelf.content("old") == OLD, number
        assert shelf.content("m") == OLD, number
        shelf.store.gc(dry_run=False, grace=0)
        assert len(list((shelf.store.root / "models").iterdir())) == 2, number


class failing_off:  # noqa: N801
    """Let a part of an action succeed whatever happens around it."""

    def __init__(self, failing):
        self.failing = failing

    def __enter__(self):
        self.failing.active = False

    def __exit__(self, *exception):
        self.failing.active = True


def test_a_blob_has_its_name_only_after_its_caller_made_it_durable_and_then_durably(shelf, failing):
    shelf.store.prepare()
    digest = shelf.record("m", {"m": b"content"}).files[0].sha256
    part = shelf.store.partial("k")
    part.write_bytes(b"content")
    with failing.at_call(0):
        shelf.store.add_blob(part, digest)
    order = [name for name in failing.log if name in ("rename", "fsync", "fchmod")]
    assert order[-4:] == ["rename", "fchmod", "fsync", "fsync"]


def staged(shelf, folder, contents):
    """Files as an unpacked archive leaves them, with their digests."""
    files = []
    for index, content in enumerate(contents):
        (folder / str(index)).write_bytes(content)
        files.append((folder / str(index), hashlib.sha256(content).hexdigest()))
    return files


@pytest.mark.parametrize("how", [{"error": errno.EIO}, {"crash": True}], ids=["error", "crash"])
def test_many_blobs_are_added_whole_or_not_at_all(make_shelf, failing, tmp_path, how):
    contents = [b"one", b"two", b"one", OLD["model.bin"], b""]
    digests = {content: hashlib.sha256(content).hexdigest() for content in contents}

    def action(shelf):
        with failing_off(failing):
            folder = shelf.store.staging()
            where = folder.__enter__()
            files = staged(shelf, where, contents)
        try:
            shelf.store.add_blobs(files)
        finally:
            with failing_off(failing):
                folder.__exit__(None, None, None)

    for number, shelf, outcome in steps(make_shelf, failing, tmp_path, action, **how):
        there = {c for c in contents if shelf.store.has_blob(digests[c], len(c))}
        assert all(shelf.store.blob(digests[c]).read_bytes() == c for c in there), number
        assert shelf.damage() == [], number
        if outcome is None:
            assert there == set(contents), number
        elif "error" in how:
            assert isinstance(outcome, StoreError), number
            assert there == {OLD["model.bin"]}, number


def test_many_blobs_are_synced_before_their_rename_and_their_directories_after(shelf, failing):
    shelf.store.prepare()
    with shelf.store.staging() as folder:
        files = staged(shelf, folder, [b"one", b"two", b"three"])
        with failing.at_call(0):
            shelf.store.add_blobs(files)
    order = [name for name in failing.log if name in ("rename", "fsync")]
    assert order[:3] == ["fsync"] * 3
    last = len(order) - order[::-1].index("rename")
    assert order[last:].count("fsync") == 4
    assert all(shelf.store.blob(digest).stat().st_mode & 0o777 == 0o444 for _, digest in files)


def test_a_damaged_blob_makes_way_for_a_whole_one_of_many(shelf):
    shelf.store.prepare()
    digest = shelf.blob(b"one")
    shelf.store.blob(digest).chmod(0o644)
    shelf.store.blob(digest).write_bytes(b"damaged")
    with shelf.store.staging() as folder:
        shelf.store.add_blobs(staged(shelf, folder, [b"one"]))
    assert shelf.store.blob(digest).read_bytes() == b"one"
    shelf.store.add_blobs([])


def test_a_record_is_synced_before_its_rename_and_its_directory_after(shelf, failing):
    shelf.store.prepare()
    with failing.at_call(0):
        shelf.registry.put(shelf.record("m", {}, request_key=""))
    order = [name for name in failing.log if name in ("write", "rename", "fsync")]
    assert order == ["write", "fsync", "rename", "fsync"]


def test_a_failed_fsync_is_not_tried_again(shelf, failing):
    shelf.store.prepare()
    with failing.at_call(0):
        shelf.registry.put(shelf.record("a", {}, request_key=""))
    first = failing.log.index("fsync") + 1
    with failing.at_call(first), pytest.raises(StoreError):
        shelf.registry.put(shelf.record("b", {}, request_key=""))
    assert failing.log.count("fsync") == 1
    assert shelf.registry.names() == ["a"]
