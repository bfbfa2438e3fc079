"""The plugin keeps the contract in its bids; what it loads are engines that it built on a GPU."""

from pathlib import Path

import torchinf_tensorrt
from torchinf_core.testing import RuntimeConformance


class TestTensorRT(RuntimeConformance):
    plugin, format = torchinf_tensorrt, "onnx"
    hardware = "an engine that was built on an NVIDIA GPU"

    def write_model(self, folder: Path) -> None:
        (folder / "model.onnx").write_bytes(b"\x08\x07")
