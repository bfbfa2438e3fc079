"""One request and its answer, straight on ASGI: what a prediction route has to pay.

Starlette's and FastAPI's request and response objects cost more than a small model.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from torchinf_core.errors import TorchinfError, UsageError
from torchinf_serve.computing.item import Item
from torchinf_serve.computing.room import Room
from torchinf_serve.predicting.answers import Answer
from torchinf_serve.security.problems import status_of

if TYPE_CHECKING:
    from torchinf_serve.computing.served import Served
    from torchinf_serve.pool import Pool
    from torchinf_serve.tracing import Tracing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("torchinf.serve")
_HELD = "torchinf.held"
_HEADERS = "torchinf.headers"
"""Where a request's scope holds its headers by name, once one was asked for."""


class BodySizeError(UsageError):
    """The body is larger than the server takes."""

    http_status = 413


class MediaTypeError(UsageError):
    """The body is of a type that the server does not take."""

    http_status = 415


class BadBodyError(UsageError):
    """The body is not what its type says."""

    http_status = 400


class ServerFailedError(TorchinfError):
    """Something went wrong here; the log of the server says what."""


class ClientLeftError(Exception):
    """Nobody waits for the answer."""


class Endpoint(ABC):
    """An ASGI application for one route; subclasses answer, this one talks.

    Args:
        pool: the models.
        tracing: for spans.
    """

    def __init__(self, pool: Pool, tracing: Tracing) -> None:
        self.pool = pool
        self.tracing = tracing

    @abstractmethod
    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """The answer to a request.

        Raises:
            TorchinfError: becomes the answer that :meth:`failure` makes of it.
            ClientLeftError: nobody wants one.
        """

    @abstractmethod
    def failure(self, error: TorchinfError, scope: Scope) -> Answer:
        """The answer for an error."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self.answer(scope, receive)
        except ClientLeftError:
            return
        except TorchinfError as error:
            if status_of(error) == 500:
                _log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            answer = self.failure(error, scope)
        except Exception:  # noqa: BLE001 - an answer without its words
            _log.exception("%s %s failed", scope["method"], scope["path"])
            answer = self.failure(ServerFailedError("it failed"), scope)
        finally:
            self.pool.room.give(scope.pop(_HELD, 0))
        await respond(send, answer)

    async def body(self, scope: Scope, receive: Receive) -> bytearray:
        """The body of a prediction; there is room for it until the answer is made.

        Raises:
            BodySizeError, FullError, ClientLeftError: see :func:`read_body`.
        """
        return await read_body(scope, receive, self.pool.config.max_predict_body, self.pool.room)

    async def predict(self, served: Served, item: Item, scope: Scope, receive: Receive) -> Any:
        """Have an item computed; its result.

        Raises:
            ClientLeftError: the client went before its turn.
            TorchinfError: of the model, or there is no room.
        """
        item.leaves = Leaving(receive)
        future = served.batcher.submit(item)
        tracing = self.tracing
        span = None
        if tracing.active:
            span = tracing.begin("predict", scope["headers"], **{"torchinf.model": served.name})
        failed: BaseException | None = None
        try:
            return await future
        except asyncio.CancelledError as error:
            failed = error
            task = asyncio.current_task()
            served.batcher.abandon(item)
            if task is not None and not task.cancelling():
                raise ClientLeftError from None
            raise
        except Exception as error:
            failed = error
            raise
        finally:
            ended = perf_counter()
            served.metrics.total.add(ended - item.queued)
            fields = scope.get("torchinf.log")
            if fields is not None:
                fields.update(_fields(served, item))
            if span is not None:
                tracing.end(span, _fields(served, item), failed)


async def respond(send: Send, answer: Answer) -> None:
    """Send an answer."""
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Leaving:
    """Waits until the client of a request has gone; made for each, awaited for few."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __call__(self) -> None:
        """Return when it has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def read_body(
    scope: Scope, receive: Receive, most: int, room: Room | None = None
) -> bytearray:
    """The whole body, in memory that arrays can be made on.

    Raises:
        BodySizeError: it is larger than ``most`` bytes.
        FullError: there is no room for it.
        ClientLeftError: the client went before its end.
    """
    announced = header(scope, b"content-length")
    if announced and (not announced.isdigit() or int(announced) > most):
        raise BodySizeError(f"the body has more than {most:,} bytes")
    held = int(announced or 0)
    if room is not None:
        room.take(held)
        scope[_HELD] = held
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        body += message.get("body", b"")
        if len(body) > most:
            raise BodySizeError(f"the body has more than {most:,} bytes")
        if room is not None and len(body) > held:
            room.take(len(body) - held)
            scope[_HELD] = held = len(body)
        if not message.get("more_body", False):
            return body


def header(scope: Scope, name: bytes) -> bytes:
    """The value of a request's header, or nothing."""
    found: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if found is None:
        found = scope[_HEADERS] = dict(scope["headers"])
    return found.get(name, b"")


def timing(item: Item) -> list[tuple[bytes, bytes]]:
    """What the prediction spent its time on, as browsers show it."""
    queued = (item.started - item.queued) * 1e3
    computed = (item.ended - item.started) * 1e3
    return [(b"server-timing", b"queue;dur=%.3f, compute;dur=%.3f" % (queued, computed))]


def _fields(served: Served, item: Item) -> dict[str, Any]:
    """For logs and spans."""
    return {
        "torchinf.model": served.name,
        "torchinf.queue_ms": round((item.started - item.queued) * 1e3, 3),
        "torchinf.compute_ms": round((item.ended - item.started) * 1e3, 3),
        "torchinf.batch_rows": item.shared,
    }
