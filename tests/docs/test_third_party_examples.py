"""The distributions in ``examples`` are built, installed, and pass their own tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/tests"))
NOT_ITS_OWN = re.compile("it does not (implement|wrap) |token_hosts is empty")
"""Why a check of the conformance kit says nothing of an example."""
PUBLIC = r"from torchinf_core(\.testing)? import"


def test_there_are_examples() -> None:
    assert [path.name for path in EXAMPLES] == [
        "torchinf_audit",
        "torchinf_oci",
        "torchinf_zoo",
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_uses_the_public_interface_alone(example: Path) -> None:
    for file in example.rglob("*.py"):
        for line in file.read_text().splitlines():
            if "torchinf_core" in line and "import" in line:
                assert re.match(PUBLIC, line.strip()), f"{file.name}: {line}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passes_its_tests_as_it_is_installed(example: Path, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    pytest.importorskip("torchinf_url")
    for tool in ("docker-registry", "openssl") if example.name == "torchinf_oci" else ():
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed (apt-get install {tool})")
    build = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run([sys.executable, *build], cwd=example, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    assert not (site / "tests").exists()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, example / "tests"],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    skipped = re.findall(r"^SKIPPED .*?: (.*)$", done.stdout, re.MULTILINE)
    assert all(NOT_ITS_OWN.match(reason) for reason in skipped), skipped
