import os

import pytest

from torchinf_core.errors import IntegrityError, OfflineError

FILES = {"a.bin": b"a" * 4000, "b.bin": b"b" * 2000}


def damage(path, data=b"rotten"):
    os.chmod(path, 0o644)
    path.write_bytes(data)


def test_a_damaged_file_is_fetched_again_and_only_that(zoo, get):
    zoo.add("tiny", FILES)
    path = get("zoo:tiny").path
    damage(path / "b.bin")
    seen = len(zoo.fetched)
    outcome = get("zoo:tiny")
    assert zoo.fetched[seen:] == [zoo.file_of("tiny", "b.bin")]
    assert (outcome.path / "b.bin").read_bytes() == FILES["b.bin"]
    assert any("b.bin" in note for note in outcome.notes)
    assert get("zoo:tiny").hit
    assert len(zoo.fetched) == seen + 1


def test_the_same_size_and_time_do_not_hide_damage_from_a_stat_change(zoo, get):
    zoo.add("tiny", FILES)
    path = get("zoo:tiny").path / "b.bin"
    status = path.stat()
    damage(path, b"B" * 2000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert (get("zoo:tiny").path / "b.bin").read_bytes() == FILES["b.bin"]


def test_a_touched_file_is_hashed_and_not_fetched(zoo, get):
    zoo.add("tiny", FILES)
    path = get("zoo:tiny").path
    os.utime(path / "a.bin", (1, 1))
    seen = len(zoo.asked)
    assert get("zoo:tiny").hit
    assert len(zoo.asked) == seen


def test_a_deleted_directory_is_built_again_from_the_blobs(zoo, get):
    import shutil

    zoo.add("tiny", FILES)
    path = get("zoo:tiny").path
    shutil.rmtree(path)
    seen = len(zoo.asked)
    outcome = get("zoo:tiny", offline=True)
    assert {p.name: p.read_bytes() for p in outcome.path.iterdir()} == FILES
    assert len(zoo.asked) == seen


def test_repair_gets_the_recorded_revision_though_the_source_moved_on(zoo, get):
    zoo.add("tiny", FILES, revision="1")
    path = get("zoo:tiny").path
    zoo.add("tiny", {**FILES, "b.bin": b"new" * 500}, revision="2")
    damage(path / "b.bin")
    outcome = get("zoo:tiny")
    assert outcome.record.revision == "1"
    assert (outcome.path / "b.bin").read_bytes() == FILES["b.bin"]


def test_a_source_without_the_recorded_content_repairs_nothing(zoo, get):
    zoo.add("tiny", FILES, digests=False)
    path = get("zoo:tiny").path
    damage(path / "b.bin")
    zoo.add("tiny", {**FILES, "b.bin": b"X" * 2000}, digests=False)
    with pytest.raises(IntegrityError) as caught:
        get("zoo:tiny")
    assert caught.value.hint


def test_repair_offline_says_what_it_lacks(zoo, get):
    zoo.add("tiny", FILES)
    damage(get("zoo:tiny").path / "b.bin")
    with pytest.raises(OfflineError):
        get("zoo:tiny", offline=True)
    assert (get("zoo:tiny").path / "b.bin").read_bytes() == FILES["b.bin"]


def test_a_rotten_blob_does_not_become_part_of_another_model(zoo, get, settings):
    zoo.add("tiny", FILES)
    path = get("zoo:tiny").path / "b.bin"
    damage(path, b"R" * 2000)
    copy = get("zoo:tiny", name="copy")
    assert (copy.path / "b.bin").read_bytes() == FILES["b.bin"]
    assert copy.fetched == 2000
    assert get("zoo:tiny").path.joinpath("b.bin").read_bytes() == FILES["b.bin"]
