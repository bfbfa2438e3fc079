"""The choice in the open: every bid, and every form that is of no use here."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from torchinf_core import RunSettings, UntrustedError, hardware
from torchinf_core.loading.explaining import explain
from torchinf_core.types import Trust


def rows(bench, **fields):
    run = replace(RunSettings(), **fields)
    return explain(bench.record, bench.shelf.store, bench.downloader.settings, run)


def test_before_anything_was_optimised_there_is_the_model_alone(bench):
    [row] = rows(bench)
    assert (row.runtime, row.form, row.score, row.chosen) == ("toy", "", 100, True)
    assert row.reason == "made for this format"
    assert row.seconds is None


def test_a_form_comes_first_with_what_was_measured(bench, toy):
    toy.offer("fast", cost=0.5, factor=2.0001)
    bench.optimize()
    form, plain = rows(bench)
    assert (form.form, form.score, form.chosen, form.precision) == ("fast", 110, True, "fp32")
    assert (form.seconds, form.speedup) == (0.5, 2.0)
    assert form.error == pytest.approx(5e-5, rel=0.01)
    assert (plain.form, plain.chosen, plain.seconds) == ("", False, 1.0)
    json.dumps([row.to_json() for row in (form, plain)], allow_nan=False)


def test_what_was_measured_is_known_also_where_nothing_was_faster(bench, toy):
    toy.offer("slow", cost=2.0)
    bench.optimize()
    [row] = rows(bench)
    assert row.seconds == 1.0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"optimize": "off"}, "optimize is off"),
        ({"device": "cuda:0"}, "it is for cpu"),
        ({"precision": "bf16"}, "it computes in fp32, and bf16 was asked for"),
        ({"tolerance": 1e-6}, "its error of 5.0e-05 is above 1e-06"),
    ],
)
def test_a_form_that_does_not_fit_says_why(bench, toy, fields, reason):
    toy.offer("fast", cost=0.5, factor=2.0001)
    bench.optimize()
    plain, form = rows(bench, **fields)
    assert (plain.form, plain.chosen) == ("", True)
    assert (form.form, form.score, form.chosen, form.reason) == ("fast", 0, False, reason)


def test_a_form_of_another_machine_says_so(bench, toy, monkeypatch):
    toy.offer("fast", cost=0.5)
    bench.optimize()
    monkeypatch.setattr(hardware, "fingerprint", lambda: "vax")
    assert [row.reason for row in rows(bench)][1] == "it was made on other hardware"


def test_a_form_whose_runtime_was_taken_away_says_so(bench, toy, monkeypatch):
    toy.offer("fast", cost=0.5)
    bench.optimize()
    settings = replace(
        bench.downloader.settings, disable=("toy", "torch", "cuda", "onnx", "tensorrt")
    )
    [row] = explain(bench.record, bench.shelf.store, settings, RunSettings())
    assert row.reason == "the runtime 'toy' is not installed"
    assert row.hint == "pip install 'torchinf[toy]'"


def test_where_nothing_can_be_chosen_every_reason_is_there(bench):
    [row] = rows(bench, device="mps")
    assert (row.score, row.chosen) == (0, False)
    assert (row.reason, row.hint) == ("there is no mps", "use cpu")


def test_code_that_nobody_trusts_is_not_asked_for_bids(bench):
    bench.shelf.add("m", {"m.toy": b"code"}, format="toy", trust=Trust.CODE)
    with pytest.raises(UntrustedError):
        rows(bench)
