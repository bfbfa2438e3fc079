"""Nothing is bid for but engines that were built here, where their GPU is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

import torchinf_tensorrt
from torchinf_core.errors import DeviceError, UntrustedError
from torchinf_core.runtimes import Claim, LoadOptions
from torchinf_tensorrt import api, claims, targets


@pytest.fixture
def gpus(monkeypatch):
    """Pretend to have GPUs of these names."""

    def run(*names: str) -> None:
        monkeypatch.setattr(claims, "count_gpus", lambda: len(names))
        monkeypatch.setattr(claims, "gpu_name", lambda index: names[index])
        monkeypatch.setattr(claims, "installed", lambda: ("tensorrt_rtx",))

    return run


@pytest.mark.parametrize("path", ["model__engine", "model__plan"])
def test_an_engine_that_was_downloaded_is_never_run(make, path, gpus):
    gpus("A")
    artifact = make(kind="tensorrt", **{path: b"ptrt" + bytes(100)})
    claim = torchinf_tensorrt.claim(artifact, "cuda:0")
    assert claim.score == 0
    assert "only engines built here" in claim.reason
    with pytest.raises(UntrustedError, match="an engine is code"):
        torchinf_tensorrt.load(artifact, Claim(310, "cuda:0", "forged"), LoadOptions())


def test_an_onnx_graph_is_told_what_makes_it_an_engine(make, convolution, gpus):
    artifact = make(convolution())
    gpus("A")
    claim = torchinf_tensorrt.claim(artifact, "auto")
    assert (claim.score, claim.hint) == (0, "torchinf optimize m --device cuda")
    gpus()
    claim = torchinf_tensorrt.claim(artifact, "auto")
    assert (claim.score, claim.hint) == (0, "")
    assert targets.NO_GPU in claim.reason


def test_other_models_are_left_to_others(make):
    claim = torchinf_tensorrt.claim(make(kind="safetensors", model__safetensors=b"1"), "auto")
    assert (claim.score, claim.hint) == (0, "")


def test_an_engine_of_our_own_wins_on_its_gpu_alone(engine_of, gpus):
    artifact = engine_of(b"engine", gpu="RTX 4090")
    gpus()
    assert torchinf_tensorrt.claim(artifact, "auto").reason == targets.NO_GPU
    gpus("RTX 4090", "RTX 5090")
    assert torchinf_tensorrt.claim(artifact, "auto").score == 310
    assert torchinf_tensorrt.claim(artifact, "cuda:0").device == "cuda:0"
    assert "cuda:1 is a RTX 5090" in torchinf_tensorrt.claim(artifact, "cuda:1").reason
    assert torchinf_tensorrt.claim(artifact, "cuda:2").score == 0
    assert torchinf_tensorrt.claim(artifact, "cpu").score == 0


def test_an_engine_of_another_runtime_or_module_is_left_alone(engine_of, gpus, monkeypatch):
    artifact = engine_of(b"engine")
    gpus("A")
    other = replace(artifact.derived, runtime="onnx")
    assert torchinf_tensorrt.claim(replace(artifact, derived=other), "cuda").score == 0
    monkeypatch.setattr(claims, "installed", lambda: ("tensorrt",))
    claim = torchinf_tensorrt.claim(artifact, "cuda")
    assert claim.reason == "tensorrt_rtx is not installed"


def test_loading_without_the_gpu_is_an_error(engine_of):
    if targets.count_gpus():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="no NVIDIA GPU"):
        torchinf_tensorrt.load(engine_of(b"x"), Claim(310, "cuda:0", "test"), LoadOptions())


def test_the_module_for_the_work_comes_first(monkeypatch):
    monkeypatch.setattr(api, "find_spec", lambda _name: True)
    assert api.installed() == ("tensorrt", "tensorrt_rtx")
    assert api.installed(target=True) == ("tensorrt_rtx", "tensorrt")


def test_bidding_imports_no_framework():
    script = """
import sys, torchinf_tensorrt, pathlib
from torchinf_core.runtimes import Artifact, Derived
from torchinf_core.types import Record
values = dict.fromkeys(Record.__dataclass_fields__)
record = Record(**values | {"name": "m", "files": (), "format": "onnx"})
derived = Derived("tensorrt", "l", "tensorrt", "cuda:0", "fp32", {"module": "tensorrt_rtx"},
                  {}, "", "")
for device in ("auto", "cpu", "cuda", "mps"):
    torchinf_tensorrt.claim(Artifact(record, pathlib.Path(".")), device)
    torchinf_tensorrt.claim(Artifact(record, pathlib.Path("."), derived=derived), device)
print(sorted({"tensorrt", "tensorrt_rtx", "numpy", "torch", "onnx"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
