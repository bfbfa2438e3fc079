"""``host.json``: what a server answers, or an error that says what came instead."""

from __future__ import annotations

import httpx
import pytest

from torchinf_core.errors import SourceError
from torchinf_core.host import Host
from torchinf_core.network import http
from torchinf_core.settings import Settings

URL = "https://zoo.example/index.json"


def host(content: bytes, status: int = 200) -> Host:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers={"x-sent": request.headers["x"]})

    return Host(Settings(), "zoo", httpx.Client(transport=httpx.MockTransport(respond)))


def test_the_answer_is_parsed() -> None:
    with host(b'{"a": [1]}') as asked:
        assert asked.json(URL, {"x": "y"}) == {"a": [1]}


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"[" * 100_000, b'{"a":'])
def test_what_is_no_json_is_an_error_of_the_source(content: bytes) -> None:
    with host(content) as asked, pytest.raises(SourceError, match="does not answer in JSON"):
        asked.json(URL, {"x": "y"})


def test_an_endless_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_JSON", 10)
    with host(b"[1,2,3,4,5,6,7]") as asked, pytest.raises(SourceError, match="more than 10 bytes"):
        asked.json(URL, {"x": "y"})


def test_a_status_that_is_no_success_is_an_error_of_httpx() -> None:
    with host(b"{}", 503) as asked, pytest.raises(httpx.HTTPStatusError):
        asked.json(URL, {"x": "y"})
