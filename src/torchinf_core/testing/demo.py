"""The main job, watched: ``python -m torchinf_core.testing.demo``.

A real trained model out of an installed package is served on loopback and goes
through the real command line: downloaded, killed half way and downloaded again,
verified, listed, shown, removed.  Everything lives in a temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from torchinf_core.testing.hub import Hub

PACKAGE, MODEL = "silero_vad", "data/silero_vad.onnx"
INSTALL = "pip install --no-deps silero-vad"
PACE = 1_000_000
"""Bytes per second, slow enough to see the progress bar."""


def main() -> int:
    """Run the demonstration; returns the exit status."""
    model = _find_model()
    if model is None:
        print(f"the demo serves a model of the package {PACKAGE}: {INSTALL}", file=sys.stderr)  # noqa: T201
        return 9
    content = model.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    with tempfile.TemporaryDirectory() as folder, Hub(throttle=PACE, send_buffer=1 << 14) as hub:
        hub.add(f"/{model.name}", content)
        shell = Shell(Path(folder) / "models")
        download = ("download", f"{hub.url('/' + model.name)}#sha256={digest}")
        shell.say("what would come, before a byte of it moves")
        shell.run(*download, "--dry-run")
        shell.say("a download, killed half way (kill -9)")
        shell.run_and_kill(lambda: hub.bytes_sent(f"/{model.name}") > len(content) // 2, *download)
        shell.say("the same again: it goes on where it was")
        shell.run(*download)
        sent = hub.bytes_sent(f"/{model.name}") / len(content)
        shell.say(
            f"the server sent {sent:.2f} times the size of the file; once more: no connection"
        )
        shell.run(*download)
        for words in (
            ("verify", "silero_vad"),
            ("list",),
            ("info", "silero_vad"),
            ("path", "silero_vad"),
            ("cache",),
            ("remove", "silero_vad", "--yes"),
            ("list",),
        ):
            shell.run(*words)
    return shell.status


class Shell:
    """Shows and runs commands of torchinf, on a store of its own."""

    def __init__(self, store: Path) -> None:
        self.status = 0
        self._environment = {**os.environ, "TORCHINF_CACHE_DIR": str(store)}

    def say(self, text: str) -> None:
        """A line for the person who watches."""
        print(f"\n# {text}", flush=True)  # noqa: T201

    def run(self, *words: str) -> None:
        """Run one command to its end."""
        self.status = self.status or self._start(*words).wait()

    def run_and_kill(self, half_way: Callable[[], bool], *words: str) -> None:
        """Run one command and kill it, with the signal that can't be handled."""
        process = self._start(*words)
        while process.poll() is None and not half_way():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        print(f"$ {shlex.join(['torchinf', *words])}", flush=True)  # noqa: T201
        command = [sys.executable, "-m", "torchinf_core", *words]
        return subprocess.Popen(command, env=self._environment)  # noqa: S603


def _find_model() -> Path | None:
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / MODEL
        if path.is_file():
            return path
    return None


if __name__ == "__main__":
    sys.exit(main())
