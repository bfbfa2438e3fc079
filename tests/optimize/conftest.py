"""A store with a model, and a runtime whose time and candidates the tests have in hand."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from torchinf_core import ModelDownloader, RunSettings
from torchinf_core.optimize import measure, optimize, optimize_once
from torchinf_core.types import Record

MODULE = "toy_runtime_of_the_tests"
DEFAULTS = RunSettings()


@pytest.fixture(scope="session")
def _toy_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy-plugin")
    code = Path(__file__).with_name("toy_runtime.py").read_text()
    (folder / f"{MODULE}.py").write_text(code)
    info = folder / "toy_of_the_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-of-the-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[torchinf.v1]\ntoy = {MODULE}\n")
    return folder


@pytest.fixture
def toy(_toy_plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The installed runtime ``toy``, alone, and the clock in its hands."""
    monkeypatch.syspath_prepend(str(_toy_plugin))
    monkeypatch.setenv("TORCHINF_DISABLE", "torch,cuda,onnx,tensorrt")
    module = importlib.import_module(MODULE)
    module.reset()
    monkeypatch.setattr(measure, "clock", module.clock)
    return module


@dataclass
class Bench:
    """A store with one model ``m``, and what is done with it."""

    shelf: Any
    downloader: ModelDownloader
    notes: list[str]

    @property
    def record(self) -> Record:
        return self.shelf.registry.get("m")

    def note(self, event: Any) -> None:
        assert event.kind == "note"
        self.notes.append(event.message)

    def optimize(self, run: RunSettings = DEFAULTS, **how: Any) -> Any:
        return optimize(self.downloader, "m", run, on_event=self.note, **how)

    def once(self, run: RunSettings = DEFAULTS, **how: Any) -> Any:
        return optimize_once(self.downloader, self.record, run, on_event=self.note, **how)

    def load(self, **run: Any) -> Any:
        from torchinf_core.loading import load_record

        settings = self.downloader.settings
        return load_record(self.record, self.shelf.store, settings, settings.run_for("m", **run))

    def form(self) -> str:
        """Label of the form that is loaded now, or ``""``."""
        with self.load() as predictor:
            derived = predictor.artifact.derived
            return derived.label if derived else ""

    def forms(self) -> list[Path]:
        """Directories of all forms of all models."""
        return [path.parent for path in self.shelf.store.root.glob("models/*/*.derived/*/*.json")]

    def leftovers(self) -> list[str]:
        """Files that work left behind."""
        root = self.shelf.store.root
        places = (*root.glob("tmp/*/*"), *root.glob("models/**/*.tmp-*"))
        return [path.name for path in places if not path.name.startswith("checked-")]


@pytest.fixture
def bench(toy: Any, shelf: Any) -> Bench:
    """The model ``m``, which takes a second a call and doubles its input."""
    shelf.add("m", {"m.toy": b"weights"}, format="toy")
    return Bench(shelf, ModelDownloader(cache_dir=shelf.store.root), [])
