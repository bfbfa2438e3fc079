"""Fetching by Xet, in a process of its own: hf_xet leaves threads behind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core.errors import MissingDependencyError, OfflineError, SourceError, UsageError
from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub, faults
from torchinf_core.testing.huggingface import HuggingFace, have_xet

Make = Callable[..., bytes]
needs_xet = pytest.mark.skipif(not have_xet(), reason="hf_xet is not installed")


def download(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "TORCHINF_CACHE_DIR": str(tmp_path / "store"),
        "TORCHINF_HF_XET": "on",
    }
    command = [sys.executable, "-m", "torchinf_core", "download", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture
def files(safetensors: Make) -> dict[str, bytes]:
    return {"part/config.json": b"{}", "part/a [1]*.safetensors": safetensors(1, 300_000)}


@needs_xet
def test_large_files_come_from_xet_storage_when_the_setting_says_so(
    hub: Hub, tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hf = HuggingFace(hub, xet=tmp_path / "cas")
    hf.add_token("hf_x", repos=["org/tiny"])
    hf.add_repo("org/tiny", files, private=True)
    monkeypatch.setenv("HF_ENDPOINT", hf.endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_x")

    done = download(tmp_path, "hf:org/tiny/part", "-q")

    assert done.returncode == 0, done.stderr
    found = {path.name: path.read_bytes() for path in Path(done.stdout.strip()).rglob("*")}
    assert found == {path.removeprefix("part/"): content for path, content in files.items()}
    asked = {seen.path.split("/")[1] for seen in hub.requests if seen.method == "GET"}
    assert "repos" not in asked
    assert any("xet-read-token" in seen.path for seen in hub.requests)
    assert not list((tmp_path / "store" / "tmp").rglob("*.safetensors"))


@needs_xet
def test_what_comes_from_xet_storage_is_checked_like_anything_else(
    hub: Hub, tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hf = HuggingFace(hub, xet=tmp_path / "cas")
    repo = hf.add_repo("org/tiny", files)
    monkeypatch.setenv("HF_ENDPOINT", hf.endpoint)
    page = [
        {"type": "file", "path": path, "size": blob.content.size, "oid": blob.oid}
        | ({"lfs": {"oid": "ab" * 32, "size": blob.content.size, "pointerSize": 130}}
           if blob.sha256 else {})
        for path, blob in repo.commits[repo.sha].files.items()
    ]  # fmt: skip
    hub.add(f"/api/models/org/tiny/tree/{repo.sha}", json.dumps(page).encode())

    done = download(tmp_path, "hf:org/tiny")

    assert done.returncode == 5, done.stderr
    assert "ab" * 32 in done.stderr
    assert not list((tmp_path / "store" / "records").glob("*.json"))
    assert not [path for path in (tmp_path / "store" / "blobs").rglob("*") if path.is_file()]


def test_xet_is_not_used_unless_the_setting_says_so(
    hf: HuggingFace, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    hf.add_repo("org/tiny", files)

    downloader.download("hf:org/tiny")

    assert "hf_xet" not in sys.modules


def test_the_setting_is_checked(
    hf: HuggingFace,
    files: dict[str, bytes],
    downloader: ModelDownloader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hf.add_repo("org/tiny", files)
    monkeypatch.setenv("TORCHINF_HF_XET", "perhaps")
    with pytest.raises(UsageError, match="expected auto, on or off"):
        downloader.download("hf:org/tiny")
    monkeypatch.setenv("TORCHINF_HF_XET", "on")
    monkeypatch.setattr("torchinf_hf.fetching.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError) as caught:
        downloader.download("hf:org/tiny")
    assert "pip install hf_xet" in caught.value.hint
    with pytest.raises(OfflineError):
        ModelDownloader(cache_dir=downloader.cache_dir, offline=True).download("hf:org/tiny")


def test_a_failure_of_the_library_is_an_error_with_a_way_out(
    hub: Hub,
    hf: HuggingFace,
    files: dict[str, bytes],
    downloader: ModelDownloader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repo = hf.add_repo("org/tiny", files)
    monkeypatch.setenv("TORCHINF_HF_XET", "on")
    monkeypatch.setattr("torchinf_hf.fetching.find_spec", lambda _: True)
    for path in files:
        hub.fail(repo.resolve_path(path), faults.status(403).on(faults.any_method).always())

    with pytest.raises(SourceError) as caught:
        downloader.download("hf:org/tiny")

    assert "TORCHINF_HF_XET=off" in caught.value.hint
    assert downloader.list_available_models() == {}
