"""The forms that are offered: they build, load, and give what the model gives."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

import torchinf_onnx
from torchinf_core.errors import FormatError, LoadError
from torchinf_core.runtimes import (
    Architecture,
    Artifact,
    Candidate,
    LoadOptions,
    Signature,
    TensorSpec,
)
from torchinf_core.settings import Settings
from torchinf_core.settings.run import RunSettings
from torchinf_onnx import candidates, devices

Offer = Callable[..., dict[str, Candidate]]


@pytest.fixture
def offer(host: Any) -> Offer:
    def run(artifact: Artifact, device: str = "cpu", **options: Any) -> dict[str, Candidate]:
        found = torchinf_onnx.optimize(artifact, device, LoadOptions(**options), host)
        return {candidate.precision: candidate for candidate in found}

    return run


@pytest.fixture
def layers(graph: Any) -> Any:
    """A graph with something to fold, to fuse and to quantise; its weights are the caller's."""

    def run(tensor: Any = None) -> Any:
        values = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
        tensor = tensor or numpy_helper.from_array(values, "w")
        nodes = [
            helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "t"], ["m"]),
            helper.make_node("Add", ["m", "b"], ["a"]),
            helper.make_node("Sigmoid", ["a"], ["s"]),
            helper.make_node("Mul", ["a", "s"], ["y"]),
        ]
        bias = numpy_helper.from_array(np.ones(64, np.float32), "b")
        return graph(nodes, {"x": ["batch", 64]}, {"y": ["batch", 64]}, [tensor, bias])

    return run


X = np.random.default_rng(1).standard_normal((3, 64), dtype=np.float32)


def test_a_graph_optimised_in_advance_gives_the_same_and_is_not_optimised_again(
    make, load, offer, derive, layers, capfd
):
    artifact = make(layers())
    expected = load(artifact).predict(X)
    found = offer(artifact)["fp32"]
    assert (found.label, found.distributions) == ("ONNX Runtime fp32", ("onnxruntime",))
    derived = derive(artifact, found)
    with load(derived) as predictor:
        assert np.allclose(predictor.predict(X), expected, rtol=1e-6)
        options = predictor.session.get_session_options()
        assert options.graph_optimization_level.name == "ORT_DISABLE_ALL"
    assert (derived.directory / "model.onnx").read_bytes() != artifact.path("m.onnx").read_bytes()
    assert capfd.readouterr() == ("", "")


def test_weights_beside_the_graph_stay_beside_the_optimised_one(
    make, load, offer, derive, layers, graph
):
    values = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
    tensor = numpy_helper.from_array(values, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="w.data")
    artifact = make(layers(tensor), w__data=values.tobytes())
    expected = load(artifact).predict(X)
    for precision, tolerance in (("fp32", 1e-5), ("int8", 0.5)):
        derived = derive(artifact, offer(artifact)[precision])
        assert [file.path for file in derived.files] == ["model.onnx", "model.onnx.data"]
        assert np.allclose(load(derived).predict(X), expected, atol=tolerance)


def test_8_bit_weights_build_run_and_come_near(make, load, offer, derive, layers, capfd):
    artifact = make(layers())
    expected = load(artifact).predict(X)
    handlers = logging.root.handlers[:]
    derived = derive(artifact, offer(artifact)["int8"])
    found = load(derived)
    assert found.precision == "int8"
    error = np.abs(found.predict(X) - expected).max() / np.abs(expected).max()
    assert 0 < error < 0.05
    assert logging.root.handlers == handlers
    assert capfd.readouterr() == ("", "")


def test_8_bit_weights_are_for_those_who_tolerate_them(make, offer, layers):
    artifact = make(layers())
    assert offer(artifact)["int8"].thorough
    tolerant = Settings(run=RunSettings(tolerance=0.05))
    assert not offer(artifact, settings=tolerant)["int8"].thorough


