"""No request makes the server connect to what only the server can reach."""

from __future__ import annotations

import _socket
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from torchinf_core.network import addresses
from torchinf_core.network import http as http_module
from torchinf_core.network.addresses import public_addresses
from torchinf_core.testing import Hub

if TYPE_CHECKING:
    from conftest import Running, Serve

ROOT = Path(__file__).parents[3]
CORPUS = (ROOT / "tests" / "http" / "spellings.txt").read_text(encoding="utf-8")
SPELLINGS = [line for line in CORPUS.splitlines() if line and not line.startswith("#")]
START = "start.example"


def usable(host: str) -> bool:
    try:
        return bool(urlsplit(f"//{host}").hostname)
    except ValueError:
        return False


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
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that is connected to, except by clients of the server."""
    tried: list[Any] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            tried.append(address)
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


def ask(server: Running, url: str) -> tuple[int, dict[str, Any]]:
    body = {"source": "url", "model_id": url}
    answer = server.client().post("/models/download?wait=true", json=body)
    told = [part for part in ("127.0.0.1", "169.254.169.254", "Traceback") if part in answer.text]
    assert told == [], answer.text
    return answer.status_code, answer.json()


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(set(SPELLINGS)) >= 120


def test_no_spelling_gets_past_the_list_of_hosts(serve: Serve, dialled: list[Any]) -> None:
    server = serve(url_hosts=(START,), allow_http=True)
    for scheme in ("http", "https"):
        for host in SPELLINGS:
            status, _ = ask(server, f"{scheme}://{host}/secret")
            assert status in (403, 422), host
    assert server.client().get("/models/jobs").json()["total"] == 0
    assert dialled == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_is_dialled_even_if_the_list_has_it(
    serve: Serve, dialled: list[Any], scheme: str
) -> None:
    hosts = tuple(host for host in SPELLINGS if usable(host))
    server = serve(url_hosts=hosts, allow_http=True, keep_jobs=1000)
    ends = [ask(server, f"{scheme}://{host}/secret") for host in SPELLINGS]
    assert {status for status, _ in ends} <= {403, 422, 502}
    assert [status for status, _ in ends].count(403) >= 120
    assert dialled == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "data:,x",
     "unix:///run/x.sock", "//127.0.0.1/", "dict://127.0.0.1:11211/", "ldap://127.0.0.1/",
     "jar:http://127.0.0.1!/", "http:127.0.0.1", "http:/127.0.0.1/x", "http:///127.0.0.1"],
)  # fmt: skip
def test_no_other_kind_of_url_is_asked(serve: Serve, dialled: list[Any], url: str) -> None:
    server = serve(url_hosts=("127.0.0.1", START), allow_http=True)
    assert ask(server, url)[0] in (403, 422, 501)
    assert dialled == []


@pytest.fixture
def allowed(serve: Serve, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A server that may ask the hub by one name, and nothing else of this machine."""
    monkeypatch.delenv("TORCHINF_PRIVATE_NETWORKS")
    own = urlsplit(hub.url("")).port
    monkeypatch.setattr(
        http_module, "public_addresses",
        lambda name, port, *rest: ["127.0.0.1"] if (name, port) == (START, own)
        else public_addresses(name, port, *rest),
    )  # fmt: skip
    return serve(url_hosts=(f"{START}:{own}",), allow_http=True, keep_jobs=1000)


def test_no_spelling_is_reached_through_a_redirect(
    allowed: Running, hub: Hub, dialled: list[Any]
) -> None:
    own = urlsplit(hub.url("")).port
    hub.add("/secret", b"secret")
    refused = 0
    for number, host in enumerate(SPELLINGS):
        hub.redirect(f"/start{number}", f"http://{host}:{own}/secret")
        status, _ = ask(allowed, f"http://{START}:{own}/start{number}")
        refused += status == 403
        assert status in (403, 422, 502), host
    assert refused >= 120
    assert {exchange.path for exchange in hub.requests} == {
        f"/start{number}" for number in range(len(SPELLINGS))
    }
    assert set(dialled) == {("127.0.0.1", own)}
    assert len(dialled) <= len(hub.requests)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://x/", "gopher://x/", "//[::1]/x"])
def test_a_redirect_leads_to_no_other_kind_of_url(
    allowed: Running, hub: Hub, dialled: list[Any], to: str
) -> None:
    hub.redirect("/start", to)
    own = urlsplit(hub.url("")).port
    assert ask(allowed, f"http://{START}:{own}/start")[0] in (403, 422, 502)
    assert set(dialled) == {("127.0.0.1", own)}


def test_a_name_that_changes_its_mind_is_dialled_where_it_was_checked(
    serve: Serve, hub: Hub, dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINF_PRIVATE_NETWORKS")
    own = urlsplit(hub.url("")).port
    hub.add("/m.bin", b"secret")
    answers = iter([["93.184.216.34"], *[["127.0.0.1"]] * 100])
    monkeypatch.setattr(addresses, "resolve", lambda *_: next(answers))

    def nobody(address: Any, *rest: Any, **more: Any) -> socket.socket:
        if threading.current_thread() is threading.main_thread():
            return real(address, *rest, **more)
        dialled.append(address)
        raise ConnectionRefusedError("nobody is there")

    server = serve(url_hosts=(f"rebind.example:{own}",), allow_http=True)
    client, real = server.client(), socket.create_connection
    monkeypatch.setattr(socket, "create_connection", nobody)
    url = f"http://rebind.example:{own}/m.bin"
    answers_ = [
        client.post("/models/download?wait=true", json={"source": "url", "model_id": url})
        for _ in range(3)
    ]
    assert {answer.status_code for answer in answers_} <= {403, 502}
    assert set(dialled) == {("93.184.216.34", own)}
    assert hub.requests == []


REAL = ["127.0.0.1", "localhost", "[::1]", "0x7f000001", "127.1", "[::ffff:127.0.0.1]"]


def test_the_process_of_a_job_is_as_strict(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on one loopback address that may be asked redirects to one that may not."""
    monkeypatch.setenv("TORCHINF_PRIVATE_NETWORKS", "127.0.0.77/32")
    secret = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    secret.settimeout(0.2)
    door = socket.create_server(("127.0.0.77", 0))
    target = secret.getsockname()[1]

    def redirect() -> None:
        while True:
            try:
                sock, _ = door.accept()
            except OSError:
                return
            with sock:
                head = sock.recv(1 << 16)
                number = int(head.split(b"/m")[1].split(b".")[0])
                to = f"http://{REAL[number]}:{target}/secret"
                sock.sendall(
                    f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n"
                    "Connection: close\r\n\r\n".encode()
                )

    threading.Thread(target=redirect, daemon=True).start()
    port = door.getsockname()[1]
    server = serve(url_hosts=(f"127.0.0.77:{port}",), allow_http=True, processes=True)
    try:
        for number in range(len(REAL)):
            status, problem = ask(server, f"http://127.0.0.77:{port}/m{number}.bin")
            assert (status, problem["type"]) == (403, "about:blank"), problem
        with pytest.raises(TimeoutError):
            secret.accept()
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        secret.close()
