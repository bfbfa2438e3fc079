"""A folder of installed plugins: modules beside the metadata that pip would write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchinf_core.hookspecs import GROUP
from torchinf_core.plugins import Plugins, PluginState, find_entry_points

HEAD = (
    "from dataclasses import replace\n"
    "from torchinf_core import ModelNotFoundError, Plan, RemoteFile, SearchHit, SourceInfo\n"
    "from torchinf_core import hookimpl, load_settings\n"
)


class Site:
    """Installs plugins without pip; nothing else is seen by ``plugins()``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def install(
        self,
        name: str,
        code: str | None = None,
        *,
        distribution: str = "",
        version: str = "1.0",
        group: str = GROUP,
        value: str = "",
    ) -> str:
        """Write a plugin and its metadata; returns the name of its module."""
        distribution = distribution or f"torchinf-{name}"
        stem = distribution.replace("-", "_")
        module = f"{stem}_{self.folder.parent.name}".replace("-", "_")
        info = self.folder / f"{stem}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: {version}\n\n")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[{group}]\n{name} = {value or module}\n\n")
        if code is not None:
            (self.folder / f"{module}.py").write_text(HEAD + code)
        return module

    def source(self, name: str, *, resolve: str = "", extra: str = "", schemes: str = "") -> str:
        """Install a source that serves ``name:``; ``resolve`` is the body of that hook."""
        owned = tuple(schemes.split() or [name])
        return self.install(
            name,
            f"@hookimpl\ndef sources():\n"
            f"    yield SourceInfo({name!r}, {owned!r}, 'a source', ('{owned[0]}:x',))\n"
            f"@hookimpl\ndef resolve(ref, options, host):\n"
            f"    {resolve or 'return Plan(ref, ref.locator, ())'}\n" + extra,
        )

    def plugins(self, *, disable: tuple[str, ...] = (), strict: bool = False) -> Plugins:
        return Plugins(find_entry_points([str(self.folder)]), disable=disable, strict=strict)

    def state(self, name: str) -> PluginState:
        [state] = [state for state in self.plugins().states() if state.name == name]
        return state


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site folder that is on ``sys.path``."""
    before = set(sys.modules)
    site = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site.folder))
    yield site
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and file.startswith(str(site.folder)):
            del sys.modules[name]
