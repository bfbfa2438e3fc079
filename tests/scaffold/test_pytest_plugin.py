"""What a plugin's tests get from pytest with torchinf installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TEST = """
import os
from torchinf_core import ModelDownloader, load_settings

def test_nothing_of_the_user_is_seen(torchinf_home):
    assert ModelDownloader().cache_dir == torchinf_home
    assert not load_settings().offline
    assert not load_settings().tokens
    assert "HF_TOKEN" not in os.environ
    assert not torchinf_home.exists()
"""


def test_the_fixture_hides_the_user(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / ".config/torchinf").mkdir(parents=True)
    (tmp_path / ".config/torchinf/config.toml").write_text("[tokens]\n'a.example' = 'x'\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "TORCHINF_OFFLINE": "1", "HF_TOKEN": "x"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_costs_a_run_of_pytest_nothing(tmp_path: Path) -> None:
    code = "import sys, torchinf_core.pytest_plugin; print(len([m for m in sys.modules "
    code += "if m.startswith(('torchinf_core', 'httpx', 'typer'))]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "2"
