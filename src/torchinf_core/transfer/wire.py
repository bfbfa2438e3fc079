"""Connections of one download: requests go out, body bytes come back.

httpx opens every connection (names, proxies, TLS, time-outs).  From then on the
body is read from its socket straight into the caller's memory, and further
requests to the same server ride on the same socket, framed by h11: a request
costs a third of one through httpx, and a byte costs no Python object.  Answers
that are chunked, encoded or proxied are read through httpx as usual.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import h11

from torchinf_core.errors import SourceError, TorchinfError
from torchinf_core.network import failures, http, retry
from torchinf_core.network.credentials import authorization
from torchinf_core.network.library import httpx
from torchinf_core.refs import redact
from torchinf_core.settings import Settings

HEAD_LIMIT = 64 * 1024
"""Most bytes of an answer's head."""
NAP = 0.5
"""Seconds after which a read returns with less than it was asked for."""
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})")


class BrokenError(Exception):
    """A transport error or a passing status: another attempt may succeed.

    Attributes:
        final: the error to show when there is no other attempt.
        retry_after: seconds the server asked for, or None.
    """

    def __init__(self, final: TorchinfError, retry_after: float | None = None) -> None:
        super().__init__(str(final))
        self.final = final
        self.retry_after = retry_after


class Lane:
    """One open connection.

    ``opener`` and its body iterator stay referenced: when either is collected,
    httpx closes the socket.
    """

    __slots__ = ("body", "opener", "origin", "patience", "sock")

    def __init__(
        self,
        sock: socket.socket,
        origin: str,
        opener: httpx.Response,
        body: Iterator[bytes],
        idle_timeout: float,
    ) -> None:
        self.sock = sock
        self.patience = 1
        if isinstance(sock, ssl.SSLSocket):
            sock.settimeout(idle_timeout)
        else:
            nap = min(NAP, idle_timeout)
            self.patience = max(1, round(idle_timeout / nap))
            sock.settimeout(None)
            pause = struct.pack("ll", int(nap), int(nap % 1 * 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pause)
        self.origin = origin
        self.opener = opener
        self.body = body

    def receive(self, view: memoryview) -> int:
        """Fill ``view``; fewer bytes when the connection ended or is slow.

        One system call fills a block on a plain socket: the thread wakes, and takes
        the interpreter's lock, once a block instead of once a packet.

        Raises:
            TimeoutError: when nothing came for the idle time-out.
        """
        if isinstance(self.sock, ssl.SSLSocket):
            return self.sock.recv_into(view)
        for _ in range(self.patience):
            try:
                return self.sock.recv_into(view, len(view), socket.MSG_WAITALL)
            except BlockingIOError:
                continue
        raise TimeoutError

    def receive_some(self) -> bytes:
        """What has arrived, at most :data:`HEAD_LIMIT` bytes; ``b""`` at the end."""
        for _ in range(self.patience):
            try:
                return self.sock.recv(HEAD_LIMIT)
            except BlockingIOError:
                continue
        raise TimeoutError

    def close(self) -> None:
        """End the connection."""
        self.opener.close()


class Answer:
    """The answer to one GET; its body is read with :meth:`readinto`.

    Attributes:
        status: HTTP status.
        headers: lower-case name → value (the first of several).
        url: final URL, behind any redirects.
        length: bytes of the body, or None when its framing does not tell.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], url: str, length: int | None
    ) -> None:
        self.status = status
        self.headers = headers
        self.url = url
        self.length = length
        self.lane: Lane | None = None
        self.response: httpx.Response | None = None
        self._wire: Wire | None = None
        self._left = -1 if length is None else length
        self._chunks: Iterator[bytes] | None = None
        self._buffered: memoryview = memoryview(b"")

    @property
    def etag(self) -> str | None:
        """The entity tag as sent, weak ones with their ``W/``."""
        return self.headers.get("etag")

    @property
    def encoded(self) -> bool:
        """True when the body is compressed although identity was asked for."""
        return self.headers.get("content-encoding", "identity").lower() not in ("", "identity")

    def content_range(self) -> tuple[int, int, int | None] | None:
        """(first byte, end, total or None) of a 206, or None."""
        match = _RANGE.fullmatch(self.headers.get("content-range", "").strip())
        if not match:
            return None
        total = None if match[3] == "*" else int(match[3])
        return int(match[1]), int(match[2]) + 1, total

    def unsatisfied_total(self) -> int | None:
        """The size a 416 tells, or None."""
        match = _UNSATISFIED.fullmatch(self.headers.get("content-range", "").strip())
        return int(match[1]) if match else None

    def readinto(self, view: memoryview) -> int:
        """Fill the start of ``view``; 0 is the proper end of the body.

        Raises:
            BrokenError: when the connection ends or stalls before that.
        """
        if self._left == 0:
            return 0
        try:
            count = self._read(view)
        except (OSError, httpx.TransportError, httpx.StreamError) as error:
            raise self._broken(error) from error
        except httpx.DecodingError as error:
            raise BrokenError(SourceError(f"{redact(self.url)}: {error}")) from error
        if self._left > 0:
            if count == 0:
                raise self._broken(None)
            self._left -= count
        return count

    def _read(self, view: memoryview) -> int:
        if self._left > 0:
            view = view[: self._left]
        if not self._buffered and self._chunks is not None:
            chunk = next(self._chunks, b"")
            self._buffered = memoryview(chunk)
            if self.lane is not None or not chunk:
                self._chunks = None
        if self._buffered:
            count = min(len(view), len(self._buffered))
            view[:count] = self._buffered[:count]
            self._buffered = self._buffered[count:]
            return count
        return self.lane.receive(view) if self.lane is not None else 0

    def _broken(self, error: Exception | None) -> BrokenError:
        where = redact(self.url)
        if error is None:
            return BrokenError(
                failures.network_error(f"{where} ended {self._left} bytes too early")
            )
        if isinstance(error, TimeoutError | httpx.ReadTimeout):
            return BrokenError(failures.network_error(f"{where} sent nothing for too long"))
        return BrokenError(failures.translate(error, self.url))

    def close(self) -> None:
        """Give the connection back if the whole body was read, else end it."""
        wire, self._wire = self._wire, None
        if wire is None:
            return
        wire.forget(self)
        if self.lane is not None and self._left == 0 and _stays_open(self.headers):
            wire.give_back(self.lane)
        elif self.lane is not None:
            self.lane.close()
        elif self.response is not None:
            self.response.close()

    def kick(self) -> None:
        """End the connection from another thread; its reader sees it broken."""
        stream = self.response.extensions.get("network_stream") if self.response else None
        sock = self.lane.sock if self.lane else stream and stream.get_extra_info("socket")
        if sock is not None:
            try:
                # Not SSLSocket.shutdown: that one takes the TLS state from under the reader.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass


class Wire:
    """All connections of one download.  Thread-safe; close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.useful: dict[str, int] = {}
        """URL origin → number of connections that measurement found useful."""
        self._client: httpx.Client | None = None
        self._idle: dict[str, list[Lane]] = defaultdict(list)
        self._live: set[Answer] = set()
        self._authorization: dict[str, str | None] = {}
        self._lock = threading.Lock()
        self._closed = False

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """GET a URL, following redirects under the policy of :mod:`torchinf_core.network.http`.

        Args:
            url: of the file.
            headers: such as ``range``; without credentials, those are added here
                per host.

        Returns:
            Any answer with status 200, 206 or 416.

        Raises:
            BrokenError: worth another attempt.
            TorchinfError: not worth one.
        """
        first = url
        for _ in range(failures.MAX_REDIRECTS + 1):
            answer = self._once(url, headers)
            if answer.status in (200, 206, 416):
                return answer
            location = answer.headers.get("location")
            if answer.status in (301, 302, 303, 307, 308) and location:
                answer.close()
                url = _follow(url, location)
                continue
            answer.close()
            error = failures.status_error(answer.status, url, dict(answer.headers), self.settings)
            if answer.status in retry.STATUSES:
                wish = retry.parse_retry_after(answer.headers.get("retry-after"))
                raise BrokenError(error, wish)
            raise error
        raise SourceError(f"{redact(first)} redirects more than {failures.MAX_REDIRECTS} times")

    def give_back(self, lane: Lane) -> None:
        """Keep a connection for the next request to its server."""
        with self._lock:
            if not self._closed:
                self._idle[lane.origin].append(lane)
                return
        lane.close()

    def forget(self, answer: Answer) -> None:
        """Stop tracking an answer that is being closed."""
        with self._lock:
            self._live.discard(answer)

    def kick_all(self) -> None:
        """Break every transfer under way; their threads end soon after."""
        with self._lock:
            live = list(self._live)
        for answer in live:
            answer.kick()

    def close(self) -> None:
        """End every connection."""
        self.kick_all()
        with self._lock:
            self._closed = True
            lanes = [lane for lanes in self._idle.values() for lane in lanes]
            self._idle.clear()
        for lane in lanes:
            lane.close()
        if self._client is not None:
            self._client.close()

    def _once(self, url: str, headers: Mapping[str, str]) -> Answer:
        try:
            target = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise failures.translate(error, url) from error
        sent = {"accept": "*/*", **headers}
        if value := self._credentials(url, target):
            sent["authorization"] = value
        origin = f"{target.scheme}://{target.netloc.decode('ascii')}"
        answer = self._ride(target, origin, sent) or self._open(target, origin, sent)
        with self._lock:
            self._live.add(answer)
        answer._wire = self  # noqa: SLF001 - set once the answer is handed out
        return answer

    def _credentials(self, url: str, target: httpx.URL) -> str | None:
        key = f"{target.scheme}://{target.userinfo!r}@{target.netloc!r}"
        if key not in self._authorization:
            self._authorization[key] = authorization(url, self.settings)
        return self._authorization[key]

    def _ride(self, target: httpx.URL, origin: str, headers: Mapping[str, str]) -> Answer | None:
        """Ask on an idle connection; None when there is none, or it went stale."""
        while True:
            with self._lock:
                lanes = self._idle.get(origin)
                lane = lanes.pop() if lanes else None
            if lane is None:
                return None
            if not _is_quiet(lane.sock):
                lane.close()
                continue
            try:
                answer = _ask(lane, target, headers)
            except (OSError, h11.RemoteProtocolError):
                lane.close()
                continue
            answer.lane = lane
            return answer

    def _open(self, target: httpx.URL, origin: str, headers: Mapping[str, str]) -> Answer:
        with self._lock:
            if self._client is None:
                self._client = http.client(self.settings, retries=False)
        try:
            request = self._client.build_request("GET", target, headers=dict(headers))
            response = self._client.send(request, stream=True, follow_redirects=False)
        except httpx.TransportError as error:
            final = failures.translate(error, str(target))
            if failures.is_certificate_error(error):
                raise final from error
            raise BrokenError(final) from error
        except httpx.InvalidURL as error:  # of the place it redirects to
            raise SourceError(f"{redact(str(target))} redirects to no URL: {error}") from error
        except httpx.HTTPError as error:
            raise failures.translate(error, str(target)) from error
        found = {name.lower(): value for name, value in reversed(response.headers.multi_items())}
        answer = Answer(response.status_code, found, str(target), _length(found))
        answer.response = response
        stream: Any = response.extensions.get("network_stream")
        sock = stream.get_extra_info("socket") if stream is not None else None
        body = response.iter_bytes() if answer.encoded else response.iter_raw()
        answer._chunks = body  # noqa: SLF001
        if isinstance(sock, socket.socket) and self._plain(answer, response, target, sock):
            answer.lane = Lane(sock, origin, response, body, self.settings.idle_timeout)
        return answer

    def _plain(
        self, answer: Answer, response: httpx.Response, target: httpx.URL, sock: socket.socket
    ) -> bool:
        """Whether the body may be read from the socket, and the socket ridden on."""
        return (
            answer.length is not None
            and response.http_version in ("HTTP/1.1", "HTTP/1.0")
            and isinstance(sock, ssl.SSLSocket) == (target.scheme == "https")
            and http.proxy_for(str(target), self.settings) is None
        )


def _follow(url: str, location: str) -> str:
    """The URL that a redirect from ``url`` leads to, if policy lets it."""
    try:
        target = urljoin(url, location)
        httpx.URL(target)
    except (ValueError, httpx.InvalidURL):
        raise SourceError(f"{redact(url)} redirects to {redact(location)!r}, no URL") from None
    http.refuse_downgrade(url, target)
    if not urlsplit(target).hostname:
        raise SourceError(f"{redact(url)} redirects to {redact(location)!r}, which names no host")
    return target


def _is_quiet(sock: socket.socket) -> bool:
    """Whether an idle connection is open and holds nothing that nobody asked for.

    Bytes behind one answer would be taken for the next one.
    """
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0) and not (isinstance(sock, ssl.SSLSocket) and sock.pending())


