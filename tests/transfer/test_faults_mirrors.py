"""Mirrors: asked when a server fails, never when it says no, and never mixed unproved."""

from __future__ import annotations

import random

import pytest

from torchinf_core import transfer
from torchinf_core.errors import TorchinfError
from torchinf_core.testing import Fault, faults
from torchinf_core.types import RemoteFile

NEW = random.Random(9).randbytes(50 * 4096 + 123)


def fetch(scene, *, sha256: str | None, size: int | None = None) -> transfer.Fetched:
    file = RemoteFile(
        "model.bin",
        scene.hub.url("/model.bin"),
        size=size,
        sha256=sha256,
        mirrors=(scene.hub.url("/mirror.bin"),),
    )
    (fetched,) = transfer.fetch([file], scene.store, scene.settings(), scene.events.append)
    return fetched


@pytest.mark.parametrize(
    "fault",
    [
        faults.vanish(),
        faults.reset(0),
        faults.status(500),
        faults.status(503),
        faults.not_http(),
        faults.big_header(),
    ],
    ids=lambda fault: fault.name,
)
def test_the_mirror_is_asked_when_the_server_fails(scene, fault: Fault):
    scene.hub.add("/mirror.bin", scene.content)
    scene.hub.fail("/model.bin", fault.always())
    size = len(scene.content) if scene.small else None
    scene.check_published(fetch(scene, sha256=scene.sha256, size=size))


@pytest.mark.parametrize(("code", "exit_code"), [(404, 3), (401, 4), (403, 4)])
def test_the_mirror_is_not_asked_when_the_server_says_no(scene, code: int, exit_code: int):
    scene.hub.add("/mirror.bin", scene.content)
    scene.hub.fail("/model.bin", faults.status(code).always())
    with pytest.raises(TorchinfError) as caught:
        fetch(scene, sha256=scene.sha256, size=len(scene.content) if scene.small else None)
    assert caught.value.exit_code == exit_code
    assert scene.hub.bytes_sent("/mirror.bin") == 0


def test_a_mirror_finishes_what_the_server_began(large_scene):
    large_scene.hub.add("/mirror.bin", large_scene.content, etag="of the mirror")
    large_scene.hub.fail("/model.bin", faults.cut(0.5), faults.status(503).always())
    large_scene.check_published(fetch(large_scene, sha256=large_scene.sha256))


def test_without_a_digest_a_mirror_starts_from_the_first_byte(large_scene):
    large_scene.hub.add("/mirror.bin", NEW, etag="one")
    large_scene.hub.fail("/model.bin", faults.cut(0.5), faults.status(503).always())
    large_scene.check_published(fetch(large_scene, sha256=None), NEW)


def test_a_mirror_with_wrong_bytes_is_refused(large_scene):
    large_scene.hub.add("/mirror.bin", NEW)
    large_scene.hub.fail("/model.bin", faults.vanish().always())
    with pytest.raises(TorchinfError) as caught:
        fetch(large_scene, sha256=large_scene.sha256)
    assert caught.value.exit_code in (4, 5)
    large_scene.check_nothing_published()
