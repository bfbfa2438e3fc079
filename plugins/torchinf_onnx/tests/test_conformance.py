"""The plugin keeps the contract, with a small graph made on the spot."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import torchinf_onnx
from torchinf_core.testing import RuntimeConformance

SLOPE = np.arange(1, 7, dtype="float32").reshape(3, 2)


class TestOnnx(RuntimeConformance):
    plugin, format = torchinf_onnx, "onnx"

    def write_model(self, folder: Path) -> None:
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "slope"], ["product"]),
                helper.make_node("Tanh", ["product"], ["y"]),
            ],
            "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
            [numpy_helper.from_array(SLOPE, "slope")],
        )
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "m.onnx")

    def examples(self) -> Any:
        x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
        return {"x": x}, {"y": np.tanh(x @ SLOPE)}
