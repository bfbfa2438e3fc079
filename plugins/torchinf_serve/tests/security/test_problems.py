"""What of an error reaches a client."""

from __future__ import annotations

import pytest

from torchinf_core import errors
from torchinf_serve.security.problems import problem, scrub


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no space left for /home/ann/store/blobs/x", "no space left for ***"),
        ("'/etc/passwd' is no file", "'***' is no file"),
        ("see ~/.config/torchinf/x.toml", "see ***"),
        ("connect to 10.1.2.3 failed", "connect to *** failed"),
        ("connect to 10.1.2.3:80 failed", "connect to ***:80 failed"),
        ("at [fe80::1]:80 or ::1", "at ***:80 or ***"),
        ("https://u:p@host.example/a?token=abc", "https://***@host.example/a?token=***"),
        ("http://10.0.0.1/x", "http://***/x"),
        ("hf:org/name@main answered 404", "hf:org/name@main answered 404"),
        ("version 1.2.3 of a/b", "version 1.2.3 of a/b"),
        (
            "https://host.example/a/b.onnx answered 404",
            "https://host.example/a/b.onnx answered 404",
        ),
        ("GET /models/jobs lists them", "GET *** lists them"),
        ("a\r\nb\x1b[1m", "a  b [1m"),
        ("10:20:30 o'clock", "10:20:30 o'clock"),
    ],
)
def test_paths_addresses_and_secrets_are_left_out(text: str, kept: str) -> None:
    assert scrub(text) == kept


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.TorchinfError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_becomes_a_problem(kind: type[errors.TorchinfError]) -> None:
    body = problem(kind("it failed at /srv/x for 10.0.0.1", hint="look at /srv/x"))
    assert body["status"] == kind.http_status
    assert body["title"]
    assert body["type"].startswith("urn:torchinf:error:")
    text = str(body)
    assert "/srv" not in text
    assert "10.0" not in text
    if kind.http_status >= 500 and kind.http_status != 501:
        assert "it failed" not in text
    else:
        assert "it failed at" in body["detail"]


def test_a_bug_is_no_news_for_clients() -> None:
    body = problem(KeyError("the password is xyz"))
    assert body["status"] == 500
    assert "xyz" not in str(body)
