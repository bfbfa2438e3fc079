"""Rules of the house that no single test of a feature would notice being broken."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import torchinf_core
from torchinf_core import known

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src" / "torchinf_core"
MODULES = sorted(CORE.rglob("*.py"))
PLUGIN_MODULES = sorted(ROOT.glob("plugins/*/src/**/*.py"))
LONGEST = 400
LONGER = {"src/torchinf_core/transfer/wire.py": 500}
"""All that knows what a socket is, kept in one file on purpose (decision 2)."""


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_imports_go_down_only_and_stay_light() -> None:
    pytest.importorskip("importlinter")
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()",
         "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KEPT" in done.stdout


def test_no_module_is_too_long_to_read() -> None:
    lengths = {ids(path): path.read_text().count("\n") for path in MODULES + PLUGIN_MODULES}
    assert [name for name, n in lengths.items() if n > LONGER.get(name, LONGEST)] == []
    assert [name for name in LONGER if lengths.get(name, 0) <= LONGEST] == []


def test_every_module_says_why_it_exists() -> None:
    silent = [
        ids(path)
        for path in MODULES + PLUGIN_MODULES
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("name", torchinf_core.__all__)
def test_every_exported_name_exists(name: str) -> None:
    assert getattr(torchinf_core, name) is not None


def test_the_exported_names_are_sorted_unique_and_what_dir_shows() -> None:
    names = torchinf_core.__all__
    assert names == sorted(set(names))
    assert sorted(dir(torchinf_core)) == sorted([*names, "__version__"])


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = torchinf_core.nothing


@pytest.mark.parametrize("path", [p for p in MODULES if "__all__" in p.read_text()], ids=ids)
def test_all_of_a_module_resolves(path: Path) -> None:
    dotted = ".".join(path.relative_to(CORE.parent).with_suffix("").parts)
    module = importlib.import_module(dotted.removesuffix(".__init__"))
    for name in module.__all__:
        assert hasattr(module, name)


def _decided_by(tree: ast.AST) -> set[str]:
    """The strings that comparisons, ``match`` cases and look-up tables of a module hold."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts: list[ast.AST] = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        else:
            continue
        for part in parts:
            found |= {
                leaf.value
                for leaf in ast.walk(part)
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
            }
    return found


def test_nothing_is_decided_by_the_name_of_a_first_party_plugin() -> None:
    # These are also words of references, formats and devices.
    words = {"url", "torch", "cuda", "onnx", "tensorrt"}
    names = {plugin.name for plugin in known.FIRST_PARTY} - words
    packages = [f"torchinf{sign}{plugin.name}" for plugin in known.FIRST_PARTY for sign in "_-"]
    guilty = {}
    for path in MODULES:
        text = path.read_text()
        found = _decided_by(ast.parse(text)) & names | {p for p in packages if p in text}
        if found and path.name != "known.py":
            guilty[ids(path)] = found
    assert guilty == {}


def test_the_check_for_names_would_notice_one() -> None:
    code = (
        "if x == 'a' or x in ('b', 'c'):\n    y = {'d': 1}\nmatch x:\n    case 'e': pass\nz = 'f'"
    )
    assert _decided_by(ast.parse(code)) == {"a", "b", "c", "d", "e"}


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "base", "common", "misc"}
    assert [ids(p) for p in MODULES + PLUGIN_MODULES if p.stem in drawers] == []


def test_no_test_is_named_by_its_content(request: pytest.FixtureRequest) -> None:
    """Two processes run the suite together, so each must give every test the same name."""
    cases = [
        (item.nodeid, value)
        for item in request.session.items
        for value in _parameters(item)
        if isinstance(value, bytes) and len(value) > 16
    ]
    assert [name for name, value in cases if repr(value)[2:-1] in name] == []


def _parameters(item: pytest.Item) -> list[object]:
    return list(item.callspec.params.values()) if hasattr(item, "callspec") else []
