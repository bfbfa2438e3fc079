"""The table of what was run where names what the tests leave out, and the packages as they are."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/support.md").read_text()
TESTS = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("plugins/*/tests/**/*.py")]
INSTALLABLE = re.compile(
    r"installed|^needs (the )?[\w.]+( command)?$|compiler|/proc|this Python|without ranges"
)
"""What a reader can put there; the page is about what has to be there."""


def reasons() -> Iterator[str]:
    """What a skipped test says, with … for what it fills in."""
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            given = [item.value for item in node.keywords if item.arg == "reason"]
            if name == "pytest.skip":
                given += node.args[:1]
            if name == "pytest.skip" or name.endswith(("skipif", "skip")):
                yield from map(text_of, given)


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr), ast.unparse(node)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
    )


def table(title: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    assert rows, title
    return rows[1:]


def test_each_lack_for_which_a_test_is_skipped_is_on_the_page() -> None:
    named = [row[0] for row in table("What the tests leave out")]
    found = {
        reason.rstrip("…: ")
        for reason in reasons()
        if not INSTALLABLE.search(reason) or reason == "needs root"
    }
    assert {name for name in named if not any(name in reason for reason in found)} == set()
    assert {reason for reason in found if not any(name in reason for name in named)} == set()


def test_each_source_and_runtime_has_its_row() -> None:
    plugins = {path.name.removeprefix("torchinf_") for path in ROOT.glob("plugins/torchinf_*")}
    rows = {row[0].strip("`") for title in ("Sources", "Runtimes") for row in table(title)}
    assert rows == plugins - {"serve"}


def test_what_needs_a_gpu_is_said_to_be_never_run() -> None:
    for row in table("Runtimes"):
        assert "never run" in row[2], row[0]


def test_the_versions_of_python_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert "Python 3.11, ext4" in PAGE
    assert "Operating System :: POSIX :: Linux" in project["classifiers"]
