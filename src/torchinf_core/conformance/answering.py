"""Stands in for the network: every request of a hook is answered by a function.

The client around it is the one that plugins get, with all its policy; only the
connection is missing.  So nothing can reach a network, whatever a test says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from torchinf_core.conformance.watching import not_watching
from torchinf_core.frozen import dataclass
from torchinf_core.network.http import client
from torchinf_core.network.library import httpx
from torchinf_core.settings import Settings

Respond = Callable[[httpx.Request], httpx.Response]
"""Answers a request as the source's server would."""


class RespondFailed(BaseException):
    """The test's own ``respond`` raised what no connection does."""


class Wire(httpx.BaseTransport):
    """Answers requests by a function, and remembers them.

    Args:
        respond: answers a request; None where there is nobody: the request then fails
            as one to a host that does not answer.

    Attributes:
        asked: method, URL and ``Range`` header of each request.
        read: URLs whose answer was read to its end.
    """

    def __init__(self, respond: Respond | None) -> None:
        self._respond = respond
        self.asked: list[tuple[str, str, str]] = []
        self.read: set[str] = set()
        self.answers: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, as a transport of httpx does."""
        url = str(request.url)
        self.asked.append((request.method, url, request.headers.get("range", "")))
        if self._respond is None:
            raise httpx.ConnectError("nobody answers here", request=request)
        with not_watching():
            try:
                answer = self._respond(request)
                content = answer.read()
            except httpx.TransportError:
                raise
            except Exception as error:
                raise RespondFailed(
                    f"respond of the test fails for {request.method} {url}: "
                    f"{type(error).__name__}: {error}"
                ) from error
        self.answers.append(answer)
        headers = [(k, v) for k, v in answer.headers.raw if k.lower() != b"transfer-encoding"]
        body = _Body(b"" if request.method == "HEAD" else content, lambda: self.read.add(url))
        return httpx.Response(answer.status_code, headers=headers, stream=body, request=request)

    def client(self, settings: Settings) -> httpx.Client:
        """The client that a host gives to a plugin."""
        return client(settings, retries=False, wire=self)


class _Body(httpx.SyncByteStream):
    """A content that tells when it was read."""

    def __init__(self, content: bytes, done: Callable[[], None]) -> None:
        self._content = content
        self._done = done

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        self._done()


@dataclass(frozen=True, slots=True)
class Strange:
    """An answer that no good server gives.

    Attributes:
        what: in words.
        respond: gives it.
    """

    what: str
    respond: Respond


def nonsense() -> Iterator[Strange]:
    """Answers that are of the wrong kind altogether, each to whatever is asked."""
    contents = {
        "an empty answer": (b"", "application/json"),
        "a page of HTML, as a hotel's network gives it": (b"<html>log in</html>", "text/html"),
        "JSON that is null": (b"null", "application/json"),
        "JSON that is a list": (b"[]", "application/json"),
        "JSON that is an empty object": (b"{}", "application/json"),
        "JSON that is a text": (b'"text"', "application/json"),
        "JSON that is a number": (b"17", "application/json"),
        "JSON of a hundred thousand lists": (b"[" * 100_000, "application/json"),
        "bytes that are no text": (b"\xff\xfe\x00" * 9, "application/json"),
    }
    for what, (content, kind) in contents.items():
        yield Strange(what, _fixed(200, content, kind))
    yield Strange("the status 418", _fixed(418, b"teapot", "text/plain"))
    yield Strange("a redirect to nowhere", _fixed(302, b"", "text/plain"))


def falsified(answers: list[httpx.Response], respond: Respond) -> Iterator[Strange]:
    """The good answers in JSON, each with one value gone, of another kind, or unusable.

    Args:
        answers: that were given to the requests of a good reference, in their order.
        respond: gives the good answer.
    """
    for number, answer in enumerate(answers):
        try:
            document = json.loads(answer.read())
        except (ValueError, RecursionError):
            continue
        for where, changed in _changed(document):
            what = f"an answer whose {where}"
            yield Strange(what, _but(number, json.dumps(changed).encode(), respond))


def _fixed(status: int, content: bytes, kind: str) -> Respond:
    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-type": kind}, content=content)

    return respond


def _but(number: int, content: bytes, respond: Respond) -> Respond:
    """The good answers, but for one of them."""
    count = -1

    def other(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        answer = respond(request)
        if count != number:
            return answer
        headers = {"content-type": answer.headers.get("content-type", "application/json")}
        return httpx.Response(answer.status_code, headers=headers, content=content)

    return other


_MOST = 60
"""Changes of one answer that are tried."""


def _changed(document: Any) -> Iterator[tuple[str, Any]]:
    places = list(_places(document, ()))
    step = max(1, len(places) * 4 // _MOST)
    for path in places[::step]:
        shown = ".".join(map(str, path))
        yield f"{shown} is gone", _with(document, path, _GONE)
        yield f"{shown} is null", _with(document, path, None)
        for other in _others(_at(document, path)):
            yield f"{shown} is {other!r}", _with(document, path, other)


def _others(value: Any) -> tuple[Any, ...]:
    """What may stand in the place of a value and makes no sense there."""
    if isinstance(value, str):
        return 17, "http://[x/y", "../../x"
    return (17,) if isinstance(value, (list, dict)) else ("text", -1)


_GONE = object()


def _places(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if len(path) > 5:
        return
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = list(enumerate(value))[:2]
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _with(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    parent = _at(copy, path[:-1])
    if value is _GONE:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return copy
