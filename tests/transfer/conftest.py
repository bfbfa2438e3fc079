"""A hub, an empty store and the transfer engine between them, with blocks of 4 KiB."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from torchinf_core import transfer
from torchinf_core.errors import TorchinfError
from torchinf_core.network import retry
from torchinf_core.settings import Settings, load_settings
from torchinf_core.store import Store
from torchinf_core.testing import Hub
from torchinf_core.transfer import engine
from torchinf_core.types import Event, RemoteFile

BLOCK = 4096
CONTENT = random.Random(7).randbytes(50 * BLOCK + 123)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Scene:
    """What a test of a transfer works with.

    ``pauses`` holds the seconds that were to be waited before each repetition.
    """

    hub: Hub
    store: Store
    pauses: list[float]
    small: bool = False
    events: list[Event] = field(default_factory=list)
    content: bytes = CONTENT
    sha256: str = SHA256

    def fetch(
        self,
        url: str = "",
        *,
        size: int | None = -1,
        sha256: str | None = "",
        **changes: Any,
    ) -> transfer.Fetched:
        """Fetch ``/model.bin`` (or ``url``); digest and size are known unless None is given."""
        settings = changes.pop("settings", None) or self.settings(**changes)
        file = RemoteFile(
            "model.bin",
            url or self.hub.url("/model.bin"),
            size=len(self.content) if size == -1 else size,
            sha256=self.sha256 if sha256 == "" else sha256,
        )
        (fetched,) = transfer.fetch([file], self.store, settings, self.events.append)
        return fetched

    def refused(self, *arguments: Any, **options: Any) -> TorchinfError:
        """Fetch, expect an error, check that it left nothing behind, and return it."""
        with pytest.raises(TorchinfError) as caught:
            self.fetch(*arguments, **options)
        self.check_nothing_published()
        return caught.value

    def settings(self, **changes: Any) -> Settings:
        nowhere = {"XDG_CONFIG_HOME": str(self.store.root / "no-config")}
        return load_settings(nowhere, cache_dir=self.store.root, **changes)

    def check_published(self, fetched: transfer.Fetched, content: bytes | None = None) -> None:
        """The blob holds exactly these bytes and nothing else is in the store."""
        content = self.content if content is None else content
        assert fetched.sha256 == hashlib.sha256(content).hexdigest()
        assert fetched.size == len(content)
        assert self.store.blob(fetched.sha256).read_bytes() == content
        assert self.blobs() == [fetched.sha256]
        assert self.partials() == []

    def check_nothing_published(self) -> None:
        assert self.blobs() == []

    def blobs(self) -> list[str]:
        return sorted(
            path.name for path in (self.store.root / "blobs").rglob("*") if path.is_file()
        )

    def partials(self) -> list[str]:
        return sorted(path.name for path in (self.store.root / "partial").iterdir())

    @property
    def sent(self) -> int:
        """Body bytes that the hub sent for the model."""
        return self.hub.bytes_sent("/model.bin")

    @property
    def gets(self) -> int:
        """Requests for the model."""
        return sum(seen.path == "/model.bin" for seen in self.hub.requests)


@pytest.fixture(autouse=True)
def no_ambient_network_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing waits between attempts; the wishes to wait are collected here."""
    wishes: list[float] = []
    monkeypatch.setattr(retry, "sleep", lambda seconds, _stop=None: wishes.append(seconds))
    return wishes


@pytest.fixture
def large_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> Iterator[Scene]:
    """The engine for large files alone, for what only it does: continuing."""
    monkeypatch.setattr(transfer, "SMALL", -1)
    monkeypatch.setattr(engine, "SMALL_BLOCK", BLOCK)
    store = Store(tmp_path / "store")
    store.prepare()
    with Hub() as hub:
        hub.add("/model.bin", CONTENT, etag="one")
        yield Scene(hub, store, pauses)


@pytest.fixture(params=["large", "small"])
def scene(
    request: pytest.FixtureRequest, large_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    """Each test runs over the engine for large files and over that for small ones."""
    if request.param == "small":
        monkeypatch.setattr(transfer, "SMALL", 1 << 20)
        large_scene.small = True
    return large_scene
