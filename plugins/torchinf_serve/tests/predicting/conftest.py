"""A toy runtime, a store of toys, and a real server with the prediction routes alone."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from torchinf_core import ModelDownloader, ModelManager
from torchinf_core.registry import Registry
from torchinf_core.store import Store, generation
from torchinf_core.types import Record, StoredFile, Trust
from torchinf_serve.config import Config
from torchinf_serve.metrics import Metrics
from torchinf_serve.predicting import Predictions

PLUGIN = """
import json
import threading
from torchinf_core import (
    Architecture, Claim, Plan, Predictor, Signature, SourceInfo, TensorSpec, hookimpl
)

SPECS = (TensorSpec("x", "float32", ("batch", 4)),)
LOADS = []
CALLS = []
ENTERED = threading.Semaphore(0)
GO = threading.Event()
GO.set()


@hookimpl
def sources():
    yield SourceInfo("toybox", ("toybox",), "Toys", ("toybox:toy",))


@hookimpl
def resolve(ref):
    return Plan(ref, ref.locator, ())


@hookimpl
def architecture(artifact, ref):
    kind = artifact.name.partition("-")[0]

    def pipeline(run):
        def answer(items, options):
            CALLS.append(len(items))
            ENTERED.release()
            GO.wait(60)
            if any(item == "boom" for item in items):
                raise RuntimeError("boom in /etc/passwd")
            def show(item):
                return item if isinstance(item, (str, dict)) else list(item.size)
            top = options.get("top", 1)
            return [[{"label": show(item), "score": float("nan")}] * top for item in items]
        return answer
    if kind not in ("text", "image", "mapping"):
        return Architecture(name="toy", signature=Signature(SPECS), build=dict)
    return Architecture(
        name="toy", signature=Signature(SPECS), kind=kind, pipeline=pipeline, options=("top",)
    )


@hookimpl
def claim(artifact, device):
    if artifact.name == "unloadable":
        return Claim(0, "cpu", "nobody reads /home/me/secret/that")
    return Claim(100 if artifact.format == "toy" else 0, "cpu", "made for toys")


class Toy(Predictor):
    def __init__(self, artifact, claim, options):
        outputs = (TensorSpec("y", "float32", ("batch",)),)
        super().__init__(artifact, claim, Signature(SPECS, outputs), options)
        import numpy as np
        [file] = artifact.having("toy")
        self.weights = np.array(json.loads(artifact.path(file).read_text()), np.float32)
        self.mixes = artifact.name == "mixing"

    def examples(self, batch=1):
        return {} if self.artifact.name == "unknown" else super().examples(batch)

    def run(self, feeds):
        x = feeds["x"]
        CALLS.append(len(x))
        ENTERED.release()
        GO.wait(60)
        if (x == 666).any():
            raise ValueError("666 is not a number in /home/ada/numbers.txt")
        y = x @ self.weights
        return {"y": y - y.mean() if self.mixes else y}


@hookimpl
def load(artifact, claim, options):
    LOADS.append(artifact.name)
    return Toy(artifact, claim, options)
"""
FIRST_PARTY = "url,torchvision,hub,hf,torch,cuda,onnx,tensorrt"


class Shop:
    """A store with models, and the toy runtime's module where there is one."""

    def __init__(self, root: Path, module: Any = None) -> None:
        self.module = module
        self.store = Store(root)
        self.registry = Registry(self.store)
        self.settings: dict[str, Any] = {}

    def add(self, name: str, path: str, content: bytes, kind: str, **fields: Any) -> Record:
        """Publish a model of one file."""
        self.store.prepare()
        digest = hashlib.sha256(content).hexdigest()
        with self.store.lease():
            part = self.store.partial(f"{digest[:32]}-{os.urandom(4).hex()}")
            Path(part).write_bytes(content)
            self.store.add_blob(part, digest)
            files = (StoredFile(path, len(content), digest, kind),)
            files = self.store.materialise(name, files)
            record = Record(
                **{
                    "name": name,
                    "source": "toybox",
                    "ref": f"toybox:{name}",
                    "model_id": name,
                    "requested_revision": None,
                    "revision": None,
                    "files": files,
                    "generation": generation(files),
                    "format": kind,
                    "trust": Trust.DATA,
                    "trusted": None,
                    "verified": "recorded",
                    "task": None,
                    "description": None,
                    "license": None,
                    "tags": (),
                    "metadata": {},
                    "request_key": hashlib.sha256(name.encode()).hexdigest(),
                    "created": "2026-01-01T00:00:00Z",
                    "updated": "2026-01-01T00:00:00Z",
                    "torchinf_version": "0",
                    **fields,
                }
            )
            self.registry.put(record)
        return record

    def toy(self, name: str, weights: Any = (1, 2, 3, 4), **fields: Any) -> Record:
        """Publish a toy: ``y = x @ weights``."""
        return self.add(name, "toy.json", json.dumps(list(weights)).encode(), "toy", **fields)

    def downloader(self) -> ModelDownloader:
        return ModelDownloader(self.store.root, **self.settings)


