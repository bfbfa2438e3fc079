"""For every test of the repository: a home of its own, and no connection to the outside."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Content has no place in a test's name: it may hold the time (gzip writes it down), and two
# processes that run the suite together would not know each other's tests.
NAMED_BYTES = 16


def pytest_make_parametrize_id(val: object) -> str | None:
    """A case that is content is named by its size; everything else as pytest does."""
    if isinstance(val, bytes) and len(val) > NAMED_BYTES:
        return f"{len(val)} bytes"
    return None


class OutsideConnectionError(AssertionError):
    """A test tried to reach something that is not this machine."""


def _refuse_outside(host: object) -> None:
    if host in (None, "", "localhost") or not isinstance(host, str):
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = host.endswith((".localhost", ".invalid"))
    if not inside:
        raise OutsideConnectionError(f"tests talk to this machine only, not to {host!r}")


@pytest.fixture(autouse=True, scope="session")
def _no_outside_connections() -> Iterator[None]:
    real_connect, real_lookup = socket.socket.connect, socket.getaddrinfo

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_outside(address[0])
        real_connect(self, address)

    def lookup(host: Any, *arguments: Any, **options: Any) -> Any:
        _refuse_outside(host)
        return real_lookup(host, *arguments, **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", connect)
    patch.setattr(socket, "getaddrinfo", lookup)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and an environment without the developer's settings."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("TORCHINF_", "XDG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("NETRC", raising=False)
    return home
