"""Optimised forms compute what the module computes, and are offered where they can be built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from torchinf_core.plugins.results import check_candidates
from torchinf_core.runtimes import Architecture, Artifact, LoadOptions, Signature, TensorSpec
from torchinf_torch import devices, optimizing, tuning
from torchinf_torch.optimizing import candidates
from torchinf_torch.predictor import TorchPredictor

Load = Callable[..., TorchPredictor]
IMAGE = Signature((TensorSpec("x", "float32", ("batch", 3, 64, 64)),))


@pytest.fixture
def resnet(tmp_path: Path, artifact_of: Any) -> Artifact:
    """resnet18 with random weights and statistics of batches that are not those of nothing."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(4, 3, 64, 64))
    torch.save(model.state_dict(), tmp_path / "m.pth")
    architecture = Architecture(
        name="torchvision resnet18",
        signature=IMAGE,
        build=lambda: torchvision.models.resnet18(weights=None),
        weights=("m.pth",),
    )
    found: Artifact = artifact_of(tmp_path, {"m.pth": "torch"}, architecture=architecture)
    return found


def x(batch: int = 2) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal((batch, 3, 64, 64), dtype=np.float32)


def test_resnet18_folded_and_channels_last_agrees_with_eager(
    resnet: Artifact, load: Load, derived_of: Any
) -> None:
    tuned = load(derived_of(resnet, fold=True, channels_last=True, precision="fp32"))
    eager = load(resnet).predict(x())
    assert np.abs(tuned.predict(x()) - eager).max() < 1e-4 * np.abs(eager).max()
    module = tuned._module
    assert isinstance(module, torchvision.models.ResNet)
    assert not any(isinstance(one, torch.nn.BatchNorm2d) for one in module.modules())
    assert module.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_resnet18_in_bf16_is_near(resnet: Artifact, load: Load, derived_of: Any) -> None:
    tuned = load(derived_of(resnet, fold=True, channels_last=True, precision="bf16"))
    eager = load(resnet).predict(x())
    assert tuned.precision == "bf16"
    assert tuned.predict(x()).dtype == np.float32
    assert np.abs(tuned.predict(x()) - eager).max() < 0.1 * np.abs(eager).max()


def test_what_is_offered_for_resnet18(resnet: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: False)
    monkeypatch.setattr(optimizing, "find_compiler", lambda: "/usr/bin/c++")
    found = check_candidates(candidates(resnet, "cpu", LoadOptions()))
    assert [(one.label, one.thorough) for one in found] == [
        ("PyTorch, folded, channels last, fp32", False),
        ("torch.compile, fp32", True),
        ("AOTInductor, fp32", True),
    ]
    assert dict(found[0].options) == {"fold": True, "channels_last": True, "precision": "fp32"}
    assert found[0].distributions == ("torch",)
    assert found[0].build is None
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: True)
    monkeypatch.setattr(optimizing, "find_compiler", lambda: None)
    found = check_candidates(candidates(resnet, "cpu", LoadOptions()))
    assert [one.precision for one in found] == ["fp32", "bf16"]
    found = check_candidates(candidates(resnet, "cpu", LoadOptions(precision="fp32")))
    assert [one.precision for one in found] == ["fp32"]


def test_nothing_is_offered_where_nothing_would_change(
    tmp_path: Path, artifact_of: Any, linear: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: False)
    monkeypatch.setattr(optimizing, "find_compiler", lambda: None)
    plain = artifact_of(tmp_path, {}, architecture=linear())
    assert list(candidates(plain, "cpu", LoadOptions())) == []
    assert list(candidates(plain, "cuda:0", LoadOptions())) == []
    (tmp_path / "m.onnx").write_bytes(b"x")
    assert list(candidates(artifact_of(tmp_path, {"m.onnx": "onnx"}), "cpu", LoadOptions())) == []


class Branching(torch.nn.Module):
    """Its way depends on the numbers, so that it can't be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) if x.sum() > 0 else x


class Shared(torch.nn.Module):
    """Two readers of one convolution, a convolution that runs twice, and one that may be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (torch.nn.Conv2d(3, 3, 1) for _ in range(3))
        self.a, self.b, self.c = (torch.nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.one(x)
        y = self.a(first) + first
        y = self.b(self.two(self.two(y)))
        return self.c(self.three(y))


def test_a_module_that_cannot_be_traced_is_not_folded() -> None:
    assert tuning.foldable(torch, Branching().eval()) == []


def test_only_what_nobody_else_reads_is_folded() -> None:
    module = Shared().eval()
    with torch.no_grad():
        for norm in (module.a, module.b, module.c):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        given = torch.randn(2, 3, 5, 5)
        before = module(given)
        assert tuning.fold(torch, module) == 1
        assert isinstance(module.c, torch.nn.Identity)
        torch.testing.assert_close(module(given), before, rtol=1e-4, atol=1e-5)


def test_mixed_weights_compute_with_the_widest_type() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2).half(), torch.nn.Linear(2, 2))
    assert tuning.set_precision(torch, module, "auto") == ("fp32", torch.float32)
    assert all(p.dtype is torch.float32 for p in module.parameters())
    assert tuning.set_precision(torch, torch.nn.Identity(), "auto") == ("fp32", None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["torch.compile", "AOTInductor"])
@pytest.mark.skipif(optimizing.find_compiler() is None, reason="there is no C++ compiler")
def test_compiled_forms_agree_with_eager(
    tmp_path: Path, load: Load, kind: str, artifact_of: Any
) -> None:
    from dataclasses import replace

    from torchinf_core.runtimes import Derived
    from torchinf_core.types import StoredFile

    def build() -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten()
        )

    signature = Signature((TensorSpec("x", "float32", ("batch", 3, 8, 8)),))
    architecture = Architecture(name="small", signature=signature, build=build)
    artifact = artifact_of(tmp_path, {}, architecture=architecture)
    offered = {one.label: one for one in candidates(artifact, "cpu", LoadOptions())}
    candidate = offered[f"{kind}, fp32"]
    files: tuple[StoredFile, ...] = ()
    folder = tmp_path / "derived"
    folder.mkdir()
    if candidate.build is not None:
        candidate.build(folder)
        files = tuple(
            StoredFile(path.name, path.stat().st_size, "0" * 64) for path in folder.iterdir()
        )
        assert [file.path for file in files] == ["model.pt2"]
    derived = Derived(
        "torch", kind, candidate.format, "cpu", "fp32", candidate.options, {}, "", "", files
    )
    form = replace(artifact, directory=folder, derived=derived, parent=artifact)
    eager, compiled = load(artifact), load(form)
    for batch in (1, 2, 5):
        given = np.random.default_rng(batch).standard_normal((batch, 3, 8, 8), dtype=np.float32)
        np.testing.assert_allclose(compiled.predict(given), eager.predict(given), atol=1e-5)
    assert compiled._module is None or kind == "torch.compile"
