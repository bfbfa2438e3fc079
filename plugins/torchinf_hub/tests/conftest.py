import io
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub
from torchinf_core.testing.github import GitHub, Repo
from torchinf_core.types import Plan

Files = Mapping[str, str | bytes]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def github(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> GitHub:
    """A GitHub that the plugin asks in place of the real one."""
    github = GitHub(hub)
    monkeypatch.setenv("TORCHINF_HUB_GITHUB", github.web)
    return github


@pytest.fixture
def publish(github: GitHub) -> Callable[..., Repo]:
    """Publishes a repository; its files may be text."""

    def publish(name: str, files: Files, **more: Any) -> Repo:
        return github.add_repo(name, as_bytes(files), **more)

    return publish


def as_bytes(files: Files) -> dict[str, bytes]:
    return {
        path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()
    }


@pytest.fixture
def downloader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelDownloader:
    monkeypatch.setattr("torchinf_core.network.retry.sleep", lambda *_: None)
    return ModelDownloader(cache_dir=tmp_path / "store", retries=2)


@pytest.fixture
def settings(downloader: ModelDownloader) -> Settings:
    return downloader.settings


@pytest.fixture
def resolve(settings: Settings) -> Callable[..., Plan]:
    """Resolves as a download does: through the installed plugin."""

    def call(text: str, settings: Settings = settings, **options: Any) -> Plan:
        return load_plugins(settings).resolve(parse_ref(text), options, settings)

    return call


@pytest.fixture
def checkpoint() -> bytes:
    """The weights of ``Linear(3, 1)``."""
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(1, 3), "bias": torch.zeros(1)}, buffer)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    """What the process imports and where it looks must be as before, whatever was loaded."""
    path, finders = list(sys.path), [type(finder).__name__ for finder in sys.meta_path]
    yield
    assert sys.path == path
    left = [type(finder).__name__ for finder in sys.meta_path]
    assert [name for name in left if name != "_Private"] == [n for n in finders if n != "_Private"]
    assert not {"utils", "hubconf"} & sys.modules.keys()
