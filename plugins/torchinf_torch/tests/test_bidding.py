"""Bids: with reasons, without torch, and never for another device than was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from torchinf_core.errors import DeviceError, LoadError
from torchinf_core.plugins.results import check_claim
from torchinf_core.runtimes import Artifact, Claim, LoadOptions
from torchinf_torch import bidding, devices, framework, loading
from torchinf_torch.bidding import bid


@pytest.fixture
def bare(tmp_path: Path, artifact_of: Any) -> Artifact:
    (tmp_path / "m.safetensors").write_bytes(b"x")
    found: Artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"})
    return found


@pytest.fixture
def known(tmp_path: Path, artifact_of: Any, linear: Any) -> Artifact:
    (tmp_path / "m.safetensors").write_bytes(b"x")
    found: Artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"}, architecture=linear())
    return found


def test_bare_weights_want_an_architecture(bare: Artifact) -> None:
    found = check_claim(bid(bare, "auto"), "torch")
    assert found.score == 0
    assert "nothing tells the architecture" in found.reason
    assert "--arch torchvision:resnet18" in found.hint


@pytest.mark.parametrize(
    ("kinds", "kind", "described", "score"),
    [
        ({"m.safetensors": "safetensors"}, "safetensors", True, 100),
        ({"m.pt": "torch"}, "torch", True, 100),
        ({"m.pt": "torch"}, "torch", False, 0),
        ({"m.pt": "torchscript"}, "torchscript", False, 100),
        ({"m.pt2": "torch-export"}, "torch-export", False, 100),
        ({}, None, True, 100),
        ({}, None, False, 0),
        ({"hubconf.py": "python"}, "torchhub", True, 100),
        ({"hubconf.py": "python"}, "torchhub", False, 0),
        ({"m.onnx": "onnx"}, "onnx", True, 0),
        ({"m.pkl": "pickle"}, "pickle", False, 0),
        ({"m.gguf": "gguf"}, "gguf", True, 0),
    ],
)
def test_what_torch_reads(
    tmp_path: Path,
    artifact_of: Any,
    linear: Any,
    kinds: dict[str, str],
    kind: str | None,
    described: bool,
    score: int,
) -> None:
    for path in kinds:
        (tmp_path / path).write_bytes(b"x")
    artifact = artifact_of(tmp_path, kinds, kind, linear() if described else None)
    found = check_claim(bid(artifact, "cpu"), "torch")
    assert (found.score, found.device) == (score, "cpu")


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_no_other(
    known: Artifact, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "count_gpus", lambda: 0)
    monkeypatch.setattr(devices, "has_mps", lambda: False)
    found = check_claim(bid(known, device), "torch")
    assert found.score == 0
    assert found.device.startswith(device)
    assert "there is no" in found.reason


@pytest.mark.parametrize("device", ["cuda:7", "mps"])
def test_loading_on_a_device_that_is_gone_is_an_error(known: Artifact, device: str) -> None:
    with pytest.raises(DeviceError, match=f"there is no {device}") as caught:
        loading.load_predictor(known, Claim(300, device, "x"), LoadOptions())
    assert "--device cpu" in caught.value.hint


def test_accelerators_are_taken_by_themselves(
    known: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_mps", lambda: True)
    assert (bid(known, "auto").device, bid(known, "auto").score) == ("mps", 250)
    monkeypatch.setattr(devices, "count_gpus", lambda: 2)
    assert (bid(known, "auto").device, bid(known, "auto").score) == ("cuda:0", 250)
    assert bid(known, "cuda:1").score == 250
    assert "the last is cuda:1" in bid(known, "cuda:2").reason
    assert bid(known, "cpu").score == 100


@pytest.mark.parametrize(
    ("allowed", "count"),
    [(None, 2), ("", 0), ("-1", 0), ("0", 1), ("1,0", 2), ("0,7,1", 1), ("GPU-aa,GPU-bb", 2)],
)
def test_gpus_that_the_environment_hides_do_not_count(allowed: str | None, count: int) -> None:
    assert devices._visible(2, allowed) == count


def test_gpus_are_counted_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "loaded", lambda: None)
    monkeypatch.setattr(devices, "_count_nodes", lambda: 3)
    monkeypatch.setattr(framework, "installed", lambda: ("2.14", True))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.count_gpus() == 3
    monkeypatch.setattr(framework, "installed", lambda: ("2.14", False))
    assert devices.count_gpus() == 0
    assert "built without CUDA" in devices.choose("cuda").problem


def test_processors_with_bf16_are_known_by_their_features() -> None:
    assert devices.tells_bf16("processor : 0\nflags\t\t: fpu avx512f avx512_bf16\n")
    assert devices.tells_bf16("Features\t: fp asimd bf16\n")
    assert not devices.tells_bf16("flags\t\t: fpu avx2\n")
    assert not devices.tells_bf16("")


def test_a_derived_form_bids_ten_more_on_the_device_it_was_made_for(
    known: Artifact, derived_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = derived_of(known, fold=True)
    assert (bid(form, "auto").score, bid(form, "auto").device) == (110, "cpu")
    monkeypatch.setattr(devices, "count_gpus", lambda: 1)
    assert bid(form, "cuda").score == 0
    assert "made for cpu" in bid(form, "cuda").reason


def test_no_torch_and_an_old_torch_are_reasons(
    known: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framework, "installed", lambda: ("", False))
    assert bid(known, "cpu").hint == "pip install 'torchinf[torch]'"
    monkeypatch.setattr(framework, "installed", lambda: ("2.9.1", False))
    assert "too old" in bid(known, "cpu").reason


@pytest.mark.parametrize(
    ("version", "old"), [("2.9.1", True), ("2.10.0", False), ("3.0+cpu", False), ("git", True)]
)
def test_old_torches_are_refused(version: str, old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert framework.is_old(version) is old
    monkeypatch.setattr(torch, "__version__", version)
    if old:
        with pytest.raises(LoadError, match="too old to read files of strangers"):
            framework.import_torch()
    else:
        framework.import_torch()


def test_the_installed_torch_is_known_without_importing_it() -> None:
    framework.installed.cache_clear()
    assert framework.installed()[0] == torch.__version__


def test_bidding_imports_no_framework(tmp_path: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(bidding.__file__).parents[1])!r})
import torchinf_torch
from types import SimpleNamespace as Some
record = Some(format="safetensors", files=())
artifact = Some(
    record=record, derived=None, parent=None, describable=True, having=lambda *_: ("x",)
)
print(torchinf_torch.claim(artifact=artifact, device="auto").score)
print(sorted({{"torch", "numpy", "safetensors"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[1] == "[]"
