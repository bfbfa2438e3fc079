"""With a mirror every byte comes from it, and is held to what the source said."""

import hashlib

import pytest

from torchinf_core.testing import Hub

PATH = "/tiny.safetensors"


@pytest.fixture
def mirror(monkeypatch):
    """The company's mirror, still empty, in the settings."""
    with Hub() as mirror:
        monkeypatch.setenv("TORCHINF_MIRROR_URL", mirror.url("/all/"))
        yield mirror


@pytest.fixture
def url(hub, weights):
    """Where the model is at its source."""
    pytest.importorskip("torchinf_url")
    return hub.add(PATH, weights)


def mirrored(url):
    return "/all/" + url.partition("//")[2]


def test_the_bytes_come_from_the_mirror_alone(torchinf, hub, mirror, weights, url):
    mirror.add(mirrored(url), weights)
    torchinf("download", url.replace("//", "//someone:hidden@") + "?signature=hidden")
    [asked] = {(seen.path, seen.request.query) for seen in mirror.requests}
    assert asked == (mirrored(url), "")
    assert not [seen for seen in mirror.requests if "authorization" in seen.headers]
    assert hub.bytes_sent(PATH) < len(weights)


def test_what_the_mirror_lacks_is_not_fetched_around_it(torchinf, hub, mirror, weights, url):
    assert mirrored(url) in torchinf("download", url, status=3)
    assert mirror.requests
    assert hub.bytes_sent(PATH) < len(weights)


def test_a_mirror_can_not_change_pinned_content(torchinf, mirror, weights, url):
    mirror.add(mirrored(url), weights[:-1] + b"\1")
    torchinf("download", url, "--sha256", hashlib.sha256(weights).hexdigest(), status=5)


def test_without_the_setting_nothing_is_rewritten(torchinf, hub, mirror, weights, url):
    torchinf("download", url, TORCHINF_MIRROR_URL="")
    assert mirror.requests == []
    assert hub.bytes_sent(PATH) >= len(weights)
