"""The distributions of the working tree, built once for all tests of this folder."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = 1_700_000_000


def script(name: str) -> ModuleType:
    """A script of the folder ``packaging``, as a module."""
    spec = importlib.util.spec_from_file_location(
        f"packaging_{name}", ROOT / f"packaging/{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "packaging"))  # where its neighbours are, as when it is run
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def tracked() -> list[str]:
    """Files that git knows or would add, as paths in the repository."""
    words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        ["git", "-C", ROOT, *words], check=True, capture_output=True, text=True
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@dataclass(frozen=True)
class Built:
    """Two builds of the same sources: where they lay, and the files by name."""

    tree: Path
    first: dict[str, Path]
    second: dict[str, Path]

    def of(self, distribution: str, suffix: str) -> Path:
        """The wheel (``.whl``) or source distribution (``.tar.gz``) of one distribution."""
        stem = distribution.replace("-", "_")
        [path] = [
            path
            for name, path in self.first.items()
            if name.endswith(suffix) and name.split("-")[0] == stem
        ]
        return path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    pytest.importorskip("hatchling")
    make = script("make")
    made = []
    trees = [tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there") / "deeper" / "down"]
    for tree in trees:
        for name in tracked():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
        files = make.build(tree, tmp_path_factory.mktemp("dist"), EPOCH)
        made.append({path.name: path for path in files})
    return Built(trees[0], made[0], made[1])


@pytest.fixture(scope="session")
def wheels(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels alone, for ``pip install --find-links``."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, path in built.first.items():
        if name.endswith(".whl"):
            shutil.copyfile(path, folder / name)
    return folder
