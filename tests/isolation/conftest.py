"""A machine of its own for the command: a home, a site folder, and a file to download."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = "from torchinf_core import Plan, RemoteFile, SearchHit, SourceInfo, hookimpl\n"


class Machine:
    """Runs ``torchinf`` as a process that finds what was installed here."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.home = folder / "home"
        self.good = folder / "good.bin"
        self.site.mkdir()
        self.home.mkdir()
        self.good.write_bytes(b"weights")

    def install(
        self,
        name: str,
        code: str | None,
        *,
        distribution: str = "",
        value: str = "",
        group: str = "torchinf.v1",
    ) -> None:
        """Write a module, and the metadata that pip would write."""
        distribution = distribution or f"torchinf-{name}"
        module = distribution.replace("-", "_") + "_hostile"
        info = self.site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value or module}\n")
        if code is not None:
            (self.site / f"{module}.py").write_text(HEAD + code)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """The command, ended; fails the test when a traceback was shown."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TORCHINF_")}
        env = {**kept, "HOME": str(self.home), "PYTHONPATH": str(self.site), **environ}
        env.pop("XDG_CONFIG_HOME", None)
        done = subprocess.run(
            [sys.executable, "-m", "torchinf_core", *words],
            capture_output=True,
            text=True,
            env=env,
            cwd=self.home,
            timeout=90,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert "NOISE" not in done.stdout, done.stdout
        return done


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fresh machine with nothing but what the environment of the tests has."""
    return Machine(tmp_path)
