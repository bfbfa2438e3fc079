"""Real models through the whole command line, with the runtimes that are installed."""

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")


def inside(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package {package} is not installed")
    return Path(spec.submodule_search_locations[0]) / path


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torchinf_onnx")
    pytest.importorskip("torchinf_url")


@pytest.fixture
def gbr(onnx, torchinf, tmp_path, monkeypatch):
    model = inside("surfaces_onnx_files", "gradient_boosting_regressor.onnx")
    assert torchinf("download", str(model), "--name", "gbr").status == 0
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    monkeypatch.chdir(tmp_path)


def test_a_regressor_gives_its_known_value(gbr, torchinf):
    ran = torchinf("predict", "gbr", "x.npy", "-q")
    assert (ran.status, ran.err) == (0, "")
    assert float(ran.out) == pytest.approx(0.256073, abs=1e-6)
    lines = torchinf("predict", "gbr", "x.npy", "[1, 1, 1, 1]", "--json").stream
    assert [np.ravel(line["result"])[0] for line in lines] == pytest.approx(
        [0.256073] * 2, abs=1e-6
    )
    ran = torchinf("predict", "gbr", "[1, 2]")
    assert (ran.status, "the model takes input: float32[batch, 4]" in ran.err) == (2, True)


def test_a_regressor_is_run_from_its_path(onnx, torchinf):
    model = inside("surfaces_onnx_files", "gradient_boosting_regressor.onnx")
    ran = torchinf("run", str(model), "[1, 1, 1, 1]", "-q")
    assert float(ran.out) == pytest.approx(0.256073, abs=1e-6)


def test_speech_is_found_as_its_makers_find_it(onnx, torchinf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = inside("silero_vad", "data/silero_vad.onnx")
    assert torchinf("download", str(model), "--name", "vad").status == 0
    x = (0.5 * np.sin(2 * np.pi * 220 * np.arange(512) / 16000)).astype(np.float32)
    sound = np.concatenate([np.zeros(64, np.float32), x])[None]
    state = np.zeros((2, 1, 128), np.float32)
    np.savez("sound.npz", input=sound, state=state, sr=np.int64(16000))
    found = torchinf("predict", "vad", "sound.npz", "--json").document["result"]
    assert found["output"][0][0] == pytest.approx(0.1233494, abs=1e-5)
    assert torchinf("predict", "vad", "sound.npz", "--out", "o.npz").status == 0
    with np.load("o.npz") as arrays:
        assert sorted(arrays) == ["sound.npz/output", "sound.npz/stateN"]


def test_an_onnx_model_needs_neither_torch_nor_typer(gbr, store):
    program = (
        "import sys\n"
        "sys.argv = ['torchinf', 'predict', 'gbr', 'x.npy', '-q']\n"
        "from torchinf_core.__main__ import main\n"
        "assert main() == 0\n"
        "print(sorted({'torch', 'typer', 'click', 'rich', 'httpx'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["0.256073", "[]"]
    assert done.stderr == ""


def test_an_explanation_and_a_measurement_of_a_real_model(gbr, torchinf):
    rows = torchinf("explain", "gbr", "--json").document["bids"]
    assert (rows[0]["runtime"], rows[0]["chosen"]) == ("onnx", True)
    ran = torchinf("explain", "gbr", "--device", "cuda:7")
    assert (ran.status, "cuda:7" in ran.out) == (8, True)
    rows = torchinf("bench", "gbr", "--seconds", "0.01", "--json").document["rows"]
    assert [(row["runtime"], row["batch"], row["problem"]) for row in rows] == [
        ("onnx", 1, ""),
        ("onnx", 8, ""),
    ]


@pytest.mark.timeout(300)
def test_a_picture_is_labelled_by_a_downloaded_resnet(hub, torchinf, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("torchinf_torch")
    catalogue = pytest.importorskip("torchinf_torchvision.catalogue")
    torch.manual_seed(0)
    module = models.resnet18().eval()
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    content = buffer.getvalue()
    file = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    for weights in catalogue.load()["models"]["resnet18"]["weights"].values():
        monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{file}")
    hub.add(f"/mirror/models/{file}", content)
    monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", hub.url("/mirror"))
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[0:240, 0:320]
    picture = image.fromarray(
        np.stack([rows % 256, columns % 256, (rows * columns) % 256], -1).astype(np.uint8)
    )
    Path("pictures").mkdir()
    picture.save("pictures/a.png")
    Path("pictures/b.png").write_text("no picture")
    ran = torchinf("run", "torchvision:resnet18", "pictures", "--top", "3", "--json")
    assert ran.status == 2
    assert "b.png' is not a picture" in ran.err
    [good, bad] = ran.stream
    assert (good["input"], bad["input"]) == ("pictures/a.png", "pictures/b.png")
    weights = models.ResNet18_Weights.IMAGENET1K_V1
    with torch.inference_mode():
        shares = module(weights.transforms()(picture)[None]).softmax(1)[0]
    top = shares.topk(3)
    names = [weights.meta["categories"][place] for place in top.indices]
    assert [row["label"] for row in good["result"]] == names
    assert [row["score"] for row in good["result"]] == pytest.approx(top.values.tolist(), abs=1e-5)
    ran = torchinf("predict", "resnet18", "pictures/a.png", "-q")
    assert (ran.status, ran.out.strip()) == (0, names[0])
    assert json.loads(torchinf("info", "resnet18", "--json").out)["forms"] == []
