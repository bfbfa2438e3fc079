"""A store that was copied, synced or restored is as good as the one it came from."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from torchinf_core import ModelDownloader, verify, warm

FILES = {"model.bin": b"weights" * 1000, "config.json": b"{}"}
ONNX = {"model.onnx": b"graph" * 100, "weights.data": b"weights" * 1000}
WAYS = {
    "cp": "cp -a {old} {new}",
    "cp without links": "cp -a --no-preserve=links {old} {new}",
    "rsync": "rsync -aH {old}/ {new}",
    "tar": "mkdir {new} && tar -C {old} --format=gnu -cf - . | tar -C {new} -xpf -",
}


@pytest.fixture
def hashed(monkeypatch):
    """Base names of the files that were hashed."""
    seen = []
    real = verify.hash_file

    def hash_file(path):
        seen.append(os.path.basename(path))
        return real(path)

    monkeypatch.setattr(verify, "hash_file", hash_file)
    return seen


@pytest.fixture
def copied(shelf, tmp_path, make_shelf):
    """Copies the shelf, which gets two models, in one of the ways."""

    def copy(way="cp"):
        if shutil.which(way.split()[0]) is None:
            pytest.skip(f"{way.split()[0]} is not installed")
        shelf.add("m", FILES)
        shelf.add("n", ONNX)
        new = tmp_path / "copy"
        command = WAYS[way].format(old=shelf.store.root, new=new)
        subprocess.run(command, shell=True, check=True)
        return make_shelf(new)

    return copy


def swap(path, content):
    """Put another file at a path, which looks like it but for the inode."""
    before = os.stat(path)
    new = path.with_name("new")
    new.write_bytes(content)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.chmod(0o444)
    new.replace(path)


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_was_copied_is_whole_and_its_models_are_warm_again(copied, way):
    copy = copied(way)
    root = str(copy.store.root)
    assert warm.find_name(root, "m") is None
    assert copy.store.fsck() == []
    assert copy.damage() == []
    assert copy.content("m") == FILES
    assert copy.content("n") == ONNX
    for name in ("m", "n"):
        assert warm.find_name(root, name) is not None
        assert warm.find_request(root, copy.registry.get(name).request_key) is not None


def test_what_was_copied_is_hashed_once_and_what_was_not_never(copied, shelf, hashed):
    copy = copied()
    record = copy.registry.get("m")
    assert copy.store.check(record, full=False) == []
    assert sorted(hashed) == ["config.json", "model.bin"]
    hashed.clear()
    for known in (record, copy.registry.get("m")):  # what a caller still holds, and the new one
        assert copy.store.check(known, full=False) == []
    assert shelf.store.check(shelf.registry.get("m"), full=False) == []
    assert hashed == []


def test_nothing_of_the_record_changes_but_inodes(copied, shelf):
    copy = copied()
    copy.store.fsck()
    before, after = shelf.registry.get("m"), copy.registry.get("m")
    assert [f.inode for f in before.files] != [f.inode for f in after.files]
    assert copy.store.check(before, full=False) == []
    pairs = zip(before.files, after.files, strict=True)
    files = tuple(replace(new, inode=old.inode) for old, new in pairs)
    assert replace(after, files=files) == before


def test_a_verification_of_a_copy_is_not_done_a_second_time(copied, hashed):
    copy = copied()
    assert copy.store.check(copy.registry.get("m"), full=True) == []
    hashed.clear()
    assert copy.store.check(copy.registry.get("m"), full=False) == []
    assert hashed == []


def test_another_content_behind_the_same_size_and_time_is_damage(shelf):
    record = shelf.add("m", FILES)
    path = shelf.store.model_dir(record) / "model.bin"
    swap(path, b"WEIGHTS" * 1000)
    before = shelf.registry.get("m")
    for _ in range(2):
        (problem,) = shelf.store.check(record, full=False)
        assert (problem.kind, problem.path) == ("changed", str(path))
        assert [problem.kind for problem in shelf.store.fsck()] == ["changed"]
    assert shelf.registry.get("m") == before


def test_of_a_model_that_is_damaged_no_record_is_refreshed(shelf):
    record = shelf.add("m", FILES)
    directory = shelf.store.model_dir(record)
    swap(directory / "config.json", b"{}")
    (directory / "model.bin").unlink()
    (problem,) = shelf.store.check(record, full=False)
    assert problem.kind == "missing"
    assert shelf.registry.get("m") == record


def test_a_store_that_was_copied_without_its_times_is_in_order_after_a_repair(
    shelf, tmp_path, make_shelf
):
    shelf.add("m", FILES)
    shelf.add("n", ONNX)
    subprocess.run(["cp", "-r", shelf.store.root, tmp_path / "copy"], check=True)
    copy = make_shelf(tmp_path / "copy")
    assert {problem.kind for problem in copy.store.fsck()} == {"changed"}
    assert all(problem.repaired for problem in copy.store.fsck(repair=True))
    assert copy.damage() == []
    assert copy.content("m") == FILES


def test_a_changed_time_is_told_as_before(copied):
    copy = copied()
    os.utime(copy.store.model_dir(copy.registry.get("m")) / "model.bin", ns=(1, 1))
    (problem,) = copy.store.check(copy.registry.get("m"), full=False)
    assert problem.kind == "changed"


def test_a_copy_that_can_not_be_written_is_hashed_once_by_each_process(copied, hashed, monkeypatch):
    from torchinf_core.store import moved

    copy = copied()
    record = copy.registry.get("m")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "records")

    monkeypatch.setattr(moved, "write_file", refuse)
    for _ in range(3):
        assert copy.store.check(record, full=False) == []
    assert sorted(hashed) == ["config.json", "model.bin"]
    assert copy.registry.get("m") == record
    swap(copy.store.model_dir(record) / "model.bin", b"WEIGHTS" * 1000)
    assert [problem.kind for problem in copy.store.check(record, full=False)] == ["changed"]


def test_a_model_that_was_replaced_or_removed_meanwhile_is_left_alone(copied):
    copy = copied()
    stale = copy.registry.get("m")
    other = copy.registry.get("n")
    copy.registry.remove("m")
    copy.store.check(stale, full=False)
    assert copy.registry.find("m") is None
    copy.add("n", FILES)
    now = copy.registry.get("n")
    copy.store.check(other, full=False)
    assert copy.registry.get("n") == now


def test_a_name_that_somebody_changes_is_not_waited_for(copied, holder):
    copy = copied()
    record = copy.registry.get("m")
    held = holder(copy.store.root, "naming", "m")
    assert copy.store.check(record, full=False) == []
    assert copy.registry.get("m") == record
    held.communicate()


def test_the_path_of_a_copied_model_is_told_without_slow_imports_from_the_second_time_on(copied):
    copy = copied()
    root = str(copy.store.root)
    assert ModelDownloader(root).get_model_path("m").is_dir()
    assert warm.find_name(root, "m") is not None
