"""Turns the text of a plugin into a module, and a module into a kit."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import httpx
import pytest
from tests.conformance.menagerie import Server

from torchinf_core.conformance import Conformance, RuntimeConformance, SourceConformance


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Makes a module of the text of one, that other processes can import too."""
    made: list[str] = []
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(text: str) -> ModuleType:
        name = f"torchinf_menagerie{len(made)}"
        (tmp_path / f"{name}.py").write_text(text)
        made.append(name)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def source_kit(plugin: Callable[..., ModuleType]) -> Callable[..., type[Conformance]]:
    """The kit of a source that says it can everything."""

    def make(text: str, **answers: Any) -> type[Conformance]:
        module = plugin(text)

        class Kit(SourceConformance):
            name = "menagerie"
            good_ref, missing_ref = "menagerie:cat@1", "menagerie:dog"
            publishes_digests = publishes_sizes = has_revisions = True
            pattern = "ca*"
            token_hosts = ("menagerie.example",)
            settings: ClassVar[dict[str, str]] = {"token": "t0ken"}

            def __init__(self) -> None:
                self.server = Server()

            def respond(self, request: httpx.Request) -> httpx.Response:
                return self.server.respond(request)

            def move(self) -> None:
                self.server.move()

        Kit.plugin = module
        for name, answer in answers.items():
            setattr(Kit, name, answer)
        return Kit

    return make


@pytest.fixture
def runtime_kit(plugin: Callable[..., ModuleType]) -> Callable[..., type[Conformance]]:
    """The kit of the runtime for lines."""

    def make(text: str) -> type[Conformance]:
        module = plugin(text)

        class Kit(RuntimeConformance):
            name, format = "menagerie", "line"

            def write_model(self, folder: Path) -> None:
                (folder / "model.line").write_text('{"slope": 2.0, "made": "by hand"}')

            def examples(self) -> Any:
                import numpy as np

                x = np.arange(6, dtype="float32").reshape(3, 2)
                return {"x": x}, {"y": 2 * x}

        Kit.plugin = module
        return Kit

    return make


@pytest.fixture
def wrapper_kit(plugin: Callable[..., ModuleType]) -> Callable[..., type[Conformance]]:
    """The kit of wrappers whose user has a mirror and trusts."""

    def make(text: str) -> type[Conformance]:
        class Kit(Conformance):
            name = "menagerie"
            settings: ClassVar[dict[str, object]] = {
                "mirror": "https://mirror.example",
                "trusted": ["kit"],
            }

        Kit.plugin = plugin(text)
        return Kit

    return make
