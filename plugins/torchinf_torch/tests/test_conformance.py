"""The plugin keeps the contract, for weights whose architecture is told and for programs."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import torchinf_torch
from torchinf_core import Architecture, Signature, TensorSpec
from torchinf_core.testing import RuntimeConformance

X = torch.linspace(-1, 1, 12).reshape(4, 3)


class Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.line(x))


def net() -> torch.nn.Module:
    """The same one each time."""
    torch.manual_seed(0)
    return Line().eval()


class Lines(RuntimeConformance):
    plugin = torchinf_torch

    def examples(self) -> Any:
        with torch.inference_mode():
            return {"x": X.numpy()}, {"y": net()(X).numpy()}

    def architecture(self) -> Architecture:
        signature = Signature(
            (TensorSpec("x", "float32", ("batch", 3)),), (TensorSpec("y", "float32", ("batch", 2)),)
        )
        return Architecture(name="line", build=net, signature=signature)


class TestWeights(Lines):
    format = "safetensors"

    def write_model(self, folder: Path) -> None:
        save_file(net().state_dict(), folder / "model.safetensors")


class TestCheckpoint(Lines):
    format = "torch"

    def write_model(self, folder: Path) -> None:
        torch.save(net().state_dict(), folder / "model.pt")


class TestExported(Lines):
    format = "torch-export"

    def write_model(self, folder: Path) -> None:
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(net(), (X,), dynamic_shapes=({0: batch},))
        torch.export.save(program, folder / "model.pt2")

    def examples(self) -> Any:
        inputs, outputs = super().examples()
        return inputs, {"tanh": outputs["y"]}  # exporting names outputs by what makes them
