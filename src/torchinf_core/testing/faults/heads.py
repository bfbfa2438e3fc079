"""Replies whose head is wrong: status, length, framing, headers, bytes nobody asked for."""

from __future__ import annotations

from dataclasses import replace

from torchinf_core.testing.faults.fault import Fault, any_method
from torchinf_core.testing.messages import Ending, Framing, Reply, Request, plain


def status(code: int, **headers: str) -> Fault:
    """Another status; ``Retry_After="2"`` gives the header ``Retry-After: 2``."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(f"status-{code}", lambda _request, _reply: plain(code, f"{code}\n", fields))


def moved(to: str, code: int = 302) -> Fault:
    """A redirect to a URL or path."""
    return Fault("moved", lambda _request, _reply: plain(code, "", {"Location": to}))


def claim_length(more: int) -> Fault:
    """A ``Content-Length`` that is wrong by ``more``; the true body is sent, then FIN."""

    def change(_request: Request, reply: Reply) -> Reply:
        length = max(0, reply.stop - reply.start + more)
        return replace(reply.having("Content-Length", str(length)), ending=Ending.FIN)

    return Fault("claim-length", change)


def no_length() -> Fault:
    """No ``Content-Length``: the end of the body is the end of the connection."""

    def change(_request: Request, reply: Reply) -> Reply:
        return replace(reply.without("Content-Length"), framing=Framing.CLOSE, ending=Ending.FIN)

    return Fault("no-length", change)


def chunked() -> Fault:
    """A chunked body; with :func:`cut` it lacks the last chunk."""

    def change(_request: Request, reply: Reply) -> Reply:
        reply = reply.without("Content-Length").having("Transfer-Encoding", "chunked")
        return replace(reply, framing=Framing.CHUNKED)

    return Fault("chunked", change)


def header(name: str, value: str) -> Fault:
    """One header set to a value, whatever it holds."""
    return Fault("header", lambda _request, reply: reply.having(name, value), applies=any_method)


def many_headers(count: int = 100_000) -> Fault:
    """So many header lines."""
    lines = tuple((f"X-{number}", "x") for number in range(count))
    return Fault("many-headers", lambda _request, reply: replace(reply, headers=lines))


def big_header(size: int = 1 << 20) -> Fault:
    """One header of so many bytes."""
    return Fault("big-header", lambda _request, reply: reply.having("X-Big", "x" * size))


def not_http() -> Fault:
    """Bytes that are no HTTP where the status line should be."""
    return Fault(
        "not-http",
        lambda _request, reply: replace(reply, before=b"\x16\x03SSH-2.0\r\n", ending=Ending.FIN),
    )


def early_hints() -> Fault:
    """Interim replies (100, 103) that nobody asked for before the real one."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    return Fault("early-hints", lambda _request, reply: replace(reply, before=interim))


def smuggled(body: bytes = b"not what you asked for") -> Fault:
    """A whole second reply behind the first, waiting for the next request."""
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    return Fault("smuggled", lambda _request, reply: replace(reply, after=extra))
