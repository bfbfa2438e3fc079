"""From a config to a process that listens: the socket, the web server, the signals."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace

import uvicorn

from torchinf_core.errors import UsageError
from torchinf_core.manager import ModelDownloader
from torchinf_serve.app import Application, create_app
from torchinf_serve.computing.keeping import keep, share
from torchinf_serve.config import Config
from torchinf_serve.patience import PatientProtocol, watch
from torchinf_serve.security.tokens import Tokens

_log = logging.getLogger("torchinf.serve")
DOORS = 16
KEEP_ALIVE = 5
"""Seconds for which a connection without a request is kept."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one of several processes is.

    Attributes:
        owner: it runs the downloads; the others ask it.
        socket: path of the socket on which it is asked.
    """

    owner: bool
    socket: str


class Server(uvicorn.Server):
    """uvicorn, with an end to its patience and to the streams of jobs."""

    def __init__(
        self,
        config: uvicorn.Config,
        application: Application,
        listening: str,
        inner: uvicorn.Server | None = None,
    ) -> None:
        super().__init__(config)
        self._inner = inner
        self._inner_task: asyncio.Task[None] | None = None
        self._application = application
        self._listening = listening
        self._watch: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes, which then ends the process with status 0."""
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
        await self._serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and say so."""
        await super().startup(sockets)
        patience = self._application.state.config.header_timeout
        self._watch = asyncio.create_task(watch(self.server_state.connections, patience))
        if self._inner is not None:
            self._inner_task = asyncio.create_task(self._inner._serve())  # noqa: SLF001 - without its signals
            self._inner_task.add_done_callback(self._on_inner_end)
        share()
        keep()
        if self._listening:
            sys.stderr.write(f"listening on {self._listening}\n")
            sys.stderr.flush()

    def _on_inner_end(self, task: asyncio.Task[None]) -> None:
        """Without the socket for the others this process is of no use: it is started again."""
        if self.should_exit:
            return
        error = None if task.cancelled() else task.exception()
        _log.error("the socket for the other processes failed: %s", error or "it was closed")
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests finish, but not those that only watch."""
        self._application.state.jobs.stop_watching()
        if self._watch is not None:
            self._watch.cancel()
        if self._inner is not None and self._inner_task is not None:
            self._inner.should_exit = True
            await self._inner_task
        await super().shutdown(sockets)
        if self._listening:
            sys.stderr.write("stopped\n")


def bind(config: Config) -> tuple[socket.socket, Config]:
    """The listening socket, and the config with the port that it has.

    Raises:
        UsageError: nobody can listen there.
    """
    try:
        host = "127.0.0.1" if config.host == "localhost" else config.host.strip("[]")
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, config.port))
    except OSError as error:
        raise UsageError(
            f"can't listen on {config.host} port {config.port}: {error.strerror or error}",
            hint="--port 0 takes a free one",
        ) from None
    sock.listen(2048)
    sock.setblocking(False)
    return sock, replace(config, port=sock.getsockname()[1])


def doors(sock: socket.socket) -> list[socket.socket]:
    """The listening socket several times: the event loop takes one connection from each a round.

    A thousand clients that connect at once would else be a thousand rounds in coming,
    and whoever connects after them would wait as long.
    """
    return [sock, *(sock.dup() for _ in range(DOORS - 1))]


def url_of(config: Config) -> str:
    """Where a server with this config answers."""
    host = config.host.strip("[]")
    return f"http://{f'[{host}]' if ':' in host else host}:{config.port}"


def make_server(
    config: Config,
    downloader: ModelDownloader,
    tokens: Tokens,
    *,
    listening: str = "",
    part: Part | None = None,
) -> Server:
    """A server that is ready to run on a socket.

    Args:
        config: with the port that the socket has.
        downloader: of the store.
        tokens: who may ask.
        listening: what to tell once connections are accepted; ``""`` tells nothing.
        part: what this process is, where there are several.

    Raises:
        BusyError: another server runs the downloads of this store.
    """
    inner = None
    if part is None or part.owner:
        application = create_app(config, downloader, tokens)
        application.state.jobs.own()
        if part is not None:
            inner = _inner_server(application, part.socket)
    else:
        application = create_app(config, downloader, tokens, owner=part.socket)
    return Server(
        uvicorn.Config(
            application,
            http=PatientProtocol,
            ws="none",
            loop="uvloop",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, int(config.drain_seconds)),
        ),
        application,
        listening,
        inner,
    )


def _inner_server(application: Application, path: str) -> uvicorn.Server:
    """What the other processes ask about jobs."""
    with suppress(FileNotFoundError):
        os.unlink(path)  # of an owner that died
    return uvicorn.Server(
        uvicorn.Config(
            application.inner,
            uds=path,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            # Who asks gives a connection up sooner, so none is closed as it is used again.
            timeout_keep_alive=10 * KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        )
    )


def run(
    config: Config,
    downloader: ModelDownloader,
    tokens: Tokens,
    token_file: str,
    *,
    verbose: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    os.umask(0o077)
    sock, config = bind(config)
    if config.workers > 1:
        from torchinf_serve.supervising import supervise

        return supervise(config, sock, downloader, token_file, verbose=verbose)
    allow_many_files()
    server = make_server(config, downloader, tokens, listening=url_of(config))
    server.run(doors(sock))
    return 0


def allow_many_files() -> None:
    """Each connection is a file; the usual limit of 1024 would be reached first."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 1 << 16) if hard != resource.RLIM_INFINITY else 1 << 16
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
