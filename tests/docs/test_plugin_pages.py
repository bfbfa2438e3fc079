"""The pages for plugin authors say what the code does."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from torchinf_core.hookspecs import hook_names
from torchinf_core.plugins.implementations import ROUTED

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs/plugins/writing-a-source.md").read_text()
EXAMPLE = ROOT / "examples/torchinf_zoo"


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date(generator: ModuleType) -> None:
    for name, make in generator.PAGES.items():
        assert (ROOT / "docs" / name).read_text() == make(), "run: python docs/generate.py"


def test_every_hook_has_its_section_with_an_example(generator: ModuleType) -> None:
    page = generator.hooks_page()
    for hook in hook_names():
        section = page.split(f"\n## {hook}\n")[1].split("\n## ")[0]
        blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        assert f"def {hook}(" in blocks[0]
        assert "@hookimpl" in blocks[1]
        ast.parse(blocks[1])
        mode = "any plugin may wrap it" if hook in ROUTED else "can't be wrapped"
        assert mode in " ".join(section.split())


def test_the_example_is_the_plugin_of_the_tutorial() -> None:
    code = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)[0]
    project = re.findall(r"```toml\n(.*?)```", TUTORIAL, re.DOTALL)[0]
    assert code == (EXAMPLE / "torchinf_zoo.py").read_text()
    assert project == (EXAMPLE / "pyproject.toml").read_text()
    assert code.count("\n") <= 26


def test_the_test_of_the_tutorial_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    [code] = [
        block
        for block in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
        if "def test_" in block
    ]
    space: dict[str, object] = {}
    exec(code, space)
    try:
        space["test_the_latest_tag_is_resolved"](monkeypatch)  # type: ignore[operator]
    finally:
        sys.modules.pop("torchinf_zoo", None)


def test_the_wrappers_and_the_private_registry_are_those_of_the_examples() -> None:
    files = [
        (ROOT / "examples" / name).read_text()
        for name in (
            "torchinf_oci/torchinf_oci.py",
            "torchinf_audit/torchinf_audit.py",
            "torchinf_audit/torchinf_mirror.py",
        )
    ]
    shown = []
    for title in ("A private registry with a token", "Wrapping other sources"):
        section = TUTORIAL.split(f"\n## {title}\n")[1].split("\n## ")[0]
        shown += re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(shown) == 4
    for block in shown:
        assert any(block in file for file in files), block
    assert (
        f"in {files[0].count(chr(10))} lines"
        in (ROOT / "examples/torchinf_oci/README.md").read_text()
    )


def test_every_block_of_the_tutorial_is_python() -> None:
    for block in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL):
        ast.parse(block)


def test_every_link_and_variable_of_the_tutorial_exists() -> None:
    source = "\n".join(p.read_text() for p in (ROOT / "src/torchinf_core").rglob("*.py"))
    for target in re.findall(r"\]\(([^)#]+)", TUTORIAL):
        assert (ROOT / "docs/plugins" / target).exists()
    for variable in re.findall(r"`TORCHINF_(\w+)=", TUTORIAL):
        assert f'"TORCHINF_{variable}"' in source or f'"{variable.lower()}"' in source
