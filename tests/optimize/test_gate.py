"""What gets through the gate, what does not, and what the report says of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from torchinf_core import InputError, NoRuntimeError, OptionError, RunSettings, UntrustedError
from torchinf_core.types import Trust

FAULTS = {
    "build": ("failed", "RuntimeError: the compiler gave up"),
    "exit": ("failed", "SystemExit: 3"),
    "memory": ("failed", "MemoryError"),
    "link": ("failed", "'packed.bin', which is no regular file"),
    "load": ("failed", "the engine is for another driver"),
    "not a predictor": ("failed", "it returned a value of type str"),
    "claim": ("failed", "it changed its mind"),
    "elsewhere": ("failed", "it would run on cuda:7, not cpu"),
    "weak": ("failed", "bids 90 for it, and the model as downloaded has 100"),
    "run": ("failed", "the kernel gave up"),
    "large": ("failed", "on an example of 4: RuntimeError: the kernel gave up"),
    "place": ("failed", "the place where it was built"),
    "nan": ("wrong", "not a number somewhere"),
    "drift": ("wrong", "the output 'y' differs by"),
    "late": ("wrong", "the output 'y' differs by"),
    "shape": ("wrong", "has the shape (1, 3, 1), not (1, 3)"),
    "integers": ("wrong", "is int64, not float32"),
    "another output": ("wrong", "it gives the outputs z, not y"),
}


def run(**fields):
    return replace(RunSettings(), **fields)


def verdicts(report):
    return {row.label: row.verdict for row in report.rows}


def test_the_fastest_that_computes_the_same_is_kept_and_loaded(bench, toy):
    toy.offer("fast", cost=0.5)
    toy.offer("fastest", cost=0.25)
    toy.offer("slow", cost=2.0)
    report = bench.optimize()
    assert verdicts(report) == {"fast": "slower", "fastest": "chosen", "slow": "slower"}
    assert report.reference == "toy fp32"
    assert report.reference_seconds == 1.0
    assert report.chosen.speedup == 4.0
    assert report.chosen.error == 0.0
    assert [row.reason for row in report.rows] == [
        "than fastest", "", "not faster than the model as downloaded",
    ]  # fmt: skip
    assert report.kept
    with bench.load() as predictor:
        assert predictor.artifact.derived.label == "fastest"
        assert predictor.predict([[1.0, 2.0, 3.0]]).tolist() == [[2.0, 4.0, 6.0]]
    with bench.load(optimize="off") as predictor:
        assert predictor.artifact.derived is None


def test_what_is_kept_says_where_it_came_from(bench, toy):
    toy.offer("fast", cost=0.5, factor=2.0001, hardware="a blue GPU", distributions=("pluggy",))
    derived = bench.optimize().derived
    [folder] = bench.forms()
    assert folder.parent.name == f"{bench.record.generation}.derived"
    assert (folder / "sub" / "packed.bin").read_bytes() == b"fast" * 100
    assert derived.parent == bench.record.generation
    assert derived.runtime == "toy"
    assert derived.device == "cpu"
    assert derived.precision == "fp32"
    assert derived.hardware.endswith("; a blue GPU")
    assert sorted(derived.versions) == ["pluggy", "toy-of-the-tests"]
    assert derived.versions["toy-of-the-tests"] == "1.0"
    assert derived.shapes == {"x": (1, 3)}
    assert derived.error == pytest.approx(0.00005, rel=0.01)
    assert derived.tolerance == 1e-3
    assert (derived.seconds, derived.reference_seconds) == (0.5, 1.0)
    assert derived.options == {"label": "fast", "cost": 0.5, "factor": 2.0001}
    [file] = derived.files
    assert file.path == "sub/packed.bin"
    with bench.load() as predictor:
        assert predictor.artifact.derived.created == derived.created


def test_a_candidate_made_wrong_on_purpose_is_rejected_however_fast_it_is(bench, toy):
    toy.offer("wrong", cost=0.001, factor=2.01)
    toy.offer("right", cost=0.9)
    report = bench.optimize()
    assert verdicts(report) == {"wrong": "wrong", "right": "chosen"}
    assert report.rows[0].error == pytest.approx(0.005, rel=0.01)
    assert "differs by 5.0e-03, 0.001 is allowed" in report.rows[0].reason
    assert bench.form() == "right"


def test_a_wider_tolerance_lets_it_pass(bench, toy):
    toy.offer("inexact", cost=0.5, factor=2.01)
    assert bench.optimize(run(tolerance=0.01)).chosen
    assert bench.form() == ""  # loading still wants 1e-3
    with bench.load(tolerance=0.01) as predictor:
        assert predictor.artifact.derived.label == "inexact"


@pytest.mark.parametrize("fault", FAULTS)
def test_one_that_fails_costs_a_row_and_nothing_else(bench, toy, fault, capfd):
    toy.offer("bad", cost=0.1, fault=fault)
    toy.offer("good", cost=0.5)
    report = bench.optimize()
    verdict, reason = FAULTS[fault]
    assert verdicts(report) == {"bad": verdict, "good": "chosen"}
    assert reason in report.rows[0].reason
    assert "\n" not in report.rows[0].reason
    assert bench.leftovers() == []
    assert len(bench.forms()) == 1
    loaded = [line for line in toy.log if line.startswith("loaded")]
    closed = [line for line in toy.log if line.startswith("closed")]
    assert len(loaded) == len(closed) + (fault in ("load", "not a predictor", "place"))
    json.dumps(report.to_json(), allow_nan=False)


def test_what_compilers_and_their_children_print_stays_off_stdout(bench, toy, capfd):
    toy.offer("fast", cost=0.5)
    bench.optimize()
    out, err = capfd.readouterr()
    assert out == ""
    assert "building fast" in err
    assert "child of fast" in err
    print("stdout is itself again")
    assert capfd.readouterr().out == "stdout is itself again\n"


def test_a_candidate_that_scribbles_on_its_inputs_spoils_nothing(bench, toy):
    toy.offer("scribbler", cost=0.9, fault="scribbles")
    toy.offer("good", cost=0.5)
    assert bench.optimize().chosen.label == "good"


def test_a_form_that_is_only_faster_for_one_item_is_not_taken(bench, toy):
    toy.original.update(per_item=0.1)
    toy.offer("one", cost=0.1, per_item=0.9)
    report = bench.optimize()
    assert verdicts(report) == {"one": "slower"}
    assert report.rows[0].reason == "0.38 times as fast on an example of 4"


def test_a_gain_below_five_percent_is_noise(bench, toy):
    toy.offer("hardly", cost=0.97)
    toy.offer("equal", cost=1.0)
    report = bench.optimize()
    assert report.chosen is None
    assert bench.forms() == []
    assert report.reference_seconds == pytest.approx(1.0)


def test_a_median_that_other_work_on_the_machine_made_is_no_gain(bench, toy):
    toy.original.update(cost=0.1, hiccups=True)  # two calls of three are slow
    toy.offer("the same", cost=0.1)
    report = bench.optimize()
    assert report.rows[0].speedup > 2
    assert report.rows[0].verdict == "slower"


def test_the_first_of_two_equally_fast_ones_is_taken(bench, toy):
    toy.offer("first", cost=0.5)
    toy.offer("second", cost=0.5)
    assert bench.optimize().chosen.label == "first"


def test_a_form_of_the_models_own_files_needs_none_of_its_own(bench, toy):
    toy.offer("threads", cost=0.5, builds=False)
    assert bench.optimize().derived.files == ()
    assert bench.form() == "threads"


def test_no_candidates_are_no_failure(bench):
    report = bench.optimize()
    assert (report.rows, report.derived, report.reason) == ((), None, "")
    assert report.reference_seconds == 1.0


def test_a_runtime_that_fails_to_offer_costs_a_row(bench, toy):
    toy.offer("never seen", cost=0.5)
    toy.original.update(breaks=True)
    [row] = bench.optimize().rows
    assert (row.label, row.runtime, row.verdict) == ("", "toy", "failed")
    assert "it lost count" in row.reason


def test_no_candidate_is_begun_after_the_time_is_up_and_none_is_interrupted(bench, toy):
    toy.offer("long", cost=0.5, building=200.0)
    toy.offer("too late", cost=0.1)
    report = bench.optimize()
    assert verdicts(report) == {"long": "chosen", "too late": "skipped: time"}
    assert "built too late" not in toy.log
    assert report.chosen.build_seconds == 200.5


def test_thorough_ones_are_tried_last_and_only_by_full(bench, toy):
    toy.offer("thorough", cost=0.1, thorough=True)
    toy.offer("quick", cost=0.5)
    assert verdicts(bench.optimize()) == {"thorough": "skipped: thorough", "quick": "chosen"}
    report = bench.optimize(run(optimize="full"))
    assert [row.label for row in report.rows] == ["quick", "thorough"]
    assert report.chosen.label == "thorough"


def test_another_precision_than_was_asked_for_is_not_tried(bench, toy):
    toy.offer("half", cost=0.1, precision="bf16")
    toy.offer("full", cost=0.5)
    report = bench.optimize(run(precision="fp32"))
    assert verdicts(report) == {"half": "skipped: precision", "full": "chosen"}
    assert bench.optimize().chosen.label == "half"
    with bench.load(precision="fp32") as predictor:
        assert predictor.artifact.derived is None


def test_one_can_be_kept_by_its_label_though_it_is_slower_but_not_though_it_is_wrong(bench, toy):
    toy.offer("fast", cost=0.5)
    toy.offer("slow", cost=2.0, thorough=True)
    toy.offer("wrong", cost=0.1, factor=3.0)
    report = bench.optimize(keep="slow")
    assert verdicts(report) == {"slow": "chosen"}
    assert bench.form() == "slow"
    assert bench.optimize(keep="toy:fast").chosen.label == "fast"
    assert bench.optimize(keep="wrong").chosen is None
    assert bench.form() == "fast"
    with pytest.raises(OptionError, match="no candidate is called 'none'") as caught:
        bench.optimize(keep="none")
    assert caught.value.hint == "those there are: fast, slow, wrong"


def test_a_dry_run_says_what_would_come_of_it_and_leaves_the_store_alone(bench, toy):
    toy.offer("fast", cost=0.5)
    before = sorted(path for path in bench.shelf.store.root.rglob("models/**/*"))
    report = bench.optimize(dry_run=True)
    assert report.chosen.label == "fast"
    assert not report.kept
    assert sorted(path for path in bench.shelf.store.root.rglob("models/**/*")) == before
    assert bench.form() == ""
    assert "was not kept" in bench.notes[-1]


def test_it_says_what_it_does(bench, toy):
    toy.offer("fast", cost=0.5)
    toy.offer("bad", fault="build")
    bench.optimize()
    assert bench.notes == [
        "optimising m on cpu: 2 candidates, none is begun after 120 s",
        "fast: 2.00 times as fast, error 0.0e+00",
        "bad: failed: RuntimeError: the compiler gave up",
        "fast is 2.00 times as fast and is used from now on",
    ]


def test_a_model_whose_outputs_change_by_themselves_is_left_alone(bench, toy):
    toy.original.update(fault="drift")
    toy.offer("fast", cost=0.5)
    report = bench.optimize()
    assert report.rows == ()
    assert report.reason == "its outputs are others at each call on an example"


def test_a_model_that_gives_no_numbers_can_prove_nothing(bench, toy):
    toy.original.update(fault="nan")
    toy.offer("fast", cost=0.5, fault="nan")
    assert bench.optimize().reason == "its outputs are not numbers on an example"


def test_files_that_can_not_be_had_in_fp32_are_a_reference_as_they_are(bench, toy):
    toy.original.update(only_auto=True)
    toy.offer("fast", cost=0.5)
    assert bench.optimize().chosen
    assert toy.log[:2] == ["loaded original as fp32", "loaded original as auto"]


def test_a_model_that_takes_one_item_only_is_compared_on_one(bench, toy):
    toy.original.update(shape=(1, 3))
    toy.offer("fast", cost=0.5, fault="large", shape=[1, 3])
    assert bench.optimize().chosen


def test_a_form_with_other_inputs_is_no_form(bench, toy):
    toy.offer("fast", cost=0.5, input="pixels")
    assert bench.optimize().rows[0].reason == "it takes pixels, and the model x"


def test_ones_own_inputs_are_compared_and_timed_first(bench, toy, tmp_path):
    import numpy as np

    np.save(tmp_path / "mine.npy", np.ones((7, 3), np.float32))
    toy.offer("fast", cost=0.5)
    report = bench.optimize(inputs=[str(tmp_path / "mine.npy"), [[1.0, 2.0, 3.0]]])
    assert report.derived.shapes == {"x": (7, 3)}
    with pytest.raises(InputError, match="takes x: float32"):
        bench.optimize(inputs=[np.ones((7, 4), np.float32)])


def test_who_knows_nothing_of_its_inputs_has_to_give_some(bench, toy):
    toy.original.update(shape=None)
    toy.offer("fast", cost=0.5, shape=None)
    with pytest.raises(InputError, match="nobody knows what 'm' takes") as caught:
        bench.optimize()
    assert "--inputs" in caught.value.hint
    assert bench.optimize(inputs=[[[1.0, 2.0, 3.0]]]).chosen


def test_only_the_model_itself_raises(bench, toy):
    bench.shelf.add("code", {"m.toy": b"code"}, format="toy", trust=Trust.CODE)
    bench.shelf.add("strange", {"m.bin": b"strange"}, format="odd")
    from torchinf_core.optimize import optimize, optimize_once

    for name, error in (("code", UntrustedError), ("strange", NoRuntimeError)):
        record = bench.shelf.registry.get(name)
        with pytest.raises(error):
            optimize(bench.downloader, name)
        with pytest.raises(error):
            optimize_once(bench.downloader, record, RunSettings())


def test_an_interrupt_goes_through_and_leaves_nothing(bench, toy):
    toy.offer("fast", cost=0.5)
    toy.offer("stopped", fault="interrupt")
    with pytest.raises(KeyboardInterrupt):
        bench.optimize()
    assert bench.leftovers() == []
    assert bench.forms() == []
    assert toy.log[-1] == "closed original"
