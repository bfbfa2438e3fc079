"""What a failure on the wire means: each becomes a torchinf error with a next step."""

from __future__ import annotations

from urllib.parse import urlsplit

from torchinf_core.errors import (
    AccessDeniedError,
    ModelNotFoundError,
    NetworkError,
    RefError,
    SourceError,
    TorchinfError,
)
from torchinf_core.network.credentials import credentials
from torchinf_core.network.library import httpx
from torchinf_core.refs import redact
from torchinf_core.settings import Settings, token_variable

MAX_REDIRECTS = 10


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
            f"the certificate of {urlsplit(url).hostname} is not trusted: {reason(error)}",
            hint="a company CA goes into ca_file of the settings, or SSL_CERT_FILE",
        )
    if isinstance(error, httpx.ConnectTimeout):
        return NetworkError(f"no connection to {_where(url)}: timed out", hint=NETWORK_HINT)
    if isinstance(error, httpx.TimeoutException):
        return NetworkError(f"{shown} did not answer in time", hint=NETWORK_HINT)
    if isinstance(error, httpx.ConnectError):
        return NetworkError(f"no connection to {_where(url)}: {reason(error)}", hint=NETWORK_HINT)
    return NetworkError(f"{shown}: {reason(error)}", hint=NETWORK_HINT)


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
        found = credentials(url, settings or Settings()) if status != 407 else None
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
    return NetworkError(message, hint=NETWORK_HINT)


def is_certificate_error(error: BaseException) -> bool:
    """True when the chain of causes holds a failed certificate check: no retry helps."""
    import ssl

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


NETWORK_HINT = "check the connection and proxy settings; --offline uses what is cached"


def reason(error: BaseException) -> str:
    """What an error says of itself, without secrets."""
    return redact(str(error)) or type(error).__name__


def _where(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
