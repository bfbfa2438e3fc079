"""Several processes on one listening socket, started again when they die.

Each child hears on its stdin what it is, and ends when that is closed: no child
outlives the process that started it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from types import FrameType

from torchinf_core.manager import ModelDownloader
from torchinf_serve.config import Config

_log = logging.getLogger("torchinf.serve")
OFTEN = 1.0
"""Seconds between two starts of the same child at least."""
_GRACE = 10.0


class Supervisor:
    """The parent of all processes of a server; serves nothing itself.

    Args:
        config: with the port of the socket.
        sock: that all of them listen on.
        cache_dir: directory of the store.
        token_file: that exists.
        verbose: log every request.
    """

    def __init__(
        self, config: Config, sock: socket.socket, cache_dir: str, token_file: str, *, verbose: bool
    ) -> None:
        self._config = config
        self._sock = sock
        self._told = {"cache_dir": cache_dir, "token_file": token_file, "verbose": verbose}
        self._children: list[subprocess.Popen[bytes] | None] = [None] * config.workers
        self._started = [0.0] * config.workers
        self._stop = threading.Event()
        self._place = tempfile.mkdtemp(prefix="torchinf-serve-")

    def run(self) -> int:
        """Start all, and keep them going until a signal comes; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        status = 0
        try:
            while not self._stop.is_set():
                for index in range(self._config.workers):
                    self._keep(index)
                self._stop.wait(0.1)
        except ChildProcessError:
            status = 1
        finally:
            self._end()
        return status

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _keep(self, index: int) -> None:
        """Start a child, or start it again."""
        child = self._children[index]
        if child is not None:
            status = child.poll()
            if status is None:
                return
            _log.error("process %d of the server ended with status %d", child.pid, status)
            if time.monotonic() - self._started[index] < OFTEN:
                raise ChildProcessError
        self._started[index] = time.monotonic()
        fd = self._sock.fileno()
        owner = index == 0
        told = {
            **self._told,
            "config": self._config.to_json(),
            "fd": fd,
            "owner": owner,
            "socket": f"{self._place}/owner.sock",
        }
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "torchinf_serve.child"],
            stdin=subprocess.PIPE,
            pass_fds=(fd,),
            start_new_session=True,  # a Ctrl-C is for this process, which tells them
        )
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(told).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            pass
        self._children[index] = child

    def _end(self) -> None:
        children = [child for child in self._children if child is not None]
        # The owner last: the others may still have questions.
        for child in [*children[1:], *children[:1]]:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + self._config.drain_seconds + _GRACE
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()
        shutil.rmtree(self._place, ignore_errors=True)


def supervise(
    config: Config,
    sock: socket.socket,
    downloader: ModelDownloader,
    token_file: str,
    *,
    verbose: bool,
) -> int:
    """Serve with several processes until a signal comes; returns the exit status."""
    os.set_inheritable(sock.fileno(), True)
    cache_dir = str(downloader.cache_dir)
    return Supervisor(config, sock, cache_dir, token_file, verbose=verbose).run()
