"""``torchinf --server URL``: the same commands and the same output, by a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.cli.run import run
from torchinf_core.testing import Hub, faults

if TYPE_CHECKING:
    from conftest import Running, Serve


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def stream(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Torchinf = Callable[..., Ran]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Torchinf:
    """The command line of this machine."""

    def torchinf(*argv: str) -> Ran:
        capsys.readouterr()
        status = run(argv)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return torchinf


@pytest.fixture
def server(serve: Serve, toybox: Hub, place: str) -> Running:
    return serve(url_hosts=(place,), allow_http=True)


@pytest.fixture
def there(
    server: Running, here: Torchinf, tokens: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Torchinf:
    """The same, with ``--server``."""
    monkeypatch.setenv("TORCHINF_SERVER_TOKEN", tokens[0])
    return lambda *argv: here("--server", server.url, *argv)


def test_a_model_is_downloaded_shown_and_removed(there: Torchinf, here: Torchinf) -> None:
    done = there("download", "toybox", "sum", "--name", "four", "--tag", "a")
    assert (done.status, done.out) == (0, "four\n")
    assert "four: 1 file, 12 B, verified (recorded)" in done.err
    again = there("download", "toybox:sum", "--name", "four")
    assert "four: 1 file, 12 B, already here" in again.err
    listed = there("list")
    assert [line.split()[:2] for line in listed.out.splitlines()] == [
        ["NAME", "SOURCE"],
        ["four", "toybox"],
    ]
    assert there("list", "-q").out == "four\n"
    assert there("list", "--filter", "tag=b").err == "no stored model matches\n"
    shown = there("info", "four").out
    assert "toybox:sum" in shown
    assert "mit" in shown
    assert "four" not in here("list", "-q").out
    assert there("remove", "four").out == "removed four\n"
    assert there("list").err.startswith("the store holds no model")


def _shape(value: Any) -> Any:
    """Names of fields, however deep."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items() if key != "metadata"}
    return [_shape(item) for item in value] if isinstance(value, list) else None


@pytest.mark.parametrize("argv", [("list",), ("info", "sum"), ("remove", "sum", "-n")])
def test_documents_have_the_same_fields(
    there: Torchinf, here: Torchinf, argv: tuple[str, ...]
) -> None:
    for torchinf in (here, there):
        assert torchinf("download", "toybox:sum", "-q").status == 0
    local, remote = here(*argv, "--json"), there(*argv, "--json")
    assert (local.status, remote.status) == (0, 0)
    assert list(_shape(remote.document)) == list(_shape(local.document))
    if argv != ("remove", "sum", "-n"):
        assert {**_first(remote.document), **_UNTOLD} == {**_first(local.document), **_UNTOLD}


_UNTOLD = dict.fromkeys(
    ("path", "files", "generation", "created", "updated", "torchinf_version", "requested_revision")
)


def _first(document: Any) -> Any:
    return document["models"][0] if "models" in document else document


def test_the_events_of_a_download_have_the_same_form(there: Torchinf, here: Torchinf) -> None:
    remote = there("download", "toybox:sum", "--json").stream
    local = here("download", "toybox:sum", "--json").stream
    assert list(remote[-1]) == list(local[-1])
    assert (remote[-1]["event"], remote[-1]["hit"], remote[-1]["fetched"]) == ("result", False, 12)
    assert {tuple(event) for event in remote[:-1]} == {tuple(event) for event in local[:-1]}


def test_the_store_is_described(there: Torchinf, here: Torchinf, server: Running) -> None:
    there("download", "toybox:sum")
    told = there("cache", "--json").document
    assert list(told) == list(here("cache", "--json").document)
    assert (told["total_models"], told["by_source"], told["origin"]) == (
        1,
        {"toybox": 12},
        server.url,
    )
    assert "models" in there("cache").out


