"""What a plugin may use of the core."""

from __future__ import annotations

import httpx
import pytest

from torchinf_core.host import Host
from torchinf_core.settings import Settings


def test_a_token_is_given_for_exactly_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINF_TOKEN_ZOO_EXAMPLE", "from-env")
    host = Host(Settings(tokens={"hub.example": "from-file"}), "zoo")
    assert host.token("zoo.example") == "from-env"
    assert host.token("hub.example") == "from-file"
    assert host.token("evil.example") == ""


def test_a_setting_of_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(Settings(plugins={"my-zoo": {"index": "file"}, "other": {"x": 1}}), "my-zoo")
    assert host.setting("index") == "file"
    assert host.setting("x") is None
    monkeypatch.setenv("TORCHINF_MY_ZOO_INDEX", "env")
    assert host.setting("index") == "env"


def test_a_test_can_bring_its_own_client() -> None:
    answers = httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.url)))
    with Host(Settings(), "zoo", http=httpx.Client(transport=answers)) as host:
        client = host.http
        assert client.get("https://zoo.example/").text == "https://zoo.example/"
    assert client.is_closed


def test_no_client_is_made_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchinf_core.network.http.client", lambda _: pytest.fail("made a client"))
    with Host(Settings(offline=True), "zoo") as host:
        assert host.offline
        assert host.notes == ()
