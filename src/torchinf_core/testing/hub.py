"""The loopback hub: contents, redirects, tokens, routes and faults by path.

The server behind tests, the demo and the benchmarks.  It listens on 127.0.0.1
and reads only the files and folders that it is given.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from email.utils import formatdate
from hmac import compare_digest
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from torchinf_core.testing.content import Content, Data, FileData, as_content
from torchinf_core.testing.faults import Fault
from torchinf_core.testing.messages import Reply, Request, Resource, plain, serve
from torchinf_core.testing.server import Exchange, Server
from torchinf_core.testing.tls import Certificate, server_context

Handler = Callable[[Request], Reply | None]
"""Answers a request below a route's prefix; None means: not mine."""

ANY = "*"
LONG_AGO = 1_700_000_000.0
"""``Last-Modified`` of contents held in memory, seconds since the epoch."""


class Hub:
    """A loopback HTTP server with programmable faults; use it with ``with``.

    Args:
        tls: True, or a certificate to answer with, makes it speak HTTPS.
        throttle: bytes per second for each connection.
        latency: seconds before each reply.
        send_buffer: bytes of the socket's send buffer; small ones keep what is
            counted as sent near to what was received.
        port: 0 takes a free one.
        log: file that gets one JSON line for each finished request.

    Attributes:
        throttle, latency: as above; may be changed at any time.
        ca_file: PEM file a client has to trust when the hub speaks HTTPS.
    """

    def __init__(
        self,
        *,
        tls: bool | Certificate = False,
        throttle: float | None = None,
        latency: float = 0.0,
        send_buffer: int | None = None,
        port: int = 0,
        log: IO[str] | None = None,
    ) -> None:
        self.throttle = throttle
        self.latency = latency
        self.ca_file = ""
        context = None
        if tls:
            context, self.ca_file = server_context(tls if tls is not True else Certificate())
        self._scheme = "https" if tls else "http"
        self._lock = threading.Lock()
        self._log = log
        self._routes: dict[str, list[Handler]] = {}
        self._resources: dict[str, Resource] = {}
        self._redirects: dict[str, tuple[int, str]] = {}
        self._tokens: dict[str, str] = {}
        self._faults: dict[str, list[_Programmed]] = {}
        if send_buffer is None and throttle is not None:
            send_buffer = 1 << 14
        self._server = Server(
            self._answer,
            lambda: self.throttle,
            self._finished,
            tls=context,
            port=port,
            send_buffer=send_buffer,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Break off what is running and free the port."""
        self._server.close()

    # WHAT IT SERVES

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        """The URL of a path; another ``host`` must also mean this machine."""
        return f"{self._scheme}://{host}:{self._server.port}{quote(path, safe='/?=&:@+,;~%')}"

    def add(
        self,
        path: str,
        content: bytes | Path | Content,
        *,
        etag: str | None = "auto",
        last_modified: float | str | None = "auto",
        content_type: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Serve a content at a path, in place of what was there; returns its URL.

        Args:
            path: absolute, decoded.
            content: bytes or a file, which must not change any more.
            etag: ``auto`` makes a strong one, None sends none; quotes are
                added where they lack.
            last_modified: ``auto`` is the file's own or a fixed old time, a
                number is seconds since the epoch, None sends none.
            content_type: of the header.
            headers: further headers.
        """
        body = as_content(content)
        fields = {"Content-Type": content_type, **(headers or {})}
        self._resources[path] = Resource(
            body, _etag(body, etag), _modified(body, last_modified), tuple(fields.items())
        )
        return self.url(path)

    def mount(self, folder: Path, prefix: str = "/") -> str:
        """Serve the files below a folder; returns the URL of the prefix."""
        root = folder.resolve()

        def handler(request: Request) -> Reply | None:
            file = (root / request.path[len(prefix) :].lstrip("/")).resolve()
            if not file.is_relative_to(root) or not file.is_file():
                return None
            content = as_content(file)
            kind = (("Content-Type", "application/octet-stream"),)
            etag, modified = _etag(content, "auto"), _modified(content, "auto")
            return serve(request, Resource(content, etag, modified, kind))

        self.route(prefix, handler)
        return self.url(prefix)

    def redirect(self, path: str, to: str, *, status: int = 302) -> str:
        """Answer a path with a redirect to a URL or path; returns the path's URL."""
        self._redirects[path] = (status, to)
        return self.url(path)

    def route(self, prefix: str, handler: Handler) -> None:
        """Let a function answer what lies below a prefix.

        The longest prefix is asked first; of several functions for one prefix
        the latest is.
        """
        self._routes.setdefault(prefix, []).insert(0, handler)

    def require_token(self, path: str, token: str) -> None:
        """Answer 401 at a path (below it, if it ends in ``/``) without that bearer token."""
        self._tokens[path] = token

    def fail(self, path: str, *faults: Fault) -> None:
        """Queue faults for the requests of a path; ``"*"`` is every path.

        Each request meets the first queued fault that applies to it and has
        times left, so ``fail(p, cut(0.5), status(503).repeat(2))`` breaks the
        first request off, refuses the next two, and then serves well.
        """
        with self._lock:
            self._faults.setdefault(path, []).extend(_Programmed(fault) for fault in faults)

    def reset(self) -> None:
        """Forget all contents, rules and faults, and the requests seen."""
        with self._lock:
            for table in (self._resources, self._redirects, self._tokens, self._routes):
                table.clear()
            self._faults.clear()
            self._server.exchanges.clear()

    # WHAT IT SAW

    @property
    def requests(self) -> list[Exchange]:
        """All requests so far, in the order they came in."""
        return list(self._server.exchanges)

    def bytes_sent(self, path: str) -> int:
        """Body bytes sent for a path by all requests together."""
        return sum(seen.sent for seen in self.requests if seen.path == path)

    @property
    def connections(self) -> int:
        """Connections accepted so far."""
        return self._server.connections

    @property
    def peak_connections(self) -> int:
        """Most connections that were open at one time."""
        return self._server.peak

    # HOW IT ANSWERS

    def _answer(self, request: Request) -> Reply:
        if self.latency:
            self._server.closing.wait(self.latency)
        reply = self._honest(request)
        fault = self._next_fault(request)
        return reply if fault is None else fault.change(request, reply)

    def _honest(self, request: Request) -> Reply:
        for path, token in self._tokens.items():
            if request.path == path or (path.endswith("/") and request.path.startswith(path)):
                given = request.headers.get("Authorization", "")
                if not compare_digest(given.encode(), f"Bearer {token}".encode()):
                    return plain(401, "token needed\n", {"WWW-Authenticate": "Bearer"})
        if request.path in self._redirects:
            status, to = self._redirects[request.path]
            return plain(status, "", {"Location": to})
        if request.path in self._resources:
            if request.method in ("GET", "HEAD"):
                return serve(request, self._resources[request.path])
            return plain(405, "", {"Allow": "GET, HEAD"})
        for prefix in sorted(self._routes, key=len, reverse=True):
            for handler in self._routes[prefix] if request.path.startswith(prefix) else ():
                reply = handler(request)
                if reply is not None:
                    return reply
        return plain(404, "no such path\n")

    def _next_fault(self, request: Request) -> Fault | None:
        with self._lock:
            for programmed in self._faults.get(request.path, self._faults.get(ANY, [])):
                if programmed.take(request):
                    return programmed.fault
        return None

    def _finished(self, exchange: Exchange) -> None:
        if self._log is None:
            return
        line = {
            "method": exchange.method,
            "path": exchange.path,
            "headers": dict(exchange.headers),
            "status": exchange.status,
            "sent": exchange.sent,
            "connection": exchange.request.connection,
        }
        with self._lock:
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()


class _Programmed:
    """A queued fault and how many more requests it meets."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._left = fault.times
        self._seen = 0

    def take(self, request: Request) -> bool:
        if self._left <= 0 or not self.fault.applies(request):
            return False
        self._seen += 1
        if self._seen % self.fault.nth:
            return False
        self._left -= 1
        return True


def _etag(content: Content, etag: str | None) -> str | None:
    if etag is None:
        return None
    if etag != "auto":
        return etag if etag.startswith(('"', 'W/"')) else f'"{etag}"'
    if isinstance(content, Data):
        return f'"{hashlib.sha256(content.raw).hexdigest()[:32]}"'
    if isinstance(content, FileData):
        status = os.stat(content.path)
        return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    return f'"{content.size:x}"'


def _modified(content: Content, moment: float | str | None) -> str | None:
    if moment is None or (isinstance(moment, str) and moment != "auto"):
        return moment
    if isinstance(moment, str):
        own = isinstance(content, FileData)
        moment = os.stat(content.path).st_mtime if own else LONG_AGO  # type: ignore[attr-defined]
    return formatdate(moment, usegmt=True)
