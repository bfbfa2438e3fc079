"""Disks that are full, read-only, not ours or not disks: exit 6, and what was there is there."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import replace

import pytest

from torchinf_core.errors import DiskSpaceError
from torchinf_core.testing import Hub, faults

OLD = {"model.bin": b"old" * 20_000}


def model_file(tmp_path, size, name="model.bin"):
    path = tmp_path / name
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def in_order(shelf):
    return shelf.damage() == [] and shelf.content("old") == OLD


@pytest.mark.root
def test_a_file_that_does_not_fit_is_refused_before_it_is_fetched(
    mounts, make_shelf, make_cli, tmp_path
):
    shelf = make_shelf(mounts("-t", "tmpfs", "-o", "size=1m", "tmpfs") / "store")
    shelf.add("old", OLD)
    with Hub() as hub:
        url = hub.add("/new.bin", random.Random(1).randbytes(2_000_000))
        done = make_cli(shelf.store.root)("download", url)
        assert hub.bytes_sent("/new.bin") < 1_000_000
    assert done.returncode == 6, done.stderr
    assert "2,000,000 bytes" in done.stderr
    assert "free" in done.stderr
    assert in_order(shelf)
    assert shelf.registry.names() == ["old"]


@pytest.mark.root
def test_a_disk_that_fills_up_on_the_way_costs_the_new_model_only(
    mounts, make_shelf, make_cli, tmp_path
):
    shelf = make_shelf(mounts("-t", "tmpfs", "-o", "size=1m", "tmpfs") / "store")
    shelf.add("old", OLD)
    cli = make_cli(shelf.store.root)
    with Hub() as hub:
        hub.add("/new.bin", random.Random(1).randbytes(3_000_000))
        hub.fail("/new.bin", faults.no_length().always())
        done = cli("download", hub.url("/new.bin"), "--allow-unverified")
    assert done.returncode == 6, done.stderr
    assert str(shelf.store.root) in done.stderr
    assert in_order(shelf)
    assert shelf.registry.names() == ["old"]
    small = model_file(tmp_path, 100_000)
    assert cli("download", small, "--name", "small").returncode == 0
    assert in_order(shelf)


@pytest.mark.root
def test_a_disk_without_room_for_the_record_keeps_the_old_record(mounts, make_shelf):
    shelf = make_shelf(mounts("-t", "tmpfs", "-o", "size=1m,nr_inodes=4k", "tmpfs") / "store")
    shelf.add("old", OLD)
    record = shelf.registry.get("old")
    fill(shelf.store.root / "foreign")
    with pytest.raises(DiskSpaceError) as caught:
        shelf.registry.put(replace(record, description="x" * 10_000))
    assert "torchinf gc" in caught.value.hint
    assert shelf.registry.get("old") == record
    (shelf.store.root / "foreign").unlink()
    assert in_order(shelf)


def fill(path):
    """Take every byte that is left."""
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.root
def test_a_disk_without_inodes_is_full(mounts, make_shelf, make_cli, tmp_path):
    shelf = make_shelf(mounts("-t", "tmpfs", "-o", "size=4m,nr_inodes=60", "tmpfs") / "store")
    shelf.add("old", OLD)
    number = 0
    while True:
        try:
            (shelf.store.root / f"foreign-{number}").touch()
        except OSError:
            break
        number += 1
    done = make_cli(shelf.store.root)("download", model_file(tmp_path, 1000))
    assert done.returncode == 6, done.stderr
    assert in_order(shelf)


def test_a_file_larger_than_the_process_may_write_is_exit_6(make_shelf, cli, tmp_path):
    if shutil.which("prlimit") is None:
        pytest.skip("needs prlimit")
    shelf = make_shelf(cli.store)
    shelf.add("old", OLD)
    done = cli("download", model_file(tmp_path, 1_000_000), prefix=("prlimit", "--fsize=100000"))
    assert done.returncode == 6, done.stderr
    assert str(cli.store) in done.stderr
    assert in_order(shelf)


@pytest.mark.root
def test_a_read_only_store_answers_and_says_that_it_takes_nothing(
    mounts, run, make_shelf, make_cli, tmp_path
):
    writable = make_shelf(tmp_path / "writable")
    writable.add("old", OLD)
    local = model_file(tmp_path, 1000, "hit.bin")
    assert make_cli(writable.store.root)("download", local).returncode == 0
    target = mounts("--bind", writable.store.root)
    run(["mount", "-o", "remount,ro,bind", str(target)])
    # The inodes are those of the writable side, so hits stay hits.
    cli = make_cli(target)
    for words in (("list",), ("info", "old"), ("path", "old"), ("download", local), ("cache",),
                  ("verify", "--all"), ("fsck",), ("gc", "--dry-run")):  # fmt: skip
        done = cli(*words)
        assert done.returncode == 0, (words, done.stderr)
    for words in (("download", model_file(tmp_path, 2000)), ("remove", "old"), ("tag", "old", "x"),
                  ("rename", "old", "new")):  # fmt: skip
        done = cli(*words)
        assert done.returncode == 6, (words, done.stdout, done.stderr)
        assert str(target) in done.stderr, words
        assert "Traceback" not in done.stderr, words
    assert in_order(writable)


@pytest.mark.root
def test_a_copy_of_a_store_that_can_not_be_written_is_whole(
    mounts, run, make_shelf, make_cli, tmp_path
):
    shelf = make_shelf(tmp_path / "first")
    shelf.add("old", OLD)
    local = model_file(tmp_path, 1000, "hit.bin")
    assert make_cli(shelf.store.root)("download", local).returncode == 0
    run(["cp", "-a", str(shelf.store.root), str(tmp_path / "copy")])
    target = mounts("--bind", tmp_path / "copy")
    run(["mount", "-o", "remount,ro,bind", str(target)])
    cli = make_cli(target)
    for words in (("path", "old"), ("download", local), ("verify", "--all"), ("fsck",)):
        done = cli(*words)
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.root
def test_a_store_of_another_user_is_exit_6_and_names_the_path(
    as_root, make_shelf, make_cli, tmp_path, request
):
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    for path in (tmp_path, *tmp_path.parents[:4]):  # one more where workers share the tests
        if path.name.startswith(("popen", "pytest", "test", "tmp")) and path != path.parent:
            mode = path.stat().st_mode
            os.chmod(path, 0o755)
            request.addfinalizer(lambda path=path, mode=mode: os.chmod(path, mode))
    shelf = make_shelf(shared / "store")
    shelf.add("old", OLD)
    cli = make_cli(shelf.store.root)
    if cli("--version", prefix=nobody).returncode != 0:
        pytest.skip("another user can't run this Python")
    local = model_file(tmp_path, 1000)
    for words in (("list",), ("download", local), ("remove", "old")):
        done = cli(*words, prefix=nobody)
        assert done.returncode == 6, (words, done.stdout, done.stderr)
        assert str(shelf.store.root) in done.stderr, words
    os.chmod(shelf.store.root, 0o755)
    for words in (("list",), ("info", "old"), ("path", "old")):
        assert cli(*words, prefix=nobody).returncode == 0, words
    for words in (("download", local), ("remove", "old")):
        done = cli(*words, prefix=nobody)
        assert done.returncode == 6, (words, done.stdout, done.stderr)
        assert str(shelf.store.root) in done.stderr, words
    assert in_order(shelf)


@pytest.mark.parametrize("what", ["file", "below a file", "dangling link"])
def test_what_is_no_directory_is_no_store(make_cli, tmp_path, what):
    local = model_file(tmp_path, 1000)
    root = tmp_path / "store"
    if what == "dangling link":
        root.symlink_to(tmp_path / "gone")
    else:
        root.write_text("precious")
    cli = make_cli(root / "x" if what == "below a file" else root)
    done = cli("download", local)
    assert done.returncode == 6, done.stderr
    assert str(root) in done.stderr
    if what == "dangling link":
        assert root.is_symlink()
        assert not (tmp_path / "gone").exists()
    else:
        assert root.read_text() == "precious"


@pytest.mark.parametrize(
    "limit", ["--nofile=64", "--nofile=12", "--as=1073741824", "--as=150000000"]
)
def test_a_process_with_few_means_does_it_or_says_so(make_shelf, cli, tmp_path, limit):
    if shutil.which("prlimit") is None:
        pytest.skip("needs prlimit")
    shelf = make_shelf(cli.store)
    shelf.add("old", OLD)
    with Hub() as hub:
        url = hub.add("/new.bin", random.Random(1).randbytes(20_000_000))
        done = cli("download", url, prefix=("prlimit", limit))
    assert done.returncode in (0, 6), done.stderr
    assert "Traceback" not in done.stderr
    if limit in ("--nofile=64", "--as=1073741824"):
        assert done.returncode == 0, done.stderr
    assert in_order(shelf)
