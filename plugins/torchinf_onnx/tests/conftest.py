"""Small graphs made on the spot, artifacts around them, and the plugin's load in one step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import torchinf_onnx
from torchinf_core.host import Host
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Artifact, Candidate, Derived, LoadOptions
from torchinf_core.settings import Settings
from torchinf_core.types import Record, StoredFile, Trust

Load = Callable[..., Predictor]


def stored(directory: Path) -> tuple[StoredFile, ...]:
    files = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            name, digest = path.relative_to(directory).as_posix(), hashlib.sha256(content)
            kind = {".onnx": "onnx", ".pth": "torch"}.get(path.suffix)
            files.append(StoredFile(name, len(content), digest.hexdigest(), kind))
    return tuple(files)


def make_artifact(directory: Path, kind: str | None = "onnx", **fields: Any) -> Artifact:
    record = Record(
        name="m",
        source="test",
        ref="test:m",
        model_id="m",
        requested_revision=None,
        revision=None,
        files=stored(directory),
        generation="0" * 64,
        format=kind,
        trust=Trust.DATA,
        trusted=None,
        verified="recorded",
        task=None,
        description=None,
        license=None,
        tags=(),
        metadata={},
        request_key="0" * 64,
        created="2026-01-01T00:00:00Z",
        updated="2026-01-01T00:00:00Z",
        torchinf_version="0",
    )
    return Artifact(record, directory, **fields)


def make_derived(parent: Artifact, candidate: Candidate, directory: Path) -> Artifact:
    """What the core makes of a candidate: built, and with its files as the artifact's."""
    directory.mkdir()
    assert candidate.build is not None
    candidate.build(directory)
    derived = Derived(
        runtime="onnx",
        label=candidate.label,
        format=candidate.format,
        device="cpu",
        precision=candidate.precision,
        options=candidate.options,
        versions={},
        hardware="",
        parent=parent.record.generation,
        files=stored(directory),
    )
    return replace(parent, directory=directory, derived=derived, parent=parent)


def linear(width: int = 4, outputs: int = 2, seed: int = 0, **weights: Any) -> onnx.ModelProto:
    """``y = relu(x @ w)`` for any batch; w is external with ``location=...``."""
    values = np.random.default_rng(seed).standard_normal((width, outputs), dtype=np.float32)
    tensor = numpy_helper.from_array(values, "w")
    if weights:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in weights.items():
            tensor.external_data.add(key=key, value=str(value))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Relu", ["p"], ["y"])]
    return graph(nodes, {"x": ["batch", width]}, {"y": ["batch", outputs]}, [tensor])


def graph(
    nodes: list[Any],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    tensors: list[Any] = (),  # type: ignore[assignment]
) -> onnx.ModelProto:
    """A model whose inputs and outputs are float32, or ``(type, shape)``."""

    def info(name: str, shape: Any) -> Any:
        kind, axes = shape if isinstance(shape, tuple) else (TensorProto.FLOAT, shape)
        return helper.make_tensor_value_info(name, kind, axes)

    made = helper.make_graph(
        nodes,
        "g",
        [info(*item) for item in inputs.items()],
        [info(*item) for item in outputs.items()],
        list(tensors),
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(Settings(), "onnx") as made:
        yield made


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Artifact]:
    def run(*models: onnx.ModelProto | bytes, **files: bytes) -> Artifact:
        directory = tmp_path / "model"
        directory.mkdir()
        for number, model in enumerate(models):
            content = model if isinstance(model, bytes) else model.SerializeToString()
            (directory / f"m{number or ''}.onnx").write_bytes(content)
        for name, content in files.items():
            (directory / name.replace("__", ".")).write_bytes(content)
        return make_artifact(directory)

    return run


@pytest.fixture
def load(host: Host) -> Iterator[Load]:
    made: list[Predictor] = []

    def run(artifact: Artifact, device: str = "auto", **options: Any) -> Predictor:
        claim = replace(torchinf_onnx.claim(artifact, device), runtime="onnx")
        assert claim.score, claim.reason
        made.append(torchinf_onnx.load(artifact, claim, LoadOptions(**options), host))
        return made[-1]

    yield run
    for predictor in made:
        predictor.close()


# Builders as fixtures, for test modules can't import this one.
@pytest.fixture(name="linear")
def linear_fixture() -> Any:
    return linear


@pytest.fixture(name="graph")
def graph_fixture() -> Any:
    return graph


@pytest.fixture(name="artifact_of")
def artifact_fixture() -> Any:
    return make_artifact


@pytest.fixture(name="derive")
def derive_fixture(tmp_path: Path) -> Any:
    def run(parent: Artifact, candidate: Candidate) -> Artifact:
        return make_derived(parent, candidate, tmp_path / candidate.precision)

    return run
