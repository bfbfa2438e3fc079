"""The plugin keeps the contract: in its bids everywhere, and in the rest where a GPU is."""

from pathlib import Path
from typing import Any

import torch

import torchinf_cuda
from torchinf_core import Architecture, Signature, TensorSpec
from torchinf_core.testing import RuntimeConformance
from torchinf_torch import devices


def net() -> torch.nn.Module:
    """The same one each time."""
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2).eval()


class TestCuda(RuntimeConformance):
    plugin, format = torchinf_cuda, "torch"
    hardware = "" if devices.count_gpus() else "an NVIDIA GPU"

    def write_model(self, folder: Path) -> None:
        torch.save(net().state_dict(), folder / "model.pt")

    def architecture(self) -> Architecture:
        signature = Signature(
            (TensorSpec("input", "float32", ("batch", 3)),),
            (TensorSpec("y", "float32", ("batch", 2)),),
        )
        return Architecture(name="line", build=net, signature=signature)

    def examples(self) -> Any:
        x = torch.linspace(-1, 1, 12).reshape(4, 3)
        with torch.inference_mode():
            return {"input": x.numpy()}, {"y": net()(x).numpy()}
