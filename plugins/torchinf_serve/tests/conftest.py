"""Servers for tests: real sockets on 127.0.0.1, a store of their own, downloads in threads."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub
from torchinf_serve.config import Config
from torchinf_serve.jobs.worker import work
from torchinf_serve.security.tokens import Caller, Tokens

WRITE, READ = "a-token-that-may-write-things", "a-token-that-may-only-read-it"
TOKENS = Tokens([(WRITE, Caller("writer", True)), (READ, Caller("reader", False))])


@pytest.fixture(autouse=True)
def _no_look_at_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in this process would look at what thousands of tests have left, at each unload."""
    for name in ("let_go", "keep"):
        monkeypatch.setattr(f"torchinf_serve.pool.{name}", lambda: None)


class ThreadWorker:
    """A job in a thread: as a process, but fast, and in sight of what a test patches."""

    def __init__(self, job: dict[str, Any], number: int) -> None:
        self.pid = -number
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _run(self, job: dict[str, Any]) -> None:
        work(job, self._put)
        self._put(None)

    def _put(self, event: dict[str, Any] | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the server is gone
            pass

    async def events(self, silence: float) -> AsyncIterator[dict[str, Any]]:
        while (event := await asyncio.wait_for(self._events.get(), silence)) is not None:
            yield event

    async def end(self, *, kill: bool = False) -> int:
        self._events.put_nowait(None)
        return 0


class Running:
    """A server that listens.

    Attributes:
        url: where.
        state: what it holds.
        application: the whole app.
    """

    def __init__(
        self, config: Config, downloader: ModelDownloader, tokens: Tokens, processes: bool
    ):
        from torchinf_serve.serving import bind, make_server

        self._sock, self.config = bind(config)
        try:
            self.server = make_server(self.config, downloader, tokens)
        except BaseException:
            self._sock.close()
            raise
        self.application = self.server._application
        self.state = self.application.state
        self.url = f"http://127.0.0.1:{self.config.port}"
        self._numbers = iter(range(1, 10**9))
        if not processes:

            async def launch(job: dict[str, Any], _cwd: str) -> ThreadWorker:
                return ThreadWorker(job, next(self._numbers))

            self.state.jobs._launch = launch
        self._clients: list[httpx.Client] = []
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(60)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        original = self.server.startup

        async def startup(sockets: Any = None) -> None:
            try:
                await original(sockets)
            finally:
                self._started.set()

        self.server.startup = startup  # type: ignore[method-assign]
        try:
            self.server.run([self._sock])
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the test
            self._failure = error
            self._started.set()

    def client(self, token: str | None = WRITE, **more: Any) -> httpx.Client:
        """A client that sends a token, or none."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= more.pop("headers", {})
        client = httpx.Client(
            base_url=self.url, headers=headers, timeout=60, trust_env=False, verify=False, **more
        )
        self._clients.append(client)
        return client

    def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """All that comes back for some bytes."""
        with socket.create_connection(("127.0.0.1", self.config.port), timeout=30) as sock:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            parts = []
            while part := sock.recv(1 << 16):
                parts.append(part)
            return b"".join(parts)

    def events(self, job: str, **headers: str) -> list[tuple[int, str, dict[str, Any]]]:
        """All events of a job, until its stream ends: id, kind, data."""
        with self.client().stream("GET", f"/models/jobs/{job}/events", headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            return parse_events("".join(answer.iter_text()))

    def finished(self, job: str) -> dict[str, Any]:
        """A job once it has ended."""
        self.events(job)
        found: dict[str, Any] = self.client().get(f"/models/jobs/{job}").json()
        return found

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._sock.close()


def parse_events(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


@pytest.fixture(scope="session")
def event_parser() -> Callable[[str], list[tuple[int, str, dict[str, Any]]]]:
    return parse_events


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torchinf_core.network.retry.sleep", lambda *_: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TORCHINF_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A loopback server, which downloads of the server under test may reach."""
    monkeypatch.setenv("TORCHINF_PRIVATE_NETWORKS", "127.0.0.0/8")
    with Hub() as hub:
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


Serve = Callable[..., Running]


@pytest.fixture
def serve(store: Path) -> Iterator[Serve]:
    """Starts servers; options are those of Config, ``processes=True`` gives jobs processes."""
    running: list[Running] = []

    def start(
        *,
        processes: bool = False,
        downloader: ModelDownloader | None = None,
        tokens: Tokens = TOKENS,
        **options: Any,
    ) -> Running:
        config = replace(Config(port=0, rate=0.0, drain_seconds=5.0), **options)
        server = Running(config, downloader or ModelDownloader(store), tokens, processes)
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()


@pytest.fixture
def place(hub: Hub) -> str:
    """Host and port of the hub, for ``url_hosts``."""
    return hub.url("").split("//")[1].rstrip("/")


@pytest.fixture
def open_server(serve: Serve, place: str) -> Running:
    """A server that downloads from the hub."""
    return serve(url_hosts=(place,), allow_http=True)


class Process:
    """``torchinf serve`` as a person starts it."""

    def __init__(self, store: Path, log: Path, *options: str) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "torchinf_core", "serve", "--port", "0",
                 "--cache-dir", str(store), "--rate", "0", *options],
                stderr=file, stdout=file, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.url = self._said(r"listening on (http://\S+)")
        self.token = Path(self._said(r"token for reading and writing.*?: (.+)")).read_text().split()
        headers = {"authorization": f"Bearer {self.token[0]}"}
        self.client = httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    def _said(self, pattern: str) -> str:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.log.read_text()):
                return match[1]
            if self.process.poll() is not None:
                break
            threading.Event().wait(0.02)
        raise AssertionError(self.log.read_text())

    def end(self, number: int = signal.SIGTERM) -> int:
        self.client.close()
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def start(store: Path, tmp_path: Path, place: str) -> Iterator[Callable[[], Process]]:
    started: list[Process] = []

    def call(*options: str) -> Process:
        log = tmp_path / f"log-{len(started)}"
        process = Process(store, log, "--allow-http", "--url-host", place, *options)
        started.append(process)
        return process

    yield call
    for process in started:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def tokens() -> tuple[str, str]:
    """The token that may write, and the one that may not."""
    return WRITE, READ


@pytest.fixture(scope="session")
def content() -> Callable[[int], bytes]:
    """Bytes of a model that looks like nothing in particular."""
    return lambda size: (b"\x93model" + os.urandom(64) * (size // 64 + 1))[:size]


@pytest.fixture
def toybox(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, request: Any) -> Hub:
    """A hub with a toy for each kind of input, and the plugin that plays with them."""
    folder = tmp_path / "site"
    name = f"toys_of_{abs(hash(request.node.nodeid))}"
    info = folder / "toys-1.0.dist-info"
    info.mkdir(parents=True)
    source = Path(__file__).with_name("client") / "toys.py"
    (folder / f"{name}.py").write_text(source.read_text())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[torchinf.v1]\ntoys = {name}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("TORCHINF_TOYS_HOST", hub.url("").rstrip("/"))
    monkeypatch.delitem(sys.modules, name, raising=False)
    for model in ("text", "image", "mapping", "sum", "two"):
        hub.add(f"/{model}/toy.json", b"[1, 2, 3, 4]")
    importlib.import_module(name)
    return hub
