"""Optimised forms beside their model: published whole or not at all, found while they are good."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace

import pytest

from torchinf_core import hardware
from torchinf_core.runtimes import Derived
from torchinf_core.store import derived, verdicts
from torchinf_core.store.verdicts import Verdict
from torchinf_core.types import StoredFile

CONTENT = {"engine.bin": b"engine" * 100, "sub/weights.bin": b"weights" * 100}
DAY = 24 * 3600.0


def make(record, label="fast", **fields):
    files = tuple(
        StoredFile(path, len(content), hashlib.sha256(content).hexdigest())
        for path, content in sorted(CONTENT.items())
    )
    values = {
        "runtime": "toy", "label": label, "format": "toy", "device": "cpu", "precision": "fp32",
        "options": {"a": [1, 2.5, None]}, "versions": {"pluggy": "1"}, "parent": record.generation,
        "hardware": hardware.fingerprint(), "files": files, "shapes": {"x": (1, 3)},
        "error": 1e-7, "tolerance": 1e-3, "seconds": 0.1, "reference_seconds": 0.3,
        "created": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    values["versions"] = hardware.versions(["pluggy"])
    return Derived(**{**values, **fields})


def publish(shelf, form, name="m"):
    with shelf.store.staging() as stage:
        place = stage / "form"
        for path, content in CONTENT.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        return derived.publish(shelf.store.layout, name, form, str(place))


def found(shelf, name="m"):
    record = shelf.registry.get(name)
    return [form for _, form in derived.find(shelf.store.layout, name, record.generation)]


@pytest.fixture
def record(shelf):
    return shelf.add("m", {"m.bin": b"weights"})


def test_what_was_published_is_found_as_it_was(shelf, record):
    form = make(record)
    directory = publish(shelf, form)
    [back] = found(shelf)
    assert replace(back, files=form.files) == form
    assert back.speedup == pytest.approx(3.0)
    for path, content in CONTENT.items():
        with open(f"{directory}/{path}", "rb") as file:
            assert file.read() == content
        assert os.stat(f"{directory}/{path}").st_mode & 0o222 == 0
    assert os.stat(directory).st_mode & 0o777 == 0o777 & ~_umask()
    assert shelf.damage() == []


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_form_takes_the_place_of_one_for_the_same_device_and_of_no_other(shelf, record):
    publish(shelf, make(record, "old"))
    publish(shelf, make(record, "gpu", device="cuda:0"))
    publish(shelf, make(record, "elsewhere", hardware="another machine"))
    publish(shelf, make(record, "other environment", versions={"pluggy": "0"}))
    publish(shelf, make(record, "new"))
    labels = sorted(form.label for form in found(shelf))
    assert labels == ["elsewhere", "gpu", "new", "other environment"]


def test_the_same_form_twice_is_one_and_the_later_is_the_one(shelf, record):
    first = publish(shelf, make(record))
    os.utime(f"{first}/engine.bin")
    assert found(shelf) == []
    assert publish(shelf, make(record)) == first
    assert len(found(shelf)) == 1


def test_what_json_can_not_hold_is_refused(shelf, record):
    for bad in (make(record, error=float("nan")), make(record, options={"a": object()})):
        with pytest.raises(ValueError):
            publish(shelf, bad)
    assert found(shelf) == []


def damage_text(path, change):
    path.chmod(0o644)
    path.write_text(change(path.read_text()))


DAMAGES = {
    "no json": lambda text: "{",
    "no object": lambda text: "[]",
    "deep": lambda text: "[" * 100_000,
    "large": lambda text: text + " " * (1 << 20),
    "other field": lambda text: text.replace('"label"', '"lable"'),
    "other type": lambda text: text.replace('"seconds": 0.1', '"seconds": "0.1"'),
    "other options": lambda text: text.replace("2.5", "3.5"),
    "other files": lambda text: text.replace("engine.bin", "../engine.bin"),
    "strange file": lambda text: text.replace('"sha256"', '"sha"'),
    "no schema": lambda text: text.replace('"schema": 1', '"schema": "1"'),
    "empty": lambda text: "",
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_form_is_left_out_and_collected(shelf, record, kind):
    from pathlib import Path

    directory = Path(publish(shelf, make(record)))
    damage_text(directory / "derived.json", DAMAGES[kind])
    assert found(shelf) == []
    assert shelf.store.gc(dry_run=True).quarantined == 1
    shelf.store.gc(dry_run=False, grace=0)
    assert not directory.exists()
    assert shelf.damage() == []


@pytest.mark.parametrize("kind", ["touched", "missing", "link", "longer"])
def test_a_form_whose_files_changed_is_left_out(shelf, record, kind):
    from pathlib import Path

    file = Path(publish(shelf, make(record))) / "engine.bin"
    if kind == "touched":
        os.utime(file)
    elif kind == "longer":
        file.chmod(0o644)
        file.write_bytes(b"longer" * 1000)
    else:
        file.unlink()
        if kind == "link":
            file.symlink_to("sub/weights.bin")
    assert found(shelf) == []


def test_a_form_of_a_later_version_is_left_out_and_kept(shelf, record):
    from pathlib import Path

    directory = Path(publish(shelf, make(record)))
    later = directory / "derived.json"
    damage_text(later, lambda text: json.dumps({"schema": 2, "all": "different"}))
    assert found(shelf) == []
    shelf.store.gc(dry_run=False, grace=0)
    assert directory.exists()


def test_what_is_of_no_use_here_is_collected_when_nobody_used_it_for_long(
    shelf, record, monkeypatch
):
    import time

    publish(shelf, make(record, "old", versions={"pluggy": "0"}))
    publish(shelf, make(record, "good"))
    verdicts.write(shelf.store.layout, "m", record.generation, verdict())
    verdicts.write(shelf.store.layout, "m", record.generation, verdict(versions={"pluggy": "0"}))
    shelf.store.gc(dry_run=False, grace=0)
    assert len(found(shelf)) == 2
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 31 * DAY)
    shelf.store.gc(dry_run=False, grace=0)
    assert [form.label for form in found(shelf)] == ["good"]


def test_leftovers_of_a_discarded_form_are_collected(shelf, record):
    from pathlib import Path

    directory = Path(publish(shelf, make(record)))
    directory.rename(f"{directory}.tmp-1-2-3")
    assert found(shelf) == []
    shelf.store.gc(dry_run=False, grace=0)
    assert list(directory.parent.iterdir()) == []


def test_a_form_made_from_another_content_is_never_found(shelf, record):
    publish(shelf, make(record))
    again = shelf.add("m", {"m.bin": b"other weights"})
    assert found(shelf) == []
    before = shelf.store.layout.derived("m", record.generation)
    os.rename(before, shelf.store.layout.derived("m", again.generation))
    assert found(shelf) == []


def test_forms_and_verdicts_follow_a_rename_also_onto_leftovers(shelf, record, holder):
    publish(shelf, make(record))
    verdicts.write(shelf.store.layout, "m", record.generation, verdict())
    shelf.add("n", {"m.bin": b"weights"})
    publish(shelf, make(record, "left over"), "n")
    holding = holder(shelf.store.root, "lease")
    shelf.registry.remove("n")
    shelf.registry.rename("m", "n")
    holding.kill()
    holding.wait()
    assert sorted(form.label for form in found(shelf, "n")) == ["fast", "left over"]
    assert len(verdicts.fresh(shelf.store.layout, "n", record.generation)) == 1


def test_the_bytes_of_a_form_come_free_with_the_model(shelf, record):
    before = shelf.store.usage().total
    publish(shelf, make(record))
    used = shelf.store.usage()
    assert used.total - before >= sum(map(len, CONTENT.values()))
    shelf.registry.remove("m")
    assert shelf.store.usage().blobs == 0


# FAULTS


def steps(make_shelf, failing, tmp_path, **how):
    """Publish in fresh stores, with one more call succeeding each time."""
    for number in range(1, 1000):
        shelf = make_shelf(tmp_path / str(number))
        record = shelf.add("m", {"m.bin": b"weights"})
        publish(shelf, make(record, "old"))
        outcome = None
        with failing.at_call(number, **how):
            try:
                outcome = publish(shelf, make(record, "new"))
            except BaseException as error:  # a power cut is one, too
                outcome = error
        yield number, shelf, outcome
        if not failing.happened:
            return
    pytest.fail("no end to the calls")


@pytest.mark.parametrize("how", [{"error": errno.EIO}, {"error": errno.ENOSPC}, {"crash": True}])
def test_whatever_call_of_a_publication_fails_a_whole_form_is_there(
    make_shelf, failing, tmp_path, how
):
    failures = 0
    for number, shelf, outcome in steps(make_shelf, failing, tmp_path, **how):
        labels = [form.label for form in found(shelf)]
        if isinstance(outcome, str):
            assert "new" in labels, number
        elif "crash" not in how:
            assert labels == ["old"], number
            failures += 1
        else:
            assert labels, number
            failures += 1
        for directory, form in derived.find(
            shelf.store.layout, "m", shelf.registry.get("m").generation
        ):
            for file in form.files:
                with open(f"{directory}/{file.path}", "rb") as source:
                    assert hashlib.sha256(source.read()).hexdigest() == file.sha256
        assert shelf.damage() == [], number
        shelf.store.gc(dry_run=False, grace=0)
        publish(shelf, make(shelf.registry.get("m"), "again"))
        assert [form.label for form in found(shelf)] == ["again"], number
    assert failures > 10


# VERDICTS


def verdict(**fields):
    values = {
        "device": "cpu", "asked": {"tolerance": 1e-3}, "hardware": hardware.fingerprint(),
        "versions": hardware.versions(["pluggy"]), "runtime": "toy", "seconds": 0.25,
        "rows": ({"label": "slow"},), "created": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return Verdict(**{**values, **fields})


def test_a_verdict_is_read_as_it_was_written_and_replaced_by_a_later_one(shelf, record):
    def fresh():
        return verdicts.fresh(shelf.store.layout, "m", record.generation)

    assert fresh() == []
    verdicts.write(shelf.store.layout, "m", record.generation, verdict())
    assert fresh() == [verdict()]
    verdicts.write(shelf.store.layout, "m", record.generation, verdict(chosen="fast"))
    assert fresh() == [verdict(chosen="fast")]
    verdicts.write(
        shelf.store.layout, "m", record.generation, verdict(device="cuda:0", created="2027")
    )
    assert [each.device for each in fresh()] == ["cuda:0", "cpu"]


@pytest.mark.parametrize("fields", [{"hardware": "another"}, {"versions": {"pluggy": "0"}}])
def test_a_verdict_does_not_hold_elsewhere(shelf, record, fields):
    verdicts.write(shelf.store.layout, "m", record.generation, verdict(**fields))
    assert verdicts.fresh(shelf.store.layout, "m", record.generation) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"device": 1}', "[" * 100_000, " " * ((1 << 20) + 1),
     json.dumps({"device": 1, "asked": {}, "hardware": "", "versions": {}, "runtime": "",
                 "rows": []})],
)  # fmt: skip
def test_a_damaged_verdict_is_none_and_collected(shelf, record, text):
    from pathlib import Path

    verdicts.write(shelf.store.layout, "m", record.generation, verdict())
    [path] = Path(shelf.store.layout.derived("m", record.generation)).iterdir()
    path.write_text(text)
    assert verdicts.fresh(shelf.store.layout, "m", record.generation) == []
    shelf.store.gc(dry_run=False, grace=0)
    assert not path.exists()


def test_a_file_in_the_way_of_the_forms_is_an_error(shelf, record):
    place = shelf.store.layout.derived("m", record.generation)
    with open(place, "w", encoding="utf-8"):
        pass
    assert found(shelf) == []
    with pytest.raises(OSError):
        publish(shelf, make(record))


def test_a_form_in_a_store_that_was_copied_is_as_good_and_hashed_once(
    shelf, record, tmp_path, make_shelf, monkeypatch
):
    directory = publish(shelf, make(record))
    assert os.system(f"cp -a {shelf.store.root} {tmp_path}/copy") == 0
    copy = make_shelf(tmp_path / "copy")
    place = directory.replace(str(shelf.store.root), str(copy.store.root))
    [form] = found(copy)
    assert form.label == "fast"
    monkeypatch.setattr("torchinf_core.verify.hash_file", lambda path: 1 / 0)
    assert derived.read(place, record.generation) == form
    assert list(derived.unusable(os.path.dirname(place), 0.0)) == []
    assert sorted(os.listdir(os.path.dirname(place))) == [os.path.basename(place)]


def test_another_content_in_a_form_behind_the_same_size_and_time_is_damage(shelf, record):
    directory = publish(shelf, make(record))
    path = f"{directory}/engine.bin"
    before = os.stat(path)
    with open(f"{path}.new", "wb") as file:
        file.write(b"ENGINE" * 100)
    os.utime(f"{path}.new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(f"{path}.new", path)
    assert found(shelf) == []
