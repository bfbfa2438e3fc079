"""The Python client against real servers: blocking, the asynchronous one, and broken streams."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from torchinf_core import errors
from torchinf_core.testing import Hub, faults
from torchinf_serve.client import AsyncClient, Client, JobEvent

if TYPE_CHECKING:
    from conftest import Process, Running, Serve

Content = Callable[[int], bytes]


@pytest.fixture
def client(open_server: Running, tokens: tuple[str, str]) -> Iterator[Client]:
    with Client(open_server.url, tokens[0]) as client:
        yield client


def test_a_real_process_downloads_predicts_and_removes(
    start: Callable[..., Process], toybox: Hub, tokens: tuple[str, str]
) -> None:
    process = start()
    with Client(process.url, process.token[0]) as client:
        told: list[JobEvent] = []
        job = client.download("toybox", "sum", name="four", tags=("a", "b")).wait(told.append)
        assert (job.state, job.name, job.hit) == ("done", "four", False)
        assert [event.kind for event in told][:2] == ["queued", "running"]
        assert [event.id for event in told] == list(range(1, len(told) + 1))
        assert client.models()["four"]["tags"] == ["a", "b"]
        assert client.info("four")["license"] == "mit"
        again = client.download("toybox:sum", name="four").wait()
        assert (again.state, again.hit, again.id, list(again.events())) == ("done", True, "", [])
        result = client.predict("four", np.ones((2, 4), np.float32))
        assert result.dtype == np.float32
        assert result.tolist() == [10.0, 10.0]
        assert client.cache()["models"] == ["four"]
        assert client.jobs()[0].refresh().id == client.job(job.id).id
        assert client.health()["status"] == "ok"
        assert client.remove("four") == ["four"]
        assert client.models() == {}
    assert process.end() == 0


@pytest.fixture
def stocked(serve: Serve, toybox: Hub, tokens: tuple[str, str]) -> Iterator[Client]:
    with Client(serve().url, tokens[0]) as client:
        jobs = [client.download("toybox", n) for n in ("sum", "two", "text", "image", "mapping")]
        for job in jobs:
            job.wait()
        yield client


def test_arrays_go_and_come_in_every_form(stocked: Client) -> None:
    row = np.array([1, 0, 0, 2], np.float32)
    assert stocked.predict("sum", row.tolist()).shape == ()
    assert stocked.predict("sum", row[None]).tolist() == [9.0]
    assert stocked.predict("sum", {"x": row[None]}).tolist() == [9.0]
    assert stocked.predict("sum", [[1, 0, 0, 2], [0, 1, 0, 0]]).tolist() == [9.0, 2.0]
    both = stocked.predict("two", row[None])
    assert {name: (str(a.dtype), a.tolist()) for name, a in both.items()} == {
        "y": ("float32", [9.0]),
        "z": ("int64", [9]),
    }
    hard = np.array([[np.pi, np.inf, 1e-40, 0]], np.float32)
    assert np.isinf(stocked.predict("sum", hard)).all()
    torch = pytest.importorskip("torch")
    assert stocked.predict("sum", torch.ones(1, 4)).tolist() == [10.0]


def test_an_array_is_read_from_a_file(stocked: Client, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    assert stocked.predict("sum", tmp_path / "x.npy").tolist() == [10.0]
    with pytest.raises(errors.InputError, match="nowhere"):
        stocked.predict("sum", tmp_path / "nowhere.npy")


def test_texts_and_dicts_go_through_the_pipeline(stocked: Client) -> None:
    [best] = stocked.predict("text", "a day", top=1)
    assert best == {"label": "love of a day", "score": 0.75}
    assert [rows[0]["label"] for rows in stocked.predict("text", ["a", "/etc/passwd"])] == [
        "love of a",
        "love of /etc/passwd",
    ]
    [row] = stocked.predict("mapping", {"context": "Ada wrote it", "question": "who?"})
    assert row["label"] == "Ada"


def test_pictures_are_uploaded(stocked: Client, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = image.new("RGB", (6, 5), "lime")
    path = tmp_path / "lime.png"
    picture.save(path)
    for given in (picture, path, path.read_bytes()):
        assert stocked.predict("image", given)[0]["label"] == "green"
        assert len(stocked.predict("image", given, top=2)) == 2
        assert [rows[0]["label"] for rows in stocked.predict("image", [given, given])] == [
            "green"
        ] * 2
    [alone] = stocked.predict("image", [path])
    assert alone == stocked.predict("image", path)
    assert stocked.predict("image", np.asarray(picture))[0]["label"] == "green"


def test_models_are_loaded_and_unloaded(stocked: Client) -> None:
    stocked.load("sum")
    assert stocked.loaded() == ["sum"]
    assert stocked.describe("sum")["outputs"][0]["name"] == "y"
    stocked.unload("sum")
    assert stocked.loaded() == []
    with pytest.raises(errors.NotFoundError):
        stocked.load("nowhere")


WRONG: list[tuple[str, type[errors.TorchinfError], Callable[[Client], Any]]] = [
    ("no model", errors.NotCachedError, lambda c: c.info("nowhere")),
    ("no model to remove", errors.NotCachedError, lambda c: c.remove("nowhere")),
    ("no model to predict", errors.NotCachedError, lambda c: c.predict("nowhere", "x")),
    ("a bad name", errors.UsageError, lambda c: c.info("../x")),
    ("a source that is unknown", errors.UnknownSourceError, lambda c: c.download("nosuch:x")),
    ("an option that is unknown", errors.UsageError, lambda c: c.download("hf:a/b", colour=1)),
    ("trust", errors.UntrustedError, lambda c: c.download("hf:a/b", trust=True)),
    ("a file of the server", errors.PolicyError, lambda c: c.download("file:///etc/passwd")),
    ("no job", errors.NotFoundError, lambda c: c.job("nowhere")),
    ("a set", errors.InputError, lambda c: c.predict("x", {1, 2})),
    ("a tuple", errors.InputError, lambda c: c.predict("x", ([1], [2]))),
]


@pytest.mark.parametrize(("kind", "call"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_errors_are_those_of_the_library(
    client: Client, kind: type[errors.TorchinfError], call: Callable[[Client], Any]
) -> None:
    with pytest.raises(kind) as caught:
        call(client)
    assert type(caught.value) is kind


def test_the_model_says_what_it_wants(stocked: Client) -> None:
    with pytest.raises(errors.InputError, match="x"):
        stocked.predict("sum", np.ones((1, 5), np.float32))
    with pytest.raises(errors.OptionError, match="bottom"):
        stocked.predict("text", "a", bottom=1)
    with pytest.raises(errors.InputError, match="boom"):
        stocked.predict("text", "boom")


def test_an_error_tells_the_request_that_the_log_has(client: Client) -> None:
    with pytest.raises(errors.NotCachedError) as caught:
        client.info("nowhere")
    assert caught.value.__notes__[0].startswith("request ")


def test_a_failed_job_raises_what_a_download_here_would(client: Client, hub: Hub) -> None:
    hub.fail("/gone.bin", faults.status(404))
    job = client.download("url", hub.url("/gone.bin"))
    with pytest.raises(errors.ModelNotFoundError):
        job.wait()
    assert isinstance(job.error, errors.ModelNotFoundError)
    hub.add("/gone.bin", b"here it is")
    assert job.retry().wait().state == "done"
    kinds = [event.kind for event in job.events()]
    assert kinds.count("failed") == kinds.count("done") == 1
    assert kinds[-1] == "done"


def test_a_job_is_cancelled(client: Client, hub: Hub, content: Content) -> None:
    hub.add("/m.bin", content(1 << 20))
    hub.fail("/m.bin", faults.stall(0.5))
    job = client.download("url", hub.url("/m.bin"))
    next(event for event in job.events() if event.kind == "started")
    assert job.cancel().state == "cancelled"
    with pytest.raises(errors.SourceError, match="cancelled"):
        job.wait()


def test_tokens_are_taken_from_a_file_or_the_environment(
    open_server: Running,
    tokens: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "token"
    path.write_text(f"# mine\n\n{tokens[1]} read me\n")
    with Client(open_server.url, token_file=str(path)) as client:
        assert client.models() == {}
        with pytest.raises(errors.PolicyError, match="only read"):
            client.download("hf:a/b")
    monkeypatch.setenv("TORCHINF_SERVER_TOKEN", tokens[0])
    with Client(open_server.url) as client:
        assert client.cache()["cache_directory"] != "hidden"
    monkeypatch.setenv("TORCHINF_SERVER_TOKEN", "nobody's")
    with Client(open_server.url) as client, pytest.raises(errors.AccessDeniedError):
        client.models()


@pytest.mark.parametrize("url", ["", "example.com", "ftp://x", "http://", "http://u:p@localhost"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.UsageError, match="address"):
        Client(url, "token")


def test_no_token_is_sent_in_the_clear_to_another_machine() -> None:
    with pytest.raises(errors.PolicyError, match=r"models\.example"):
        Client("http://models.example", "token")
    Client("http://models.example", "token", allow_http=True).close()
    Client("https://models.example", "token").close()
    for url in ("http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"):
        Client(url, "token").close()


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", "token") as client:
        with pytest.raises(errors.NetworkError, match="can't be reached"):
            client.models()
        client._patience = 0.0
        with pytest.raises(errors.NetworkError):
            list(client._follow("x", 0))


class Cutting:
    """A relay that breaks every connection after so many bytes of a body.

    Attributes:
        url: to ask instead of the server.
        asked: the first bytes of each request.
    """

    def __init__(self, port: int, most: int) -> None:
        self._target, self._most = port, most
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self.asked: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for _ in itertools.count():
            try:
                incoming, _ = self._sock.accept()
            except OSError:
                return
            with incoming, socket.create_connection(("127.0.0.1", self._target)) as outgoing:
                data = incoming.recv(1 << 16)
                self.asked.append(data)
                head = data.replace(self.url[7:].encode(), b"127.0.0.1:%d" % self._target)
                outgoing.sendall(head.replace(b"keep-alive", b"close"))
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += outgoing.recv(1)
                incoming.sendall(answer)
                left = self._most
                while left > 0 and (part := outgoing.recv(left)):
                    incoming.sendall(part)
                    left -= len(part)

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def cutting(open_server: Running) -> Iterator[Cutting]:
    made = Cutting(open_server.config.port, 350)
    yield made
    made.close()


def test_events_go_on_where_the_connection_broke(
    client: Client, cutting: Cutting, tokens: tuple[str, str], hub: Hub, content: Content,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("torchinf_serve.client.jobs._SHORTEST", 0.0)
    hub.add("/m.bin", content(100_000))
    job = client.download("url", hub.url("/m.bin")).wait()
    whole = [(event.id, event.kind) for event in job.events()]
    with Client(cutting.url, tokens[0]) as broken:
        found = list(broken._follow(job.id, 0))
        assert [(event.id, event.kind) for event in found] == whole
    lasts = [head.partition(b"last-event-id: ")[2].split(b"\r")[0] for head in cutting.asked]
    assert len(lasts) > 1
    assert lasts[0] == b"0"
    assert lasts == sorted(lasts, key=int)

    async def asynchronously() -> list[tuple[int, str]]:
        async with AsyncClient(cutting.url, tokens[0]) as broken:
            return [(event.id, event.kind) async for event in broken._follow(job.id, 0)]

    assert asyncio.run(asynchronously()) == whole


def test_the_asynchronous_client_has_the_same_methods(
    serve: Serve, toybox: Hub, tokens: tuple[str, str]
) -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)

    async def use() -> None:
        async with AsyncClient(serve().url, tokens[0]) as client:
            names = ("sum", "text")
            jobs = await asyncio.gather(*(client.download("toybox", name) for name in names))
            await asyncio.gather(*(job.wait() for job in jobs))
            assert sorted(await client.models()) == ["sum", "text"]
            results = await asyncio.gather(
                *(client.predict("sum", np.full((1, 4), n, np.float32)) for n in range(20))
            )
            assert [float(result[0]) for result in results] == [10.0 * n for n in range(20)]
            assert (await client.predict("text", "a", top=1))[0]["label"] == "love of a"
            with pytest.raises(errors.NotCachedError):
                await client.info("nowhere")
            await client.load("sum")
            assert "sum" in await client.loaded()
            await client.unload("sum")
            assert (await client.describe("sum"))["name"] == "sum"
            assert (await client.cache())["total_models"] == 2
            assert (await client.health())["status"] == "ok"
            job = await client.job((await client.jobs())[0].id)
            with pytest.raises(errors.UsageError, match="already"):
                await job.cancel()
            with pytest.raises(errors.UsageError, match="retried"):
                await job.retry()
            assert sorted(await client.remove("all")) == ["sum", "text"]

    asyncio.run(use())
