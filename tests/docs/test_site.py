"""The reference of the site is that of the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from torchinf_core.refs import parse_ref

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands.md", "errors.md", "settings.md", "rest.md", "store.md"])
def test_the_reference_is_made_from_the_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in {"rest.md": ["serve"], "commands.md": ["serve", "hub", "tensorrt"]}.get(
        name, []
    ):
        pytest.importorskip(f"torchinf_{package}")
    monkeypatch.syspath_prepend(str(DOCS))
    for variable in ("COLUMNS", "NO_COLOR", "TERM"):
        monkeypatch.setenv(variable, "")
    pages = reference().PAGES
    assert {path.name for path in (DOCS / "reference").glob("*.md")} == set(pages)
    made = pages[name]()
    assert made == (DOCS / "reference" / name).read_text(), "run: python docs/reference.py"


def test_references_of_the_table_for_newcomers_are_some() -> None:
    table = (DOCS / "guide" / "migrating.md").read_text()
    named = re.findall(r"torchinf download (\w+:\S+?)`", table)
    assert {parse_ref(text).scheme for text in named} == {"hf", "hub"}
    assert len(named) == 3
