"""Files that join a model after its download: they are its own from then on."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from torchinf_core import ModelDownloader, RemoteFile
from torchinf_core.download.adding import add_files
from torchinf_core.errors import (
    IntegrityError,
    ModelNotFoundError,
    NameTakenError,
    NotCachedError,
    OfflineError,
    PluginContractError,
    UsageError,
)


@pytest.fixture
def downloader(settings) -> ModelDownloader:
    return ModelDownloader(settings.cache_dir, retries=2)


@pytest.fixture
def extra(hub) -> RemoteFile:
    return RemoteFile("weights/extra.bin", hub.add("/extra.bin", b"extra"))


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name.replace("__", ".")), content)
    return buffer.getvalue()


def test_an_added_file_is_verified_recorded_and_stored_with_the_others(
    zoo, get, downloader, extra
) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    before = get("zoo:tiny", trust=True).record

    path, info = downloader.add_files("tiny", [extra])

    assert (path / "weights/extra.bin").read_bytes() == b"extra"
    assert (path / "a.bin").read_bytes() == b"1"
    assert [file.path for file in info.record.files] == ["a.bin", "weights/extra.bin"]
    assert info.record.files[1].sha256 == hashlib.sha256(b"extra").hexdigest()
    assert info.record.trusted == before.trusted
    assert info.record.verified == "recorded"
    assert downloader.verify("tiny") == []


def test_a_wrong_digest_or_a_missing_file_leaves_the_model_as_it_was(
    zoo, get, hub, downloader, extra
) -> None:
    zoo.add("tiny", {"a.bin": b"1"})
    before = get("zoo:tiny").record

    with pytest.raises(IntegrityError):
        downloader.add_files("tiny", [RemoteFile("b", extra.url, sha256_prefix="00000000")])
    with pytest.raises(ModelNotFoundError):
        downloader.add_files("tiny", [extra, RemoteFile("b", hub.url("/nothing"))])
    with pytest.raises(NotCachedError):
        downloader.add_files("other", [extra])
    with pytest.raises(PluginContractError):
        downloader.add_files("tiny", [RemoteFile("../b", extra.url)])

    assert downloader.get_record("tiny") == before


def test_a_path_of_the_model_can_not_get_other_content(zoo, get, hub, downloader) -> None:
    zoo.add("tiny", {"a.bin": b"1"})
    get("zoo:tiny")
    downloader.add_files("tiny", [RemoteFile("a.bin", hub.add("/same", b"1"))])
    with pytest.raises(UsageError, match=r"a\.bin with other content"):
        downloader.add_files("tiny", [RemoteFile("a.bin", hub.add("/other", b"2"))])


def test_two_that_add_at_once_both_have_added_and_a_replaced_model_gets_nothing(
    zoo, get, hub, settings, downloader, extra
) -> None:
    zoo.add("tiny", {"a.bin": b"1"})
    seen = get("zoo:tiny").record
    other = RemoteFile("b.bin", hub.add("/b", b"b"))

    add_files(seen, [extra], settings, lambda _: None)
    both = add_files(seen, [other], settings, lambda _: None)

    assert [file.path for file in both.record.files] == ["a.bin", "b.bin", "weights/extra.bin"]
    zoo.add("tiny", {"a.bin": b"2"}, revision="2")
    after = get("zoo:tiny", update=True).record
    with pytest.raises(NotCachedError, match="replaced"):
        add_files(seen, [other], settings, lambda _: None)
    assert downloader.get_record("tiny") == after


def test_offline_mode_adds_nothing(zoo, get, hub, settings, extra) -> None:
    zoo.add("tiny", {"a.bin": b"1"})
    get("zoo:tiny")
    asked = len(hub.requests)
    with pytest.raises(OfflineError):
        ModelDownloader(settings.cache_dir, offline=True).add_files("tiny", [extra])
    assert len(hub.requests) == asked


def test_asking_again_and_updating_keep_what_was_added(zoo, get, downloader, extra) -> None:
    zoo.add("tiny", {"a.bin": b"1"})
    get("zoo:tiny")
    downloader.add_files("tiny", [extra])

    assert get("zoo:tiny").hit
    assert [file.path for file in get("zoo:tiny", update=True).record.files] == [
        "a.bin",
        "weights/extra.bin",
    ]


def test_another_revision_begins_without_what_was_added(zoo, get, downloader, extra) -> None:
    zoo.add("tiny", {"a.bin": b"1"})
    get("zoo:tiny")
    downloader.add_files("tiny", [extra])
    zoo.add("tiny", {"a.bin": b"2"}, revision="2")

    record = get("zoo:tiny", update=True).record

    assert [file.path for file in record.files] == ["a.bin"]


@pytest.mark.parametrize("damaged", ["a.bin", "weights/extra.bin"])
def test_repair_brings_back_added_files_too(zoo, get, hub, downloader, extra, damaged: str) -> None:
    zoo.add("tiny", {"a.bin": b"1"})
    get("zoo:tiny")
    path, _ = downloader.add_files("tiny", [extra])
    (path / damaged).chmod(0o644)
    (path / damaged).write_bytes(b"!")

    get("zoo:tiny")

    assert downloader.verify("tiny") == []
    assert sorted(p.name for p in downloader.get_model_path("tiny").rglob("*.bin")) == [
        "a.bin",
        "extra.bin",
    ]


def test_one_archive_with_other_files_beside_it_is_another_content(zoo, get, hub) -> None:
    packed = archive(code__py=b"x = 1\n")
    digest = hashlib.sha256(packed).hexdigest()
    zip_entry = {
        "path": "code.zip",
        "url": hub.add("/code.zip", packed),
        "sha256": digest,
        "unpack": True,
    }
    weights = {"path": "w.bin", "url": hub.add("/w.bin", b"1")}
    zoo.pages["with"] = {"latest": "1", "revisions": {"1": {"files": [zip_entry, weights]}}}
    zoo.pages["bare"] = {"latest": "1", "revisions": {"1": {"files": [zip_entry]}}}
    zoo.pages["twin"] = {"latest": "1", "revisions": {"1": {"files": [zip_entry]}}}
    for name in zoo.pages:
        zoo.publish(name)

    get("zoo:with", name="net")
    with pytest.raises(NameTakenError):
        get("zoo:bare", name="net")
    get("zoo:bare", name="bare")
    with pytest.raises(NameTakenError):
        get("zoo:twin", name="bare")
    assert get("zoo:bare", name="bare").hit


def test_broken_files_of_a_repository_are_kept_and_told(zoo, get, hub) -> None:
    packed = archive(code__py=b"x = 1\n", broken__safetensors=b"no header")
    entry = {"path": "code.zip", "url": hub.add("/code.zip", packed), "unpack": True}
    zoo.pages["code"] = {"latest": "1", "revisions": {"1": {"files": [entry], "trust": 2}}}
    zoo.publish("code")

    outcome = get("zoo:code")

    assert [file.path for file in outcome.record.files] == ["broken.safetensors", "code.py"]
    assert "broken.safetensors" in " ".join(outcome.notes)
    assert outcome.record.trust.name == "CODE"


def test_a_digest_that_a_plugin_took_itself_is_not_called_published(zoo, get) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, file_fields={"observed": True})
    assert get("zoo:tiny").record.verified == "recorded"
