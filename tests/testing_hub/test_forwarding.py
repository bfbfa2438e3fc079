"""A request for an address on the internet is answered by a server of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from torchinf_core.testing import Hub, forward
from torchinf_core.testing.messages import Reply, Request, page


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


def asked(url: str, method: str = "GET", **headers: str) -> httpx.Request:
    return httpx.Request(method, url, headers=headers)


def test_the_content_and_its_headers_are_those_of_the_server(hub: Hub) -> None:
    hub.add("/files/model.bin", b"0123456789", etag="7")
    places = {"https://zoo.example/files": hub.url("/files")}
    answer = forward(asked("https://zoo.example/files/model.bin", range="bytes=2-4"), places)
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-range"] == "bytes 2-4/10"
    assert answer.headers["etag"] == '"7"'


def test_a_head_tells_the_length_of_what_a_get_brings(hub: Hub) -> None:
    hub.add("/model.bin", b"0123456789")
    answer = forward(
        asked("https://zoo.example/model.bin", "HEAD"), {"https://zoo.example": hub.url()}
    )
    assert (answer.content, answer.headers["content-length"]) == (b"", "10")


def test_redirects_are_handed_on_with_the_addresses_that_users_have(hub: Hub) -> None:
    other = hub.url("/cdn", host="localhost")
    hub.redirect("/model.bin", f"{other}/model.bin")
    places = {"https://zoo.example": hub.url(), "https://cdn.example": other}
    answer = forward(asked("https://zoo.example/model.bin"), places)
    assert answer.status_code == 302
    assert answer.headers["location"] == "https://cdn.example/model.bin"


def test_addresses_in_json_are_those_that_users_have(hub: Hub) -> None:
    def index(request: Request) -> Reply:
        del request
        return page({"tiny": hub.url("/files/tiny.bin"), "api": hub.url("/api/v1")})

    hub.route("/index.json", index)
    places = {"https://zoo.example": hub.url(), "https://api.zoo.example": hub.url("/api")}
    answer = forward(asked("https://zoo.example/index.json"), places)
    assert answer.json() == {
        "tiny": "https://zoo.example/files/tiny.bin",
        "api": "https://api.zoo.example/v1",
    }


@pytest.mark.parametrize("url", ["https://zoo.example.org/a", "https://other.example/a"])
def test_what_is_below_no_place_is_not_there(hub: Hub, url: str) -> None:
    answer = forward(asked(url), {"https://zoo.example": hub.url()})
    assert answer.status_code == 404
    assert "below none of https://zoo.example" in answer.text


def test_headers_that_are_no_ascii_are_kept(hub: Hub) -> None:
    hub.add("/a", b"", headers={"x-error": "no \xfc"})
    answer = forward(asked("https://zoo.example/a"), {"https://zoo.example": hub.url()})
    assert answer.headers["x-error"] == "no \xfc"


def test_a_server_that_is_gone_is_an_error_of_the_connection() -> None:
    with Hub() as hub:
        places = {"https://zoo.example": hub.url()}
    with pytest.raises(httpx.ConnectError):
        forward(asked("https://zoo.example/a"), places)
