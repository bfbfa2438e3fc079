"""One connection of the testing hub: reads requests, sends replies byte by byte as told.

Everything that a fault needs to decide lies here in the open: how fast bytes
leave, how many, and whether the connection ends with FIN, RST or silence.
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

from torchinf_core.testing.content import FileData
from torchinf_core.testing.messages import Ending, Framing, Headers, Reply, Request

BLOCK = 1 << 20
MAX_HEAD = 1 << 20
SMALL = 1 << 16


class Pace:
    """Spaces out what one connection sends to so many bytes per second."""

    def __init__(self, closing: threading.Event) -> None:
        self._closing = closing
        self._due = 0.0

    def spend(self, count: int, rate: float) -> None:
        """Wait as long as ``count`` bytes take; short delays are caught up on."""
        now = time.monotonic()
        self._due = max(self._due, now - 0.02 if self._due else now) + count / rate
        if self._due > now:
            self._closing.wait(self._due - now)


class Connection:
    """A client's connection; used by one thread.

    Args:
        sock: connected; TLS is already spoken where it should be.
        number: from 1.
        closing: set when the hub shuts down.
    """

    def __init__(self, sock: socket.socket, number: int, closing: threading.Event) -> None:
        self.sock = sock
        self.number = number
        self._pace = Pace(closing)
        self._unread = b""

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on.

        Raises:
            OSError: the client did not like the certificate.
        """
        secured = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self.sock = secured
        secured.do_handshake()

    def request(self) -> Request | None:
        """The next request, or None when the client is done or talks no HTTP."""
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            if len(self._unread) > MAX_HEAD or not self._receive():
                return None
        head, self._unread = self._unread[:end], self._unread[end + 4 :]
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return None
        fields = [line.partition(":") for line in lines]
        headers = Headers(tuple((name.strip(), value.strip()) for name, _, value in fields))
        length = int(headers.get("Content-Length", "0") or "0")
        while len(self._unread) < length:
            if not self._receive():
                return None
        body, self._unread = self._unread[:length], self._unread[length:]
        path, _, query = words[1].partition("?")
        return Request(words[0].upper(), unquote(path), query, headers, body, self.number)

    def send(
        self,
        reply: Reply,
        *,
        body: bool,
        rate: float | None,
        count: Callable[[int], None],
    ) -> None:
        """Send a reply up to its ending, which :meth:`end` carries out.

        Args:
            reply: what to send.
            body: False for HEAD.
            rate: bytes per second at most, or None.
            count: told the number of body bytes *before* they leave, and a
                negative number for those that could not: a client that has
                received a byte finds it counted.

        Raises:
            OSError: the client went away.
        """
        if reply.silent:
            return
        head = reply.before + reply.head()
        length = reply.stop - reply.start if body else 0
        if rate is None and length <= SMALL and reply.framing is not Framing.CHUNKED:
            block = bytes(reply.content.read(reply.start, reply.stop)) if length else b""
            count(length)
            self.sock.sendall(head + block + reply.after)
            return
        self.sock.sendall(head)
        if not body:
            return
        if rate is None and reply.framing is not Framing.CHUNKED and self._can_sendfile(reply):
            self._send_file(reply, count)
        else:
            self._send_blocks(reply, rate, count)
        if reply.framing is Framing.CHUNKED and reply.ending is Ending.KEEP:
            self.sock.sendall(b"0\r\n\r\n")
        if reply.after:
            self.sock.sendall(reply.after)

    def end(self, ending: Ending) -> None:
        """Close the connection in the given way; KEEP here means FIN."""
        try:
            if ending is Ending.HANG:
                self._wait_for_client()
            elif ending is Ending.RST:
                self._wait_until_arrived()
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                # Input left unread would turn the close into a reset.
                socket.socket.shutdown(self.sock, socket.SHUT_WR)
                self._wait_for_client()
        except OSError:
            pass
        finally:
            self.sock.close()

    def interrupt(self) -> None:
        """Wake the thread that serves this connection; called by another one."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            pass

    def _receive(self) -> bool:
        try:
            block = self.sock.recv(1 << 16)
        except OSError:
            return False
        self._unread += block
        return bool(block)

    def _can_sendfile(self, reply: Reply) -> bool:
        return isinstance(reply.content, FileData) and not isinstance(self.sock, ssl.SSLSocket)

    def _send_file(self, reply: Reply, count: Callable[[int], None]) -> None:
        assert isinstance(reply.content, FileData)
        with reply.content.path.open("rb") as file:

            def send(at: int, want: int) -> int:
                return os.sendfile(self.sock.fileno(), file.fileno(), at, want)

            self._push(send, reply.start, reply.stop, count)

    def _send_blocks(self, reply: Reply, rate: float | None, count: Callable[[int], None]) -> None:
        step = BLOCK if rate is None else max(1, min(BLOCK, int(rate / 100)))
        chunked = reply.framing is Framing.CHUNKED
        for start in range(reply.start, reply.stop, step):
            block = memoryview(reply.content.read(start, min(start + step, reply.stop)))
            if chunked:
                self.sock.sendall(b"%x\r\n" % len(block))
            self._push(partial(_send_part, self.sock, block), 0, len(block), count)
            if chunked:
                self.sock.sendall(b"\r\n")
            if rate is not None:
                self._pace.spend(len(block), rate)

    @staticmethod
    def _push(
        send: Callable[[int, int], int], start: int, stop: int, count: Callable[[int], None]
    ) -> None:
        while start < stop:
            want = min(BLOCK, stop - start)
            sent = 0
            count(want)
            try:
                sent = send(start, want)
            finally:
                count(sent - want)
            if sent == 0:
                raise ConnectionError("the file became shorter while it was served")
            start += sent

    def _wait_for_client(self) -> None:
        """Read and drop until the client closes its side."""
        self.sock.settimeout(None)
        while self.sock.recv(1 << 16):
            pass

    def _wait_until_arrived(self) -> None:
        """Wait until the client's kernel has everything: a reset discards the rest."""
        for _ in range(2000):
            pending = fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
            if pending == b"\0\0\0\0":
                return
            time.sleep(0.001)


def _send_part(sock: socket.socket, block: memoryview, at: int, want: int) -> int:
    return sock.send(block[at : at + want])
