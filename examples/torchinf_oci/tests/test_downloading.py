"""Artifacts of a real registry arrive whole, and nothing else does."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
NEWER = WEIGHTS[:-1] + b"\1"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def tiny(registry):
    """The reference of a model of one safetensors file."""
    registry.push("models/tiny", "v1", {"model.safetensors": WEIGHTS})
    return f"oci:{registry.url}/models/tiny:v1"


def content(torchinf) -> bytes:
    return Path(torchinf("path", "tiny").strip()).read_bytes()


def test_a_model_arrives_verified_and_bound_to_its_manifest(registry, tiny, torchinf):
    digest = registry.push("models/tiny", "v1", {"model.safetensors": WEIGHTS})
    torchinf("download", tiny)
    known = json.loads(torchinf("info", "tiny", "--json"))
    assert content(torchinf) == WEIGHTS
    assert (known["revision"], known["verified"]) == (digest, "published")


def test_asking_again_makes_no_connection(registry, tiny, torchinf):
    torchinf("download", tiny)
    registry.stop()
    torchinf("download", tiny)
    assert registry.asked("/v2/models/tiny/manifests/v1") == 1


def test_what_is_here_is_not_transferred_again_for_another_tag(registry, tiny, torchinf):
    torchinf("download", tiny)
    registry.push("models/tiny", "same", {"model.safetensors": WEIGHTS})
    torchinf("download", f"oci:{registry.url}/models/tiny:same", "--name", "same")
    registry.stop()
    blob = json.loads(torchinf("info", "same", "--json"))["files"][0]["sha256"]
    assert registry.asked(f"/v2/models/tiny/blobs/sha256:{blob}") == 1


@pytest.mark.usefixtures("tiny")
def test_a_digest_names_an_artifact_for_ever(registry, torchinf):
    digest = registry.push("models/tiny", "v1", {"model.safetensors": WEIGHTS})
    registry.push("models/tiny", "v1", {"model.safetensors": NEWER})
    torchinf("download", f"oci:{registry.url}/models/tiny@{digest}")
    assert content(torchinf) == WEIGHTS


def test_a_tag_that_moved_is_followed_when_asked_to(registry, tiny, torchinf):
    torchinf("download", tiny)
    assert "up to date" in torchinf("download", tiny, "--update")
    digest = registry.push("models/tiny", "v1", {"model.safetensors": NEWER})
    torchinf("download", tiny)
    assert content(torchinf) == WEIGHTS
    torchinf("download", tiny, "--update")
    assert content(torchinf) == NEWER
    assert json.loads(torchinf("info", "tiny", "--json"))["revision"] == digest


def test_a_damaged_file_is_fetched_again_although_its_tag_moved(registry, tiny, torchinf):
    torchinf("download", tiny)
    registry.push("models/tiny", "v1", {"model.safetensors": NEWER})
    path = Path(torchinf("path", "tiny").strip())
    path.chmod(0o600)
    path.write_bytes(NEWER)
    assert "fetched again" in torchinf("download", tiny)
    assert content(torchinf) == WEIGHTS


@pytest.mark.parametrize("missing", ["models/tiny:v2", "models/none:v1"])
@pytest.mark.usefixtures("tiny")
def test_what_the_registry_has_not_is_not_found(registry, torchinf, missing):
    said = torchinf("download", f"oci:{registry.url}/{missing}", status=3)
    assert f"the registry has no oci:{registry.url}/{missing}" in said


def test_a_blob_that_rotted_in_the_registry_is_refused(registry, tiny, torchinf):
    registry.blob(f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}").write_bytes(NEWER)
    said = torchinf("download", tiny, status=5)
    assert "sha256" in said
    assert json.loads(torchinf("list", "--json"))["models"] == []
    assert torchinf.blobs() == []


def test_a_title_that_leads_out_of_the_model_is_refused(registry, torchinf):
    registry.push("models/tiny", "v1", {"../model.safetensors": WEIGHTS})
    torchinf("download", f"oci:{registry.url}/models/tiny:v1", status=9)
    assert torchinf.blobs() == []


def test_an_index_is_refused_and_what_it_lists_can_be_had(registry, torchinf):
    digest = registry.push("models/tiny", "v1", {"model.safetensors": WEIGHTS})
    size = registry.blob(digest).stat().st_size
    listed = [{"mediaType": MANIFEST, "digest": digest, "size": size}]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
    registry.push_manifest("models/tiny", "all", index)
    said = torchinf("download", f"oci:{registry.url}/models/tiny:all", status=4)
    choice = f"oci:{registry.url}/models/tiny@{digest}"
    assert "is an index of 1 manifests" in said
    assert choice in "".join(said.split())
    torchinf("download", choice)


def test_a_folder_is_unpacked_and_a_layer_without_a_title_left_out(registry, torchinf):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("weights/model.safetensors")
        member.size = len(WEIGHTS)
        archive.addfile(member, io.BytesIO(WEIGHTS))
    folder = {"org.opencontainers.image.title": "weights", "io.deis.oras.content.unpack": "true"}
    layers = [
        {**registry.push_blob("models/tiny", packed.getvalue()), "annotations": folder},
        registry.push_blob("models/tiny", b"signature"),
    ]
    config = registry.push_blob("models/tiny", b"{}")
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    registry.push_manifest("models/tiny", "v1", manifest)
    said = torchinf("download", f"oci:{registry.url}/models/tiny:v1")
    assert "1 layers without a title were left out" in said
    found = json.loads(torchinf("info", "tiny", "--json"))["files"]
    assert [file["path"] for file in found] == ["weights/model.safetensors"]