class Server:
    """A running server."""

    def __init__(self, predictions: Predictions, metrics: Metrics) -> None:
        self.predictions = predictions
        self.metrics = metrics
        self.url = ""
        self.loop: Any = None
        self.server: Any = None

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def predict(self, name: str, inputs: Any, **more: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(f"/models/{name}/predict", json={"inputs": inputs, **more})

    def waiting(self, name: str) -> int:
        return self.predictions.pool.ready[name].batcher.waiting

    def outcomes(self, name: str) -> dict[str, int]:
        return self.metrics.model(name).outcomes


Serve = Callable[..., contextlib.AbstractContextManager[Server]]


@contextlib.contextmanager
def serving(shop: Shop, **options: Any) -> Iterator[Server]:
    """A server in a thread, with the prediction routes of a shop's models."""
    metrics = Metrics()
    config = Config(**options)
    predictions = Predictions(ModelManager(shop.downloader()), config, metrics)
    running = Server(predictions, metrics)
    started = threading.Event()

    async def figures(scope: Any, receive: Any, send: Any) -> None:
        body, kind = metrics.render()
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        import asyncio

        running.loop = asyncio.get_running_loop()
        await predictions.startup()
        yield
        await predictions.shutdown(config.drain_seconds)

    class Told(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            running.url = f"http://127.0.0.1:{port}"
            started.set()

    rest = Starlette(lifespan=lifespan)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await rest(scope, receive, send)
        elif scope["path"] == "/metrics":
            await figures(scope, receive, send)
        else:
            await predictions(scope, receive, send)

    server = running.server = Told(
        uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield running
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[Shop]:
    """A shop of toys, whose runtime is the only one."""
    folder = tmp_path / "site"
    name = f"toys_of_{abs(hash(request.node.nodeid))}"
    info = folder / "toys-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[torchinf.v1]\ntoys = {name}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("TORCHINF_DISABLE", FIRST_PARTY)
    monkeypatch.delitem(sys.modules, name, raising=False)
    shop = Shop(tmp_path / "store", importlib.import_module(name))
    yield shop
    shop.module.GO.set()


@pytest.fixture
def graphs(tmp_path: Path) -> Shop:
    """A shop with real ONNX models: the voice detector of silero, and trees of surfaces."""
    shop = Shop(tmp_path / "store")
    for name, package, path in (
        ("silero", "silero_vad", "data/silero_vad.onnx"),
        ("trees", "surfaces_onnx_files", "gradient_boosting_regressor.onnx"),
    ):
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            pytest.skip(f"{package} is not installed")
        content = (Path(spec.submodule_search_locations[0]) / path).read_bytes()
        shop.add(name, "model.onnx", content, "onnx", source="url", ref=f"file:///{name}.onnx")
    return shop


@pytest.fixture
def tone() -> Mapping[str, Any]:
    """Inputs of silero whose output is known to be 0.1233494."""
    import numpy as np

    sound = 0.5 * np.sin(2 * np.pi * 220 * np.arange(512) / 16000)
    return {
        "input": np.concatenate([np.zeros(64), sound]).astype(np.float32)[None],
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(16000),
    }


@pytest.fixture
def shared_record() -> Any:
    return replace
