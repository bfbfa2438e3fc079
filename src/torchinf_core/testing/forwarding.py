"""Lets a local server answer for one on the internet, in the ``respond`` of a conformance kit.

::

    def respond(self, request):
        return forward(request, {"https://zoo.example": self.server.url})

The plugin is tried with the addresses that its users have, and what it gets is what a
real server says over a real connection, to 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Mapping

from torchinf_core.network.library import httpx

_OF_THE_CONNECTION = (b"host", b"connection", b"transfer-encoding", b"content-length")
_OF_THE_CONTENT = (b"content-length", b"content-encoding", b"transfer-encoding")
_TEXTS = ("json", "text/")


def forward(request: httpx.Request, places: Mapping[str, str]) -> httpx.Response:
    """Ask a local server what a request asks another, and answer as that one.

    Redirects are not followed.  The local addresses in headers, JSON and texts become
    the others; what else the server says stays as it is.

    Args:
        request: for one of the places.
        places: URLs that requests begin with, and those of the servers that answer.

    Returns:
        The answer; 404 for a request to no place.

    Raises:
        httpx.TransportError: the server does not answer.
    """
    url = str(request.url)
    found = max((place for place in places if _is_below(url, place)), key=len, default=None)
    if found is None:
        return httpx.Response(404, text=f"{url} is below none of {', '.join(places)}")
    there = places[found].rstrip("/") + url[len(found.rstrip("/")) :]
    headers = [(k, v) for k, v in request.headers.raw if k.lower() not in _OF_THE_CONNECTION]
    with httpx.Client(trust_env=False, verify=False) as client:
        answer = client.request(request.method, there, headers=headers, content=request.read())
    # The longest first: one server may stand for several, each by a path of its own.
    back = sorted(((there, here) for here, there in places.items()), key=lambda pair: -len(pair[0]))
    content = answer.content
    if any(kind in answer.headers.get("content-type", "") for kind in _TEXTS):
        content = _replaced(content, back)
    given = [
        (name, _replaced(value, back))
        for name, value in answer.headers.raw
        if name.lower() not in _OF_THE_CONTENT or request.method == "HEAD"
    ]
    return httpx.Response(answer.status_code, headers=given, content=content)


def _is_below(url: str, place: str) -> bool:
    """True for a URL of the place itself: ``https://zoo.example.org`` is none of another."""
    rest = url[len(place.rstrip("/")) :]
    return url.startswith(place.rstrip("/")) and (not rest or rest[0] in "/?#")


def _replaced(content: bytes, back: list[tuple[str, str]]) -> bytes:
    for there, here in back:
        content = content.replace(there.rstrip("/").encode(), here.rstrip("/").encode())
    return content
