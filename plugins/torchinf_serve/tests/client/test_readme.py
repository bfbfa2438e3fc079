"""What the README shows of the client and of ``--server``, run as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torchinf_core.testing import Hub

if TYPE_CHECKING:
    from conftest import Process

README = Path(__file__).parents[2] / "README.md"


def code(section: str, language: str) -> str:
    """The code of a section, for a toy instead of a model of torchvision."""
    text = README.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    toy = found[1].replace("resnet18", "image").replace("my_image", "image")
    toy = toy.replace('"torchvision"', '"toybox"').replace("torchvision:", "toybox:")
    assert "toybox" in toy
    return toy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the picture of the README is."""
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (8, 8), "red").save(tmp_path / "cat.jpg")
    return tmp_path


def test_the_client(start: Callable[..., Process], toybox: Hub, folder: Path) -> None:
    process = start()
    program = code("From Python", "python").replace("http://127.0.0.1:8000", process.url)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "done 12 12" in done.stdout
    assert "'label': 'red'" in done.stdout


def test_the_commands(start: Callable[..., Process], toybox: Hub, folder: Path) -> None:
    process = start()
    script = code("With the same commands", "sh").replace("http://127.0.0.1:8000", process.url)
    binary = folder / "torchinf"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m torchinf_core "$@"\n')
    binary.chmod(0o700)
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=100,
        env={**os.environ, "PATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "red" in done.stdout
    assert "done" in done.stdout
    assert done.stdout.endswith("removed image\n")
