"""Watching a package leaves its modules as they were, whatever was imported meanwhile."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from torchinf_core.conformance.watching import watching


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "kit_watched"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "inner/__init__.py").touch()
    (folder / "inner/early.py").write_text("import json\n")
    (folder / "late.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("kit_watched.inner.early")
    return "kit_watched"


def test_modules_and_the_attributes_that_lead_to_them_are_put_back(package: str) -> None:
    whole = sys.modules[package]
    early = sys.modules[f"{package}.inner.early"]
    with watching(package) as watch:
        importlib.import_module(f"{package}.inner.early")
        importlib.import_module(f"{package}.late")
        assert sys.modules[f"{package}.inner.early"] is not early
    assert "json" in watch.imported
    assert sys.modules[f"{package}.inner.early"] is early
    assert whole.inner.early is early
    assert whole.inner is sys.modules[f"{package}.inner"]
    assert f"{package}.late" not in sys.modules
    assert not hasattr(whole, "late")
