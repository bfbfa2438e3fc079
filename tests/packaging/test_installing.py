"""Wheels as a user installs them: into an empty environment, with an extra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace

HEAVY = {"torch", "torchvision", "transformers", "numpy", "pydantic", "onnxruntime"}


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def hugging_face_environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf")
    run(sys.executable, "-m", "venv", folder / "venv")
    install = (folder / "venv/bin/python", "-m", "pip", "install", "-q", "--find-links", wheels)
    run(*install, "torchinf[hf]")
    return folder / "venv/bin"


@pytest.mark.timeout(600)
def test_the_line_people_try_first_works_from_the_wheels_and_brings_no_framework(
    hugging_face_environment: Path, tmp_path: Path
) -> None:
    listed = run(
        hugging_face_environment / "python", "-m", "pip", "list", "--format", "json"
    ).stdout
    assert not {entry["name"].lower() for entry in json.loads(listed)} & (HEAVY - {"pydantic"})
    with Hub() as hub:
        hugging_face = HuggingFace(hub)
        hugging_face.add_repo("org/name", {"config.json": b"{}", "vocab.txt": b"a"})
        done = run(
            hugging_face_environment / "torchinf",
            "download",
            "hf:org/name",
            "--quiet",
            TORCHINF_CACHE_DIR=str(tmp_path / "store"),
            HF_ENDPOINT=hugging_face.endpoint,
            HF_HOME=str(tmp_path / "home"),
        )
    assert (Path(done.stdout.strip()) / "config.json").read_bytes() == b"{}"


@pytest.mark.timeout(600)
def test_core_and_url_go_into_an_empty_environment_and_bring_no_framework(
    wheels: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", "--find-links", wheels, "torchinf[url]")
    listed = run(python, "-m", "pip", "list", "--format", "json").stdout
    installed = {entry["name"].lower() for entry in json.loads(listed)}
    assert {"torchinf", "torchinf-url"} <= installed
    assert not installed & HEAVY
    torchinf = tmp_path / "venv/bin/torchinf"
    with Hub() as hub:
        url = hub.add("/model.bin", b"weights")
        store = {"TORCHINF_CACHE_DIR": str(tmp_path / "store")}
        path = run(torchinf, "download", url, "--quiet", **store).stdout.strip()
    assert Path(path).read_bytes() == b"weights"
    states = json.loads(run(torchinf, "plugins", "--json", **store).stdout)
    assert "torchinf[torchvision]" in json.dumps(states)
