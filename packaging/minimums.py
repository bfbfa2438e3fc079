"""Prints the lowest version that each requirement of our distributions allows, as constraints.

``python packaging/minimums.py [PLUGIN ...]``: of the core and those plugins.  The ranges in the
``pyproject.toml`` files are the only place where they stand.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def requirements(project: Path) -> list[Requirement]:
    """What a distribution needs of others, without ours and without its extras."""
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    needs = [Requirement(text) for text in table["dependencies"]]
    return [need for need in needs if not need.name.startswith("torchinf")]


def lowest(need: Requirement) -> Version:
    """The version that a range starts with.

    Raises:
        ValueError: it has no start, or more than one.
    """
    starts = [Version(part.version) for part in need.specifier if part.operator in (">=", "==")]
    if len(starts) != 1:
        raise ValueError(f"{need}: give it one lower bound")
    return starts[0]


def constraints(projects: Iterable[Path]) -> list[str]:
    """One ``name==version`` for each requirement; the highest start where several ask for one."""
    found: dict[str, Version] = {}
    for project in projects:
        for need in requirements(project):
            name = canonicalize_name(need.name)
            found[name] = max(lowest(need), found.get(name, lowest(need)))
    return [f"{name}=={version}" for name, version in sorted(found.items())]


if __name__ == "__main__":
    folders = [ROOT, *(ROOT / f"plugins/torchinf_{name}" for name in sys.argv[1:])]
    print("\n".join(constraints(folders)))
