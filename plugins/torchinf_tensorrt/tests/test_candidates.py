"""Which engines are offered, and why none where there are none."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

import torchinf_tensorrt
from torchinf_core.errors import UsageError
from torchinf_core.runtimes import LoadOptions
from torchinf_tensorrt import candidates

needs_rtx = pytest.mark.skipif(
    find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed"
)


@pytest.fixture
def offer(make, convolution, host, monkeypatch):
    artifact = make(convolution())
    monkeypatch.setattr(candidates, "count_gpus", lambda: 0)

    def run(device="cuda:0", *, options=None, **settings):
        given = host(**settings)
        found = torchinf_tensorrt.optimize(artifact, device, options or LoadOptions(), given)
        return list(found), given.notes

    return run


def test_without_a_gpu_and_a_target_there_is_a_note(offer):
    note = "there is no NVIDIA GPU on this machine, and no target is set"
    found, notes = offer()
    assert (found, notes) == ([], (f"{note} ([plugins.tensorrt] target)",))
    assert offer("cpu") == ([], ())


@needs_rtx
def test_with_a_target_engines_are_offered_and_really_built(offer, tmp_path):
    found, notes = offer(target="8.9", max_batch=4, opt_batch="2")
    assert notes == ()
    assert [each.label for each in found] == ["TensorRT for RTX fp32", "TensorRT for RTX fp16"]
    assert found[0].options == {"module": "tensorrt_rtx", "target": "sm89", "gpu": ""}
    assert found[0].hardware == "sm89"
    assert any(name.lower().startswith("tensorrt") for name in found[0].distributions)
    for number, candidate in enumerate(found):
        (tmp_path / str(number)).mkdir()
        candidate.build(tmp_path / str(number))
        assert [path.name for path in (tmp_path / str(number)).iterdir()] == ["model.engine"]


@needs_rtx
def test_a_gpu_is_what_engines_are_bound_to(offer, monkeypatch):
    monkeypatch.setattr(candidates, "count_gpus", lambda: 1)
    monkeypatch.setattr(candidates, "gpu_name", lambda _index: "RTX 4090")
    found, _ = offer("auto", options=LoadOptions(precision="fp16"))
    assert [(each.precision, each.hardware) for each in found] == [("fp16", "RTX 4090")]


def test_settings_that_make_no_sense_are_refused(offer):
    for wrong in ({"target": "ada"}, {"max_batch": "many"}, {"min_batch": 9}, {"shapes": "x"}):
        with pytest.raises(UsageError):
            offer(**{"target": "sm89", **wrong})


def test_without_a_module_there_is_a_note(offer, monkeypatch):
    monkeypatch.setattr(candidates, "installed", lambda **_: ())
    assert offer(target="sm89") == ([], ("neither tensorrt nor tensorrt_rtx is installed",))
