"""The listening socket of the testing hub and one thread for each connection.

Knows nothing of paths or faults: it asks a function for the reply to a request.
Listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from torchinf_core.testing.messages import Ending, Framing, Headers, Reply, Request
from torchinf_core.testing.wire import Connection


@dataclass(slots=True, eq=False)
class Exchange:
    """A request that came in and what has been sent for it; grows while it is served.

    Attributes:
        request: as it came.
        status: of the reply; 0 before one is decided or when none is sent.
        sent: body bytes handed to the kernel, never fewer than have arrived.
        finished: True when nothing more is sent.
    """

    request: Request
    status: int = 0
    sent: int = 0
    finished: bool = False

    @property
    def method(self) -> str:
        """Upper case."""
        return self.request.method

    @property
    def path(self) -> str:
        """Decoded, without the query."""
        return self.request.path

    @property
    def headers(self) -> Headers:
        """Of the request; names in any case."""
        return self.request.headers

    def count(self, delta: int) -> None:
        """Add to the bytes sent."""
        self.sent += delta


class Server:
    """Accepts connections until it is closed.

    Args:
        answer: makes the reply to a request; called in many threads.
        rate: says the bytes per second that a connection may send, or None.
        finished: told each exchange when it is over.
        tls: speaks TLS with this context.
        port: 0 takes a free one.
        send_buffer: bytes of ``SO_SNDBUF``, or None for the system's default.
    """

    def __init__(
        self,
        answer: Callable[[Request], Reply],
        rate: Callable[[], float | None],
        finished: Callable[[Exchange], None],
        *,
        tls: ssl.SSLContext | None,
        port: int,
        send_buffer: int | None,
    ) -> None:
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.peak = 0
        self.closing = threading.Event()
        self._answer = answer
        self._rate = rate
        self._finished = finished
        self._tls = tls
        self._lock = threading.Lock()
        self._open: dict[Connection, threading.Thread] = {}
        self._busy = 0
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        if send_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="hub-accept", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Break off all connections and wait for their threads."""
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            left = list(self._open.items())
        for connection, _ in left:
            connection.interrupt()
        for _, thread in left:
            thread.join(10)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._busy += 1
                self.peak = max(self.peak, self._busy)
                connection = Connection(sock, self.connections, self.closing)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._open[connection] = thread
            thread.start()

    def _serve(self, connection: Connection) -> None:
        ending = Ending.FIN
        try:
            if self._tls is not None:
                connection.secure(self._tls)
            ending = self._converse(connection)
        except OSError:
            pass
        finally:
            with self._lock:
                self._busy -= 1
            connection.end(ending)
            with self._lock:
                del self._open[connection]

    def _converse(self, connection: Connection) -> Ending:
        while (request := connection.request()) is not None:
            exchange = Exchange(request)
            self.exchanges.append(exchange)
            try:
                reply = self._answer(request)
                exchange.status = 0 if reply.silent else reply.status
                connection.send(
                    reply,
                    body=request.method != "HEAD",
                    rate=self._rate() if reply.rate is None else reply.rate,
                    count=exchange.count,
                )
            finally:
                exchange.finished = True
                self._finished(exchange)
            if reply.ending is not Ending.KEEP or reply.framing is Framing.CLOSE or reply.silent:
                return reply.ending
            if request.headers.get("Connection", "").lower() == "close":
                return Ending.FIN
        return Ending.FIN
