"""Certificates, downgrades and credentials: what the wire may carry, and where to."""

from __future__ import annotations

import time

import pytest

from torchinf_core.testing import Certificate, Hub, faults, have_openssl

needs_openssl = pytest.mark.skipif(
    not have_openssl(), reason="the openssl command is not installed"
)


@needs_openssl
def test_https_is_continued_after_a_cut_and_a_reset(large_scene):
    with Hub(tls=True) as secure:
        url = secure.add("/model.bin", large_scene.content)
        secure.fail("/model.bin", faults.cut(0.3), faults.reset(0.3))
        large_scene.check_published(large_scene.fetch(url, ca_file=secure.ca_file))
        assert secure.bytes_sent("/model.bin") <= 1.1 * len(large_scene.content)


@needs_openssl
def test_a_redirect_from_https_to_http_is_refused(scene):
    with Hub(tls=True) as secure:
        url = secure.redirect("/model.bin", scene.hub.url("/model.bin"))
        error = scene.refused(url, ca_file=secure.ca_file)
    assert error.exit_code == 7
    assert scene.hub.requests == []


@needs_openssl
def test_a_redirect_from_http_to_https_is_followed(scene):
    with Hub(tls=True) as secure:
        target = secure.add("/model.bin", scene.content)
        url = scene.hub.redirect("/moved", target)
        scene.check_published(scene.fetch(url, ca_file=secure.ca_file))


@needs_openssl
@pytest.mark.parametrize(
    ("certificate", "trusted"),
    [
        (Certificate(), False),
        (Certificate(expired=True), True),
        (Certificate(names="DNS:elsewhere.example"), True),
    ],
    ids=["unknown issuer", "expired", "other host"],
)
def test_a_bad_certificate_is_an_error_at_once(scene, certificate: Certificate, trusted: bool):
    with Hub(tls=certificate) as secure:
        url = secure.add("/model.bin", scene.content)
        error = scene.refused(url, ca_file=secure.ca_file if trusted else None)
        assert secure.connections == 1
        assert secure.requests == []
    assert error.exit_code == 4
    assert "certificate" in str(error)
    assert scene.pauses == []


@pytest.mark.parametrize("years", [-10, 10])
def test_a_wrong_clock_changes_nothing(large_scene, years: int, monkeypatch: pytest.MonkeyPatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + years * 365.25 * 86400)
    large_scene.hub.fail("/model.bin", faults.cut(0.5), faults.status(503, Retry_After="3"))
    large_scene.check_published(large_scene.fetch())
    assert large_scene.sent <= 1.01 * len(large_scene.content)
    assert large_scene.pauses[1] == 3


def test_a_token_goes_to_its_host_and_to_no_other(scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCHINF_TOKEN_127_0_0_1", "s3cret")
    with Hub() as other:
        other.add("/model.bin", scene.content)
        url = scene.hub.redirect("/gated", other.url("/model.bin", host="localhost"))
        scene.hub.require_token("/gated", "s3cret")
        scene.check_published(scene.fetch(url))
        assert "Authorization" in scene.hub.requests[0].headers
        assert [seen.headers.get("Authorization") for seen in other.requests] == [None]


def test_a_password_in_a_url_goes_to_its_host_and_into_no_message(scene):
    secret = scene.hub.url("/gated").replace("://", "://user:s3cret@")
    with Hub() as other:
        other.fail("/model.bin", faults.status(403).always())
        scene.hub.redirect("/gated", other.url("/model.bin", host="localhost"))
        error = scene.refused(secret)
        assert error.exit_code == 4
        assert scene.hub.requests[0].headers["Authorization"].startswith("Basic ")
        assert "Authorization" not in other.requests[0].headers
    shown = f"{error} {error.hint} {[event.message for event in scene.events]}"
    assert "s3cret" not in shown


def test_without_the_token_the_error_says_where_to_put_it(scene):
    scene.hub.require_token("/model.bin", "s3cret")
    error = scene.refused()
    assert error.exit_code == 4
    assert "TORCHINF_TOKEN_127_0_0_1" in error.hint
    assert scene.gets == 1


def test_offline_nothing_is_asked(scene):
    assert scene.refused(offline=True).exit_code == 4
    assert scene.hub.connections == 0
