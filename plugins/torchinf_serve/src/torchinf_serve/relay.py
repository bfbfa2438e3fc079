"""Several processes answer, one runs the downloads: how the others ask it.

The one listens on a socket in a directory that only its user can enter.  What
arrives there has passed the gate of another process, which says who asked.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx

from torchinf_serve.security.gate import (
    ANYBODY,
    AUDIT,
    CALLER,
    REQUEST_ID,
    App,
    Message,
    Receive,
    Scope,
    Send,
)
from torchinf_serve.security.problems import RefusedError
from torchinf_serve.security.tokens import Caller

_CALLER, _SCOPE, _ID = b"x-torchinf-caller", b"x-torchinf-scope", b"x-torchinf-id"
_AUDIT = b"x-torchinf-audit"
_OWN = frozenset({_CALLER, _SCOPE, _ID, _AUDIT, b"authorization", b"connection", b"host"})
_HOP = frozenset({b"connection", b"transfer-encoding", b"date", b"server"})


def is_for_owner(method: str, path: str) -> bool:
    """Whether a request is about jobs, and so for the process that runs them."""
    if path == "/health" or path == "/models/jobs" or path.startswith("/models/jobs/"):
        return True
    return path.startswith("/models/download") and method in ("POST", "DELETE")


class Inner:
    """The owner's side: an app behind the socket.

    Args:
        app: that answers, without a gate.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request that another process passed on."""
        if scope["type"] != "http":
            return
        given = dict(scope["headers"])
        label = given.get(_CALLER, b"").decode("latin-1")
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _OWN]
        scope[CALLER] = Caller(label, given.get(_SCOPE) == b"write") if label else ANYBODY
        scope[REQUEST_ID] = given.get(_ID, b"").decode("latin-1")
        scope[AUDIT] = {}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and scope[AUDIT]:
                line = json.dumps(scope[AUDIT]).encode()
                message["headers"] = [*message.get("headers", ()), (_AUDIT, line)]
            await send(message)

        await self._app(scope, receive, sending)


class Relay:
    """The other side: passes requests about jobs on, and answers the rest by itself.

    Args:
        app: answers the rest.
        path: of the socket.
    """

    def __init__(self, app: App, path: str) -> None:
        self._app = app
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=16, keepalive_expiry=5.0
        )
        transport = httpx.AsyncHTTPTransport(uds=path, limits=limits, verify=False)
        self._client = httpx.AsyncClient(transport=transport, timeout=None, trust_env=False)  # noqa: S113 - clients wait for jobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and is_for_owner(scope["method"], scope["path"]):
            await self._pass_on(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def close(self) -> None:
        """Close the connections to the owner."""
        await self._client.aclose()

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope[CALLER]
        headers = [pair for pair in scope["headers"] if pair[0] not in _OWN]
        headers.append((_ID, str(scope[REQUEST_ID]).encode()))
        if caller is not ANYBODY:
            headers.append((_CALLER, caller.label.encode("latin-1", "replace")))
            headers.append((_SCOPE, b"write" if caller.may_write else b"read"))
        target = scope["raw_path"] + (
            b"?" + scope["query_string"] if scope["query_string"] else b""
        )
        request = httpx.Request(
            scope["method"],
            httpx.URL(scheme="http", host="owner", raw_path=target),
            headers=headers,
            content=_body(receive),
        )
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.TransportError:
            raise RefusedError(
                503,
                "the process that runs the downloads is being started again",
                headers=[("retry-after", "2")],
            ) from None
        try:
            await self._bring_back(scope, answer, send)
        finally:
            await answer.aclose()

    @staticmethod
    async def _bring_back(scope: Scope, answer: httpx.Response, send: Send) -> None:
        headers = []
        for name, value in answer.headers.raw:
            if name.lower() == _AUDIT:
                with suppress(ValueError):
                    found: dict[str, Any] = json.loads(value)
                    scope[AUDIT].update(found)
            elif name.lower() not in _HOP:
                headers.append((name.lower(), value))
        start = {"type": "http.response.start", "status": answer.status_code, "headers": headers}
        await send(start)
        async for part in answer.aiter_raw():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]
