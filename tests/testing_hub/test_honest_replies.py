"""The hub without faults, judged by http.client, httpx and curl."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from torchinf_core.testing import Hub, Request, have_openssl, plain
from torchinf_core.testing.content import Repeated

DATA = bytes(range(256)) * 1000 + b"end"


def ask(hub: Hub, method: str, path: str, **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(trust_env=False) as client:
        return client.request(method, hub.url(path), headers=fields)


@pytest.fixture(params=["bytes", "file"])
def path(request: pytest.FixtureRequest, hub: Hub, tmp_path: Path) -> str:
    if request.param == "bytes":
        hub.add("/m.bin", DATA)
    else:
        (tmp_path / "m.bin").write_bytes(DATA)
        hub.add("/m.bin", tmp_path / "m.bin")
    return "/m.bin"


def test_a_get_brings_the_content_and_what_is_known_of_it(hub: Hub, path: str) -> None:
    reply = ask(hub, "GET", path)
    assert reply.status_code == 200
    assert reply.content == DATA
    assert reply.headers["Content-Length"] == str(len(DATA))
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["ETag"].startswith('"')
    assert reply.headers["Last-Modified"].endswith("GMT")
    assert reply.headers["Date"].endswith("GMT")


def test_a_head_has_the_headers_of_the_get_and_no_body(hub: Hub, path: str) -> None:
    got, head = ask(hub, "GET", path), ask(hub, "HEAD", path)
    assert head.content == b""
    for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges", "Content-Type"):
        assert head.headers[name] == got.headers[name]
    assert [seen.sent for seen in hub.requests] == [len(DATA), 0]


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, len(DATA)),
        ("bytes=-5", len(DATA) - 5, len(DATA)),
        ("bytes=-999999999", 0, len(DATA)),
        ("bytes=5-999999999", 5, len(DATA)),
    ],
)
def test_a_range_brings_that_part(hub: Hub, path: str, wanted: str, start: int, stop: int) -> None:
    reply = ask(hub, "GET", path, Range=wanted)
    assert reply.status_code == 206
    assert reply.content == DATA[start:stop]
    assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(DATA)}"
    assert hub.bytes_sent(path) == stop - start


@pytest.mark.parametrize("wanted", ["bytes=9-3", "bytes=-", "lines=1-2", "bytes=0-1,5-6", "x"])
def test_a_range_that_makes_no_sense_brings_the_whole(hub: Hub, path: str, wanted: str) -> None:
    reply = ask(hub, "GET", path, Range=wanted)
    assert reply.status_code == 200
    assert reply.content == DATA


@pytest.mark.parametrize("wanted", [f"bytes={len(DATA)}-", "bytes=999999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_refused_with_the_size(hub: Hub, path: str, wanted: str) -> None:
    reply = ask(hub, "GET", path, Range=wanted)
    assert reply.status_code == 416
    assert reply.headers["Content-Range"] == f"bytes */{len(DATA)}"


def test_if_range_gives_the_part_while_the_validator_holds(hub: Hub) -> None:
    hub.add("/m", DATA, etag="one", last_modified=1_600_000_000)
    modified = ask(hub, "HEAD", "/m").headers["Last-Modified"]
    for condition, status in [
        ('"one"', 206),
        (modified, 206),
        ('"two"', 200),
        ("Sun, 13 Sep 2020 12:26:41 GMT", 200),
        ('W/"one"', 200),
    ]:
        assert ask(hub, "GET", "/m", Range="bytes=5-", If_Range=condition).status_code == status


def test_a_weak_entity_tag_never_matches_if_range(hub: Hub) -> None:
    hub.add("/m", DATA, etag='W/"one"', last_modified=None)
    reply = ask(hub, "GET", "/m", Range="bytes=5-", If_Range='W/"one"')
    assert reply.status_code == 200
    assert "Last-Modified" not in reply.headers


def test_one_connection_serves_many_requests(hub: Hub, path: str) -> None:
    port = httpx.URL(hub.url()).port
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for method, headers in [("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=7-"})]:
        connection.request(method, path, headers=headers)
        assert connection.getresponse().read() == {"HEAD": b""}.get(
            method, DATA[7:] if headers else DATA
        )
    connection.request("GET", "/nothing")
    assert connection.getresponse().status == 404
    connection.close()
    assert hub.connections == 1
    assert {seen.request.connection for seen in hub.requests} == {1}


def test_a_client_that_says_close_is_closed(hub: Hub, path: str) -> None:
    for _ in range(2):
        assert ask(hub, "GET", path, Connection="close").content == DATA
    assert hub.connections == 2


def test_connections_open_at_one_time_are_counted(hub: Hub) -> None:
    together = threading.Barrier(4, timeout=20)

    def handler(_request: Request):
        together.wait()
        return plain(200, "here")

    hub.route("/meet/", handler)
    threads = [threading.Thread(target=ask, args=(hub, "GET", "/meet/x")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hub.connections == hub.peak_connections == 4


def test_redirects_unknown_paths_and_other_methods(hub: Hub) -> None:
    hub.add("/m", DATA)
    hub.redirect("/latest", "/m", status=307)
    reply = ask(hub, "GET", "/latest")
    assert (reply.status_code, reply.headers["Location"]) == (307, "/m")
    assert ask(hub, "GET", "/none").status_code == 404
    assert ask(hub, "POST", "/m").status_code == 405


def test_paths_are_decoded_and_queries_kept_apart(hub: Hub) -> None:
    url = hub.add("/a b/ü.bin", DATA)
    assert httpx.get(url + "?x=1&y", trust_env=False).content == DATA
    assert (hub.requests[0].path, hub.requests[0].request.query) == ("/a b/ü.bin", "x=1&y")


def test_headers_are_found_in_any_case(hub: Hub) -> None:
    ask(hub, "GET", "/m", X_Thing="Seven")
    headers = hub.requests[0].headers
    assert headers["x-thing"] == headers["X-THING"] == "Seven"
    assert "X-Other" not in headers


def test_a_token_is_needed_where_it_is_required(hub: Hub) -> None:
    hub.add("/private/m", DATA)
    hub.add("/public", DATA)
    hub.require_token("/private/", "s3cret")
    assert ask(hub, "GET", "/private/m").status_code == 401
    assert ask(hub, "GET", "/private/m", Authorization="Bearer other").status_code == 401
    assert ask(hub, "GET", "/private/m", Authorization="Bearer s3cret").content == DATA
    assert ask(hub, "GET", "/public").content == DATA


def test_the_route_with_the_longest_prefix_answers_first(hub: Hub) -> None:
    hub.route("/api/", lambda request: plain(200, "outer " + request.body.decode()))
    hub.route("/api/x", lambda request: None if request.query else plain(200, "inner"))
    assert ask(hub, "GET", "/api/x").text == "inner"
    assert ask(hub, "GET", "/api/x?y").text == "outer "
    with httpx.Client(trust_env=False) as client:
        assert client.post(hub.url("/api/"), content=b"hello").text == "outer hello"


def test_a_mounted_folder_serves_its_files_and_nothing_outside(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "m.bin").write_bytes(DATA)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    hub.mount(tmp_path / "in")
    assert ask(hub, "GET", "/sub/m.bin", Range="bytes=3-5").content == DATA[3:6]
    for path in ("/sub", "/link", "/%2e%2e/secret", "/sub/..%2f..%2fsecret"):
        assert ask(hub, "GET", path).status_code == 404


def test_a_body_larger_than_memory_is_served_in_parts(hub: Hub) -> None:
    hub.add("/big", Repeated(b"0123456789", 1 << 50))
    assert ask(hub, "GET", "/big", Range="bytes=1000000000003-1000000000012").content == (
        b"3456789012"
    )


def test_throttled_bodies_are_whole_and_counted(hub: Hub, path: str) -> None:
    hub.throttle = 50_000_000
    assert ask(hub, "GET", path).content == DATA
    assert hub.bytes_sent(path) == len(DATA)


def test_a_slow_reader_finds_few_bytes_counted_ahead_of_it(tmp_path: Path) -> None:
    with Hub(throttle=1e9) as hub:
        hub.add("/m", Repeated(b"x", 1 << 30))
        port = httpx.URL(hub.url()).port
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/m")
        connection.sock.settimeout(20)
        assert len(connection.getresponse().read(100_000)) == 100_000
        assert 100_000 <= hub.bytes_sent("/m") < 1 << 27
        connection.close()


def test_a_reset_hub_has_forgotten_everything(hub: Hub, path: str) -> None:
    ask(hub, "GET", path)
    hub.reset()
    assert hub.requests == []
    assert ask(hub, "GET", path).status_code == 404


def test_closing_the_hub_breaks_off_what_is_running() -> None:
    with Hub(throttle=10) as hub:
        hub.add("/m", DATA)
        port = httpx.URL(hub.url()).port
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/m")
        reply = connection.getresponse()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        reply.read()
    connection.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_downloads_and_resumes(hub: Hub, path: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(DATA[:1234])
    subprocess.run(["curl", "-sSf", "-C", "-", "-o", out, hub.url(path)], check=True)
    assert out.read_bytes() == DATA
    assert hub.bytes_sent(path) == len(DATA) - 1234
    two = [tmp_path / "one", tmp_path / "two"]
    words = ["curl", "-sSf", hub.url(path), hub.url(path), "-o", two[0], "-o", two[1]]
    subprocess.run(words, check=True)
    assert two[0].read_bytes() == two[1].read_bytes() == DATA
    assert hub.connections == 2


@pytest.mark.skipif(not have_openssl(), reason="the openssl command is not installed")
def test_https_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    import ssl

    with Hub(tls=True) as hub:
        url = hub.add("/m", DATA)
        (tmp_path / "m").write_bytes(DATA)
        file_url = hub.add("/f", tmp_path / "m")
        assert url.startswith("https://")
        context = ssl.create_default_context(cafile=hub.ca_file)
        with httpx.Client(verify=context, trust_env=False) as client:
            assert client.get(url).content == client.get(file_url).content == DATA
            assert client.get(hub.url("/m", host="localhost")).content == DATA
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError):
            client.get(url)
