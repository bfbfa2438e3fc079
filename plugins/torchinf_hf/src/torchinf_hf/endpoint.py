"""Which hub is asked, as whom, and where its other tools keep what they fetched.

The environment is read at each call; huggingface_hub reads it once, when it is
imported.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from torchinf_core.errors import AccessDeniedError, OfflineError, UsageError
from torchinf_core.refs import redact

if TYPE_CHECKING:
    from torchinf_core.host import Host

DEFAULT = "https://huggingface.co"
_TRUE = frozenset({"1", "on", "yes", "true"})


def endpoint() -> str:
    """The hub's URL without a slash at its end: ``$HF_ENDPOINT``, or the public one.

    Raises:
        UsageError: the variable is not a URL.
    """
    url = os.environ.get("HF_ENDPOINT") or DEFAULT
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\\?#]", url):
        raise UsageError(
            f"$HF_ENDPOINT is {redact(url)!r}, expected a URL",
            hint=f"HF_ENDPOINT=https://mirror.example takes the place of {DEFAULT}",
        )
    return url.rstrip("/")


def refuse_offline(host: Host) -> None:
    """Raise OfflineError where a connection is forbidden, by our setting or the hub's own."""
    if host.offline:
        raise OfflineError(
            "offline mode, and the Hugging Face hub would have to be asked",
            hint="run without --offline (and without TORCHINF_OFFLINE)",
        )
    if os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in _TRUE:
        raise OfflineError(
            "$HF_HUB_OFFLINE is set, and the Hugging Face hub would have to be asked",
            hint="run without HF_HUB_OFFLINE",
        )


def find_token(hostname: str, host: Host) -> str | None:
    """The bearer token for the hub, or None; for any other host always None.

    That of the settings, else what ``hf auth login``, ``HF_TOKEN`` and the like
    left, by huggingface_hub's own search.

    Args:
        hostname: lower case, without a port.
        host: the user's settings.

    Raises:
        AccessDeniedError: that search failed.
    """
    if hostname != urlsplit(endpoint()).hostname:
        return None
    if token := host.token(hostname):
        return token
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").strip().lower() in _TRUE:
        return None
    from huggingface_hub import get_token

    try:
        found: str | None = get_token()
    except Exception as error:
        # It may exchange or renew tokens over the network, and its text may hold one.
        raise AccessDeniedError(
            f"huggingface_hub found no usable token: {type(error).__name__}",
            hint="hf auth login, or a token in HF_TOKEN",
        ) from error
    return found


def cache_folder() -> str:
    """Where the hub's own tools keep what they fetched; it need not exist."""
    env = os.environ
    base = env.get("XDG_CACHE_HOME") or "~/.cache"
    home = env.get("HF_HOME") or os.path.join(base, "huggingface")
    folder = env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE")
    folder = folder or os.path.join(home, "hub")
    return os.path.abspath(os.path.expanduser(os.path.expandvars(folder)))
