"""uvicorn's protocol with an end to its patience: slow heads, slow bodies, large heads.

uvicorn waits for ever for the end of a request that has begun.  Five hundred clients
that send a byte now and then would be five hundred connections that never end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from torchinf_serve.security.problems import MEDIA_TYPE, encode, make

LARGEST_HEAD = 16 << 10
"""Bytes of a request's line and headers together."""
SLOWEST_BODY = 4096
"""Bytes a second that a body has to bring on average, once the time for a head is over."""
LOOK_EVERY = 1.0


class PatientProtocol(HttpToolsProtocol):
    """One connection; :func:`watch` looks at all of them."""

    since: float = 0.0
    """When the request that is not complete yet began; 0.0 while there is none."""
    in_head: bool = True
    head_bytes: int = 0
    body_bytes: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there, and has to say what it wants."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.since = time.monotonic()
        if len(self.connections) > self.app.state.config.connections:
            self._refuse(503, "too many connections are open")

    def data_received(self, data: bytes) -> None:
        """Some bytes; a head that grows too large ends the connection."""
        if self.in_head:
            if not self.since:
                self.since = time.monotonic()
            self.head_bytes += len(data)
            super().data_received(data)
            self._check_head()
        else:
            super().data_received(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, unless there are far too many of them already."""
        if len(self.headers) < 1000:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self.in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        self.since, self.in_head, self.head_bytes, self.body_bytes = 0.0, True, 0, 0
        super().on_message_complete()

    def is_too_slow(self, now: float, patience: float) -> bool:
        """Whether the client had its time."""
        if not self.since or self.flow.read_paused:
            return False
        spent = now - self.since
        if self.in_head:
            return spent > patience
        return spent > patience + self.body_bytes / SLOWEST_BODY

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, msg.rstrip(".").lower())

    def _check_head(self) -> None:
        if self.in_head and self.head_bytes > LARGEST_HEAD:
            self._refuse(431, f"the head has more than {LARGEST_HEAD} bytes")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer before there is a request that an app could answer, and hang up."""
        if self.transport.is_closing():
            return
        body = encode(make(status, detail))
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


async def watch(connections: Iterable[Any], patience: float) -> None:
    """End connections whose clients are too slow; runs until it is cancelled.

    Args:
        connections: the server's own set of them.
        patience: seconds for a head.
    """
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = time.monotonic()
        for connection in list(connections):
            if isinstance(connection, PatientProtocol) and connection.is_too_slow(now, patience):
                connection.transport.abort()
