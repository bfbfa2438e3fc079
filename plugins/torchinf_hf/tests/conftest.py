import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings, load_settings
from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace
from torchinf_core.types import Plan


def make_safetensors(seed: int, size: int = 64) -> bytes:
    """A safetensors file with one tensor of that many random bytes."""
    entry = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"weight": entry}).encode()
    return struct.pack("<Q", len(header)) + header + random.Random(seed).randbytes(size)


def make_checkpoint(seed: int) -> bytes:
    """A small file in torch's format; torch itself is not needed to make one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {
            "archive/data.pkl": pickle.dumps({"seed": seed}, protocol=2),
            "archive/version": b"3\n",
        }.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def make_gguf(seed: int) -> bytes:
    """The fixed part of a GGUF header, and something behind it."""
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + bytes([seed]) * 64


@pytest.fixture(scope="session")
def safetensors() -> Callable[..., bytes]:
    return make_safetensors


@pytest.fixture(scope="session")
def checkpoint() -> Callable[[int], bytes]:
    return make_checkpoint


@pytest.fixture(scope="session")
def gguf() -> Callable[[int], bytes]:
    return make_gguf


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who never logged in to the hub; their ``HF_HOME``."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGING", "TRANSFORMERS_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "hf-home"
    monkeypatch.setenv("HF_HOME", str(folder))
    # Where a token is kept is fixed when huggingface_hub is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr("torchinf_core.network.retry.sleep", lambda *_: None)
    return folder


@pytest.fixture
def hf(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> HuggingFace:
    """The hub that the plugin asks in place of the real one."""
    hf = HuggingFace(hub)
    monkeypatch.setenv("HF_ENDPOINT", hf.endpoint)
    return hf


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({}, cache_dir=str(tmp_path / "store"), retries=2)


@pytest.fixture
def downloader(settings: Settings) -> ModelDownloader:
    return ModelDownloader(cache_dir=settings.cache_dir, retries=2)


@pytest.fixture
def resolve(settings: Settings) -> Callable[..., Plan]:
    """Resolves as a download does: through the installed plugin."""

    def call(text: str, settings: Settings = settings, **options: Any) -> Plan:
        return load_plugins(settings).resolve(parse_ref(text), options, settings)

    return call
