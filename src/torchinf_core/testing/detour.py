"""Sends a process to a hub whatever HTTPS host it asks for, without changing its code.

For clients that know one address only, such as ``torch.hub``: they run as they
are, and what they ask for arrives at the hub with its true ``Host`` header.
Changes this process's urllib; meant for a process that a test has started.
"""

from __future__ import annotations

import urllib.request
from http.client import HTTPConnection, HTTPResponse


class _Detour(urllib.request.HTTPSHandler):
    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        # The Host header is written by now.
        req.host = f"127.0.0.1:{self._port}"
        return self.do_open(HTTPConnection, req)


def send_https_to(port: int) -> None:
    """Let ``urllib.request.urlopen`` find every ``https`` URL at 127.0.0.1.

    Args:
        port: of a hub that does not speak TLS.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Detour(port))
    urllib.request.install_opener(opener)
