"""Every command and snippet of the feature document, with the word ``torchinf``."""

import hashlib
import io
import logging
import pickle
import zipfile

import pytest

import torchinf_core
from torchinf_core import ModelDownloader, download_model, get_model_downloader
from torchinf_core import list_available_models as list_models
from torchinf_core.errors import UnknownSourceError

catalogue = pytest.importorskip("torchinf_torchvision.catalogue")
pytest.importorskip("torchinf_url")


def checkpoint(seed: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), pickle.dumps({"n": seed}, protocol=2))
        archive.writestr(zipfile.ZipInfo("archive/version"), b"3\n")
    return buffer.getvalue()


@pytest.fixture
def mirror(hub, monkeypatch, store):
    """A mirror of torchvision's host with two small checkpoints in place of the real ones."""
    monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", hub.url("/mirror/"))
    for seed, name in enumerate(("resnet18", "mobilenet_v2"), 1):
        content = checkpoint(seed)
        file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        members = catalogue.load()["models"][name]["weights"].values()
        for weights in members:
            monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{file}")
        hub.add(f"/mirror/models/{file}", content)
    return hub


def test_download_models(mirror, torchinf):
    assert torchinf("download", "torchvision", "resnet18").status == 0
    url = mirror.add("/model.pt", checkpoint(9))
    assert torchinf("download", "url", url, "--name", "my_model").status == 0
    assert torchinf("list", "-q").out == "my_model\nresnet18\n"


@pytest.mark.parametrize(
    "words",
    [
        ("pytorch_hub", "pytorch/vision:v0.10.0/resnet50"),
        ("huggingface", "bert-base-uncased", "--task", "text-classification"),
    ],
)
def test_sources_of_other_plugins_are_downloaded_or_named(torchinf, words):
    ran = torchinf("download", *words, "--dry-run", "--offline")
    assert ran.status in (0, 4, 9)
    assert "Traceback" not in ran.err


def test_list_models(mirror, torchinf):
    assert torchinf("list").status == 0
    torchinf("download", "torchvision", "resnet18")
    assert "resnet18" in torchinf("list").out
    info = torchinf("info", "resnet18")
    assert info.status == 0
    assert "image-classification" in info.out


def test_manage_cache(mirror, torchinf):
    torchinf("download", "torchvision", "resnet18")
    torchinf("download", "torchvision", "mobilenet_v2")
    assert torchinf("cache", "--json").document["total_models"] == 2
    assert torchinf("remove", "resnet18").status == 0
    assert torchinf("remove", "all", "--yes").status == 0
    assert torchinf("list", "-q").out == ""


def test_the_torchvision_snippet(mirror):
    model_path, info = download_model(source="torchvision", model_id="resnet18", pretrained=True)
    assert model_path.is_file()
    assert info.source == "torchvision"
    bare, info = download_model(
        source="torchvision", model_id="resnet18", pretrained=False, model_name="bare"
    )
    assert bare.is_dir()
    assert info.size_mb == 0


def test_the_url_snippet(mirror):
    url = mirror.add("/model.pt", checkpoint(9))
    model_path, info = download_model(source="url", model_id=url, model_name="custom_model")
    assert model_path.read_bytes() == checkpoint(9)
    assert (info.name, info.source) == ("custom_model", "url")


def test_the_snippets_of_other_plugins_name_what_is_missing(mirror):
    for source, model in (
        ("pytorch_hub", "pytorch/vision/resnet50"),
        ("huggingface", "bert-base-uncased"),
    ):
        downloader = ModelDownloader(offline=True)
        with pytest.raises((UnknownSourceError, torchinf_core.OfflineError)) as caught:
            downloader.download(source=source, model_id=model, task="text-classification")
        assert caught.value.hint


def test_the_basic_snippet(mirror):
    downloader = get_model_downloader()
    model_path, model_info = downloader.download_torchvision_model(
        model_name="resnet18", pretrained=True
    )
    assert model_path.exists()
    assert f"Downloaded {model_info.name} ({model_info.size_mb:.1f} MB)" == (
        "Downloaded resnet18 (0.0 MB)"
    )


def test_the_listing_snippet(mirror):
    download_model("torchvision", "resnet18")
    models = list_models()
    lines = [f"{name}: {info.source} - {info.size_mb:.1f} MB" for name, info in models.items()]
    assert lines == ["resnet18: torchvision - 0.0 MB"]


def test_the_cache_directory_snippet(mirror, tmp_path):
    downloader = ModelDownloader(cache_dir=str(tmp_path / "elsewhere"))
    path, _ = downloader.download("torchvision", "resnet18")
    assert path.is_relative_to(tmp_path / "elsewhere")


def test_the_default_directory_is_the_documented_one(monkeypatch, own_home):
    monkeypatch.delenv("TORCHINF_CACHE_DIR", raising=False)
    assert ModelDownloader().cache_dir == own_home / ".torch_inference" / "models"


def test_the_debug_recipe_shows_something_useful(mirror, caplog):
    caplog.set_level(logging.DEBUG, logger="torchinf")
    download_model("torchvision", "resnet18")
    told = [record.getMessage() for record in caplog.records if record.name.startswith("torchinf")]
    assert any("resolved by the torchvision source" in line for line in told)
    assert any("'resnet18' at " in line for line in told)
    caplog.clear()
    download_model("torchvision", "resnet18")
    assert any("no connection is made" in record.getMessage() for record in caplog.records)


def test_every_kind_of_error_of_the_document_is_an_error_of_its_own(mirror, monkeypatch):
    monkeypatch.setattr("torchinf_core.network.retry.sleep", lambda *_: None)
    url = mirror.add("/model.pt", checkpoint(9))
    with pytest.raises(torchinf_core.NetworkError):
        download_model("url", "http://127.0.0.1:9/model.pt")
    with pytest.raises(torchinf_core.IntegrityError):
        get_model_downloader().download_from_url(url, expected_hash="00" * 32)
    with pytest.raises(torchinf_core.FormatError):
        download_model("url", mirror.add("/page.pt", b"<!DOCTYPE html><html></html>"))
    with pytest.raises(torchinf_core.MissingError):
        download_model("nosuchsource", "x")
