"""Where only public addresses may be dialled, no spelling, redirect or name leads elsewhere."""

from __future__ import annotations

import _socket
import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import NetworkError, PolicyError
from torchinf_core.network import addresses
from torchinf_core.network import http as http_module
from torchinf_core.network.addresses import is_public, public_addresses
from torchinf_core.network.http import client
from torchinf_core.settings import Settings, load_settings

if TYPE_CHECKING:
    from torchinf_core.testing import Hub

CORPUS = Path(__file__).with_name("spellings.txt").read_text(encoding="utf-8")
SPELLINGS = [line for line in CORPUS.splitlines() if line and not line.startswith("#")]


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(set(SPELLINGS)) >= 120


# The last is httpx's word for a redirect to something that is no URL.
NO_URL = ("InvalidURL", "UnsupportedProtocol", "LocalProtocolError", "RemoteProtocolError")


@pytest.fixture(autouse=True)
def numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own reading of addresses, and of this machine's names; no name is looked up."""

    def ask(host: str, port: int) -> list[str]:
        if host.rstrip(".").lower() in ("localhost", "ip6-localhost"):
            return ["127.0.0.1", "::1"]
        found = _socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        return [str(entry[4][0]) for entry in found]

    monkeypatch.setattr(addresses, "resolve", ask)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that anything tries to connect to; no connection is made."""
    tried: list[object] = []

    def refuse(_self: socket.socket | None, address: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError("refused")

    def refuse_any(address: object, *_rest: Any, **_more: Any) -> None:
        refuse(None, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse_any)
    return tried


def asked(url: str, **settings: Any) -> str:
    """Name of the error that asking for a URL ends in."""
    with client(Settings(public_only=True, **settings), retries=False) as http:
        try:
            http.get(url)
        except Exception as error:  # the name is compared
            return type(error).__name__
    return "no error"


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_another_address_is_dialled(
    host: str, scheme: str, dialled: list[object]
) -> None:
    assert asked(f"{scheme}://{host}/") in ("PolicyError", "NetworkError", *NO_URL)
    assert dialled == []


def test_nearly_all_of_them_are_refused_for_what_they_are(dialled: list[object]) -> None:
    ends = [asked(f"http://{host}/") for host in SPELLINGS]
    assert ends.count("PolicyError") >= 120
    assert dialled == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/",
                                 "data:,x", "unix:///run/x.sock", "//127.0.0.1/"])  # fmt: skip
def test_other_schemes_lead_nowhere(url: str, dialled: list[object]) -> None:
    assert asked(url) != "no error"
    assert dialled == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_check_is_what_keeps_them_out(host: str, dialled: list[object]) -> None:
    with client(Settings(), retries=False) as http:
        with pytest.raises(httpx.ConnectError):
            http.get(f"http://{host}/")
    assert dialled


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Sequence[str]]]:
    """Names and what the resolver says of them, one answer after another."""
    table: dict[str, list[Sequence[str]]] = {}

    def ask(host: str, port: int) -> Sequence[str]:
        answers = table[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(addresses, "resolve", ask)
    return table


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.parametrize("end", ["refused", "dialled"])
def test_a_redirect_leads_to_no_other_address_either(
    hub: Hub, host: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = int(hub.url("").rpartition(":")[2].strip("/"))
    target = own if end == "dialled" else 1
    hub.redirect("/start", f"http://{host}:{target}/secret")
    hub.add("/secret", b"secret")
    real, tried = socket.socket.connect, []

    def connect(self: socket.socket, address: Any) -> None:
        tried.append(address)
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    # Only the hub itself may be reached, by the one spelling that the first URL has.
    monkeypatch.setattr(
        http_module, "public_addresses",
        lambda name, port, *rest: ["127.0.0.1"] if (name, port) == ("start.example", own)
        else public_addresses(name, port, *rest),
    )  # fmt: skip
    assert asked(f"http://start.example:{own}/start") in ("PolicyError", "NetworkError", *NO_URL)
    assert tried == [("127.0.0.1", own)]
    assert [exchange.path for exchange in hub.requests] == ["/start"]


def test_of_several_addresses_one_bad_spoils_all(names: dict[str, list[Sequence[str]]]) -> None:
    names["mixed.example"] = [["93.184.216.34", "127.0.0.1"]]
    with pytest.raises(PolicyError, match=r"mixed\.example"):
        public_addresses("mixed.example", 443)


def test_a_name_that_changes_its_mind_is_dialled_where_it_was_checked(
    names: dict[str, list[Sequence[str]]], dialled: list[object]
) -> None:
    names["rebind.example"] = [["93.184.216.34"], ["127.0.0.1"]]
    with client(Settings(public_only=True), retries=False) as http:
        for _ in range(2):
            with pytest.raises(Exception):  # noqa: B017
                http.get("http://rebind.example/")
    assert dialled == [("93.184.216.34", 80)]


def test_the_name_is_still_what_the_server_is_told(
    hub: Hub, names: dict[str, list[Sequence[str]]]
) -> None:
    hub.add("/file", b"content")
    names["models.example"] = [["127.0.0.1"]]
    settings = Settings(public_only=True, private_networks=("127.0.0.0/8",))
    port = hub.url("").rpartition(":")[2].strip("/")
    with client(settings) as http:
        assert http.get(f"http://models.example:{port}/file").content == b"content"
    assert hub.requests[-1].headers["host"] == f"models.example:{port}"


def test_a_name_without_an_address_is_a_network_error(
    names: dict[str, list[Sequence[str]]],
) -> None:
    names["nowhere.example"] = [[]]
    with pytest.raises(NetworkError, match="no address"):
        public_addresses("nowhere.example", 443)


def test_proxies_are_left_alone(monkeypatch: pytest.MonkeyPatch, dialled: list[object]) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with client(Settings(public_only=True), retries=False) as http:
        with pytest.raises(PolicyError):
            http.get("http://127.0.0.1/")
    assert dialled == []


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_what_python_calls_private_is_never_public(address: object) -> None:
    parsed = ip_address(str(address))
    if not parsed.is_global or parsed.is_multicast:
        assert not is_public(parsed)


@given(st.ip_addresses(v=6))
def test_nothing_beside_global_unicast_is_public(address: object) -> None:
    parsed = ip_address(str(address))
    if parsed not in ip_network("2000::/3") or not parsed.is_global:
        assert not is_public(parsed)


def test_networks_of_the_settings_are_checked() -> None:
    assert load_settings({}, private_networks="10.0.0.0/8 ::1").private_networks == (
        "10.0.0.0/8",
        "::1",
    )
    with pytest.raises(Exception, match="private_networks"):
        load_settings({}, private_networks="everything")
