"""The gate that every request passes, prediction or not: pure ASGI, for its speed.

In this order: a host that is ours, no foreign page behind it, a token, its scope, its
rate, the form and size of the body.  What passes gets an id; what changes anything
leaves a line in the audit log.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from torchinf_serve.config import Config
from torchinf_serve.security import problems
from torchinf_serve.security.hosts import Hosts
from torchinf_serve.security.limits import Rate, Turnstile
from torchinf_serve.security.problems import RefusedError
from torchinf_serve.security.tokens import Caller, Tokens

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ANYBODY = Caller("anybody", may_write=False)
MOST_HEADERS = 100
CALLER, REQUEST_ID, AUDIT = "torchinf.caller", "torchinf.request_id", "torchinf.audit"
"""Where a request's scope holds who sent it, its id, and what handlers add to the audit line."""

_PREDICT = re.compile(r"/models/[^/]+/predict|/v2(/.*)?")
_LOADING = re.compile(r"/v2/repository/models/[^/]+/(load|unload)")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_STRICT = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE = (
    b"content-security-policy",
    (
        b"default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'"
    ),
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNREAD = frozenset({401, 403, 413, 415, 421, 429, 431, 503})
"""Answers that may be given before the body was read; its rest is not waited for."""

_log = logging.getLogger("torchinf.serve")
AT_ONCE = 16
"""Predictions that are looked at before others have their turn."""
_audit = logging.getLogger("torchinf.serve.audit")


@lru_cache(4096)
def is_predicting(path: str) -> bool:
    """Whether a path belongs to predictions, which have limits of their own."""
    return _PREDICT.fullmatch(path) is not None


class Gate:
    """Lets requests through to an app, or answers them itself.

    Args:
        app: what lies behind.
        config: limits and names.
        tokens: who may ask.
        count: told method, route, status and seconds of each request.
    """

    def __init__(
        self,
        app: App,
        config: Config,
        tokens: Tokens,
        count: Callable[[str, str, int, float], None] = lambda *_: None,
    ) -> None:
        self._app = app
        self._count_request = count
        self._config = config
        self._tokens = tokens
        self._hosts = Hosts(config)
        self._rate = Rate(config.rate, config.burst)
        self._predict_rate = Rate(config.predict_rate, max(config.burst, int(config.predict_rate)))
        self._turnstile = Turnstile()
        self._predictions = Turnstile(AT_ONCE)
        self._prefix = os.urandom(6).hex()
        self._count = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send, f"{self._prefix}-{next(self._count):x}")
        scope[REQUEST_ID] = answer.request_id
        scope[AUDIT] = {}
        began = time.perf_counter()
        try:
            if scope["path"] != "/health":
                # Before anything is looked at: that takes time, too.
                predicting = is_predicting(scope["path"])
                await (self._predictions if predicting else self._turnstile).enter()
            receive = self._judge(scope, receive, answer)
            await self._app(scope, receive, answer.send)
        except RefusedError as refusal:
            await answer.refuse(refusal)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and no traceback
            _log.exception("request %s failed", answer.request_id)
            await answer.refuse(error)
        finally:
            self._record(scope, answer, time.perf_counter() - began)

    def _judge(self, scope: Scope, receive: Receive, answer: _Answer) -> Receive:
        """Raise RefusedError, or return what the body is read with."""
        head = _Head(scope["headers"])
        if head.request_id and _ID.fullmatch(head.request_id):
            answer.request_id = scope[REQUEST_ID] = head.request_id.decode()
        answer.has_body = head.length != b"0" and (head.length is not None or head.chunked)
        if head.count > MOST_HEADERS:
            raise RefusedError(431, f"more than {MOST_HEADERS} headers")
        if len(head.hosts) != 1 or not self._hosts.knows(head.hosts[0]):
            raise RefusedError(
                421, "this server does not go by that name", hint="--allow-host adds one"
            )
        if not self._is_same_origin(head):
            raise RefusedError(403, "a page of another origin may not ask this server")
        method, path = scope["method"], scope["path"]
        predicting = is_predicting(path)
        caller = self._caller(head, method, path)
        scope[CALLER] = caller
        if caller is not ANYBODY:
            self._check_scope(caller, method, path, predicting=predicting)
            rate = self._predict_rate if predicting else self._rate
            if seconds := rate.wait(caller.label):
                after = str(max(1, math.ceil(seconds)))
                raise RefusedError(
                    429, "too many requests with this token", headers=[("retry-after", after)]
                )
        return self._body(head, receive, predicting=predicting) if answer.has_body else receive

    def _is_same_origin(self, head: _Head) -> bool:
        if head.site not in (None, b"same-origin", b"none"):
            return False
        return head.origin is None or self._hosts.is_own(head.origin, head.hosts[0])

    def _caller(self, head: _Head, method: str, path: str) -> Caller:
        """Who asks; for what anybody may see, nobody has to say."""
        caller = None
        if len(head.authorizations) == 1:
            caller = self._tokens.find(head.authorizations[0])
        if caller is not None:
            return caller
        if not head.authorizations and method in ("GET", "HEAD") and self._is_public(path):
            return ANYBODY
        raise RefusedError(
            401,
            "a token is needed" if not head.authorizations else "this token is not known",
            hint="send the header Authorization: Bearer TOKEN",
            headers=[("www-authenticate", 'Bearer realm="torchinf"')],
        )

    def _is_public(self, path: str) -> bool:
        if path in ("/", "/health") or path.startswith("/page/"):
            return True
        return path == "/openapi.json" and self._config.is_loopback

    @staticmethod
    def _check_scope(caller: Caller, method: str, path: str, *, predicting: bool) -> None:
        reads = method in ("GET", "HEAD", "OPTIONS")
        if predicting and not reads:
            reads = _LOADING.fullmatch(path) is None
        if not reads and not caller.may_write:
            raise RefusedError(
                403, "this token may only read", hint="a token for writing is needed"
            )

    def _body(self, head: _Head, receive: Receive, *, predicting: bool) -> Receive:
        limit = self._config.max_predict_body if predicting else self._config.max_body
        if not predicting and head.content_type.partition(b";")[0].strip() != b"application/json":
            raise RefusedError(415, "bodies are JSON here", hint="Content-Type: application/json")
        if head.length is not None:
            if not head.length.isdigit() or len(head.length) > 18:
                raise RefusedError(400, "the length of the body is no number")
            if int(head.length) > limit:
                raise _too_large(limit)
            return receive  # the protocol hands on no more than was stated
        return _counted(receive, limit)

    def _record(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        """Count the request; a line for what changed something, or tried to."""
        path, method = scope["path"], scope["method"]
        # Clients can make up methods and paths without end.
        known = "/health" if path == "/health" else "none"
        route = str(getattr(scope.get("route"), "path", known))
        self._count_request(
            method if method in _METHODS else "other", route, answer.status, seconds
        )
        if method in ("GET", "HEAD") or (is_predicting(path) and not _LOADING.fullmatch(path)):
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug("%s %s answered %d in %.4f s", method, path, answer.status, seconds)
            return
        caller: Caller | None = scope.get(CALLER)
        client = scope.get("client") or ("", 0)
        _audit.info(
            "mutation",
            extra={
                "fields": {
                    "request_id": answer.request_id,
                    "token": caller.label if caller else None,
                    "client": client[0],
                    "method": method,
                    "path": path[:500],
                    "status": answer.status,
                    "seconds": round(seconds, 4),
                    **scope[AUDIT],
                }
            },
        )


class _Head:
    """What the gate has to know of a request's headers, found in one pass."""

    __slots__ = (
        "authorizations", "chunked", "content_type", "count", "hosts", "length", "origin",
        "request_id", "site",
    )  # fmt: skip

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.hosts: list[bytes] = []
        self.authorizations: list[bytes] = []
        self.origin = self.site = self.length = self.request_id = None  # type: bytes | None
        self.chunked = False
        self.content_type = b""
        self.count = len(headers)
        for name, value in headers:
            match name:
                case b"host":
                    self.hosts.append(value)
                case b"authorization":
                    self.authorizations.append(value)
                case b"content-length":
                    self.length = value
                case b"content-type":
                    self.content_type = value.lower()
                case b"transfer-encoding":
                    self.chunked = True
                case b"origin":
                    self.origin = value
                case b"sec-fetch-site":
                    self.site = value
                case b"x-request-id":
                    self.request_id = value


class _Answer:
    """One response on its way out, with the headers that all have."""

    __slots__ = ("_path", "_send", "has_body", "request_id", "started", "status")

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._send = send
        self._path: str = scope["path"]
        self.request_id = request_id
        self.has_body = False
        self.started = False
        self.status = 0

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            page = self._path == "/" or self._path.startswith("/page/")
            headers = [
                *message.get("headers", ()),
                *_HEADERS,
                _PAGE if page else _STRICT,
                (b"x-request-id", self.request_id.encode()),
            ]
            if self.status in _UNREAD and self.has_body:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        await self._send(message)

    async def refuse(self, error: BaseException) -> None:
        """Answer with a problem, or break off what has begun."""
        if self.started:
            raise ConnectionAbortedError("an answer that had begun can't be finished") from error
        body = problems.encode({**problems.problem(error), "request_id": self.request_id})
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.encode(), value.encode()) for name, value in getattr(error, "headers", ())),
        ]
        status = problems.status_of(error)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _counted(receive: Receive, limit: int) -> Receive:
    """``receive`` for a body of unknown length that may have ``limit`` bytes."""
    left = limit

    async def counting() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(limit)
        return message

    return counting


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, f"the body has more than {limit} bytes")
