"""Who the user is to a host: from its URL, the settings, the environment or ``.netrc``."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from torchinf_core.settings import Settings, host_token, token_variable


def authorization(url: str, settings: Settings) -> str | None:
    """Value of the ``Authorization`` header for ``url``, or None."""
    found = credentials(url, settings)
    if found is None:
        return None
    user, secret, _ = found
    if not user:
        return f"Bearer {secret}"
    import base64

    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def credentials(url: str, settings: Settings) -> tuple[str, str, str] | None:
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
