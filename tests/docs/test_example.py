"""The comprehensive demonstration runs offline, and shows what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/model_download_example.py"
PACKAGES = ("onnxruntime", "torch", "torchvision", "PIL", "torchinf_onnx", "torchinf_torch")


@pytest.mark.timeout(400)
def test_the_demonstration_runs_offline(tmp_path: Path) -> None:
    for plugin in ("torchinf_url", "torchinf_torchvision", "torchinf_hub", "torchinf_hf"):
        pytest.importorskip(plugin)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", EXAMPLE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "http_proxy": "", "no_proxy": "127.0.0.1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    for title in ("Download from every source", "What is there", "Load and predict", "Errors"):
        assert f"=== {title}" in done.stdout
    assert "already here: True, 0 bytes fetched" in done.stdout
    assert "other bytes than the pinned ones: IntegrityError, exit status 5" in done.stdout
    assert "removed: measures" in done.stdout
    if all(find_spec(package) for package in PACKAGES):
        assert "left out" not in done.stdout
        assert "one item: [0.9205, 0.0445, 0.035]" in done.stdout
        assert "trusted: 21 becomes 42" in done.stdout
        assert "three labels, by weights nobody trained: " in done.stdout
        assert "onnx, ONNX Runtime fp32: " in done.stdout


def test_the_demonstration_can_be_asked_for_help() -> None:
    done = subprocess.run([sys.executable, EXAMPLE, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--offline-demo" in done.stdout
    assert "--online" in done.stdout
