"""Everything that one server is told at its start, and that no request can change."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from torchinf_core.errors import UsageError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Config:
    """How a server listens, whom it believes, and what it may use up.

    Attributes:
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        workers: processes that answer requests.
        expose: listen on an address that other machines reach.
        allow_root: run as root though other machines reach it.
        token_file: file with the tokens; ``""`` is ``serve.token`` beside the
            settings file, made at the first start.
        allow_hosts: names by which clients may call the server besides
            ``127.0.0.1``, ``localhost`` and ``[::1]``, each with or without a port.
        sources: sources that may be downloaded from; empty allows all but URLs.
        url_hosts: hosts that the ``url`` source may ask, such as ``example.com``,
            ``*.example.com`` or ``example.com:8443``; empty turns it off.
        allow_http: let the ``url`` source ask without TLS.
        allow_code: names of stored models whose code may run, where it was trusted
            on the command line, too; empty runs none.
        max_body: most bytes of a request's body, where no prediction is asked for.
        max_predict_body: most bytes of the body of a prediction.
        rate: requests a second for each token, predictions not counted; 0 is no limit.
        burst: requests that a token may make at once after a pause.
        predict_rate: predictions a second for each token; 0 is no limit.
        connections: most open connections.
        header_timeout: seconds a client may take for the head of a request, and
            for each part of its body.
        downloads: that run at once.
        queue: downloads that may wait; more are refused with 429.
        keep_jobs: finished jobs that are remembered.
        max_bytes: most bytes of one model.
        max_store: most bytes of the store, by what it takes on disk; 0 is no limit.
        predict_queue: predictions that may wait for one model.
        predict_bytes: of bodies of predictions that are held at once, over all models.
        predict_concurrency: predictions that one model computes at once.
        batch_max: most items in one call of a model; 1 turns batching off.
        batch_wait_ms: how long an item may wait for others, milliseconds.
        drain_seconds: how long requests may go on after SIGTERM.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    expose: bool = False
    allow_root: bool = False
    token_file: str = ""
    allow_hosts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    url_hosts: tuple[str, ...] = ()
    allow_http: bool = False
    allow_code: tuple[str, ...] = ()
    max_body: int = 64 * KIB
    max_predict_body: int = 32 * MIB
    rate: float = 10.0
    burst: int = 50
    predict_rate: float = 0.0
    connections: int = 4096
    header_timeout: float = 10.0
    downloads: int = 4
    queue: int = 64
    keep_jobs: int = 200
    max_bytes: int = 50 * GIB
    max_store: int = 0
    predict_queue: int = 1024
    predict_bytes: int = GIB
    predict_concurrency: int = 1
    batch_max: int = 32
    batch_wait_ms: float = 5.0
    drain_seconds: float = 30.0

    @property
    def is_loopback(self) -> bool:
        """True when only this machine reaches the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def check(self) -> Self:
        """The config itself.

        Raises:
            UsageError: a value that it can't have, or an exposed server that nobody
                asked for in so many words.
        """
        if not 0 <= self.port <= 65535:
            raise UsageError(f"{self.port} is no port")
        for name in ("workers", "downloads", "connections", "keep_jobs", "burst"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if not self.is_loopback and not self.expose:
            raise UsageError(
                f"{self.host} may be reached from other machines",
                hint="--expose if that is meant; a proxy with TLS belongs before it",
            )
        for host in (*self.allow_hosts, *self.url_hosts):
            _check_host(host)
        return self

    def to_json(self) -> str:
        """The config as a text that :meth:`from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The config that :meth:`to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        for item in fields(cls):
            if str(item.type).startswith("tuple"):
                values[item.name] = tuple(values[item.name])
        return cls(**values)


def _check_host(host: str) -> None:
    """Raise UsageError unless it is a host name or address, with or without a port."""
    bare = host.removeprefix("*.")
    try:
        parts = urlsplit(f"//{bare}")
        fits = bool(parts.hostname) and parts.netloc == bare and parts.port != 0
    except ValueError:
        fits = False
    if not fits or "@" in bare or "*" in bare or not bare.isprintable() or " " in bare:
        raise UsageError(f"{host[:100]!r} is no host", hint="example.com, or example.com:8443")


def is_root() -> bool:
    """True when the process may do everything on this machine."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
