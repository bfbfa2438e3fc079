"""Every block of the pages is run as it stands, and prints what the page shows.

The world outside is on loopback (``docs/world.py``); what can't be run here stands in
``NOT_RUN`` with its reason.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
try:
    import blocks
    from world import World
finally:
    sys.path.pop(0)

GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/guide").glob("*.md"))
PAGES = ["README.md", "docs/index.md", *GUIDES]

INSTALLS = "installs; tests/packaging does so with wheels"
NOT_RUN = {
    "python3 -m venv .venv && .venv/bin/pip install -q nox && .venv/bin/nox -s demo": INSTALLS,
    "python3 -m venv .venv && .venv/bin/pip install -q nox && .venv/bin/nox -s tests": INSTALLS,
    "pip install . ./plugins/torchinf_url ./plugins/torchinf_torchvision": INSTALLS,
    "pip install . ./plugins/torchinf_url ./plugins/torchinf_torchvision "
    "./plugins/torchinf_onnx ./plugins/torchinf_torch torchvision": INSTALLS,
    "pip install . ./plugins/torchinf_serve": INSTALLS,
}
"""Line of a ``sh`` block → why nobody runs it here."""

EITHER = {
    "torchinf explain resnet18 --device cuda:0": "fails where there is no such device",
}
"""Command → why it may fail; any other does when the page shows an error, and only then."""

ALL = {page: blocks.steps(page, (ROOT / page).read_text()) for page in PAGES}


def lines_of(code: str) -> list[str]:
    joined = code.replace("\\\n    ", "")
    return [line for line in joined.splitlines() if line.strip()]


def runs(step: Any) -> bool:
    lines = lines_of(step.code)
    left_out = [line for line in lines if line in NOT_RUN]
    assert not left_out or left_out == lines, f"{step}: only a whole block can be left out"
    return not left_out


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    for package in ("torch", "torchvision", "transformers", "PIL", "onnxruntime", "pyarrow"):
        pytest.importorskip(package)
    with World() as world:
        yield world


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_in_order(page: str, world: World, tmp_path: Path) -> None:
    for tool in ("bash", "curl", "jq"):
        if not shutil.which(tool) and any(re.search(rf"\b{tool}\b", s.code) for s in ALL[page]):
            pytest.skip(f"{tool} is not installed")
    reader = blocks.Reader(world, tmp_path.resolve())
    try:
        for step in filter(runs, ALL[page]):
            status, printed = reader.run(step)
            fails = re.search("^error: ", step.shown or "", re.MULTILINE) is not None
            if step.code.partition("#")[0].strip() not in EITHER:
                assert (status != 0) == fails, f"{step}: {step.code}\n{printed}"
            if step.shown is not None:
                assert blocks.matches(step.shown, printed), f"{step} prints:\n{printed}"
    finally:
        reader.close()


def test_what_is_not_run_is_on_a_page_and_little() -> None:
    lines = {line for steps in ALL.values() for step in steps for line in lines_of(step.code)}
    assert set(NOT_RUN) <= lines
    assert set(EITHER) <= {line.partition("#")[0].strip() for line in lines}
    assert len(NOT_RUN) <= 5
    assert sum(runs(step) for steps in ALL.values() for step in steps) >= 80


def test_a_block_is_of_a_kind_that_is_run_or_read_elsewhere() -> None:
    kinds = set()
    for page in PAGES:
        fences = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("```")]
        kinds |= {fence[3:] for fence in fences[::2]}
    # Settings are read in test_readme.py, a proxy is started in test_proxy.py.
    assert kinds == {*blocks.KINDS, "text", "toml", "nginx"}


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a 1 b\n", "a 1 b \n", True),
        ("a ... b\n", "a 1 2 b\n", True),
        ("a ... b\n", "a 1\n2 b\n", False),
        ("a\n...\nb\n", "a\nb\n", True),
        ("a\n...\nb\n", "a\n1\n2\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a.b\n", "axb\n", False),
        ("a 2026-01-01 12:00  b\n", "a 2031-12-24 18:30  b\n", True),
    ],
)
def test_dots_stand_for_what_changes(shown: str, printed: str, same: bool) -> None:
    assert blocks.matches(shown, printed) is same
