"""Watching a package leaves its modules as they were, whatever was imported meanwhile."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from torchinf_core.conformance import Conformance, run
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


def test_a_function_whose_name_an_inner_module_takes_is_put_back(package: str) -> None:
    whole = sys.modules[package]
    whole.late = len
    with watching(package):
        importlib.import_module(f"{package}.late")
        assert whole.late is not len
    assert whole.late is len


def test_a_hook_that_an_inner_module_would_replace_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kit_taken"
    folder.mkdir()
    (folder / "commands.py").touch()
    (folder / "__init__.py").write_text(
        "from torchinf_core import hookimpl\n\n@hookimpl\ndef commands(app):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    kit = type("Kit", (Conformance,), {"plugin": importlib.import_module("kit_taken")})
    [verdict] = [v for v in run(kit) if v.check == "hooks_are_well_formed"]
    assert verdict.outcome == "broken"
    assert "importing kit_taken.commands puts that module" in verdict.happened
