"""From a reference to a stored model, over a mirror on loopback."""

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from torchinf_core.errors import (
    DiskSpaceError,
    IntegrityError,
    ModelNotFoundError,
    NameTakenError,
    OfflineError,
)
from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub
from torchinf_torchvision.catalogue import load


def checkpoint(seed: int) -> bytes:
    """A small file in torch's format; torch itself is not needed to make one."""
    members = {
        "archive/data.pkl": pickle.dumps({"seed": seed}, protocol=2),
        "archive/version": b"3\n",
        "archive/data/0": bytes([seed]) * 5000,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            # Without a date of its own a member gets the current time.
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


@pytest.fixture
def downloader(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelDownloader:
    monkeypatch.setattr("torchinf_core.network.retry.sleep", lambda *_: None)
    monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", hub.url("/mirror/"))
    return ModelDownloader(cache_dir=tmp_path / "store", retries=2)


@pytest.fixture
def published(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A checkpoint that the catalogue knows and the mirror has, named by its own digest."""
    content = checkpoint(1)
    name = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    weights = load()["models"]["resnet18"]["weights"]["IMAGENET1K_V1"]
    monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{name}")
    hub.add(f"/mirror/models/{name}", content)
    return content


def files_below(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_a_checkpoint_arrives_checked_and_its_full_digest_is_recorded(
    hub: Hub, downloader: ModelDownloader, published: bytes
) -> None:
    path, info = downloader.download_torchvision_model("resnet18")

    record = info.record
    assert path.read_bytes() == published
    assert (info.name, info.source, info.model_id) == ("resnet18", "torchvision", "resnet18")
    assert record.files[0].sha256 == hashlib.sha256(published).hexdigest()
    assert (record.revision, record.requested_revision) == ("IMAGENET1K_V1", None)
    assert (record.format, record.trust.name) == ("torch", "PICKLE")
    assert record.metadata["labels"][0] == "tench"
    assert downloader.verify("resnet18") == []


def test_asking_again_makes_no_connection(
    hub: Hub, downloader: ModelDownloader, published: bytes
) -> None:
    downloader.download("torchvision:resnet18")
    before = len(hub.requests)

    downloader.download("torchvision", "resnet18")
    downloader.download("torchvision:ResNet18@ResNet18_Weights.IMAGENET1K_V1")

    assert len(hub.requests) == before


def test_wrong_bytes_under_the_real_name_are_refused_and_nothing_is_left(
    hub: Hub, downloader: ModelDownloader, tmp_path: Path
) -> None:
    hub.add("/mirror/models/resnet18-f37072fd.pth", checkpoint(1))

    with pytest.raises(IntegrityError, match="f37072fd"):
        downloader.download("torchvision:resnet18")

    assert downloader.list_available_models() == {}
    store = tmp_path / "store"
    left = [name for name in files_below(store) if not name.startswith(("locks/", "VERSION"))]
    assert left == []


def test_a_checkpoint_without_a_published_digest_is_held_to_the_recorded_one(
    hub: Hub, downloader: ModelDownloader
) -> None:
    where = "/mirror/models/quantized/resnet18_fbgemm_16fa66dd.pth"
    hub.add(where, checkpoint(1))
    path, info = downloader.download("torchvision:quantized_resnet18")
    hub.add(where, checkpoint(2))
    path.chmod(0o644)
    path.write_bytes(b"damaged")

    with pytest.raises(IntegrityError):
        downloader.download("torchvision:quantized_resnet18")
    hub.add(where, checkpoint(1))
    path, _ = downloader.download("torchvision:quantized_resnet18")

    assert info.record.verified == "recorded"
    assert path.read_bytes() == checkpoint(1)


def test_an_update_of_a_member_keeps_what_was_recorded_for_it(
    hub: Hub, downloader: ModelDownloader
) -> None:
    where = "/mirror/models/quantized/resnet18_fbgemm_16fa66dd.pth"
    hub.add(where, checkpoint(1))
    downloader.download("torchvision:quantized_resnet18")
    hub.add(where, checkpoint(2))

    path, _ = downloader.download("torchvision:quantized_resnet18", update=True)

    assert path.read_bytes() == checkpoint(1)


def test_a_dry_run_needs_no_connection_and_a_download_does(
    hub: Hub, downloader: ModelDownloader, tmp_path: Path
) -> None:
    offline = ModelDownloader(cache_dir=tmp_path / "store", offline=True)

    assert offline.plan("torchvision:resnet18").revision == "IMAGENET1K_V1"
    with pytest.raises(OfflineError):
        offline.download("torchvision:resnet18")

    assert hub.requests == []


def test_no_byte_is_fetched_where_it_would_not_fit(
    hub: Hub, downloader: ModelDownloader, published: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=10_000, f_frsize=4096))

    with pytest.raises(DiskSpaceError, match=r"46,8\d\d,\d\d\d bytes"):
        downloader.download("torchvision:resnet18")

    assert hub.requests == []


def test_what_the_mirror_lacks_is_not_found_and_no_other_host_is_asked(
    hub: Hub, downloader: ModelDownloader
) -> None:
    with pytest.raises(ModelNotFoundError, match=r"127\.0\.0\.1"):
        downloader.download("torchvision:resnet18")


def test_an_architecture_without_weights_is_a_record_without_files(
    hub: Hub, downloader: ModelDownloader
) -> None:
    path, info = downloader.download_torchvision_model("resnet18", pretrained=False)

    assert path.is_dir()
    assert list(path.iterdir()) == []
    assert info.record.files == ()
    assert info.record.metadata["pretrained"] is False
    assert hub.requests == []


def test_other_weights_of_a_model_do_not_replace_those_that_are_here(
    hub: Hub, downloader: ModelDownloader, published: bytes
) -> None:
    downloader.download_torchvision_model("resnet18", pretrained=False)

    with pytest.raises(NameTakenError) as caught:
        downloader.download("torchvision:resnet18")
    downloader.download("torchvision:resnet18", name="trained")

    assert "--name" in caught.value.hint
    assert sorted(downloader.list_available_models()) == ["resnet18", "trained"]
