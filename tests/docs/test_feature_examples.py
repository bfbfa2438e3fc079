"""The four download examples of the feature document, as written but for the import path."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchinf_core.testing import Hub
from torchinf_core.testing.github import GitHub
from torchinf_core.testing.huggingface import HuggingFace

IMPORT = "from torchinf_core import download_model\n"
HUB = """
model_path, info = download_model(
    source="pytorch_hub",
    model_id="pytorch/vision/resnet50",  # repo/model format
    pretrained=True
)
"""
TORCHVISION = """
model_path, info = download_model(
    source="torchvision",
    model_id="resnet18",
    pretrained=True
)
"""
HUGGING_FACE = """
model_path, info = download_model(
    source="huggingface",
    model_id="bert-base-uncased",
    task="text-classification"
)
"""
URL = """
model_path, info = download_model(
    source="url",
    model_id="https://example.com/model.pt",
    model_name="custom_model"
)
"""
HUBCONF = b'''
dependencies = []


def resnet50(pretrained=False):
    """A residual network."""
    raise SystemExit("a download runs nothing")


raise SystemExit("a download imports nothing")
'''


def checkpoint() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, protocol=2))
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """All of the outside world."""
    from torchinf_torchvision.catalogue import load

    with Hub() as hub:
        github = GitHub(hub)
        github.add_repo("pytorch/vision", {"hubconf.py": HUBCONF, "nets.py": b"x = 1"})
        hugging_face = HuggingFace(hub)
        files = {"config.json": b"{}", "model.safetensors": safetensors()}
        hugging_face.add_repo("bert-base-uncased", files)
        content = checkpoint()
        file = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        weights = load()["models"]["resnet18"]["weights"]["IMAGENET1K_V1"]
        monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{file}")
        hub.add(f"/mirror/models/{file}", content)
        hub.add("/model.pt", content)
        monkeypatch.setenv("TORCHINF_HUB_GITHUB", github.web)
        monkeypatch.setenv("HF_ENDPOINT", hugging_face.endpoint)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
        monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", hub.url("/mirror"))
        monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
        yield hub


@pytest.mark.parametrize(
    ("code", "name", "source", "task", "file"),
    [
        (HUB, "resnet50", "hub", None, "hubconf.py"),
        (TORCHVISION, "resnet18", "torchvision", "image-classification", None),
        (HUGGING_FACE, "bert-base-uncased", "hf", "text-classification", "model.safetensors"),
        (URL, "custom_model", "url", None, None),
    ],
)
def test_the_example_downloads_its_model(
    hub: Hub, code: str, name: str, source: str, task: str | None, file: str | None
) -> None:
    space: dict[str, object] = {}
    exec(IMPORT + code.replace("https://example.com/model.pt", hub.url("/model.pt")), space)
    info, path = space["info"], space["model_path"]
    assert (info.name, info.source, info.task) == (name, source, task)  # type: ignore[attr-defined]
    assert isinstance(path, Path)
    assert (path if file is None else path / file).is_file()


INTEGRATION = """
# Get model manager
model_manager = get_model_manager()

# Download and load model in one step
model_manager.download_and_load_model(
    source="torchvision",
    model_id="mobilenet_v2",
    name="mobile_classifier"
)

# Use the model
model = model_manager.get_model("mobile_classifier")
prediction = model.predict(your_input)
"""


@pytest.mark.timeout(300)
def test_the_integration_example_downloads_loads_and_predicts(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    np = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    pytest.importorskip("torchinf_torch")
    from torchinf_core import get_model_manager
    from torchinf_torchvision.catalogue import load

    torch.manual_seed(0)
    module = models.mobilenet_v2().eval()
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    content = buffer.getvalue()
    file = f"mobilenet_v2-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    for weights in load()["models"]["mobilenet_v2"]["weights"].values():
        monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{file}")
    hub.add(f"/mirror/models/{file}", content)
    # Optimising is bounded in time; a test has little of it.
    monkeypatch.setenv("TORCHINF_OPTIMIZE_TIME", "0.1")
    your_input = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    space: dict[str, object] = {"your_input": your_input}
    exec("from torchinf_core import get_model_manager\n" + INTEGRATION, space)
    with torch.inference_mode():
        expected = module(torch.from_numpy(your_input)).numpy()
    assert np.allclose(space["prediction"], expected, atol=1e-4)
    [held] = get_model_manager().list_models()
    assert (held.name, held.model) == ("mobile_classifier", "mobile_classifier")
    get_model_manager().close()
