"""The command with a server of this machine, and a source that has its own transport."""

import os
import subprocess
import sys

import pytest

from torchinf_core.testing import Hub

HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)

TAPE = """
from torchinf_core import Plan, RemoteFile, SourceError, SourceInfo, hookimpl

@hookimpl
def sources():
    yield SourceInfo("tape", ("tape",), "A tape robot", ("tape:tiny",))

@hookimpl
def resolve(ref):
    file = RemoteFile("model.bin", "https://tape.invalid/" + ref.locator, 3)
    return Plan(ref, ref.locator, (file,), revision="1")

@hookimpl
def fetch(plan, into):
    if plan.ref.locator == "torn":
        raise SourceError("the tape is torn")
    (into / "model.bin").write_bytes(b"abc")
    return True
"""


@pytest.fixture
def hub():
    """A server."""
    with Hub() as hub:
        yield hub


@pytest.fixture
def weights():
    """A safetensors file."""
    return WEIGHTS


@pytest.fixture
def torchinf(tmp_path):
    """Runs the command on an empty store with the tape robot installed; checks its exit status."""
    info = tmp_path / "site" / "torchinf_tape-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: torchinf-tape\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[torchinf.v1]\ntape = torchinf_tape\n")
    (info.parent / "torchinf_tape.py").write_text(TAPE)
    path = os.pathsep.join([str(info.parent), os.environ.get("PYTHONPATH", "")])
    fixed = {"PYTHONPATH": path, "TORCHINF_CACHE_DIR": str(tmp_path / "cache")}

    def torchinf(*words, status=0, **variables):
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "torchinf_core", *words],
            check=False,
            env={**os.environ, **fixed, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return torchinf
