"""A small convolution, artifacts around it, and engines of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from torchinf_core.host import Host
from torchinf_core.runtimes import Artifact, Derived
from torchinf_core.settings import Settings
from torchinf_core.types import Record, StoredFile, Trust


def stored(directory: Path) -> tuple[StoredFile, ...]:
    files = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            name, digest = path.relative_to(directory).as_posix(), hashlib.sha256(content)
            kind = {".onnx": "onnx", ".engine": "tensorrt"}.get(path.suffix)
            files.append(StoredFile(name, len(content), digest.hexdigest(), kind))
    return tuple(files)


def make_artifact(directory: Path, kind: str | None = "onnx", **fields: Any) -> Artifact:
    values: dict[str, Any] = dict.fromkeys(Record.__dataclass_fields__, "")
    values |= {"name": "m", "files": stored(directory), "format": kind, "trust": Trust.DATA}
    return Artifact(Record(**values), directory, **fields)


def convolution(axes: Any = ("batch", 3, 16, 16), **weights: str) -> onnx.ModelProto:
    """``y = relu(conv(x))``; its weights are external with ``location=...``."""
    values = np.random.default_rng(0).standard_normal((8, 3, 3, 3), dtype=np.float32)
    tensor = numpy_helper.from_array(values, "w")
    if weights:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in weights.items():
            tensor.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(axes))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [tensor],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(name="convolution")
def convolution_fixture() -> Any:
    return convolution


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Artifact]:
    def run(model: onnx.ModelProto | None = None, kind: str = "onnx", **files: bytes) -> Artifact:
        directory = tmp_path / "model"
        directory.mkdir()
        if model is not None:
            (directory / "m.onnx").write_bytes(model.SerializeToString())
        for name, content in files.items():
            (directory / name.replace("__", ".")).write_bytes(content)
        return make_artifact(directory, kind)

    return run


@pytest.fixture
def engine_of(tmp_path: Path) -> Callable[..., Artifact]:
    """A form of a model as the core keeps it, with this engine."""

    def run(content: bytes, **options: Any) -> Artifact:
        directory = tmp_path / "form"
        directory.mkdir()
        (directory / "model.engine").write_bytes(content)
        derived = Derived(
            runtime="tensorrt",
            label="TensorRT for RTX fp32",
            format="tensorrt",
            device="cuda:0",
            precision="fp32",
            options={"module": "tensorrt_rtx", "target": "", "gpu": "", **options},
            versions={},
            hardware="",
            parent="",
            files=stored(directory),
        )
        return make_artifact(directory, "onnx", derived=derived)

    return run


@pytest.fixture
def host() -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def run(**settings: Any) -> Host:
        made.append(Host(Settings(plugins={"tensorrt": settings}), "tensorrt"))
        return made[-1]

    yield run
    for each in made:
        each.__exit__()
