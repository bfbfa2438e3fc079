"""The same for real; where there is no GPU, none of it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from torchinf_core.errors import DeviceError
from torchinf_core.runtimes import Artifact, LoadOptions, Signature, TensorSpec
from torchinf_cuda.bidding import bid
from torchinf_cuda.loading import load_predictor
from torchinf_cuda.optimizing import candidates
from torchinf_cuda.placing import plan, spread
from torchinf_torch import devices

pytestmark = pytest.mark.skipif(devices.count_gpus() == 0, reason="no NVIDIA GPU on this machine")

Make = Callable[..., Artifact]
IMAGE = Signature((TensorSpec("x", "float32", ("batch", 3, 64, 64)),))


def resnet() -> torch.nn.Module:
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None).eval()


def load(artifact: Artifact, device: str = "cuda") -> Any:
    return load_predictor(artifact, bid(artifact, device), LoadOptions())


def x(batch: int = 2) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal((batch, 3, 64, 64), dtype=np.float32)


def on_the_processor(given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode(), torch.random.fork_rng():
        return resnet()(torch.from_numpy(given)).numpy()


def test_resnet18_agrees_with_the_processor(artifact_of: Make) -> None:
    with load(artifact_of(resnet, IMAGE)) as predictor:
        for inputs in (x(), torch.from_numpy(x()), torch.from_numpy(x()).cuda()):
            made = predictor.predict(inputs)
            if isinstance(inputs, torch.Tensor):
                assert made.device == inputs.device
                made = made.cpu().numpy()
            known = on_the_processor(x())
            assert np.abs(made - known).max() < 5e-3 * np.abs(known).max()


def test_every_candidate_agrees_with_the_processor(artifact_of: Make) -> None:
    plain = artifact_of(resnet, IMAGE)
    name = torch.cuda.get_device_name(0)
    found = [one for one in candidates(plain, "cuda:0", LoadOptions()) if not one.thorough]
    assert len(found) == 5
    for candidate in found:
        options = dict(candidate.options)
        predictor = load(artifact_of(resnet, IMAGE, hardware=f"here; {name}", **options))
        for batch in (1, 2, 1):
            known = on_the_processor(x(batch))
            made = predictor.predict(x(batch))
            assert np.abs(made - known).max() < 0.1 * np.abs(known).max(), candidate.label
        predictor.close()


def test_memory_that_is_not_there_is_a_device_error(artifact_of: Make) -> None:
    class Greedy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.empty(1 << 42, device=x.device)

    predictor = load(artifact_of(Greedy))
    with pytest.raises(DeviceError, match=r"more on cuda:0, which has"):
        predictor.predict(np.ones((1, 4), np.float32))
    predictor.close()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two NVIDIA GPUs")
def test_a_model_over_two_gpus_computes_the_same() -> None:
    module = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(4))).eval()
    given = torch.randn(2, 64)
    with torch.inference_mode():
        known = module(given)
        size = 64 * 65 * 4
        parts = plan(module, {"cuda:0": 2 * size, "cuda:1": 2 * size})
        spread(torch, module, parts, torch.device("cuda:0"))
        made = module(given.cuda(0))
    assert made.device == torch.device("cuda:0")
    torch.testing.assert_close(made.cpu(), known, rtol=1e-3, atol=1e-4)
