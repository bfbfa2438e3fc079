"""Versions, ranges, extras and lists of plugins stand in many files, and agree."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from typing import Any

import pytest

from torchinf_core import __version__
from torchinf_core.known import FIRST_PARTY

from .conftest import ROOT, script, tracked

MAJOR, MINOR = (int(part) for part in __version__.split(".")[:2])
WINDOW = f">={MAJOR}.{MINOR},<{MAJOR}.{MINOR + 1}"


def project(folder: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
    return table


CORE = project(".")
STATED = CORE["project"]
EXTRAS = STATED["optional-dependencies"]
PLUGINS = {
    path.parent.name.removeprefix("torchinf_"): project(f"plugins/{path.parent.name}")["project"]
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))
}
EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/pyproject.toml"))


def pythons(classifiers: list[str]) -> list[tuple[int, int]]:
    found = (
        re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", one) for one in classifiers
    )
    return [(3, int(match[1])) for match in found if match]


def noxfile(name: str) -> Any:
    """What is assigned to a name in noxfile.py, where that is a literal."""
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"noxfile.py assigns no {name}")


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_has_the_version_of_the_core_and_asks_for_its_window(name: str) -> None:
    assert PLUGINS[name]["name"] == f"torchinf-{name}"
    assert PLUGINS[name]["version"] == __version__
    needs = PLUGINS[name]["dependencies"]
    assert needs[0] == f"torchinf{WINDOW}"
    ours = [need for need in needs if need.startswith("torchinf")]
    assert all(need.endswith(WINDOW) for need in ours)


def test_each_plugin_is_an_extra_and_all_is_all_of_them() -> None:
    assert EXTRAS.keys() - {"all", "testing"} == PLUGINS.keys()
    for name in PLUGINS:
        assert EXTRAS[name] == [f"torchinf-{name}{WINDOW}"]
    [everything] = EXTRAS["all"]
    assert everything == f"torchinf[{','.join(name for name in EXTRAS if name in PLUGINS)}]"
    assert {plugin.name for plugin in FIRST_PARTY} == PLUGINS.keys()


def test_the_extra_for_tests_asks_for_the_pytest_that_tests_it() -> None:
    [pytest_of_users] = EXTRAS["testing"]
    assert pytest_of_users.startswith("pytest>=")
    for tools in ("TEST", "BARE"):
        assert any(tool.startswith(pytest_of_users) for tool in noxfile(tools))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_asks_for_the_window_of_the_core(name: str) -> None:
    table = project(f"examples/{name}")
    assert table["project"]["dependencies"][0] == f"torchinf{WINDOW}"
    assert table["project"]["requires-python"] == STATED["requires-python"]
    assert table["build-system"] == CORE["build-system"]


def test_no_file_names_another_window_of_ours() -> None:
    pattern = re.compile(r"\btorchinf(?:-[a-z]+)?(>=\d[\d.]*(?:,<\d[\d.]*)?)")
    for name in tracked():
        if name.endswith((".toml", ".md", ".py", ".jinja", ".tmpl")) and "/packaging/" not in name:
            for found in pattern.findall((ROOT / name).read_text()):
                assert found == WINDOW, name


def test_the_changelog_begins_with_this_version() -> None:
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(__version__)} \((unreleased|20\d\d-\d\d-\d\d)\)", heads[0])
    numbers = [tuple(map(int, head.split()[0].split("."))) for head in heads]
    assert numbers == sorted(numbers, reverse=True)
    assert all("unreleased" not in head for head in heads[1:])


def test_the_oldest_python_is_the_same_everywhere() -> None:
    oldest = re.fullmatch(r">=3\.(\d+)", STATED["requires-python"])
    assert oldest is not None
    minor = int(oldest[1])
    tools = CORE["tool"]
    assert tools["ruff"]["target-version"] == f"py3{minor}"
    assert tools["mypy"]["python_version"] == f"3.{minor}"
    for table in (STATED, *PLUGINS.values()):
        listed = pythons(table["classifiers"])
        assert listed == [(3, minor + step) for step in range(len(listed))]
        assert listed


def test_a_python_is_named_only_if_a_session_tries_it() -> None:
    text = (ROOT / "noxfile.py").read_text()
    tried = re.search(r"@nox\.session\(python=\[(.*?)\]\)\ndef pythons", text)
    assert tried is not None
    versions = [tuple(map(int, found.split("."))) for found in re.findall(r"3\.\d+", tried[1])]
    assert pythons(STATED["classifiers"]) == versions
    for name, table in PLUGINS.items():
        assert set(pythons(table["classifiers"])) <= set(versions), name


def test_the_checkers_know_every_plugin() -> None:
    tools = CORE["tool"]
    packages = {f"torchinf_{name}" for name in PLUGINS}
    paths = {path.split("/")[1] for path in tools["mypy"]["mypy_path"] if path != "src"}
    assert paths == packages
    [rule] = [
        rule
        for rule in tools["importlinter"]["contracts"]
        if rule["name"] == "the core knows no framework and no plugin"
    ]
    assert {name for name in rule["forbidden_modules"] if name.startswith("torchinf")} == packages


def test_each_requirement_of_others_has_one_lower_bound() -> None:
    minimums = script("minimums")
    found = minimums.constraints([ROOT, *(ROOT / f"plugins/torchinf_{name}" for name in PLUGINS)])
    assert {line.split("==")[0] for line in found} >= {"httpx", "pluggy", "torch", "onnxruntime"}
    assert len(found) == len({line.split("==")[0] for line in found})


def test_every_documented_combination_is_made_of_extras() -> None:
    names = subprocess.run(
        ["git", "-C", ROOT, "grep", "-hoE", r"torchinf\[[a-z,]+\]", "--", "*.md", "src", "plugins"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert names
    known = EXTRAS.keys() | {"toy"}
    for name in names:
        assert set(re.findall(r"\w+", name)[1:]) <= known, name
