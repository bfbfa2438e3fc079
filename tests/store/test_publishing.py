"""How a model gets into the store, and what it looks like there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import DiskSpaceError, IntegrityError, StoreError
from torchinf_core.store import Store, model_id
from torchinf_core.types import StoredFile


def test_making_a_store_touches_nothing_and_an_absent_one_reads_as_empty(tmp_path, make_shelf):
    shelf = make_shelf(tmp_path / "absent")
    assert shelf.registry.names() == []
    assert shelf.registry.records().records == ()
    assert shelf.registry.find("x") is None
    assert shelf.registry.by_request("x") is None
    assert shelf.store.fsck() == []
    assert shelf.store.usage().total == 0
    assert shelf.store.gc(dry_run=True).removed == 0
    with shelf.store.lease():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_new_store_is_private_and_its_blobs_are_read_only(shelf):
    record = shelf.add("m", {"m.bin": b"content"})
    assert stat.S_IMODE(shelf.store.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(shelf.store.blob(record.files[0].sha256).stat().st_mode) == 0o444


def test_the_umask_is_respected(shelf):
    before = os.umask(0o077)
    try:
        shelf.add("m", {"sub/m.bin": b"content"})
    finally:
        os.umask(before)
    loose = [
        path
        for path in shelf.store.root.rglob("*")
        if path.stat().st_mode & 0o077 and stat.S_IMODE(path.stat().st_mode) != 0o444
    ]
    assert loose == []


def test_a_directory_that_was_there_keeps_its_permissions(tmp_path, make_shelf):
    (tmp_path / "mine").mkdir(mode=0o755)
    make_shelf(tmp_path / "mine").store.prepare()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o755


def test_a_model_is_a_directory_of_real_files_under_their_own_names(shelf):
    files = {"config.json": b"{}", "deep/er/model.bin": b"weights"}
    record = shelf.add("m", files)
    assert shelf.content("m") == files
    assert shelf.store.check(record, full=True) == []
    assert not any(path.is_symlink() for path in shelf.store.model_dir(record).rglob("*"))
    assert (
        sorted(os.listdir(shelf.store.root / "tmp" / os.listdir(shelf.store.root / "tmp")[0])) == []
    )


def test_the_path_of_a_model_is_its_file_or_its_directory(shelf):
    one = shelf.add("one", {"only.bin": b"1"})
    two = shelf.add("two", {"a": b"1", "b": b"2"})
    none = shelf.add("none", {})
    assert shelf.store.model_path(one).read_bytes() == b"1"
    assert shelf.store.model_path(two) == shelf.store.model_dir(two)
    assert shelf.store.model_path(none).is_dir()


def test_equal_bytes_of_two_models_are_stored_once(shelf):
    one = shelf.add("one", {"a.bin": b"same"})
    two = shelf.add("two", {"b.bin": b"same", "c.bin": b"other"})
    assert one.files[0].inode == two.files[0].inode
    assert shelf.store.usage().blobs == len(b"same") + len(b"other")


def test_names_that_differ_in_case_only_are_two_models(shelf):
    shelf.add("Model", {"m": b"upper"})
    shelf.add("model", {"m": b"lower"})
    assert shelf.content("Model") == {"m": b"upper"}
    assert shelf.content("model") == {"m": b"lower"}


@given(st.text())
def test_any_name_becomes_one_harmless_path_component(name):
    ident = model_id(name)
    assert ident == ident.lower()
    assert "/" not in ident
    assert "\0" not in ident
    assert not ident.startswith(".")
    assert len(os.fsencode(ident)) <= 140


def test_a_blob_that_is_already_there_wins_over_a_second_one(shelf):
    shelf.store.prepare()
    digest = shelf.blob(b"same")
    first = shelf.store.blob(digest).stat().st_ino
    shelf.blob(b"same")
    assert shelf.store.blob(digest).stat().st_ino == first
    assert list((shelf.store.root / "partial").iterdir()) == []


def test_a_blob_of_the_wrong_size_is_replaced(shelf):
    shelf.store.prepare()
    digest = shelf.blob(b"whole content")
    os.truncate(shelf.store.blob(digest), 3)
    assert not shelf.store.has_blob(digest, len(b"whole content"))
    shelf.blob(b"whole content")
    assert shelf.store.blob(digest).read_bytes() == b"whole content"


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_digest_becomes_the_path_of_a_blob(tmp_path, digest):
    store = Store(tmp_path)
    with pytest.raises(IntegrityError):
        store.blob(digest)
    with pytest.raises(IntegrityError):
        store.has_blob(digest)


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "", ".", "a//b", "a\0b", "a\\b"])
def test_a_file_outside_the_directory_of_its_model_is_refused(shelf, path):
    shelf.store.prepare()
    digest = shelf.blob(b"x")
    with pytest.raises(StoreError):
        shelf.store.materialise("m", [StoredFile(path, 1, digest)])
    assert list((shelf.store.root / "models").rglob("x")) == []


@pytest.mark.parametrize("key", ["../../x", "a/b", "", "." * 3, "k" * 500])
def test_the_key_of_a_partial_or_lock_stays_in_its_directory(shelf, key):
    assert shelf.store.partial(key).parent == shelf.store.root / "partial"
    shelf.store.prepare()
    with shelf.store.single_flight(key):
        assert len(list((shelf.store.root / "locks").iterdir())) == 2  # and probe.lock


def test_an_onnx_model_with_external_data_gets_files_with_one_link(shelf):
    files = {"model.onnx": b"graph", "weights.data": b"w" * 5000}
    record = shelf.add("m", files)
    found = list(shelf.store.model_dir(record).iterdir())
    assert [path.stat().st_nlink for path in found] == [1, 1]
    assert not any(path.is_symlink() for path in found)
    assert shelf.content("m") == files
    assert shelf.store.check(record, full=True) == []


def test_an_onnx_model_of_one_file_is_not_copied(shelf):
    record = shelf.add("m", {"model.onnx": b"graph"})
    assert shelf.store.model_path(record).samefile(shelf.store.blob(record.files[0].sha256))


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_links_are_impossible_files_are_copied(shelf, monkeypatch, number):
    def link(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    record = shelf.add("m", {"m.bin": b"content" * 1000})
    assert shelf.damage() == []
    blob = shelf.store.blob(record.files[0].sha256)
    assert not shelf.store.model_path(record).samefile(blob)
    shelf.registry.remove("m")
    assert not shelf.store.model_dir(record).exists()


def test_publishing_the_same_content_again_keeps_the_directory(shelf):
    record = shelf.add("m", {"m.bin": b"1", "sub/n.bin": b"2"})
    inode = shelf.store.model_dir(record).stat().st_ino
    shelf.add("m", {"m.bin": b"1", "sub/n.bin": b"2"})
    assert shelf.store.model_dir(record).stat().st_ino == inode


@pytest.mark.parametrize("name", ["model.bin", "model.onnx"])
def test_publishing_again_puts_a_damaged_directory_right(shelf, name):
    files = {name: b"1" * 100, "other.bin": b"2" * 100}
    record = shelf.add("m", files)
    victim = shelf.store.model_dir(record) / name
    victim.unlink()
    victim.write_bytes(b"0" * 100)
    (shelf.store.model_dir(record) / "stray").write_bytes(b"")
    shelf.add("m", files)
    assert shelf.content("m") == files
    assert shelf.damage() == []


def test_a_model_without_files_is_an_empty_directory(shelf):
    record = shelf.add("m", {})
    assert list(shelf.store.model_dir(record).iterdir()) == []
    assert shelf.store.check(record, full=False) == []
    shelf.store.model_dir(record).rmdir()
    assert [problem.kind for problem in shelf.store.check(record, full=False)] == ["missing"]


def test_a_staging_directory_is_empty_in_the_store_and_goes_away(shelf):
    shelf.store.prepare()
    with shelf.store.staging() as one, shelf.store.staging() as two:
        assert one != two
        assert list(one.iterdir()) == []
        assert one.stat().st_dev == shelf.store.root.stat().st_dev
        (one / "file").write_bytes(b"x")
    assert not one.exists()
    assert list((shelf.store.root / "tmp").rglob("*.*")) == []


def test_a_staging_directory_goes_away_after_an_error(shelf):
    shelf.store.prepare()
    with pytest.raises(ZeroDivisionError), shelf.store.staging() as path:
        raise ZeroDivisionError
    assert not path.exists()


def test_too_little_space_is_said_before_anything_is_written(tmp_path):
    store = Store(tmp_path / "not" / "there" / "yet")
    store.check_space(0)
    with pytest.raises(DiskSpaceError, match=r"needs 1,180,591,620,717,411,303,424 bytes .* free"):
        store.check_space(1 << 70)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_store_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="file"):
            Store(root).prepare()
    assert (tmp_path / "file").read_text() == "x"


def test_a_dangling_link_in_place_of_the_store_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(StoreError, match=r"link to .*gone"):
        Store(tmp_path / "link").prepare()


def test_a_link_to_a_directory_is_a_fine_store(tmp_path, make_shelf):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    make_shelf(tmp_path / "link").add("m", {"m": b"1"})
    assert make_shelf(tmp_path / "real").content("m") == {"m": b"1"}


def test_a_store_of_a_later_layout_is_left_alone(shelf):
    shelf.add("m", {"m": b"1"})
    (shelf.store.root / "VERSION").write_text('{"layout": 2}')
    with pytest.raises(StoreError, match="layout 2") as caught:
        shelf.store.prepare()
    assert "update torchinf" in caught.value.hint


def test_a_directory_with_other_things_in_it_can_become_a_store(tmp_path, make_shelf):
    (tmp_path / "notes.txt").write_text("mine")
    shelf = make_shelf(tmp_path)
    shelf.add("m", {"m": b"1"})
    assert shelf.damage() == []
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_what_an_earlier_boot_left_is_gone_when_the_store_is_opened_again(shelf):
    shelf.add("m", {"m": b"1"})
    old: Path = shelf.store.root / "tmp" / "an-earlier-boot"
    (old / "staging.d").mkdir(parents=True)
    (old / "staging.d" / "huge").write_bytes(b"x" * 1000)
    shelf.store.prepare()
    assert old.exists()  # this boot was known, nothing to clear
    now = next(path for path in (shelf.store.root / "tmp").iterdir() if path != old)
    now.rmdir()
    shelf.store.prepare()
    assert not old.exists()


def test_the_generation_depends_on_paths_and_content_alone(shelf):
    one = shelf.record("one", {"a": b"1", "b": b"2"})
    other = shelf.record("other", {"b": b"2", "a": b"1"}, source="elsewhere")
    swapped = shelf.record("swapped", {"a": b"2", "b": b"1"})
    assert one.generation == other.generation != swapped.generation
    assert len(bytes.fromhex(one.generation)) == hashlib.sha256().digest_size