def test_nothing_to_quantise_is_said(make, offer, graph, tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    artifact = make(graph(nodes, {"x": [1]}, {"y": [1]}))
    build = offer(artifact)["int8"].build
    assert build is not None
    with pytest.raises(FormatError, match="no matrix product"):
        build(tmp_path)


def test_a_hostile_graph_is_not_opened_to_be_optimised(make, offer, linear, tmp_path):
    artifact = make(linear(location="../secret"))
    for candidate in offer(artifact).values():
        assert candidate.build is not None
        with pytest.raises(FormatError, match="reads another file"):
            candidate.build(tmp_path)


def test_what_can_not_be_offered_is_not(make, offer, layers, monkeypatch):
    artifact = make(layers())
    assert not offer(artifact, "mps")
    assert not offer(artifact, precision="bf16")
    assert set(offer(artifact, "cuda:0")) == {"fp32"}
    monkeypatch.setattr(devices, "package", lambda: None)
    assert not offer(artifact)


class Net:
    """A description of a torch module and its checkpoint, as a source gives it."""

    def __init__(self, directory: Path, build: Any, shape: tuple[int, ...]) -> None:
        import torch

        torch.manual_seed(0)
        self.module = build().eval()
        self.shape = shape
        directory.mkdir()
        torch.save(self.module.state_dict(), directory / "w.pth")
        self.architecture = Architecture(
            name="net",
            signature=Signature(
                (TensorSpec("x", "float32", ("batch", *shape)),),
                (TensorSpec("scores", "float32", ("batch", "classes")),),
            ),
            build=build,
            weights=("w.pth",),
            examples=self.examples,
        )

    def examples(self, batch: int) -> dict[str, Any]:
        random = np.random.default_rng(0)
        return {"x": random.standard_normal((batch, *self.shape), dtype=np.float32)}

    def expected(self, batch: int) -> Any:
        import torch

        with torch.inference_mode():
            return self.module(torch.from_numpy(self.examples(batch)["x"])).numpy()


@pytest.fixture
def described(artifact_of: Any, tmp_path: Path) -> Any:
    def run(build: Any, shape: tuple[int, ...]) -> tuple[Net, Artifact]:
        net = Net(tmp_path / "net", build, shape)
        artifact = artifact_of(tmp_path / "net", "torch", describable=True)
        return net, replace(artifact, describe=lambda: net.architecture)

    return run


@pytest.mark.slow
def test_a_resnet_is_exported_and_agrees_with_torch(described, load, offer, derive, capfd):
    torchvision = pytest.importorskip("torchvision")
    net, artifact = described(torchvision.models.resnet18, (3, 64, 64))
    found = offer(artifact)
    derived = derive(artifact, found["fp32"])
    with load(derived) as predictor:
        assert str(predictor.signature) == (
            "(x: float32[batch, 3, 64, 64]) -> (scores: float32[batch, 1000])"
        )
        for batch in (1, 2, 5):
            x, expected = net.examples(batch)["x"], net.expected(batch)
            assert np.abs(predictor.predict(x) - expected).max() <= 1e-4 * np.abs(expected).max()
    with load(derive(artifact, found["int8"])) as predictor:
        difference = np.abs(predictor.predict(x) - expected).max()
        assert difference < 0.1 * np.abs(expected).max()
    assert capfd.readouterr() == ("", "")


def test_inputs_by_keyword_and_a_sequence_of_any_length_are_exported(
    artifact_of, load, offer, derive, tmp_path
):
    import torch

    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(20, 8)
            self.head = torch.nn.Linear(8, 3)

        def forward(self, ids: Any, other: Any = None, mask: Any = None) -> Any:
            seen = self.table(ids) * mask.unsqueeze(-1)
            return {"logits": self.head(seen.sum(1) / mask.sum(1, keepdim=True)), "seen": seen}

    def examples(batch: int, length: int = 6) -> dict[str, Any]:
        ids = np.random.default_rng(0).integers(0, 20, (batch, length))
        return {"ids": ids, "mask": np.ones((batch, length), np.int64)}

    torch.manual_seed(0)
    module = Reader().eval()
    (tmp_path / "net").mkdir()
    torch.save(module.state_dict(), tmp_path / "net/w.pth")
    axes = ("batch", "sequence")
    architecture = Architecture(
        name="reader",
        signature=Signature(
            (TensorSpec("ids", "int64", axes), TensorSpec("mask", "int64", axes)),
            (TensorSpec("logits", "float32", ("batch", 3)),),
        ),
        build=Reader,
        weights=("w.pth",),
        examples=examples,
    )
    artifact = artifact_of(tmp_path / "net", "torch", describable=True)
    artifact = replace(artifact, describe=lambda: architecture)
    with load(derive(artifact, offer(artifact)["fp32"])) as predictor:
        assert predictor.signature == architecture.signature
        for batch, length in ((1, 1), (2, 6), (3, 17)):
            feeds = examples(batch, length)
            with torch.inference_mode():
                given = {name: torch.from_numpy(array) for name, array in feeds.items()}
                expected = module(**given)["logits"].numpy()
            assert np.allclose(predictor.predict(feeds), expected, atol=1e-5)


def test_tied_weights_are_exported_as_they_are(described, load, offer, derive):
    import torch

    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(8, 8, bias=False)
            self.second = torch.nn.Linear(8, 8, bias=False)
            self.second.weight = self.first.weight
            self.register_buffer("shift", torch.full((8,), 3.0), persistent=False)

        def forward(self, x: Any) -> Any:
            return {"other": x, "scores": self.second(self.first(x)) + self.shift}

    net, artifact = described(Tied, (8,))
    state = net.module.state_dict()
    state.pop("second.weight")
    torch.save(state, artifact.directory / "w.pth")
    with torch.inference_mode():
        expected = net.module(torch.from_numpy(net.examples(3)["x"]))["scores"].numpy()
    with load(derive(artifact, offer(artifact)["fp32"])) as predictor:
        assert np.allclose(predictor.predict(net.examples(3)["x"]), expected, atol=1e-5)


def test_weights_that_do_not_fit_are_an_error_and_no_random_model(described, offer, tmp_path):
    import torch

    net, artifact = described(lambda: torch.nn.Linear(4, 2), (4,))
    torch.save({"bias": net.module.bias.detach()}, artifact.directory / "w.pth")
    build = offer(artifact)["fp32"].build
    assert build is not None
    with pytest.raises(LoadError, match="lack 'weight'"):
        build(tmp_path)


def test_a_checkpoint_with_code_in_it_is_not_run(described, offer, tmp_path):
    import pickle

    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "owned"),)

    _, artifact = described(lambda: torch.nn.Linear(4, 2), (4,))
    torch.save({"weight": Evil()}, artifact.directory / "w.pth")
    build = offer(artifact)["fp32"].build
    assert build is not None
    with pytest.raises((LoadError, pickle.UnpicklingError)):
        build(tmp_path)
    assert not (tmp_path / "owned").exists()


def test_what_the_exporter_can_not_follow_is_an_error(described, offer, tmp_path, capfd):
    import torch

    class Branching(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x if float(x.sum()) > 0 else -x

    _, artifact = described(Branching, (4,))
    build = offer(artifact)["fp32"].build
    assert build is not None
    with pytest.raises(LoadError, match="PyTorch can't export 'm'"):
        build(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_without_the_exporters_packages_a_note_says_what_to_install(
    described, offer, host, monkeypatch
):
    import torch

    _, artifact = described(lambda: torch.nn.Linear(4, 2), (4,))
    monkeypatch.setattr(candidates, "find_spec", lambda name: None if name == "onnxscript" else 1)
    assert not offer(artifact)
    assert host.notes == ("exporting to ONNX needs onnxscript: pip install onnxscript",)
