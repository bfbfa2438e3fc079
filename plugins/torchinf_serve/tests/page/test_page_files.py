"""The page's files, and what a browser is told to let them do."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from torchinf_serve import page

if TYPE_CHECKING:
    from conftest import Serve

FILES = {
    "/": "text/html",
    "/page/page.css": "text/css",
    "/page/page.js": "text/javascript",
    "/page/parts.js": "text/javascript",
}


@pytest.mark.parametrize(("path", "kind"), FILES.items())
def test_the_files_are_public_and_under_a_strict_policy(serve: Serve, path: str, kind: str) -> None:
    answer = serve().client(None).get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["/page/", "/page/page.html", "/page/../page/x", "/page/x"])
def test_nothing_else_is_there(serve: Serve, path: str) -> None:
    assert serve().client(None).get(path).status_code == 404


def test_what_the_page_asks_for_needs_the_token(serve: Serve) -> None:
    client = serve().client(None)
    for path in ("/models/available", "/models/jobs", "/models/cache/info"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["cache-control"] == "no-store"


def test_the_page_needs_no_file_from_elsewhere_and_no_script_inside() -> None:
    html = files(page).joinpath("page.html").read_text()
    used = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert used == ["data:,", "/page/page.css", "/page/page.js"]
    assert not re.search(r"\son\w+=|\sstyle=|<style", html)
    for name in ("page.js", "parts.js"):
        script = files(page).joinpath(name).read_text()
        assert not re.search(r"(inner|outer|Adjacent)HTML|document\.write|eval\(|http", script)


@pytest.mark.parametrize("name", ["page.html", "page.css", "page.js", "parts.js"])
def test_the_files_stay_small(name: str) -> None:
    assert len(files(page).joinpath(name).read_text().splitlines()) < 300


def test_every_field_has_a_label() -> None:
    html = files(page).joinpath("page.html").read_text()
    fields = re.findall(r'<(?:input|select|textarea)[^>]*\sid="([^"]+)"', html)
    assert len(fields) >= 8
    assert set(fields) <= set(re.findall(r'<label for="([^"]+)"', html))
