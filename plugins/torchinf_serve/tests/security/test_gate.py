"""What a request must bring before anything looks at it."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.manager import ModelDownloader

if TYPE_CHECKING:
    from conftest import Running, Serve

ROUTES = [
    ("GET", "/models/available"),
    ("POST", "/models/download"),
    ("GET", "/models/download/x/info"),
    ("DELETE", "/models/download/x"),
    ("GET", "/models/cache/info"),
    ("GET", "/models/jobs"),
    ("GET", "/models/jobs/x"),
    ("DELETE", "/models/jobs/x"),
    ("POST", "/models/jobs/x/retry"),
    ("GET", "/models/jobs/x/events"),
    ("GET", "/metrics"),
    ("POST", "/models/x/predict"),
    ("GET", "/v2/health/live"),
    ("GET", "/v2"),
    ("POST", "/v2/models/x/infer"),
    ("POST", "/v2/repository/models/x/load"),
    ("GET", "/no/such/route"),
    ("POST", "/health"),
    ("PUT", "/"),
    ("GET", "/docs"),
    ("GET", "/health/"),
]


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_wants_a_token(server: Running, method: str, path: str) -> None:
    answer = server.client(None).request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer", "Bearer wrong", "Basic {}", "Bearer  x{}", "{}", "Bearer {} x",
        "Bearer {}\u00e9", "Token {}",
    ],
)  # fmt: skip
def test_what_is_not_the_token_is_refused(
    server: Running, header: str, tokens: tuple[str, str]
) -> None:
    value = header.format(tokens[0]).encode("latin-1")
    answer = server.client(None).get("/models/jobs", headers={"authorization": value})
    assert answer.status_code == 401


def test_a_token_in_query_or_cookie_is_none(server: Running, tokens: tuple[str, str]) -> None:
    client = server.client(None)
    assert client.get("/models/jobs", params={"token": tokens[0]}).status_code == 401
    assert client.get("/models/jobs", headers={"cookie": f"token={tokens[0]}"}).status_code == 401


def test_two_tokens_are_none(server: Running, tokens: tuple[str, str]) -> None:
    pair = [("authorization", f"Bearer {token}") for token in tokens]
    assert server.client(None).get("/models/jobs", headers=pair).status_code == 401


def test_a_wrong_token_does_not_even_open_what_is_public(server: Running) -> None:
    assert server.client("wrong").get("/health").status_code == 401
    assert server.client(None).get("/health").status_code == 200


def test_a_reader_may_read_and_predict_and_change_nothing(
    server: Running, tokens: tuple[str, str]
) -> None:
    reader = server.client(tokens[1])
    assert reader.get("/models/available").status_code == 200
    for method, path in ROUTES:
        status = reader.request(method, path).status_code
        changes = method in ("POST", "DELETE", "PUT")
        predicts = path.endswith(("/predict", "/infer"))
        assert (status == 403) == (changes and not predicts), (method, path, status)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.:{port}", "localhost:{port}/x",
        "localhost:{port}?x", "localhost:{port}#x", "x@localhost:{port}", "localhost:{port}@evil",
        "evil.example:{port}", "127.0.0.1:{port}.evil.example", "", "[::1]", "0.0.0.0:{port}",
        "127.1:{port}", "localhost:{port},evil", "localhost\\:{port}", "::1:{port}",
    ],
)  # fmt: skip
def test_another_host_is_refused(server: Running, host: str) -> None:
    value = host.format(port=server.config.port)
    answer = server.client().get("/health", headers={"host": value})
    assert answer.status_code in (400, 421)
    assert b"evil" not in answer.content


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_the_names_of_this_machine_are_known(server: Running, host: str) -> None:
    value = f"{host}:{server.config.port}"
    assert server.client().get("/health", headers={"host": value}).status_code == 200


def test_no_host_and_two_hosts_are_refused(server: Running) -> None:
    own = f"Host: 127.0.0.1:{server.config.port}\r\n".encode()
    for lines in (b"", own + own, own + b"Host: evil\r\n"):
        answer = server.raw(b"GET /health HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
        assert answer.split(b" ")[1] in (b"400", b"421")


def test_a_name_that_was_allowed_is_answered(serve: Serve) -> None:
    server = serve(allow_hosts=("models.example", "other.example:9"))
    for host, status in [
        ("models.example", 200),
        (f"models.example:{server.config.port}", 200),
        ("other.example:9", 200),
        ("other.example", 421),
        ("sub.models.example", 421),
    ]:
        assert server.client().get("/health", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1", "http://localhost:1", "file://", "",
     "http://127.0.0.1:{port}.evil.example", "http://localhost:{port}"],
)  # fmt: skip
def test_a_page_of_another_origin_is_refused(server: Running, origin: str) -> None:
    headers = {"origin": origin.format(port=server.config.port)}
    for path in ("/health", "/models/jobs"):
        assert server.client().get(path, headers=headers).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_says_so_is_believed(server: Running, site: str) -> None:
    answer = server.client().get("/health", headers={"sec-fetch-site": site})
    assert answer.status_code == 403


def test_the_servers_own_page_may_ask(server: Running) -> None:
    headers = {"origin": server.url, "sec-fetch-site": "same-origin"}
    answer = server.client().get("/models/jobs", headers=headers)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_that_a_form_could_send_is_refused(server: Running, kind: str) -> None:
    answer = server.client().post(
        "/models/download", content=b'{"source":"hf"}', headers={"content-type": kind}
    )
    assert answer.status_code == 415


def test_a_body_larger_than_allowed_is_refused_by_its_length(server: Running) -> None:
    head = (
        f"POST /models/download HTTP/1.1\r\nHost: 127.0.0.1:{server.config.port}\r\n"
        "Authorization: Bearer a-token-that-may-write-things\r\n"
        "Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n"
    )
    answer = server.raw(head.encode())  # no body follows, and none is waited for
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unknown_length_is_cut_off(server: Running) -> None:
    def pieces() -> Any:
        for _ in range(200):
            yield b" " * 1024

    headers = {"content-type": "application/json"}
    answer = server.client().post("/models/download", content=pieces(), headers=headers)
    assert answer.status_code == 413


def test_a_head_that_is_too_large_is_refused(server: Running) -> None:
    own = f"Host: 127.0.0.1:{server.config.port}\r\n".encode()
    answer = server.raw(b"GET /health HTTP/1.1\r\n" + own + b"X: " + b"x" * 40000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    many = b"".join(b"X%d: x\r\n" % n for n in range(150))
    answer = server.raw(b"GET /health HTTP/1.1\r\n" + own + many + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_what_is_no_http_is_answered_as_any_error(server: Running) -> None:
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"x" * 20 + b"\r\n\r\n",
    ):
        head, _, body = server.raw(data).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == 400


def test_more_connections_than_allowed_are_sent_away(serve: Serve) -> None:
    server = serve(connections=3)
    held = [socket.create_connection(("127.0.0.1", server.config.port)) for _ in range(3)]
    try:
        answer = server.raw(b"")
        while not answer:  # the first three were not all accepted before it
            answer = server.raw(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
    finally:
        for sock in held:
            sock.close()


def test_a_token_that_asks_too_often_has_to_wait(serve: Serve, tokens: tuple[str, str]) -> None:
    server = serve(rate=0.01, burst=3)
    client = server.client()
    assert [client.get("/models/jobs").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert int(client.get("/models/jobs").headers["retry-after"]) >= 1
    assert server.client(tokens[1]).get("/models/jobs").status_code == 200  # another token


def test_an_id_of_the_client_is_kept_if_it_is_harmless(server: Running) -> None:
    client = server.client()
    answer = client.get("/health", headers={"x-request-id": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    for bad in ("x" * 65, "a b", "\u00e4", '"'):
        answer = client.get("/health", headers={"x-request-id": bad.encode("latin-1")})
        assert answer.headers["x-request-id"] != bad


def test_every_answer_forbids_what_browsers_guess(server: Running) -> None:
    for path in ("/health", "/nothing", "/models/jobs"):
        headers = server.client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_the_description_of_the_api_is_public_on_loopback_alone(
    serve: Serve, tmp_path: Path
) -> None:
    other = ModelDownloader(tmp_path / "other")
    inside, outside = serve(), serve(host="0.0.0.0", expose=True, downloader=other)
    assert inside.client(None).get("/openapi.json").status_code == 200
    assert outside.client(None).get("/openapi.json").status_code == 401
    assert outside.client().get("/openapi.json").status_code == 200


class Lines(logging.Handler):
    """Log lines as they would be written."""

    def __init__(self) -> None:
        super().__init__()
        from torchinf_serve.logging import JsonLines

        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def audit() -> Any:
    handler, logger = Lines(), logging.getLogger("torchinf.serve.audit")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_what_changes_something_leaves_one_line(
    server: Running, audit: list[str], tokens: tuple[str, str]
) -> None:
    server.client().get("/models/available")
    server.client().delete("/models/download/nothing")
    server.client(tokens[1]).delete("/models/download/nothing")
    server.client(None).delete("/models/download/nothing")
    lines = [json.loads(line) for line in audit]
    assert [(line["token"], line["status"]) for line in lines] == [
        ("writer", 404), ("reader", 403), (None, 401),
    ]  # fmt: skip
    assert all(token not in line for line in audit for token in tokens)


@pytest.mark.parametrize("name", ["a%0d%0aX-Evil:%20yes", "a%1b[31m", "%e2%80%ae", "a%00b"])
def test_a_name_splits_neither_an_answer_nor_a_log(
    server: Running, audit: list[str], name: str
) -> None:
    answer = server.client().delete(f"/models/download/{name}")
    assert answer.status_code == 422
    assert "x-evil" not in answer.headers
    answer.content.decode("ascii")
    assert not any(character in answer.text for character in "\r\n\x1b\x00")
    [line] = audit
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize(
    "path",
    ["/models/download/..%2f..%2fetc%2fpasswd/info", "/models/download/%252e%252e/info",
     "/models/download/%2e%2e/info", "/models/download/..%5c..%5cetc/info",
     "/page/..%2f..%2fetc%2fpasswd", "/models/jobs/..%2f..%2fVERSION",
     "/models/jobs/..%2fowner", "/models/jobs/%2e%2e/events", "/v2/models/..%2f..%2fx"],
)  # fmt: skip
def test_no_path_leads_out(server: Running, path: str) -> None:
    answer = server.client().get(path)
    assert answer.status_code in (404, 422)
    assert b"root:" not in answer.content


@pytest.mark.parametrize(
    "lines", [b"GET / HTTP/1.1\r\nHost", b"", b"POST /models/download HTTP/1.1"]
)
def test_clients_that_never_finish_do_not_stop_the_others(
    serve: Serve, lines: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchinf_serve.patience.LOOK_EVERY", 0.05)
    server = serve(header_timeout=1.0)
    slow = [socket.create_connection(("127.0.0.1", server.config.port)) for _ in range(500)]
    try:
        for sock in slow:
            sock.sendall(lines)
        assert server.client().get("/health").status_code == 200
        for sock in slow:  # each is ended by the server, none waits for ever
            sock.settimeout(60)
            try:
                assert sock.recv(1000)[:12] in (b"", b"HTTP/1.1 408")
            except ConnectionResetError:
                pass
        assert server.client().get("/health").status_code == 200
    finally:
        for sock in slow:
            sock.close()


def test_a_body_that_trickles_in_ends_the_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchinf_serve.patience.LOOK_EVERY", 0.05)
    server = serve(header_timeout=0.5)
    head = (
        f"POST /models/download HTTP/1.1\r\nHost: 127.0.0.1:{server.config.port}\r\n"
        "Authorization: Bearer a-token-that-may-write-things\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with pytest.raises(ConnectionResetError):
        if not server.raw(head.encode()):
            raise ConnectionResetError


def test_a_handler_that_breaks_gives_nothing_away(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = f"/srv/secret/{os.getpid()} at 10.1.2.3"

    def broken(*_: object) -> None:
        raise RuntimeError(secret)

    monkeypatch.setattr(server.state.downloader, "list_available_models", broken)
    monkeypatch.setattr(server.state.metrics, "render", broken)
    for path in ("/models/available", "/metrics"):
        answer = server.client().get(path)
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
