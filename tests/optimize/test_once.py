"""Optimised once: what is remembered, what is tried again, and what goes with the model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from torchinf_core import ModelManager, RunSettings, hardware
from torchinf_core.store import derived as shelf_of_forms


def run(**fields):
    return replace(RunSettings(), **fields)


def tried(toy):
    """Labels that were built since this was asked before."""
    found = [line.removeprefix("built ") for line in toy.log if line.startswith("built ")]
    toy.log.clear()
    return found


@pytest.fixture
def optimised(bench, toy):
    """A model with a form that is twice as fast."""
    toy.offer("fast", cost=0.5)
    assert bench.once().chosen
    toy.log.clear()
    return bench


# WHAT IS REMEMBERED


def test_a_form_is_found_once(optimised, toy):
    again = optimised.once()
    assert toy.log == []
    assert again.remembered
    assert again.kept
    assert again.derived.label == "fast"
    assert again.reason.startswith("fast was found on 20")


def test_that_nothing_was_faster_is_remembered(bench, toy):
    toy.offer("slow", cost=2.0)
    assert bench.once().derived is None
    toy.log.clear()
    again = bench.once()
    assert toy.log == []
    assert again.remembered
    assert again.reason.startswith("nothing was faster on 20")


def test_optimising_by_hand_always_works_anew(optimised, toy):
    optimised.optimize()
    assert tried(toy) == ["fast"]
    assert len(optimised.forms()) == 1


def test_off_tries_nothing(bench, toy):
    toy.offer("fast", cost=0.5)
    assert bench.once(run(optimize="off")).reason == "optimize is off"
    assert toy.log == []


def test_full_tries_more_than_auto_did_and_auto_takes_what_full_found(optimised, toy):
    toy.offer("thorough", cost=0.1, thorough=True)
    assert optimised.once().remembered
    assert optimised.once(run(optimize="full")).chosen.label == "thorough"
    toy.log.clear()
    assert optimised.once(run(optimize="full")).remembered
    assert optimised.once().derived.label == "thorough"
    assert toy.log == []


@pytest.mark.parametrize("wish", [{"tolerance": 0.5}, {"threads": 1}, {"optimize_time": 9.0}])
def test_other_wishes_are_tried_anew_where_nothing_was_faster(bench, toy, wish):
    toy.offer("inexact", cost=0.5, factor=2.5)
    bench.once()
    tried(toy)
    bench.once(run(**wish))
    assert tried(toy) == ["inexact"]
    bench.once(run(**wish))
    bench.once()
    assert tried(toy) == []


def test_each_device_has_its_own_outcome(optimised, toy):
    assert optimised.once(run(device="cuda:0")).chosen
    toy.log.clear()
    assert optimised.once(run(device="cuda:0")).derived.device == "cuda:0"
    assert optimised.once(run(device="cpu")).derived.device == "cpu"
    assert toy.log == []
    with optimised.load(device="cuda:0") as predictor:
        assert predictor.artifact.derived.device == "cuda:0"


def test_time_that_ran_out_is_an_outcome_and_loses_no_earlier_form(optimised, toy):
    toy.offers[:0] = [{"label": "long", "cost": 3.0, "building": 500.0}]
    report = optimised.optimize()
    assert [row.verdict for row in report.rows] == ["slower", "skipped: time"]
    assert optimised.form() == "fast"


def test_a_form_that_is_no_longer_faster_goes(optimised, toy):
    toy.offers[0]["cost"] = 1.5
    assert optimised.optimize().derived is None
    assert optimised.forms() == []
    assert optimised.form() == ""


def test_what_goes_wrong_is_reported_and_the_model_is_as_before(bench, toy, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    toy.offer("fast", cost=0.5)
    monkeypatch.setattr(shelf_of_forms, "publish", full)
    report = bench.once()
    assert "no space left" in report.reason
    assert report.derived is None
    assert bench.leftovers() == []
    assert bench.form() == ""
    assert "m was not optimised: no space left" in bench.notes[-1]


def test_a_model_that_fails_on_its_examples_is_reported(bench, toy):
    toy.original.update(fault="run")
    assert "the kernel gave up" in bench.once().reason


def test_a_model_of_which_nobody_knows_the_inputs_is_opened_once(bench, toy):
    toy.original.update(shape=None)
    assert bench.once().reason == "nobody knows what 'm' takes"
    toy.log.clear()
    assert "nobody knows what 'm' takes" in bench.once().reason
    assert toy.log == []


def test_a_store_that_can_not_be_written_is_reported(bench, toy, monkeypatch):
    toy.offer("fast", cost=0.5)
    monkeypatch.setattr(
        type(bench.shelf.store),
        "staging",
        lambda _: (_ for _ in ()).throw(OSError(30, "read-only")),
    )
    assert bench.once().derived is None


def test_the_manager_loads_what_was_found(bench, toy, monkeypatch):
    toy.offer("fast", cost=0.5)
    outcome = type("Outcome", (), {"record": bench.record})()
    monkeypatch.setattr(bench.downloader, "obtain", lambda *_, **__: outcome)
    manager = ModelManager(bench.downloader)
    predictor = manager.download_and_load_model("test", "m", "m", on_event=bench.note)
    assert predictor.artifact.derived.label == "fast"
    [listed] = manager.list_models()
    assert listed.form == "fast"
    manager.close()
    plain = manager.download_and_load_model("test", "m", "m", optimize="off")
    assert plain.artifact.derived is None
    manager.close()


# WHAT MAKES IT STALE


def test_a_form_is_never_used_on_other_hardware_nor_lost_there(optimised, toy, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(hardware, "fingerprint", lambda: "vax 11/780 x1 000000000000")
        assert optimised.form() == ""
        assert optimised.once().chosen.label == "fast"
        assert len(optimised.forms()) == 2
        optimised.shelf.store.gc(dry_run=False, grace=0)
    toy.log.clear()
    assert optimised.form() == "fast"
    assert optimised.once().remembered
    assert tried(toy) == []


@pytest.mark.parametrize("name", ["toy-of-the-tests", "pluggy"])
def test_a_form_is_never_used_with_other_versions(bench, toy, monkeypatch, name):
    toy.offer("fast", cost=0.5, distributions=("pluggy",))
    bench.once()
    real = hardware.versions

    def newer(names):
        return {key: "99" if key == name else value for key, value in real(names).items()}

    tried(toy)
    with monkeypatch.context() as patch:
        patch.setattr(hardware, "versions", newer)
        assert bench.form() == ""
        assert bench.once().chosen
        assert tried(toy) == ["fast"]
    assert bench.form() == "fast"


def test_that_nothing_was_faster_does_not_hold_with_other_versions(bench, toy, monkeypatch):
    toy.offer("slow", cost=2.0, distributions=("pluggy",))
    bench.once()
    real = hardware.versions
    monkeypatch.setattr(
        hardware, "versions", lambda names: {**real(names), "pluggy": "99"} if names else {}
    )
    tried(toy)
    bench.once()
    assert tried(toy) == ["slow"]


def test_a_form_that_was_tampered_with_is_not_loaded_and_built_anew(optimised, toy):
    assert optimised.form() == "fast"
    [folder] = optimised.forms()
    file = folder / "sub" / "packed.bin"
    status = file.stat()
    file.chmod(0o644)
    file.write_bytes(b"evil" * 100)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert optimised.form() == "fast"  # once checked, size and times are believed until a restart
    assert optimised.load(check="always").artifact.derived is None
    os.utime(file)
    assert optimised.form() == ""
    assert optimised.once().chosen.label == "fast"
    assert optimised.form() == "fast"


def test_a_changed_record_of_a_form_is_noticed(optimised):
    [folder] = optimised.forms()
    path = folder / "derived.json"
    path.chmod(0o644)
    path.write_text(
        path.read_text().replace('"factor": 2.0', '"factor": 9.0').replace("0.5", "0.1")
    )
    assert optimised.form() == ""


def test_a_form_that_its_runtime_does_not_want_any_more_is_built_anew(optimised, toy, monkeypatch):
    from torchinf_core.optimize import memory

    monkeypatch.setattr(memory, "bids", lambda *_: [])
    optimised.once()
    assert tried(toy) == ["fast"]


def test_another_content_has_forms_of_its_own(optimised, toy):
    optimised.shelf.add("m", {"m.toy": b"new weights"}, format="toy")
    assert optimised.form() == ""
    assert optimised.once().chosen.label == "fast"
    assert len(optimised.forms()) == 2
    optimised.shelf.store.gc(dry_run=False, grace=0)
    assert len(optimised.forms()) == 1
    assert optimised.form() == "fast"
    assert optimised.shelf.damage() == []


def test_a_named_architecture_is_part_of_the_bond(optimised, zoo):
    with optimised.load(arch="zoo:tiny") as predictor:
        assert predictor.artifact.derived is None
    with optimised.load() as predictor:
        assert predictor.artifact.derived.arch == ""


# WHAT HAPPENS TO THE MODEL MEANWHILE


def test_nothing_is_kept_of_a_model_that_was_changed_meanwhile(bench, toy):
    toy.offer("fast", cost=0.5)

    def change(_event):
        bench.shelf.add("m", {"m.toy": b"new weights"}, format="toy")

    from torchinf_core.optimize import optimize

    report = optimize(bench.downloader, "m", on_event=change)
    assert report.reason == "the model was changed or removed meanwhile"
    assert not report.kept
    assert bench.forms() == []


def test_a_model_can_be_removed_while_it_is_optimised(bench, toy):
    toy.offer("fast", cost=0.5)

    def remove(_event):
        if "m" in bench.shelf.registry.names():
            bench.shelf.registry.remove("m")

    from torchinf_core.optimize import optimize

    assert not optimize(bench.downloader, "m", on_event=remove).kept
    bench.shelf.store.gc(dry_run=False, grace=0)
    assert list((bench.shelf.store.root / "models").iterdir()) == []


def test_a_form_goes_with_its_model(optimised):
    optimised.shelf.registry.remove("m")
    assert optimised.forms() == []
    assert list((optimised.shelf.store.root / "models").iterdir()) == []


def test_a_form_follows_when_the_model_is_renamed(optimised, toy):
    optimised.shelf.registry.rename("m", "n")
    record = optimised.shelf.registry.get("n")
    from torchinf_core.optimize import optimize_once

    assert optimize_once(optimised.downloader, record, RunSettings()).derived.label == "fast"
    assert tried(toy) == []
    assert optimised.shelf.damage() == []
    optimised.shelf.store.gc(dry_run=False, grace=0)
    assert len(optimised.forms()) == 1


def test_fsck_has_nothing_against_forms_and_usage_counts_them(optimised):
    before = optimised.shelf.store.usage()
    assert optimised.shelf.damage() == []
    assert before.blobs >= len(b"fast" * 100)
    assert before.reclaimable == 0


# SEVERAL AT ONCE


def test_of_several_threads_one_does_the_work(bench, toy):
    toy.offer("fast", cost=0.5)
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(bench.once())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert tried(toy) == ["fast"]
    assert sorted(report.remembered for report in reports) == [False, True, True, True]
    assert len(bench.forms()) == 1


CHILD = """
import json, sys
from torchinf_core import ModelDownloader, RunSettings
from torchinf_core.optimize import optimize_once
import toy_runtime_of_the_tests as toy
toy.offer("fast", cost=0.0005)
from torchinf_core.optimize import measure
measure.clock = toy.clock
downloader = ModelDownloader(cache_dir=sys.argv[1])
report = optimize_once(downloader, downloader.get_record("m"), RunSettings())
print(json.dumps([report.remembered, report.derived.label, len(toy.log)]))
"""


def test_of_two_processes_one_does_the_work(bench, toy):
    folder = str(Path(toy.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": folder}
    command = [sys.executable, "-c", CHILD, str(bench.shelf.store.root)]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outcomes = sorted(json.loads(process.communicate(timeout=100)[0]) for process in processes)
    assert [outcome[:2] for outcome in outcomes] == [[False, "fast"], [True, "fast"]]
    assert outcomes[1][2] == 0
    assert len(bench.forms()) == 1


def test_who_waits_is_told_for_whom_and_not_for_ever(bench, toy):
    from torchinf_core.store import locks

    bench.shelf.store.lock_timeout = bench.downloader.store.lock_timeout = 0.0
    key = f"optimize:{bench.record.generation}:cpu"
    with locks.hold(bench.shelf.store.layout.lock(key), shared=False, timeout=1, what="test"):
        report = bench.once()
    assert "'m' is being optimised by process" in report.reason
