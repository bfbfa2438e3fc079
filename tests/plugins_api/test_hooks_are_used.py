"""No hook without somebody who needs it: an implementation, a test, an entry in the docs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from torchinf_core.hookspecs import GROUP, hook_names
from torchinf_core.plugins import EntryPoint, Plugins

ROOT = Path(__file__).parents[2]


def first_party() -> Plugins:
    entries = []
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(path.read_text())["project"]
        for name, value in project["entry-points"][GROUP].items():
            pytest.importorskip(value)
            entries.append(EntryPoint(name, value, GROUP, project["name"], project["version"]))
    return Plugins(entries, strict=True)


@pytest.mark.parametrize("hook", hook_names())
def test_every_hook_has_a_first_party_implementation(hook: str) -> None:
    assert hook in {name for state in first_party().states() for name in state.hooks}


@pytest.mark.parametrize("hook", hook_names())
def test_every_hook_has_a_test_and_an_entry_in_the_docs(hook: str) -> None:
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert f"def {hook}(" in tests
    assert f"\n## {hook}\n" in (ROOT / "docs/plugins/hooks.md").read_text()


def test_first_party_plugins_have_no_privileges_but_their_entry_points() -> None:
    for state in first_party().states():
        assert state.state == "ok", str(state)
        assert state.distribution == f"torchinf-{state.name}"
