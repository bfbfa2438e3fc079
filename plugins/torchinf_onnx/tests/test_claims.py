"""What the plugin bids, without importing a framework."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import torchinf_onnx
from torchinf_core.runtimes import Derived
from torchinf_onnx import devices


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Pretend to have so many GPUs, and an onnxruntime built for CUDA or not."""

    def run(count: int, *, cuda: bool = True) -> None:
        monkeypatch.setattr(devices, "count_gpus", lambda: count)
        monkeypatch.setattr(devices, "has_cuda_provider", lambda _place: cuda)

    return run


def test_a_graph_is_bid_for_on_the_processor(make, linear, artifact_of):
    claim = torchinf_onnx.claim(make(linear()), "auto")
    assert (claim.score, claim.device) == (100, "cpu")
    assert torchinf_onnx.claim(artifact_of(Path("/nowhere"), "safetensors"), "auto").score == 0


def test_a_graph_beside_other_weights_is_a_smaller_bid(make, linear):
    artifact = make(linear())
    artifact = replace(artifact, record=replace(artifact.record, format="safetensors"))
    assert torchinf_onnx.claim(artifact, "cpu").score == 50


def test_several_graphs_are_a_bid_only_when_one_is_the_model(make, tmp_path, linear, artifact_of):
    artifact = make(linear(), linear(seed=1))
    claim = torchinf_onnx.claim(artifact, "auto")
    assert claim.score == 0
    assert "2 ONNX files" in claim.reason
    (tmp_path / "model/onnx").mkdir()
    (tmp_path / "model/onnx/model.onnx").write_bytes(linear().SerializeToString())
    assert torchinf_onnx.claim(artifact_of(tmp_path / "model"), "auto").score == 100


def test_without_onnxruntime_the_bid_says_what_to_install(make, monkeypatch, linear):
    monkeypatch.setattr(devices, "package", lambda: None)
    claim = torchinf_onnx.claim(make(linear()), "auto")
    assert (claim.score, claim.hint) == (0, "pip install onnxruntime")


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_gets_no_bid(make, gpus, device, linear):
    gpus(0)
    claim = torchinf_onnx.claim(make(linear()), device)
    assert claim.score == 0
    assert claim.device == {"cuda": "cuda:0"}.get(device, device)


def test_a_gpu_and_an_onnxruntime_for_it_win(make, gpus, linear):
    artifact = make(linear())
    gpus(2)
    assert torchinf_onnx.claim(artifact, "auto").device == "cuda:0"
    assert torchinf_onnx.claim(artifact, "cuda:1").score == 300
    assert torchinf_onnx.claim(artifact, "cuda:2").score == 0
    gpus(2, cuda=False)
    assert torchinf_onnx.claim(artifact, "auto").device == "cpu"
    assert "without CUDA" in torchinf_onnx.claim(artifact, "cuda").reason


@pytest.mark.parametrize(("visible", "count"), [("", 0), ("-1", 0), ("0", 1), ("1,0", 2)])
def test_gpus_that_are_hidden_do_not_count(monkeypatch, visible, count):
    monkeypatch.setattr(
        Path, "glob", lambda *_: [Path("nvidia0"), Path("nvidia1"), Path("nvidiactl")]
    )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.count_gpus() == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.count_gpus() == count


def test_a_derived_form_is_bid_for_by_the_runtime_that_made_it(make, linear):
    artifact = make(linear())
    derived = Derived("onnx", "ONNX Runtime fp32", "onnx", "cpu", "fp32", {}, {}, "", "")
    derived = replace(derived, files=artifact.files)
    assert torchinf_onnx.claim(replace(artifact, derived=derived), "auto").score == 110
    other = replace(derived, runtime="tensorrt")
    assert torchinf_onnx.claim(replace(artifact, derived=other), "auto").score == 0


def test_bidding_imports_no_framework():
    script = """
import sys, torchinf_onnx, pathlib
from torchinf_core.runtimes import Artifact
from torchinf_core.types import Record, StoredFile, Trust
values = dict.fromkeys(Record.__dataclass_fields__)
files = (StoredFile("m.onnx", 1, "0" * 64, "onnx"),)
record = Record(**values | {"name": "m", "files": files, "format": "onnx"})
for device in ("auto", "cpu", "cuda", "mps"):
    torchinf_onnx.claim(Artifact(record, pathlib.Path(".")), device)
print(sorted({"onnxruntime", "numpy", "torch", "onnx"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
