"""What happens around a module on a GPU, with a processor in the place of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from torchinf_core.errors import DeviceError, LoadError, OptionError
from torchinf_core.plugins.results import check_candidates
from torchinf_core.runtimes import Artifact, Claim, LoadOptions
from torchinf_cuda.graphs import MOST, Graphs
from torchinf_cuda.loading import load_predictor
from torchinf_cuda.optimizing import candidates, offers
from torchinf_cuda.predictor import PINNED, CudaPredictor, to_gpu
from torchinf_torch import devices

Make = Callable[..., Artifact]
X = np.arange(8, dtype=np.float32).reshape(2, 4)


def load(artifact: Artifact, options: LoadOptions | None = None) -> CudaPredictor:
    return load_predictor(
        artifact, Claim(300, "cuda:0", "x", runtime="cuda"), options or LoadOptions()
    )


@pytest.fixture
def wanted(artifact_of: Make, stand_in: Any) -> np.ndarray[Any, Any]:
    made: np.ndarray[Any, Any] = load(artifact_of()).predict(X)
    return made


def test_arrays_tensors_lists_and_names_give_the_same(
    artifact_of: Make, stand_in: Any, wanted: Any
) -> None:
    predictor = load(artifact_of())
    assert (predictor.device, predictor.runtime, predictor.precision) == ("cuda:0", "cuda", "fp32")
    for inputs in (X, torch.from_numpy(X), X.tolist(), {"x": X}):
        np.testing.assert_allclose(np.asarray(predictor.predict(inputs)), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "precision"),
    [({"precision": "bf16"}, "bf16"), ({"precision": "fp32", "autocast": "bf16"}, "bf16")],
)
def test_short_types_take_and_give_float32(
    artifact_of: Make,
    stand_in: Any,
    wanted: Any,
    options: dict[str, Any],
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda _kind, dtype: real("cpu", dtype=dtype))
    predictor = load(artifact_of(**options))
    assert predictor.precision == precision
    made = predictor.predict(X)
    assert made.dtype == np.float32
    assert predictor.predict(torch.from_numpy(X)).dtype is torch.float32
    assert not np.array_equal(made, wanted)
    np.testing.assert_allclose(made, wanted, rtol=0.05, atol=0.05)


def test_autocast_knows_two_types(artifact_of: Make, stand_in: Any) -> None:
    with pytest.raises(OptionError, match="not 'int8'"):
        load(artifact_of(autocast="int8"))


def test_running_out_of_memory_is_a_device_error_and_frees_what_is_kept(
    artifact_of: Make, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Greedy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            text = "CUDA out of memory. Tried to allocate 9.00 GiB. of which 1.00 GiB is free"
            raise torch.cuda.OutOfMemoryError(text)

    freed: list[bool] = []
    predictor = load(artifact_of(Greedy))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(True))
    for inputs in (X, torch.from_numpy(X), {"x": X}):
        with pytest.raises(DeviceError, match=r"needs 9.00 GiB more on cuda:0, which has 1.00 GiB"):
            predictor.predict(inputs)
    assert len(freed) == 3
    predictor.close()
    assert len(freed) == 4
    with pytest.raises(LoadError, match="closed"):
        predictor.predict(X)


def test_running_out_of_memory_while_loading_is_a_device_error(
    artifact_of: Make, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to(*_: Any, **__: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")

    monkeypatch.setattr(torch.nn.Linear, "to", to)
    with pytest.raises(DeviceError, match=r"'tiny' needs 3.00 GiB more on cuda:0"):
        load(artifact_of())


def test_a_model_that_is_too_large_tells_what_is_free(
    artifact_of: Make, stand_in: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in["cpu"] = 10
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DeviceError, match="needs 40 B for its weights, and of that cpu has 9 B"):
        load(artifact_of())


class Cpu:
    """As a tensor on the processor answers, as far as a transfer asks."""

    device = SimpleNamespace(type="cpu")

    def __init__(self, size: int, *, pinned: bool = False) -> None:
        self.size, self.pinned, self.log = size, pinned, list[Any]()

    def numel(self) -> int:
        return self.size

    def element_size(self) -> int:
        return 1

    def is_pinned(self) -> bool:
        return self.pinned

    def pin_memory(self) -> Cpu:
        self.log.append("pinned")
        return self

    def to(self, device: str, *, non_blocking: bool) -> list[Any]:
        return [*self.log, device, non_blocking]


def test_large_inputs_are_pinned_and_small_ones_are_not() -> None:
    assert to_gpu(Cpu(PINNED), "gpu") == ["pinned", "gpu", True]
    assert to_gpu(Cpu(PINNED - 1), "gpu") == ["gpu", False]
    assert to_gpu(Cpu(PINNED, pinned=True), "gpu") == ["gpu", True]


class Recorder:
    """CUDA graphs as far as they are asked for, replayed by computing once more."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.captured, self.replayed = fails, 0, 0
        self.cuda = SimpleNamespace(
            Stream=lambda: SimpleNamespace(wait_stream=lambda _other: None),
            current_stream=lambda: SimpleNamespace(wait_stream=lambda _other: None),
            stream=lambda _stream: nullcontext(),
            CUDAGraph=lambda: SimpleNamespace(replay=self._replay),
            graph=self._capture,
        )
        self.Tensor = torch.Tensor
        self.last: Any = None

    @contextmanager
    def _capture(self, _graph: Any, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.captured += 1
        yield

    def _replay(self) -> None:
        self.replayed += 1
        source, output = self.last
        output.copy_(source * 2)

    def call(self, x: torch.Tensor) -> torch.Tensor:
        output = x * 2
        self.last = (x, output)
        return output


def test_a_shape_is_recorded_once_and_replayed() -> None:
    fake = Recorder()
    graphs = Graphs(fake, fake.call, torch.clone)
    first = graphs(torch.ones(3))
    second = graphs(torch.full((3,), 5.0))
    assert first.tolist() == [2.0] * 3
    assert second.tolist() == [10.0] * 3
    assert (fake.captured, fake.replayed) == (1, 2)
    graphs(torch.ones(4))
    assert fake.captured == 2
    graphs.clear()
    graphs(torch.ones(4))
    assert fake.captured == 3


def test_more_shapes_than_are_kept_run_without_a_graph() -> None:
    fake = Recorder()
    graphs = Graphs(fake, fake.call, torch.clone)
    for length in range(1, MOST + 3):
        assert graphs(torch.ones(length)).tolist() == [2.0] * length
    assert fake.captured == MOST


def test_what_cannot_be_recorded_runs_without_a_graph() -> None:
    fake = Recorder(fails=True)
    graphs = Graphs(fake, fake.call, torch.clone)
    for _ in range(2):
        assert graphs(torch.ones(3)).tolist() == [2.0] * 3
    assert (fake.captured, fake.replayed) == (0, 0)


def test_what_is_no_tensor_runs_without_a_graph() -> None:
    graphs = Graphs(Recorder(), lambda x, rate: x * rate, torch.clone)
    assert graphs(torch.ones(2), 3).tolist() == [3.0, 3.0]


def test_a_graph_goes_around_the_module(
    artifact_of: Make, stand_in: Any, wanted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Recorder(fails=True)
    for name in ("Stream", "current_stream", "stream", "CUDAGraph", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(fake.cuda, name))
    predictor = load(artifact_of(graph=True))
    np.testing.assert_allclose(predictor.predict(X), wanted, atol=1e-6)
    assert predictor._graphs is not None
    predictor.close()


def test_offers_are_bound_to_the_gpu_and_keep_the_precision_that_was_asked_for() -> None:
    found = check_candidates(offers({"fold": True}, "NVIDIA H100", LoadOptions(), bf16=True))
    assert [(one.label, one.precision, one.thorough) for one in found] == [
        ("CUDA, folded, fp32", "fp32", False),
        ("CUDA, CUDA graph, folded, fp32", "fp32", False),
        ("CUDA, autocast, folded, bf16", "bf16", False),
        ("CUDA, folded, bf16", "bf16", False),
        ("CUDA, CUDA graph, folded, bf16", "bf16", False),
        ("CUDA, torch.compile, folded, bf16", "bf16", True),
    ]
    assert {one.hardware for one in found} == {"NVIDIA H100"}
    assert {one.distributions for one in found} == {("torch",)}
    asked = check_candidates(offers({}, "NVIDIA T4", LoadOptions(precision="fp16"), bf16=False))
    assert {one.precision for one in asked} == {"fp16"}
    assert [o.options["precision"] for o in offers({}, "x", LoadOptions("fp32"), bf16=True)] == [
        "fp32"
    ]


def test_nothing_is_offered_without_a_gpu(
    artifact_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "count_gpus", lambda: 0)
    for device in ("auto", "cpu", "cuda"):
        assert list(candidates(artifact_of(), device, LoadOptions())) == []


def test_what_is_offered_for_a_gpu_that_is_there(
    artifact_of: Make, stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "count_gpus", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA T4")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    found = check_candidates(candidates(artifact_of(), "cuda", LoadOptions()))
    assert {one.precision for one in found} == {"fp32", "fp16"}
    assert {one.hardware for one in found} == {"NVIDIA T4"}
