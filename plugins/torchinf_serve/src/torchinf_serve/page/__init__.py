"""The web page at ``/``: a few files, public; what they fetch needs a token.

The gate gives them their content security policy, under which nothing in the page
runs or loads but these files.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "parts.js": "text/javascript; charset=utf-8",
}
_PLACES = {
    "/": "page.html",
    "/page/page.css": "page.css",
    "/page/page.js": "page.js",
    "/page/parts.js": "parts.js",
}


def routes() -> list[Route]:
    """The routes of the page; its files are read once."""
    return [Route(path, _File(name).answer, methods=["GET"]) for path, name in _PLACES.items()]


class _File:
    """One file, held in memory."""

    def __init__(self, name: str) -> None:
        self._content = files(__name__).joinpath(name).read_bytes()
        self._type = _TYPES[name]

    async def answer(self, _request: Request) -> Response:
        """The file."""
        return Response(self._content, media_type=self._type)
