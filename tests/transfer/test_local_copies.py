"""Bytes that this machine holds already are copied, if a digest proves them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from torchinf_core import transfer
from torchinf_core.types import RemoteFile


@pytest.fixture
def elsewhere(tmp_path: Path, scene) -> Path:
    path = tmp_path / "another-cache" / "blob"
    path.parent.mkdir()
    path.write_bytes(scene.content)
    return path


def fetch(scene, **fields) -> transfer.Fetched:
    file = RemoteFile("model.bin", scene.hub.url("/model.bin"), len(scene.content), **fields)
    (fetched,) = transfer.fetch([file], scene.store, scene.settings(), scene.events.append)
    return fetched


def test_a_proven_copy_saves_the_transfer(scene, elsewhere: Path) -> None:
    scene.check_published(fetch(scene, sha256=scene.sha256, local=(str(elsewhere),)))
    assert scene.gets == 0
    assert elsewhere.read_bytes() == scene.content


def test_a_git_id_proves_it_too(scene, elsewhere: Path) -> None:
    blob = b"blob %d\0" % len(scene.content) + scene.content
    git_sha1 = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
    scene.check_published(fetch(scene, git_sha1=git_sha1, local=(str(elsewhere),)))
    assert scene.gets == 0


@pytest.mark.parametrize("damage", ["missing", "flipped", "short", "directory"])
def test_a_copy_that_is_not_what_it_should_be_is_passed_over(
    scene, elsewhere: Path, damage: str
) -> None:
    if damage == "flipped":
        elsewhere.write_bytes(bytes([scene.content[0] ^ 1]) + scene.content[1:])
    elif damage == "short":
        elsewhere.write_bytes(scene.content[:100])
    else:
        elsewhere.unlink()
        if damage == "directory":
            elsewhere.mkdir()
    scene.check_published(fetch(scene, sha256=scene.sha256, local=(str(elsewhere),)))
    assert scene.gets == 1


def test_without_a_digest_nothing_is_copied(scene, elsewhere: Path) -> None:
    elsewhere.write_bytes(b"something else")
    scene.check_published(fetch(scene, local=(str(elsewhere),)))
    assert scene.gets == 1
