"""Models that were downloaded, by the functions that people call."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from torchinf_core import NoRuntimeError, UntrustedError, load


def test_a_program_is_run_once_somebody_trusts_it() -> None:
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    path = str(Path(str(spec.origin)).parent / "data" / "silero_vad.jit")
    with pytest.raises(UntrustedError, match="nobody has trusted yet"):
        load(path)
    tone = (0.5 * np.sin(2 * np.pi * 220 * np.arange(512) / 16000)).astype(np.float32)[None]
    with load(path, trust=True) as model:
        assert (model.runtime, model.device) == ("torch", "cpu")
        np.testing.assert_allclose(model.predict((tone, 16000)), [[0.12335]], atol=1e-5, rtol=0)


def test_bare_weights_load_once_an_architecture_is_named(tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(0)
    module = torchvision.models.mobilenet_v2(weights=None).eval()
    torch.save(module.state_dict(), tmp_path / "m.pth")
    with pytest.raises(NoRuntimeError, match="nothing tells the architecture") as caught:
        load(str(tmp_path / "m.pth"))
    assert "--arch" in caught.value.hint
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        wanted = module(x)
    with load(str(tmp_path / "m.pth"), arch="torchvision:mobilenet_v2") as model:
        torch.testing.assert_close(model.predict(x), wanted, rtol=1e-4, atol=1e-5)
