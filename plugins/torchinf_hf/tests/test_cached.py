"""Content that the hub's own tools have fetched before is not fetched again, and not believed."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace, Repo
from torchinf_core.types import Plan

Make = Callable[..., bytes]
CONFIG = b'{"model_type": "bert"}'


@pytest.fixture
def weights(safetensors: Make) -> bytes:
    return safetensors(1, 2 << 20)


@pytest.fixture
def repo(hf: HuggingFace, weights: bytes) -> Repo:
    return hf.add_repo("org/tiny", {"config.json": CONFIG, "model.safetensors": weights})


@pytest.fixture
def blobs(user: Path) -> Path:
    folder = user / "hub" / "models--org--tiny" / "blobs"
    folder.mkdir(parents=True)
    return folder


def etag(repo: Repo, path: str) -> str:
    blob = repo.commits[repo.sha].files[path]
    return blob.sha256 or blob.oid


def fetched(hub: Hub) -> list[str]:
    return [seen.path for seen in hub.requests if not seen.path.startswith("/api/")]


def test_what_the_cache_holds_is_copied_and_checked(
    hub: Hub, repo: Repo, blobs: Path, weights: bytes, downloader: ModelDownloader
) -> None:
    (blobs / etag(repo, "model.safetensors")).write_bytes(weights)
    (blobs / etag(repo, "config.json")).write_bytes(CONFIG)

    path, info = downloader.download("hf:org/tiny")

    assert fetched(hub) == []
    assert (path / "model.safetensors").read_bytes() == weights
    assert info.record.verified == "published"
    assert info.record.files[0].sha256 == hashlib.sha256(CONFIG).hexdigest()


def test_what_the_official_client_fetched_is_found(
    hub: Hub, hf: HuggingFace, repo: Repo, weights: bytes, user: Path, downloader: ModelDownloader
) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(
        "org/tiny", endpoint=hf.endpoint, cache_dir=user / "hub", revision=repo.sha, token=False
    )
    before = len(fetched(hub))

    path, _ = downloader.download("hf:org/tiny")

    assert len(fetched(hub)) == before
    assert (path / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("damage", ["flipped", "cut", "folder", "dangling"])
def test_a_damaged_blob_of_the_cache_is_not_used(
    damage: str, hub: Hub, repo: Repo, blobs: Path, weights: bytes, downloader: ModelDownloader
) -> None:
    blob = blobs / etag(repo, "model.safetensors")
    if damage == "flipped":
        blob.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    elif damage == "cut":
        blob.write_bytes(weights[:-1])
    elif damage == "folder":
        blob.mkdir()
    else:
        blob.symlink_to("nowhere")

    path, _ = downloader.download("hf:org/tiny")

    assert (path / "model.safetensors").read_bytes() == weights
    assert repo.source("model.safetensors")[1] in fetched(hub)


def test_the_cache_is_where_its_variables_say(
    repo: Repo, tmp_path: Path, resolve: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"models--org--tiny/blobs/{etag(repo, 'config.json')}"
    places = {
        "HF_HUB_CACHE": tmp_path / "a",
        "HF_HOME": tmp_path / "b",
        "XDG_CACHE_HOME": tmp_path / "c",
    }
    for variable, inside in zip(places, ("", "hub/", "huggingface/hub/"), strict=True):
        blob = places[variable] / inside / name
        blob.parent.mkdir(parents=True)
        blob.write_bytes(CONFIG)
        monkeypatch.setenv(variable, str(places[variable]))

    found = []
    for variable in places:
        found.append(resolve("hf:org/tiny").files[0].local)
        monkeypatch.delenv(variable)

    assert found == [
        (str(tmp_path / "a" / name),),
        (str(tmp_path / "b" / "hub" / name),),
        (str(tmp_path / "c" / "huggingface" / "hub" / name),),
    ]
    assert resolve("hf:org/tiny").files[0].local == ()


def test_the_cache_of_the_old_name_counts_after_a_renaming(
    hub: Hub, hf: HuggingFace, repo: Repo, blobs: Path, weights: bytes, downloader: ModelDownloader
) -> None:
    (blobs / etag(repo, "model.safetensors")).write_bytes(weights)
    hf.rename("org/tiny", "other/tiny")

    downloader.download("hf:org/tiny")

    assert fetched(hub) == [f"/other/tiny/resolve/{repo.sha}/config.json"]