def test_predictions_look_as_those_made_here(
    there: Torchinf, here: Torchinf, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    import numpy as np

    np.save(tmp_path / "x.npy", np.ones((2, 4), np.float32))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, color in (("a", "red"), ("b", "lime"), ("c", "blue")):
        image.new("RGB", (8, 8), color).save(folder / f"{name}.png")
    texts = tmp_path / "texts.txt"
    texts.write_text("one\ntwo\nboom\nfour\n")
    for torchinf in (here, there):
        for model in ("sum", "two", "text", "image", "mapping"):
            assert torchinf("download", f"toybox:{model}", "-q").status == 0
    for argv in (
        ("sum", str(tmp_path / "x.npy")),
        ("sum", "[1, 0, 0, 2]"),
        ("sum", "[[1, 0, 0, 2], [1, 1, 1, 1]]", "--json"),
        ("sum", "[1, 0]"),
        ("two", "[1, 0, 0, 2]"),
        ("text", "a day", "--top", "1"),
        ("text", "a day", "another", "--json"),
        ("text", f"@{texts}", "--batch-size", "2"),
        ("text", "a day", "-q"),
        ("text", "boom"),
        ("text", "x", "-o", "bottom=1"),
        ("image", str(folder)),
        ("image", str(folder / "a.png"), "--json"),
        ("image", str(folder / "missing.png")),
        ("mapping", '{"context": "Ada wrote it"}'),
        ("nowhere", "x"),
    ):
        local, remote = here("predict", *argv), there("predict", *argv)
        assert (remote.status, remote.out) == (local.status, local.out), argv
    out = tmp_path / "found.jsonl"
    assert there("predict", "text", f"@{texts}", "--out", str(out)).status == 2
    assert len(out.read_text().splitlines()) == 3


def test_run_downloads_what_is_not_there(there: Torchinf) -> None:
    ran = there("run", "toybox:text", "a day", "-q")
    assert (ran.status, ran.out) == (0, "love of a day\n")
    assert there("run", "text", "b", "-q").out == "love of b\n"


def test_jobs_are_listed_cancelled_and_retried(there: Torchinf, hub: Hub) -> None:
    assert there("jobs").err == "no download was asked for\n"
    hub.fail("/gone.bin", faults.status(404))
    failed = there("download", hub.url("/gone.bin"))
    assert failed.status == 3
    assert "404" in failed.err
    [ident] = there("jobs", "-q").out.split()
    assert "failed" in there("jobs").out
    assert "there is nothing there" in there("jobs", ident).out
    assert there("jobs", ident, "--cancel").status == 2
    assert there("jobs", "--cancel").status == 2
    hub.add("/gone.bin", b"here it is")
    assert there("jobs", ident, "--retry", "--watch", "--json").stream[-1]["state"] == "done"
    assert there("jobs", ident, "--json").document["id"] == ident
    assert there("jobs", "--json").document["jobs"][0]["state"] == "done"


def test_models_are_loaded_unloaded_and_the_server_asked_how_it_is(there: Torchinf) -> None:
    there("download", "toybox:sum")
    assert there("load", "sum").out == "sum is loaded\n"
    assert there("unload", "sum").out == "sum is not loaded\n"
    assert "ok" in there("health").out
    assert there("health", "--json").document["status"] == "ok"


def test_removing_several_removes_none_if_one_is_not_there(there: Torchinf) -> None:
    there("download", "toybox:sum")
    assert there("remove", "sum", "nowhere").status == 3
    assert there("list", "-q").out == "sum\n"
    assert there("remove", "all").status == 2
    assert there("remove", "all", "--yes", "--json").document["removed"] == ["sum"]


def test_the_token_is_in_a_file_or_the_environment(
    server: Running,
    here: Torchinf,
    tokens: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCHINF_SERVER", server.url)
    refused = here("list")
    assert (refused.status, "a token is needed" in refused.err) == (4, True)
    path = tmp_path / "token"
    path.write_text(f"{tokens[1]} read\n")
    for argv in (("list", "--token-file", str(path)), ("--token-file", str(path), "list")):
        assert here(*argv).status == 0
    refused = here("download", "toybox:sum", "--token-file", str(path), "--json")
    assert (refused.status, refused.document["error"]["type"]) == (7, "PolicyError")


def test_a_server_that_is_not_there_ends_as_any_network_error(here: Torchinf) -> None:
    assert here("--server", "http://127.0.0.1:9", "list").status == 4
    assert here("--server", "somewhere", "list").status == 2
    assert here("--server", "http://models.example", "list").status == 7
