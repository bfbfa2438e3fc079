"""The command line in this process: what it printed, and its exit status."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from torchinf_core import ModelDownloader
from torchinf_core.cli.run import run

FILES = {"config.json": b'{"a": 1}', "weights.bin": b"p" * 5000}


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def stream(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def torchinf(store, capsys):
    def torchinf(*argv: str) -> Ran:
        capsys.readouterr()
        status = run(argv)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return torchinf


@pytest.fixture
def stocked(zoo, torchinf):
    """A zoo with two models, both downloaded."""
    zoo.add("tiny", {"weights.bin": b"w" * 5000}, task="testing", license="mit")
    zoo.add("pair", FILES)
    assert torchinf("download", "zoo:tiny").status == 0
    assert torchinf("download", "zoo", "pair", "--tag", "two").status == 0
    return zoo


class Toys:
    """A store with a model for each kind of input, and the runtime that plays with them."""

    def __init__(self, module, hub):
        self.module = module
        self.hub = hub

    @property
    def batches(self):
        """Sizes of the batches so far; forgotten by asking."""
        found = list(self.module.BATCHES)
        self.module.BATCHES.clear()
        return found


@pytest.fixture
def toys(tmp_path, hub, store, monkeypatch, request):
    """The only plugin is ``toys``; ``text``, ``image``, ``mapping`` and ``sum`` are stored."""
    folder = tmp_path / "site"
    name = f"toys_of_{abs(hash(request.node.nodeid))}"
    info = folder / "toys-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(Path(__file__).with_name("toys.py").read_text())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[torchinf.v1]\ntoys = {name}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("TORCHINF_DISABLE", "url,torchvision,hub,hf,torch,cuda,onnx,tensorrt,serve")
    monkeypatch.setenv("TORCHINF_TOYS_HOST", hub.url("").rstrip("/"))
    monkeypatch.delitem(sys.modules, name, raising=False)
    downloader = ModelDownloader()
    for model in ("text", "image", "mapping", "sum"):
        hub.add(f"/{model}/toy.json", b"[1, 2, 3, 4]")
        downloader.download(f"toybox:{model}")
    monkeypatch.chdir(tmp_path)
    return Toys(importlib.import_module(name), hub)


@pytest.fixture
def pictures(tmp_path):
    """A folder with a red, a green and a blue picture, and one that is none."""
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for place, color in (("a.png", "red"), ("b.png", "lime"), ("more/c.png", "blue")):
        image.new("RGB", (8, 8), color).save(folder / place)
    (folder / "notes.md").write_text("no picture")
    return folder
