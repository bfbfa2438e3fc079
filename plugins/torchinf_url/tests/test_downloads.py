"""From a URL or path to a stored model, over real connections."""

import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path

import pytest

from torchinf_core.errors import FormatError, IntegrityError, OptionError
from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub


def safetensors(seed: int) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes([seed]) * 8


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def downloader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelDownloader:
    monkeypatch.setattr("torchinf_core.network.retry.sleep", lambda *_: None)
    return ModelDownloader(cache_dir=tmp_path / "store", retries=2)


def test_a_file_by_url_is_stored_and_found_again(hub: Hub, downloader: ModelDownloader) -> None:
    url = hub.add("/tiny.safetensors", safetensors(1), etag='"v1"')

    path, info = downloader.download("url", url, name="custom_model")
    asked = len(hub.requests)
    again, _ = downloader.download("url", url, name="custom_model")

    assert path == again
    assert (path.name, path.read_bytes()) == ("tiny.safetensors", safetensors(1))
    assert (info.name, info.record.revision) == ("custom_model", "v1")
    assert (info.record.format, info.record.verified) == ("safetensors", "recorded")
    assert len(hub.requests) == asked


def test_a_pinned_digest_is_enforced(hub: Hub, downloader: ModelDownloader) -> None:
    url = hub.add("/tiny.safetensors", safetensors(1))
    digest = hashlib.sha256(safetensors(1)).hexdigest()

    with pytest.raises(IntegrityError):
        downloader.download_from_url(url, "wrong", expected_hash="ab" * 32)
    _, info = downloader.download_from_url(url, "right", expected_hash=digest)

    assert info.record.verified == "pinned"
    assert list(downloader.list_available_models()) == ["right"]


def test_an_update_fetches_only_what_has_another_entity_tag(
    hub: Hub, downloader: ModelDownloader
) -> None:
    url = hub.add("/tiny.safetensors", safetensors(1), etag='"v1"')
    downloader.download(url)

    assert downloader.obtain(url, update=True).hit
    hub.add("/tiny.safetensors", safetensors(2), etag='"v2"')
    outcome = downloader.obtain(url, update=True)

    assert outcome.path.read_bytes() == safetensors(2)
    assert outcome.record.revision == "v2"


def test_an_archive_is_unpacked_only_when_asked(hub: Hub, downloader: ModelDownloader) -> None:
    members = {"a/model.safetensors": safetensors(1), "config.json": b"{}"}
    url = hub.add("/bundle.zip", zipped(members))

    packed, _ = downloader.download(url, name="packed")
    unpacked, info = downloader.download(url, name="unpacked", extract=True)

    assert packed.name == "bundle.zip"
    assert (unpacked / "a/model.safetensors").read_bytes() == safetensors(1)
    assert [file.path for file in info.record.files] == sorted(members)


def test_a_web_page_is_not_a_model(hub: Hub, downloader: ModelDownloader) -> None:
    url = hub.add("/tiny.safetensors", b"<!DOCTYPE html><html>please log in</html>")

    with pytest.raises(FormatError):
        downloader.download(url)

    assert downloader.list_available_models() == {}


def test_a_file_of_this_machine_is_copied_into_the_store(
    tmp_path: Path, downloader: ModelDownloader
) -> None:
    original = tmp_path / "tiny.safetensors"
    original.write_bytes(safetensors(1))

    by_path, info = downloader.download(str(original))
    original.unlink()

    assert by_path.read_bytes() == safetensors(1)
    assert (info.name, info.source) == ("tiny", "url")
    assert downloader.verify("tiny") == []


def test_secrets_of_a_url_are_not_stored(
    hub: Hub, downloader: ModelDownloader, tmp_path: Path
) -> None:
    url = hub.add("/tiny.safetensors", safetensors(1)) + "?token=hunter2"

    downloader.download(url.replace("://", "://user:hunter3@"))

    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or b"hunter" not in path.read_bytes(), path


def test_an_option_of_the_source_is_checked(hub: Hub, downloader: ModelDownloader) -> None:
    url = hub.add("/tiny.safetensors", safetensors(1))

    with pytest.raises(OptionError, match="not called like an archive"):
        downloader.download(url, extract=True)
