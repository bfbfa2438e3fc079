from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings, load_settings
from torchinf_core.testing import Hub
from torchinf_core.types import Plan


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("torchinf_core.network.retry.sleep", lambda *_: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    # Resolving and searching must work without any connection.
    return load_settings({}, cache_dir=str(tmp_path / "store"), offline=True)


@pytest.fixture
def resolve(settings: Settings) -> Callable[..., Plan]:
    """Resolves as a download does: through the installed plugin."""

    def call(text: str, settings: Settings = settings, **options: Any) -> Plan:
        return load_plugins(settings).resolve(parse_ref(text), options, settings)

    return call
