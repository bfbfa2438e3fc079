"""Bids for GPUs that are there, and for nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.plugins.results import check_claim
from torchinf_core.runtimes import Artifact, Claim, LoadOptions
from torchinf_cuda import bidding
from torchinf_cuda.bidding import bid, gpu_names
from torchinf_cuda.loading import load_predictor
from torchinf_torch import devices, framework
from torchinf_torch.bidding import bid as plain_bid

Make = Callable[..., Artifact]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def there(*names: str) -> None:
        monkeypatch.setattr(devices, "count_gpus", lambda: len(names))
        monkeypatch.setattr(bidding, "gpu_names", lambda: names)

    there()
    return there


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_without_a_gpu_there_is_no_bid(
    artifact_of: Make, gpus: Any, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_mps", lambda: False)
    found = check_claim(bid(artifact_of(), device), "cuda")
    assert found.score == 0
    assert "GPU" in found.reason


def test_this_plugin_outbids_plain_torch_on_a_gpu(artifact_of: Make, gpus: Any) -> None:
    gpus("NVIDIA H100", "NVIDIA H100")
    for asked, got in (("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1")):
        found = check_claim(bid(artifact_of(), asked), "cuda")
        assert (found.score, found.device) == (300, got)
        assert found.score > plain_bid(artifact_of(), asked).score > 0
    assert "the last is cuda:1" in bid(artifact_of(), "cuda:2").reason
    assert bid(artifact_of(), "cpu").score == 0


def test_files_that_torch_does_not_read_get_no_bid(artifact_of: Make, gpus: Any) -> None:
    gpus("NVIDIA H100")
    assert "does not read onnx" in bid(artifact_of(kind="onnx"), "cuda").reason


def test_a_derived_form_runs_on_a_gpu_of_its_name_and_place(artifact_of: Make, gpus: Any) -> None:
    form = artifact_of(precision="bf16")
    gpus("NVIDIA H100", "NVIDIA H100")
    assert bid(form, "auto").score == 310
    assert "made for cuda:0" in bid(form, "cuda:1").reason
    assert bid(artifact_of(precision="bf16", device="cuda:1"), "auto").device == "cuda:1"
    gpus("NVIDIA T4")
    assert "made on a GPU of the name NVIDIA H100" in bid(form, "cuda").reason
    assert bid(artifact_of(precision="bf16", hardware="here"), "cuda").score == 310


def test_a_torch_without_cuda_is_told_apart_from_a_missing_gpu(
    artifact_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framework, "installed", lambda: ("2.14.1+cpu", False))
    monkeypatch.setattr(framework, "loaded", lambda: None)
    found = bid(artifact_of(), "cuda")
    assert "built without CUDA" in found.reason
    assert "built for CUDA" in found.hint


def test_the_driver_tells_the_names_of_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framework, "loaded", lambda: None)
    for bus in ("0000:17:00.0", "0000:65:00.0"):
        (tmp_path / bus).mkdir()
        text = f"Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 172\nBus Location: \t {bus}\n"
        (tmp_path / bus / "information").write_text(text)
    assert gpu_names(tmp_path) == ("NVIDIA H100 PCIe", "NVIDIA H100 PCIe")
    assert gpu_names(tmp_path / "none") == ()


def test_loading_on_a_gpu_that_is_gone_is_an_error(
    artifact_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from torchinf_core.errors import DeviceError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="there is no cuda:0: torch finds no NVIDIA GPU"):
        load_predictor(artifact_of(), Claim(300, "cuda:0", "x"), LoadOptions())


def test_bidding_imports_no_framework() -> None:
    script = """
import sys
import torchinf_cuda
from types import SimpleNamespace as Some
record = Some(format=None, files=())
artifact = Some(record=record, derived=None, parent=None, describable=True, having=lambda *_: ())
torchinf_cuda.claim(artifact=artifact, device="auto")
print(sorted({"torch", "numpy"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
