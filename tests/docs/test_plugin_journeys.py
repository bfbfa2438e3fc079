"""The pages for authors are followed as they stand: from an empty folder to a kit that passes.

``pip install`` goes into an environment of its own, without asking an index: what a new
plugin requires is what these tests run with.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
try:
    import blocks
finally:
    sys.path.pop(0)

PAGES = ("index.md", "writing-a-source.md", "writing-a-runtime.md", "testing.md")
EXAMPLE = ROOT / "examples/torchinf_zoo"
STATUS = {
    "torchinf download zoo:nothing": 3,
    "torchinf check-plugin zoo": 9,
    "torchinf download zoo:tiny-mlp": 4,
}
"""Command of a page that has to fail → its exit status."""


class Author:
    """Where a plugin is written: an environment with torchinf and nothing of the user."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "venv/bin"
        venv.create(folder / "venv", with_pip=False)
        python = self.bin / "python"
        [site] = (folder / "venv/lib").glob("python*/site-packages")
        paths = [path for path in sys.path if path.endswith("site-packages")]
        # addsitedir reads the .pth files of what is installed as editable
        lines = [f"import site; site.addsitedir({path!r})" for path in paths]
        (site / "tests.pth").write_text("\n".join(lines) + "\n")
        for name, module in (("torchinf", "torchinf_core"), ("pytest", "pytest"), ("pip", "pip")):
            script = self.bin / name
            script.write_text(f'#!/bin/sh\nexec {python} -m {module} "$@"\n')
            script.chmod(0o755)
        with socket.socket() as free, socket.socket() as other:
            for listener in (free, other):
                listener.bind(("127.0.0.1", 0))
            ports = [str(listener.getsockname()[1]) for listener in (free, other)]
        quietly = "pip install -q --no-deps --no-build-isolation --no-index"
        self.names = {"8123": ports[0], "8124": ports[1]}
        self.names |= {
            "pip install -e '.[test]'": f"{quietly} -e .",
            "pip install .": f"{quietly} .",
        }

    def furnish(self, place: Path) -> None:
        place.mkdir()

    def environment(self, home: Path) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("TORCHINF_", "PYTEST"))}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        quiet = {"PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return {**kept, **quiet, "PATH": path, "HOME": str(home), "NO_COLOR": "1"}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[blocks.Reader]:
    for package in ("hatchling", "torchinf_url", "torchinf_torchvision", "numpy", "pip"):
        pytest.importorskip(package)
    home = tmp_path / "home"
    home.mkdir()
    reader = blocks.Reader(Author(tmp_path), home)
    yield reader
    reader.close()
    for file in home.rglob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_for_authors_can_be_followed(page: str, reader: blocks.Reader) -> None:
    steps = blocks.steps(f"docs/plugins/{page}", (ROOT / "docs/plugins" / page).read_text())
    # What is in Python is in the files of a template or an example.
    followed = [step for step in steps if step.language != "python"]
    if page == "writing-a-source.md":
        for name in ("torchinf_zoo.py", "pyproject.toml"):
            shutil.copy(EXAMPLE / name, reader.place)
    assert followed
    for step in followed:
        status, printed = reader.run(step)
        command = step.code.partition("#")[0].strip()
        assert status == STATUS.get(command, 0), f"{step}: {step.code}\n{printed}"
        if step.shown is not None:
            assert blocks.matches(step.shown, printed), f"{step} prints:\n{printed}"


@pytest.mark.parametrize(
    ("page", "name", "kind"),
    [("writing-a-runtime.md", "linear", "runtime"), ("testing.md", "zoo", "source")],
)
def test_python_on_a_page_is_that_of_a_new_plugin(page: str, name: str, kind: str) -> None:
    from torchinf_core.scaffold import render

    files = render(name, kind).values()
    steps = blocks.steps(page, (ROOT / "docs/plugins" / page).read_text())
    code = [step.code for step in steps if step.language == "python"]
    shown = [block for block in code if any(block in text for text in files)]
    others = [block for block in code if block not in shown]
    assert len(shown) >= 2
    # The one other block shows how a check is expected to fail.
    assert all("xfail" in block for block in others)


def test_the_example_of_a_check_that_is_expected_to_fail_is_accepted(tmp_path: Path) -> None:
    page = (ROOT / "docs/plugins/testing.md").read_text()
    steps = blocks.steps("testing.md", page)
    [block] = [s.code for s in steps if s.language == "python" and "xfail" in s.code]
    start = (
        "import pytest\nimport torchinf_zoo\nfrom torchinf_core.testing import SourceConformance\n"
    )
    (tmp_path / "test_old.py").write_text(f"{start}\n\n{block}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLE), *sys.path[1:]])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_paths_are_safe" in done.stdout
