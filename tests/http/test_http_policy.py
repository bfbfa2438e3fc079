"""The policy of the wire: where credentials go, what a redirect may do, what a failure means."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from torchinf_core.errors import (
    AccessDeniedError,
    ModelNotFoundError,
    NetworkError,
    OfflineError,
    PolicyError,
    SourceError,
    TorchinfError,
)
from torchinf_core.network import failures, http, retry
from torchinf_core.settings import Settings, load_settings
from torchinf_core.testing import Hub, faults, have_openssl
from torchinf_core.transfer.wire import Wire


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seen: list[float] = []
    monkeypatch.setattr(retry, "sleep", lambda seconds, _stop=None: seen.append(seconds))
    return seen


def plain(**arguments: object) -> Settings:
    return load_settings({}, **arguments)


def test_offline_mode_makes_no_connection(hub: Hub) -> None:
    url = hub.add("/a", b"x")
    with http.client(plain(offline=True)) as client, pytest.raises(OfflineError):
        client.get(url)
    assert hub.connections == 0


def test_a_token_goes_to_its_host_and_nowhere_else(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINF_TOKEN_127_0_0_1", "s3cret")
    hub.add("/there", b"x")
    here = hub.redirect("/here", hub.url("/there", host="localhost"))
    with http.client(plain()) as client:
        assert client.get(here).content == b"x"
    first, second = hub.requests
    assert first.headers["authorization"] == "Bearer s3cret"
    assert "authorization" not in second.headers


def test_netrc_logs_in_where_it_says(hub: Hub, own_home: Path) -> None:
    (own_home / ".netrc").write_text("machine 127.0.0.1 login me password pw\n")
    (own_home / ".netrc").chmod(0o600)
    url = hub.add("/a", b"x")
    with http.client(plain()) as client:
        client.get(url)
        client.get(url.replace("127.0.0.1", "localhost"))
    assert hub.requests[0].headers["authorization"].startswith("Basic ")
    assert "authorization" not in hub.requests[1].headers


def test_a_login_in_the_url_is_sent_to_that_url(hub: Hub) -> None:
    url = hub.add("/a", b"x").replace("//", "//user:pass@")
    assert http.authorization(url, plain()) == "Basic dXNlcjpwYXNz"


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(PolicyError, match="unencrypted"):
        http.refuse_downgrade("https://a/x", "http://a/x")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://a/x", "data:,x"])
def test_a_redirect_to_no_http_url_is_refused(target: str) -> None:
    with pytest.raises(PolicyError):
        http.refuse_downgrade("http://a/x", target)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, AccessDeniedError),
        (403, AccessDeniedError),
        (404, ModelNotFoundError),
        (410, ModelNotFoundError),
        (429, SourceError),
        (418, SourceError),
        (500, SourceError),
    ],
)
def test_statuses_become_typed_errors(status: int, expected: type[TorchinfError]) -> None:
    error = failures.status_error(status, "https://u:p@h/x?token=abc", {})
    assert type(error) is expected
    assert "abc" not in str(error)
    assert "u:p" not in str(error)


PLACES = {
    "variable": "the token in $TORCHINF_TOKEN_127_0_0_1 was refused",
    "settings": "the token that is set for 127.0.0.1 was refused",
    "netrc": "the login in ~/.netrc was refused",
    "url": "the login in the URL was refused",
}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["asked", "transferred"])
def test_a_token_that_is_set_and_refused_is_not_asked_for_but_said_to_be_refused(
    hub: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch, status: int, place: str, way: str
) -> None:
    url, settings = hub.url("/private"), plain()
    if place == "variable":
        monkeypatch.setenv("TORCHINF_TOKEN_127_0_0_1", "s3cret")
    elif place == "settings":
        settings = replace(settings, tokens={"127.0.0.1": "s3cret"})
    elif place == "netrc":
        (own_home / ".netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    else:
        url = url.replace("//", "//me:s3cret@")
    hub.add("/private", b"x")
    hub.fail("/private", faults.status(status))
    error = refusal(url, settings, way)
    assert isinstance(error, AccessDeniedError)
    assert error.hint.startswith(PLACES[place])
    assert "s3cret" not in f"{error} {error.hint}"


@pytest.mark.parametrize("way", ["asked", "transferred"])
def test_what_is_set_for_another_host_is_not_what_was_refused(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("TORCHINF_TOKEN_127_0_0_1", "s3cret")
    hub.require_token("/there", "another")
    url = hub.redirect("/here", hub.url("/there", host="localhost"))
    assert refusal(url, plain(), way).hint.startswith("put a token for localhost into")


def test_a_proxy_that_wants_a_login_refused_no_token_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCHINF_TOKEN_H", "s3cret")
    assert "was refused" not in failures.status_error(407, "https://h/x", {}).hint


def refusal(url: str, settings: Settings, way: str) -> TorchinfError:
    """What becomes of a refusal on either way that the core asks a server."""
    if way == "transferred":
        wire = Wire(settings)
        try:
            with pytest.raises(TorchinfError) as raised:
                wire.get(url, {})
            return raised.value
        finally:
            wire.close()
    with http.client(settings) as client, pytest.raises(httpx.HTTPStatusError) as caught:
        client.get(url).raise_for_status()
    return failures.translate(caught.value, str(caught.value.request.url), settings)


def test_metadata_requests_are_repeated_with_growing_pauses(hub: Hub, pauses: list[float]) -> None:
    url = hub.add("/a", b"x")
    hub.fail("/a", faults.status(503).repeat(3))
    with http.client(plain()) as client:
        assert client.get(url).status_code == 200
    assert len(pauses) == 3
    assert len(hub.requests) == 4


def test_nothing_listening_is_a_network_error_that_names_the_place(pauses: list[float]) -> None:
    with http.client(plain(retries=2)) as client:
        with pytest.raises(httpx.ConnectError) as caught:
            client.get("http://127.0.0.1:9/x")
    error = failures.translate(caught.value, "http://127.0.0.1:9/x")
    assert isinstance(error, NetworkError)
    assert "127.0.0.1:9" in str(error)
    assert len(pauses) == 1


def test_a_refused_connection_is_not_waited_for_as_long_as_a_busy_server(
    pauses: list[float],
) -> None:
    with http.client(plain(retries=6)) as client, pytest.raises(httpx.ConnectError):
        client.get("http://127.0.0.1:9/x")
    assert len(pauses) == 2


def test_an_unknown_certificate_is_an_error_at_once(pauses: list[float]) -> None:
    if not have_openssl():
        pytest.skip("needs the openssl command")
    with Hub(tls=True) as hub:
        url = hub.add("/a", b"x")
        with http.client(plain()) as client, pytest.raises(httpx.ConnectError) as caught:
            client.get(url)
        assert "not trusted" in str(failures.translate(caught.value, url))
        assert pauses == []
        with http.client(plain(ca_file=hub.ca_file)) as client:
            assert client.get(url).content == b"x"


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, "http://h/x", None),
        ({"http_proxy": "http://p:1"}, "http://h/x", "http://p:1"),
        ({"http_proxy": "p:1"}, "http://h/x", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://h/x", None),
        ({"https_proxy": "http://p:1", "no_proxy": "h"}, "https://h/x", None),
        ({"all_proxy": "http://p:1"}, "https://h/x", "http://p:1"),
    ],
)
def test_proxies_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert http.proxy_for(url, plain()) == expected


def test_the_proxy_of_the_settings_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://p:1")
    assert http.proxy_for("http://h/x", plain(proxy="http://q:2")) == "http://q:2"


def test_a_request_goes_through_the_proxy(hub: Hub) -> None:
    hub.route("http://nowhere.invalid", lambda _: None)
    with http.client(plain(proxy=hub.url("/").rstrip("/"), retries=1)) as client:
        client.get("http://nowhere.invalid/model")
    assert hub.connections == 1


def test_threads_that_ask_at_once_share_one_pool(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    url = hub.add("/file", b"x")
    made: list[httpx.HTTPTransport] = []
    entered = threading.Barrier(4)

    class Counted(httpx.HTTPTransport):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    def proxy(*_: object) -> None:
        entered.wait(5)

    monkeypatch.setattr(httpx, "HTTPTransport", Counted)
    monkeypatch.setattr(http, "proxy_for", proxy)
    with http.client(plain()) as client:
        threads = [threading.Thread(target=client.get, args=(url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(made) == 1
    assert len(hub.requests) == 4