def _ask(lane: Lane, target: httpx.URL, headers: Mapping[str, str]) -> Answer:
    """Send a GET on an open connection and read the head of its answer."""
    state = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    request = h11.Request(
        method="GET",
        target=target.raw_path,
        headers=[
            ("host", target.netloc.decode("ascii")),
            ("user-agent", http.USER_AGENT),
            ("accept-encoding", "identity"),
            *headers.items(),
        ],
    )
    lane.sock.sendall((state.send(request) or b"") + (state.send(h11.EndOfMessage()) or b""))
    while True:
        event = state.next_event()
        if event is h11.NEED_DATA:
            data = lane.receive_some()
            if not data:
                raise ConnectionResetError("closed before it answered")
            state.receive_data(data)
        elif isinstance(event, h11.Response):
            break
    found: dict[str, str] = {}
    for name, value in event.headers:
        found.setdefault(name.decode("ascii"), value.decode("latin-1"))
    answer = Answer(event.status_code, found, str(target), _length(found))
    if answer.length is None or answer.encoded:
        # Can't be framed here: end this connection, httpx asks again on a new one.
        raise ConnectionResetError("not a plain body")
    answer._buffered = memoryview(state.trailing_data[0])[: answer.length]  # noqa: SLF001
    return answer


def _length(headers: Mapping[str, str]) -> int | None:
    value = headers.get("content-length", "")
    if "transfer-encoding" in headers or not (value.isascii() and value.isdigit()):
        return None
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        return None
    return int(value)


def _stays_open(headers: Mapping[str, str]) -> bool:
    return "close" not in headers.get("connection", "").lower()
