"""Running engines: against a stand-in for TensorRT's objects, and on a GPU where there is one."""

from __future__ import annotations

import ctypes
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import torchinf_tensorrt
from torchinf_core.errors import DeviceError, InputError, LoadError
from torchinf_core.runtimes import Claim, LoadOptions
from torchinf_tensorrt import targets
from torchinf_tensorrt.building import Order, build_engine
from torchinf_tensorrt.predictor import EnginePredictor
from torchinf_tensorrt.signatures import make_signature

pytest.importorskip("torch")
TRT = SimpleNamespace(TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"))


class Engine:
    """``y = 2 x``, for batches from 1 to 4, in the words of an ICudaEngine."""

    num_io_tensors = 2

    def get_tensor_name(self, place: int) -> str:
        return "xy"[place]

    def get_tensor_mode(self, name: str) -> str:
        return {"x": "in", "y": "out"}[name]

    def get_tensor_shape(self, _name: str) -> tuple[int, ...]:
        return (-1, 3)

    def get_tensor_dtype(self, _name: str) -> Any:
        return SimpleNamespace(name="FLOAT")

    def get_tensor_profile_shape(self, _name: str, _profile: int) -> Any:
        return (1, 3), (2, 3), (4, 3)


class Context:
    """Reads and writes what it was given the addresses of, as a GPU would."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.works = True
        self.busy = threading.Lock()

    def set_input_shape(self, _name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return len(shape) == 2 and 1 <= shape[0] <= 4 and shape[1] == 3

    def get_tensor_shape(self, _name: str) -> tuple[int, ...]:
        return self.shape

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, _stream: int) -> bool:
        assert self.busy.acquire(blocking=False), "two threads at once"
        count = int(np.prod(self.shape))
        x, y = (
            np.ctypeslib.as_array((ctypes.c_float * count).from_address(self.addresses[name]))
            for name in "xy"
        )
        y[:] = 2 * x
        self.busy.release()
        return self.works


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def predictor(engine_of: Any, context: Context) -> Any:
    engine = Engine()
    log: Any = SimpleNamespace(failure=lambda what: LoadError(f"{what}: it is a stand-in"))
    claim = Claim(310, "cpu", "test", runtime="tensorrt")
    signature = make_signature(TRT, engine)
    artifact = engine_of(b"")
    return EnginePredictor(artifact, claim, signature, LoadOptions(), engine, context, log)


def test_the_signature_is_the_engines(predictor):
    assert str(predictor.signature) == "(x: float32[batch, 3]) -> (y: float32[batch, 3])"


def test_arrays_go_in_and_come_out(predictor):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert predictor.predict(x).tolist() == (2 * x).tolist()
    assert predictor.predict([1, 2, 3]).tolist() == [2, 4, 6]
    assert predictor.predict(np.asfortranarray(x)).tolist() == (2 * x).tolist()
    assert len(predictor.predict_batch([[1, 2, 3]] * 9, batch_size=4)) == 9


def test_what_the_engine_was_not_built_for_is_said(predictor, context):
    with pytest.raises(InputError, match=r"from \(1, 3\) to \(4, 3\), and got \(5, 3\)"):
        predictor.predict(np.ones((5, 3), np.float32))
    with pytest.raises(InputError, match="float64"):
        predictor.predict(np.ones((1, 3)))
    context.works = False
    with pytest.raises(LoadError, match="failed on cpu: it is a stand-in"):
        predictor.predict(np.ones((1, 3), np.float32))


def test_threads_take_turns(predictor):
    from concurrent.futures import ThreadPoolExecutor

    rows = [np.full((1, 3), number, np.float32) for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        assert [a[0, 0] for a in pool.map(predictor.predict, rows)] == [2 * n for n in range(50)]


def test_a_closed_predictor_says_so(predictor):
    predictor.close()
    with pytest.raises(LoadError, match="'m' was closed"):
        predictor.predict(np.ones((1, 3), np.float32))


def test_too_little_memory_is_told_as_such(predictor, context, monkeypatch):
    def fail(*_: Any) -> bool:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(context, "execute_async_v3", fail)
    with pytest.raises(DeviceError, match="more memory than cpu has left"):
        predictor.predict(np.ones((1, 3), np.float32))


@pytest.mark.skipif(targets.count_gpus() == 0, reason="no NVIDIA GPU on this machine")
def test_an_engine_built_here_computes_what_its_graph_computes(make, convolution, engine_of):
    import onnxruntime

    artifact = make(convolution())
    engine = build_engine(Order(artifact.directory, "m.onnx", artifact.files))
    form = engine_of(engine)
    x = np.random.default_rng(0).standard_normal((3, 3, 16, 16), dtype=np.float32)
    session = onnxruntime.InferenceSession(artifact.path("m.onnx"))
    claim = torchinf_tensorrt.claim(form, "cuda")
    with torchinf_tensorrt.load(form, claim, LoadOptions()) as predictor:
        assert np.allclose(predictor.predict(x), session.run(None, {"x": x})[0], atol=1e-2)
