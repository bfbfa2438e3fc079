"""The client that everything is asked with, and the policy on the wire.

What it adds to httpx: nothing is sent in offline mode, credentials go to the
host they belong to and to no other, a redirect never leaves https, the TLS
context is built when the first https request needs it, and metadata requests
are repeated as :mod:`torchinf_core.network.retry` says.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from torchinf_core import __version__
from torchinf_core.errors import (
    NetworkError,
    OfflineError,
    PolicyError,
    SourceError,
)
from torchinf_core.network import retry
from torchinf_core.network.addresses import parse_networks, public_addresses
from torchinf_core.network.credentials import authorization
from torchinf_core.network.failures import MAX_REDIRECTS, is_certificate_error, reason
from torchinf_core.network.library import httpx
from torchinf_core.refs import redact
from torchinf_core.settings import Settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from torchinf_core.types import Json

USER_AGENT = f"torchinf/{__version__}"
MOST_JSON = 64 << 20
CONNECT_ATTEMPTS = 3
"""Attempts at a metadata request while nobody even accepts the connection."""

_log = logging.getLogger("torchinf.http")


def client(
    settings: Settings, *, retries: bool = True, wire: httpx.BaseTransport | None = None
) -> httpx.Client:
    """An httpx client that obeys the settings.

    Args:
        settings: offline, proxy, CA, tokens and time-outs come from here.
        retries: repeat GET and HEAD on transport errors and on passing 4xx/5xx.
        wire: carries the requests in place of the network.
    """
    return httpx.Client(
        transport=_Transport(settings, retries=retries, wire=wire),
        headers={"user-agent": USER_AGENT, "accept-encoding": "identity"},
        timeout=timeout(settings),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
        event_hooks={"response": [_check_redirect]},
    )


def get_json(asked: httpx.Client, url: str, headers: Mapping[str, str] | None = None) -> Json:
    """What a server answers in JSON to a GET of ``url``; see :meth:`Host.json`."""
    content = bytearray()
    with asked.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > MOST_JSON:
                raise SourceError(f"{redact(url)} answers with more than {MOST_JSON} bytes of JSON")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise SourceError(
            f"{redact(url)} does not answer in JSON",
            hint="open it in a browser: a proxy or a login page may answer in its place",
        ) from None


def timeout(settings: Settings) -> httpx.Timeout:
    """Time-outs of the settings as httpx wants them."""
    return httpx.Timeout(settings.idle_timeout, connect=settings.connect_timeout)


def proxy_for(url: str, settings: Settings) -> str | None:
    """The proxy URL for a request to ``url``, or None for a direct connection."""
    if settings.proxy:
        return settings.proxy
    proxies = getproxies()
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def tls_context(settings: Settings) -> ssl.SSLContext:
    """A verifying TLS context with the settings' certificates.

    Raises:
        NetworkError: when the file with the certificates can't be used.
    """
    import ssl

    cafile = settings.ca_file or os.environ.get("SSL_CERT_FILE")
    capath = None if cafile else os.environ.get("SSL_CERT_DIR")
    if not cafile and not capath:
        import certifi

        cafile = certifi.where()
    try:
        return ssl.create_default_context(cafile=cafile, capath=capath)
    except (OSError, ValueError) as error:
        raise NetworkError(
            f"the certificates in {cafile or capath} can't be used: {error}",
            hint="ca_file in the settings and SSL_CERT_FILE must name a PEM file",
        ) from None


def refuse_downgrade(old: str, new: str) -> None:
    """Raise PolicyError when a redirect would leave https, or leads to no http URL."""
    scheme = urlsplit(new).scheme.lower()
    if scheme not in ("http", "https"):
        raise PolicyError(f"{redact(old)} redirects to {redact(new)!r}, which is no http(s) URL")
    if urlsplit(old).scheme.lower() == "https" and scheme != "https":
        raise PolicyError(
            f"{redact(old)} redirects to the unencrypted {redact(new)}",
            hint="ask for the http URL itself if you want that",
        )


def _check_redirect(response: httpx.Response) -> None:
    if response.next_request is not None:
        refuse_downgrade(str(response.request.url), str(response.next_request.url))


class _Transport(httpx.BaseTransport):
    """Picks the connection pool for a request, and says no where policy does."""

    def __init__(
        self, settings: Settings, *, retries: bool, wire: httpx.BaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._attempts = settings.retries if retries else 1
        self._pools: dict[tuple[bool, str | None], httpx.HTTPTransport] = {}
        self._guarded = settings.public_only
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        if self._settings.offline:
            raise OfflineError(
                f"offline mode, and {redact(url)} would have to be asked",
                hint="run without --offline (and without TORCHINF_OFFLINE)",
            )
        if "authorization" not in request.headers and (value := authorization(url, self._settings)):
            request.headers["authorization"] = value
        pool = self._wire or self._pool(url)
        attempts = self._attempts if request.method in ("GET", "HEAD") else 1
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            try:
                response = pool.handle_request(self._pinned(request))
            except httpx.TransportError as error:
                nobody = isinstance(error, httpx.ConnectError) and attempt >= CONNECT_ATTEMPTS
                if last or nobody or is_certificate_error(error):
                    raise
                _log.info("%s: %s; trying again", redact(url), reason(error))
                retry.sleep(retry.pause_before(attempt))
                continue
            if last or response.status_code not in retry.STATUSES:
                return response
            wish = retry.parse_retry_after(response.headers.get("retry-after"))
            response.close()
            retry.sleep(retry.pause_before(attempt, wish))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _pinned(self, request: httpx.Request) -> httpx.Request:
        """The request to a checked address instead of a name, where only public ones are allowed.

        Names are looked up once, here: what was checked is what is dialled.
        """
        if not self._guarded:
            return request
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        networks = parse_networks(self._settings.private_networks)
        address = public_addresses(url.host, port, networks)[0]
        return httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,  # these hold the name as Host
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )

    def _pool(self, url: str) -> httpx.HTTPTransport:
        proxy = None if self._guarded else proxy_for(url, self._settings)
        secure = url.startswith("https:") or bool(proxy and proxy.startswith("https:"))
        # Where addresses are dialled, a connection whose certificate was checked for
        # one name is used for no other.
        key = (secure, urlsplit(url).hostname if self._guarded else proxy)
        # Of two made at once one would be lost, with connections that nobody closes.
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = httpx.HTTPTransport(
                    verify=tls_context(self._settings) if secure else False,
                    trust_env=False,
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
                    proxy=_usable_proxy(proxy) if proxy else None,
                )
                self._pools[key] = pool
        return pool

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


def _usable_proxy(proxy: str) -> httpx.Proxy:
    try:
        return httpx.Proxy(proxy)
    except (ValueError, httpx.InvalidURL) as error:
        raise NetworkError(
            f"the proxy {redact(proxy)} can't be used: {error}",
            hint="proxies look like http://host:3128",
        ) from None
