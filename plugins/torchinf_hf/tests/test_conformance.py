"""The plugin keeps the contract; a Hugging Face hub on loopback answers as the real one."""

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import httpx
import pytest

import torchinf_hf
from torchinf_core.testing import Hub, SourceConformance, forward
from torchinf_core.testing.huggingface import HuggingFace

_spec = importlib.util.spec_from_file_location("making", Path(__file__).with_name("making.py"))
making = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(making)
TOKEN = "hf_of_the_kit"


@cache
def files() -> Mapping[str, bytes]:
    with TemporaryDirectory() as folder:
        return making.make(Path(folder), making.bert, "ForSequenceClassification", num_labels=2)


class TestHuggingFace(SourceConformance):
    plugin = torchinf_hf
    good_ref, missing_ref = "hf:ada/tiny-bert@main", "hf:ada/tiny-bear"
    publishes_digests = publishes_sizes = has_revisions = True
    pattern = "tiny"
    token_hosts = ("huggingface.co",)
    environ: ClassVar[Mapping[str, str]] = {"HF_TOKEN": TOKEN}

    def setup_method(self) -> None:
        pytest.importorskip("transformers")
        super().setup_method()
        self.hub = HuggingFace(self.keep(Hub()))
        self.hub.add_token(TOKEN)
        self.repo = self.hub.add_repo("ada/tiny-bert", files())

    def respond(self, request: httpx.Request) -> httpx.Response:
        cdn = self.hub.endpoint.replace("127.0.0.1", "localhost")
        places = {"https://huggingface.co": self.hub.endpoint, "https://cdn.hf.example": cdn}
        return forward(request, places)

    def move(self) -> None:
        self.repo.commit({"README.md": b"# better"})
        content = files()["model.safetensors"]
        self.repo.commit({"model.safetensors": content[:-4] + bytes(4)})
