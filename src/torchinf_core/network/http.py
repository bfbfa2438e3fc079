"""The one module that knows httpx: clients, policy on the wire, error translation.

What it adds to httpx: nothing is sent in offline mode, credentials go to the
host they belong to and to no other, a redirect never leaves https, the TLS
context is built when the first https request needs it, and metadata requests
are repeated as :mod:`torchinf_core.network.retry` says.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from torchinf_core import __version__
from torchinf_core.errors import (
    AccessDeniedError,
    ModelNotFoundError,
    NetworkError,
    OfflineError,
    PolicyError,
    RefError,
    SourceError,
    TorchinfError,
)
from torchinf_core.network import retry
from torchinf_core.network.addresses import parse_networks, public_addresses
from torchinf_core.refs import redact
from torchinf_core.settings import Settings, host_token, token_variable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from torchinf_core.types import Json

# httpx imports its own command line (rich, click, pygments) when these happen to be
# installed; a third of its import time, and nothing here uses it.
_hidden = "httpx._main" not in sys.modules
if _hidden:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
try:
    import httpx as httpx  # noqa: PLC0414 - the others take it from here
finally:
    if _hidden:
        del sys.modules["httpx._main"]

USER_AGENT = f"torchinf/{__version__}"
MAX_REDIRECTS = 10
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


def authorization(url: str, settings: Settings) -> str | None:
    """Value of the ``Authorization`` header for ``url``, or None."""
    found = _credentials(url, settings)
    if found is None:
        return None
    user, secret, _ = found
    if not user:
        return f"Bearer {secret}"
    import base64

    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def _credentials(url: str, settings: Settings) -> tuple[str, str, str] | None:
    """What logs in at exactly the host of ``url``, and in words what that is.

    User and password (or ``""`` and a bearer token) from the URL itself, the
    user's token for the host, or ``.netrc``.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.username is not None:
        return (
            unquote(parts.username) or "-",
            unquote(parts.password or ""),
            "the login in the URL",
        )
    if token := host_token(settings, host):
        variable = token_variable(host)
        held = f"in ${variable}" if os.environ.get(variable) else f"that is set for {host}"
        return "", token, f"the token {held}"
    path = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    if not os.path.isfile(path):
        return None
    import netrc

    try:
        entry = netrc.netrc(path).authenticators(host)
    except (netrc.NetrcParseError, OSError, ValueError):
        return None
    if not entry:
        return None
    shown = "$NETRC" if os.environ.get("NETRC") else "~/.netrc"
    return entry[0] or "-", entry[2] or "", f"the login in {shown}"


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


def translate(error: Exception, url: str, settings: Settings | None = None) -> TorchinfError:
    """The torchinf error that says what an httpx error means for ``url``.

    ``settings`` are those of :func:`status_error`.
    """
    shown = redact(url)
    if isinstance(error, TorchinfError):
        return error
    if isinstance(error, httpx.HTTPStatusError):
        return status_error(error.response.status_code, url, error.response.headers, settings)
    if isinstance(error, httpx.TooManyRedirects):
        return SourceError(f"{shown} redirects more than {MAX_REDIRECTS} times")
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return RefError(f"{shown!r} is not a usable URL: {error}")
    if is_certificate_error(error):
        return NetworkError(
            f"the certificate of {urlsplit(url).hostname} is not trusted: {_reason(error)}",
            hint="a company CA goes into ca_file of the settings, or SSL_CERT_FILE",
        )
    if isinstance(error, httpx.ConnectTimeout):
        return NetworkError(f"no connection to {_where(url)}: timed out", hint=_NETWORK_HINT)
    if isinstance(error, httpx.TimeoutException):
        return NetworkError(f"{shown} did not answer in time", hint=_NETWORK_HINT)
    if isinstance(error, httpx.ConnectError):
        return NetworkError(f"no connection to {_where(url)}: {_reason(error)}", hint=_NETWORK_HINT)
    return NetworkError(f"{shown}: {_reason(error)}", hint=_NETWORK_HINT)


def status_error(
    status: int,
    url: str,
    headers: httpx.Headers | dict[str, str],
    settings: Settings | None = None,
) -> TorchinfError:
    """The torchinf error for an HTTP answer that is not a success.

    Args:
        status: of the answer.
        url: that answered it.
        headers: of the answer.
        settings: tell whether a token was sent; without, the environment and
            ``.netrc`` do.
    """
    shown = redact(url)
    if status in (401, 403, 407):
        host = urlsplit(url).hostname or ""
        found = _credentials(url, settings or Settings()) if status != 407 else None
        return AccessDeniedError(
            f"{shown} answered {status}: access denied",
            hint=f"{found[2]} was refused: see that it is still valid, and that it may read this"
            if found
            else f"put a token for {host} into ${token_variable(host)}, or a login into ~/.netrc",
        )
    if status in (404, 410):
        return ModelNotFoundError(f"{shown} answered {status}: there is nothing there")
    if status == 429:
        after = headers.get("retry-after")
        wish = f"; it asks to wait for {after[:40]}" if after else ""
        return SourceError(f"{shown} answered 429: too many requests{wish}", hint="try again later")
    if status >= 500:
        return SourceError(f"{shown} answered {status}: the server failed", hint="try again later")
    return SourceError(f"{shown} answered {status}")


def network_error(message: str) -> NetworkError:
    """A NetworkError with the usual next step."""
    return NetworkError(message, hint=_NETWORK_HINT)


def is_certificate_error(error: BaseException) -> bool:
    """True when the chain of causes holds a failed certificate check: no retry helps."""
    import ssl

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


_NETWORK_HINT = "check the connection and proxy settings; --offline uses what is cached"


def _reason(error: BaseException) -> str:
    return redact(str(error)) or type(error).__name__


def _where(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


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
                _log.info("%s: %s; trying again", redact(url), _reason(error))
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
