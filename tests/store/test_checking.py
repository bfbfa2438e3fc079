"""Damage of every kind is found, stays with its model, and is mended where that is possible."""

from __future__ import annotations

import os

import pytest

from torchinf_core.errors import StoreError

FILES = {"model.bin": b"weights" * 1000, "config.json": b"{}"}
ONNX = {"model.onnx": b"graph" * 100, "weights.data": b"weights" * 1000}


def overwrite(path, offset, content):
    """Change bytes in place as bit rot does: neither size nor time tell."""
    before = os.stat(path)
    mode = before.st_mode
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(content)
    os.chmod(path, mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def kinds(problems):
    return [problem.kind for problem in problems]


def test_a_flipped_bit_is_found_by_hashing_and_by_nothing_else(shelf):
    record = shelf.add("m", FILES)
    path = shelf.store.model_dir(record) / "model.bin"
    overwrite(path, 100, b"W")
    assert shelf.store.check(record, full=False) == []
    (problem,) = shelf.store.check(record, full=True)
    assert problem.kind == "corrupt"
    assert problem.path == str(path)
    assert record.files[1].sha256 in problem.message
    assert (problem.name, problem.sha256) == ("m", record.files[1].sha256)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("files", [FILES, ONNX], ids=["plain", "onnx"])
def test_a_truncated_or_missing_file_is_found_by_either_check(shelf, full, files):
    record = shelf.add("m", files)
    first, second = (shelf.store.model_dir(record) / file.path for file in record.files)
    os.truncate(first, 1)
    second.unlink()
    found = shelf.store.check(record, full=full)
    assert [problem.path for problem in found] == [str(first), str(second)]
    assert kinds(found)[1] == "missing"


def test_a_touched_or_replaced_file_fails_the_cheap_check_and_passes_the_full_one(shelf):
    record = shelf.add("m", FILES)
    first, second = (shelf.store.model_dir(record) / file.path for file in record.files)
    os.utime(first, ns=(1, 1))
    content = second.read_bytes()
    second.unlink()
    second.write_bytes(content)
    assert kinds(shelf.store.check(record, full=False)) == ["changed", "changed"]
    assert shelf.store.check(record, full=True) == []


@pytest.mark.parametrize("full", [False, True])
def test_a_link_or_directory_in_place_of_a_file_is_no_file(shelf, full, tmp_path):
    record = shelf.add("m", FILES)
    first, second = (shelf.store.model_dir(record) / file.path for file in record.files)
    (tmp_path / "elsewhere").write_bytes(first.read_bytes())
    first.unlink()
    first.symlink_to(tmp_path / "elsewhere")
    second.unlink()
    second.mkdir()
    assert kinds(shelf.store.check(record, full=full)) == ["changed", "changed"]


def test_a_corrupt_blob_beside_a_whole_copy_is_found_before_others_share_it(shelf):
    record = shelf.add("m", ONNX)
    overwrite(shelf.store.blob(record.files[1].sha256), 5, b"!")
    (problem,) = shelf.store.check(record, full=True)
    assert problem.kind == "blob"


def test_setting_a_corrupt_blob_aside_makes_every_model_that_shares_it_notice(shelf):
    one = shelf.add("one", {"a.bin": b"shared" * 100})
    two = shelf.add("two", {"b.bin": b"shared" * 100, "c.bin": b"own"})
    graph = shelf.add("graph", {"g.onnx": b"graph", "w.bin": b"shared" * 100})
    digest = one.files[0].sha256
    overwrite(shelf.store.blob(digest), 3, b"X")
    assert shelf.store.check(two, full=False) == []
    shelf.store.quarantine(digest)
    assert not shelf.store.has_blob(digest)
    assert kinds(shelf.store.check(one, full=False)) == ["changed"]
    assert [p.sha256 for p in shelf.store.check(two, full=False)] == [digest]
    assert shelf.store.check(graph, full=True) == []
    shelf.add("one", {"a.bin": b"shared" * 100})
    assert shelf.content("one") == {"a.bin": b"shared" * 100}
    assert shelf.store.check(shelf.registry.get("one"), full=True) == []


def test_setting_a_blob_aside_that_is_not_there_is_nothing(shelf):
    shelf.store.prepare()
    shelf.store.quarantine("a" * 64)
    assert list((shelf.store.root / "quarantine").iterdir()) == []


@pytest.mark.parametrize("files", [FILES, ONNX], ids=["plain", "onnx"])
def test_a_lost_blob_is_restored_from_the_model(shelf, files):
    record = shelf.add("m", files)
    for file in record.files:
        shelf.store.blob(file.sha256).unlink()
    assert kinds(shelf.store.fsck()) == ["blob", "blob"]
    assert all(problem.repaired for problem in shelf.store.fsck(repair=True))
    assert shelf.damage() == []
    assert shelf.content("m") == files


@pytest.mark.parametrize("files", [FILES, ONNX], ids=["plain", "onnx"])
def test_a_lost_model_directory_is_rebuilt_from_blobs(shelf, files):
    record = shelf.add("m", files)
    for file in record.files:
        (shelf.store.model_dir(record) / file.path).unlink()
    shelf.store.model_dir(record).rmdir()
    assert kinds(shelf.store.fsck()) == ["missing", "missing"]
    assert all(problem.repaired for problem in shelf.store.fsck(repair=True))
    assert shelf.damage() == []
    assert shelf.content("m") == files


def test_a_copy_restores_the_blob_from_which_a_damaged_model_is_restored(shelf):
    for names in (("a", "b"), ("d", "c")):
        linked = shelf.add(names[0], {"m.bin": b"shared" * 100})
        shelf.add(names[1], {"g.onnx": b"graph", "w.data": b"shared" * 100})
        overwrite(shelf.store.model_path(linked), 0, b"?")
        os.utime(shelf.store.model_path(linked), ns=(7, 7))
        assert all(problem.repaired for problem in shelf.store.fsck(repair=True))
        assert shelf.damage() == []


def test_content_that_is_nowhere_any_more_is_not_claimed_to_be_repaired(shelf):
    lost = shelf.add("lost", {"m.bin": b"lost" * 100})
    shelf.add("fine", FILES)
    os.truncate(shelf.store.model_path(lost), 7)
    found = shelf.store.fsck(repair=True)
    assert found
    assert not any(problem.repaired for problem in found)
    assert {problem.name for problem in found} == {"lost"}
    assert shelf.content("fine") == FILES


def test_a_repair_never_blesses_other_content(shelf):
    record = shelf.add("m", {"m.bin": b"right" * 100})
    shelf.store.blob(record.files[0].sha256).unlink()
    overwrite(shelf.store.model_path(record), 0, b"WRONG")
    os.utime(shelf.store.model_path(record), ns=(5, 5))
    found = shelf.store.fsck(repair=True)
    assert found
    assert not any(problem.repaired for problem in found)
    assert not shelf.store.has_blob(record.files[0].sha256)


def test_a_damaged_record_is_set_aside_by_a_repair_and_the_name_is_free(shelf):
    shelf.add("m", FILES)
    shelf.add("n", ONNX)
    with open(shelf.store.layout.record("m"), "wb") as file:
        file.write(b'{"schema": 1, "name": ')
    (problem,) = shelf.store.fsck()
    assert (problem.kind, problem.name, problem.repaired) == ("record", "m", False)
    (problem,) = shelf.store.fsck(repair=True)
    assert problem.repaired
    assert shelf.store.fsck() == []
    assert shelf.registry.names() == ["n"]
    assert len(list((shelf.store.root / "quarantine").iterdir())) == 1
    shelf.add("m", FILES)
    assert shelf.damage() == []


def test_a_record_of_a_later_version_is_reported_but_never_moved(shelf):
    shelf.add("m", FILES)
    path = shelf.store.root / "records" / os.path.basename(shelf.store.layout.record("m"))
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    (problem,) = shelf.store.fsck(repair=True)
    assert not problem.repaired
    assert path.exists()
    shelf.store.gc(dry_run=False, grace=0)
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 1'))
    assert shelf.damage() == []


@pytest.mark.parametrize("content", [b"", b"\0\0", b"[]", b'{"layout": "x"}', b"{" * 4000])
def test_a_version_file_that_says_nothing_is_reported_and_repaired(shelf, content):
    shelf.add("m", FILES)
    (shelf.store.root / "VERSION").write_bytes(content)
    with pytest.raises(StoreError, match="VERSION"):
        shelf.store.prepare()
    assert kinds(shelf.store.fsck()) == ["layout"]
    assert kinds(shelf.store.fsck(repair=True)) == ["layout"]
    assert shelf.damage() == []
    shelf.store.prepare()


def test_a_lost_directory_of_the_store_is_made_again(shelf):
    shelf.add("m", FILES)
    (shelf.store.root / "quarantine").rmdir()
    assert kinds(shelf.store.fsck()) == ["layout"]
    shelf.store.fsck(repair=True)
    assert shelf.damage() == []


def test_problems_are_readable(shelf):
    record = shelf.add("m", FILES)
    os.truncate(shelf.store.model_dir(record) / "config.json", 1)
    text = "\n".join(map(str, shelf.store.check(record, full=False)))
    assert "config.json: has 1 bytes, 2 are recorded" in text
