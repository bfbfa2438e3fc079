"""A runtime and a source for models of numpy alone, installed as pip would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core import ModelDownloader
from torchinf_core.types import Record

if TYPE_CHECKING:
    from conftest import Shelf

PLUGIN = """
import json
import os
import threading
from torchinf_core import (
    Architecture, Claim, Plan, Predictor, Signature, SourceInfo, TensorSpec, hookimpl
)

LOADS = []
STARTED = threading.Event()
GO = threading.Event()
GO.set()
SPECS = (TensorSpec("x", "float32", ("batch", 4)),)


@hookimpl
def sources():
    yield SourceInfo("toybox", ("toybox",), "Toys", ("toybox:toy",))


@hookimpl
def resolve(ref):
    return Plan(ref, ref.locator, ())


@hookimpl
def trusts(record, host):
    return record.name in (host.setting("trusted") or ())


@hookimpl
def architecture(artifact, ref):
    def pipeline(run):
        def answer(items, options):
            import numpy as np
            rows = np.stack([np.full(4, len(item), np.float32) for item in items])
            if "lose" in options:
                return []
            if any(item == "boom" for item in items):
                raise RuntimeError("boom")
            found = run({"x": rows})["y"]
            return [{"label": item, "score": float(y)} for item, y in zip(items, found)]
        return answer
    return Architecture(
        name=f"toy {ref.locator}", signature=Signature(SPECS), kind="text", pipeline=pipeline,
        options=("lose",), whole="whole" in artifact.name,
    )


@hookimpl
def claim(artifact, device):
    if os.environ.get("TOY_CLAIM") == "raise":
        raise ZeroDivisionError("no idea")
    if device not in ("auto", "cpu", "cuda:1"):
        return Claim(0, device, f"there is no {device} here")
    if artifact.format != "toy":
        return Claim(0, "cpu", "it reads toys alone", hint="give it a toy")
    if device == "cuda:1":
        return Claim(0, device, "there is no GPU here")
    return Claim(100, "cpu", "made for toys")


class Toy(Predictor):
    def __init__(self, artifact, claim, options):
        super().__init__(
            artifact, claim, Signature(SPECS, (TensorSpec("y", "float32", ("batch",)),)), options
        )
        import numpy as np
        [file] = artifact.having("toy")
        self.weights = np.array(json.loads(artifact.path(file).read_text()), np.float32)
        self.threads = options.threads
        self.released = 0

    def run(self, feeds):
        y = feeds["x"] @ self.weights
        if (feeds["x"] == 666).any():
            raise MemoryError
        return {"y": y}

    def release(self):
        self.released += 1


@hookimpl
def load(artifact, claim, options):
    LOADS.append(artifact.name)
    STARTED.set()
    GO.wait(60)
    return None if artifact.name == "nothing" else Toy(artifact, claim, options)
"""
FIRST_PARTY = "url,torchvision,hub,hf,torch,cuda,onnx,tensorrt"


class Box:
    """A store of toys, and the runtime that plays with them."""

    def __init__(self, shelf: Shelf, module: Any) -> None:
        self.shelf = shelf
        self.module = module
        self.downloader = ModelDownloader(shelf.store.root)

    def add(self, name: str, weights: Any = (1, 2, 3, 4), **fields: Any) -> Record:
        """Publish a toy."""
        given: Mapping[str, Any] = {"source": "toybox", "format": "toy", **fields}
        record = self.shelf.record(name, {"toy.json": b""}, **given)
        from dataclasses import replace

        content = json.dumps(list(weights)).encode()
        made = self.shelf.record(name, {"toy.json": content}, **given)
        self.shelf.store.prepare()
        self.shelf.blob(content)
        files = tuple(replace(file, format="toy") for file in made.files)
        record = replace(made, files=self.shelf.store.materialise(name, files))
        self.shelf.registry.put(record)
        return record

    def again(self, **settings: Any) -> ModelDownloader:
        """A downloader with other settings, or with the environment as it is now."""
        self.downloader = ModelDownloader(self.shelf.store.root, **settings)
        return self.downloader


@pytest.fixture
def toys(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Box:
    """The plugin ``toys`` is the only runtime, and ``toybox`` the only source."""
    import importlib
    import sys

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
    return Box(shelf, importlib.import_module(name))
