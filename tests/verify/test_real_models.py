"""Trained models that ship inside packages, found without importing those packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from torchinf_core.errors import FormatError
from torchinf_core.types import Trust
from torchinf_core.verify import Sniffed, sniff

MODELS = {
    "silero_vad/data/silero_vad.jit": Sniffed("torchscript", Trust.CODE),
    "silero_vad/data/silero_vad.onnx": Sniffed("onnx"),
    "silero_vad/data/silero_vad_16k.safetensors": Sniffed("safetensors"),
    "facenet_pytorch/data/pnet.pt": Sniffed("torch", Trust.PICKLE),
    "facenet_pytorch/data/rnet.pt": Sniffed("torch", Trust.PICKLE),
    "facenet_pytorch/data/onet.pt": Sniffed("torch", Trust.PICKLE),
    "surfaces_onnx_files/gradient_boosting_regressor.onnx": Sniffed("onnx"),
    "surfaces_onnx_files/k_neighbors_classifier.onnx": Sniffed("onnx"),
}


def inside(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package {package} is not installed")
    return Path(spec.submodule_search_locations[0], path)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("renamed", [False, True])
def test_a_real_model_is_what_its_content_says(model: str, renamed: bool) -> None:
    package, _, path = model.partition("/")
    found = inside(package, path)
    assert sniff(found, "weights.bin" if renamed else found.name) == MODELS[model]


# A legacy torch file says nowhere how long it is.
@pytest.mark.parametrize("model", [name for name in MODELS if not name.endswith(".pt")])
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_real_model_cut_short_is_not_taken_for_a_whole_one(
    model: str, kept: float, tmp_path: Path
) -> None:
    package, _, path = model.partition("/")
    whole = inside(package, path)
    cut = tmp_path / whole.name
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(FormatError):
        sniff(cut, whole.name)
