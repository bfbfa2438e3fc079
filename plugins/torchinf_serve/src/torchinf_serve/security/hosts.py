"""Which ``Host`` and ``Origin`` a request may have.

A page on any website can have the browser of its visitor send requests to this
machine, and a name of its own can be made to lead here.  Such requests say so in
these two headers.
"""

from __future__ import annotations

from torchinf_serve.config import Config

_EVERYWHERE = ("0.0.0.0", "::", "[::]")  # noqa: S104 - compared, not bound


class Hosts:
    """The names under which a server answers.

    Args:
        config: tells the port and the names.
    """

    def __init__(self, config: Config) -> None:
        names = ["127.0.0.1", "localhost", "[::1]"]
        if config.host not in _EVERYWHERE:
            names.append(f"[{config.host}]" if ":" in config.host.strip("[]") else config.host)
        allowed = {f"{name}:{config.port}" for name in names}
        if config.port in (80, 443):
            allowed.update(names)
        for name in config.allow_hosts:
            allowed.add(name)
            if not _has_port(name):
                allowed.add(f"{name}:{config.port}")
        self._hosts = frozenset(name.lower().encode() for name in allowed)

    def knows(self, host: bytes) -> bool:
        """Whether a ``Host`` header names this server, exactly."""
        return host in self._hosts or host.lower() in self._hosts

    def is_own(self, origin: bytes, host: bytes) -> bool:
        """Whether an ``Origin`` header names the very server that ``Host`` names."""
        scheme, sign, rest = origin.partition(b"://")
        return bool(sign) and scheme in (b"http", b"https") and rest.lower() == host.lower()


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdecimal() and not name.endswith("]")
