"""What each plugin has to do once it is installed, tried through the command line alone."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import pickle
import re
import signal
import subprocess
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torchinf_core.testing import Hub
from torchinf_core.testing.github import GitHub
from torchinf_core.testing.huggingface import HuggingFace

# An ONNX graph that adds one: float32[n, 2] in and out.
ONNX = base64.b64decode(
    "CAg6VQoQCgF4CgNvbmUSAXkiA0FkZBIEcGx1cyoPCAEQASIEAACAP0IDb25lWhQKAXgSDwoNCAESCQoDEgFuCgIIAmIU"
    "CgF5Eg8KDQgBEgkKAxIBbgoCCAJCBAoAEBE="
)
PROGRAM = """
import sys, torch
class Plus(torch.nn.Module):
    def forward(self, x):
        return x + 1
torch.export.save(torch.export.export(Plus(), (torch.zeros(1, 2),)), sys.argv[1])
"""
PATIENCE_S = 120


class NotAsExpectedError(Exception):
    """A combination does not do what it should; the text says what it did."""


@dataclass(frozen=True)
class Place:
    """An environment to try, a loopback hub, and a folder for what is made meanwhile."""

    binaries: Path
    hub: Hub
    folder: Path
    environment: dict[str, str]

    def run(self, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, and expect an exit status."""
        program, *rest = (str(word) for word in words)
        done = subprocess.run(
            [str(self.binaries / program), *rest],
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            timeout=600,
            check=False,
        )
        if done.returncode != status:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise NotAsExpectedError(f"{program} {' '.join(rest)}: exit {done.returncode}\n{said}")
        return done

    def download(self, *words: str | Path) -> Path:
        """Download a model; returns where it is."""
        return Path(self.run("torchinf", "download", *words, "--quiet").stdout.strip())

    def expect(self, found: object, expected: object) -> None:
        """Say so where something is not what it must be."""
        if found != expected:
            raise NotAsExpectedError(f"{found!r} in place of {expected!r}")


def checkpoint() -> bytes:
    """A small file in torch's format; no torch is needed to make one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"bias": 1}, protocol=2))
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


def try_url(place: Place) -> str:
    """A file by its URL and digest."""
    url = place.hub.add("/plus.onnx", ONNX)
    path = place.download(f"{url}#sha256={hashlib.sha256(ONNX).hexdigest()}")
    place.expect(path.read_bytes(), ONNX)
    return "download url"


def try_hf(place: Place) -> str:
    """A repository of a Hugging Face hub."""
    service = HuggingFace(place.hub)
    service.add_repo("org/tiny", {"config.json": b"{}", "vocab.txt": b"a"})
    place.environment.update(HF_ENDPOINT=service.endpoint, HF_HOME=str(place.folder / "hf"))
    place.expect((place.download("hf:org/tiny") / "config.json").read_bytes(), b"{}")
    return "download hf"


def try_hub(place: Place) -> str:
    """A repository of PyTorch Hub, whose code is not run."""
    github = GitHub(place.hub)
    code = b"raise SystemExit('run')\n\ndef net():\n    'A net.'\n"
    github.add_repo("ada/nets", {"hubconf.py": code, "README": b"nets"})
    place.environment.update(TORCHINF_HUB_GITHUB=github.web)
    place.expect((place.download("hub:ada/nets/net") / "hubconf.py").read_bytes(), code)
    return "download hub"


def try_torchvision(place: Place) -> str:
    """Weights from a mirror of where torchvision's are."""
    content = checkpoint()
    place.hub.add("/mirror/models/quantized/resnet18_fbgemm_16fa66dd.pth", content)
    place.environment.update(TORCHINF_TORCHVISION_MIRROR=place.hub.url("/mirror/"))
    place.expect(place.download("torchvision:quantized_resnet18").read_bytes(), content)
    return "download torchvision"


def try_onnx(place: Place) -> str:
    """A prediction by ONNX Runtime."""
    (place.folder / "graph.onnx").write_bytes(ONNX)
    return predict(place, "./graph.onnx", "onnx")


def try_torch(place: Place) -> str:
    """A prediction by PyTorch, with a program that is exported there and trusted."""
    place.run("python", "-W", "ignore", "-c", PROGRAM, place.folder / "program.pt2")
    place.download("./program.pt2", "--name", "program")
    place.run("torchinf", "trust", "program")
    return predict(place, "program", "torch")


def predict(place: Place, model: str, runtime: str) -> str:
    """Run a model that adds one with the runtime of that name."""
    words = ("run", model, "[[1, 2]]", "--json", "--runtime", runtime)
    [line] = place.run("torchinf", *words).stdout.splitlines()
    place.expect(json.loads(line)["result"], [[2.0, 3.0]])
    return f"predict {runtime}"


def try_serve(place: Place) -> str:
    """A server that starts, says that it is well, and stops when it is asked to."""
    log = place.folder / "serve.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [place.binaries / "torchinf", "serve", "--port", "0"],
            env=place.environment,
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"listening on (http://\S+)", log.read_text())):
            if server.poll() is not None or time.monotonic() > deadline:
                raise NotAsExpectedError(f"no server: {log.read_text()[-2000:]}")
            threading.Event().wait(0.05)
        with urllib.request.urlopen(f"{found[1]}/health", timeout=PATIENCE_S) as answer:  # noqa: S310
            place.expect(answer.status, 200)
        server.send_signal(signal.SIGTERM)
        place.expect(server.wait(PATIENCE_S) in (0, 128 + signal.SIGTERM), True)
    finally:
        server.kill()
        server.wait()
    return "serve"


SOURCES: dict[str, Callable[[Place], str]] = {
    "url": try_url,
    "hf": try_hf,
    "hub": try_hub,
    "torchvision": try_torchvision,
}
RUNTIMES: dict[str, Callable[[Place], str]] = {"onnx": try_onnx, "torch": try_torch}
OTHERS: dict[str, Callable[[Place], str]] = {"serve": try_serve}


def clean_environment(home: Path) -> dict[str, str]:
    """The variables of this process without what would change torchinf or Python."""
    strange = ("TORCHINF_", "XDG_", "HF_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**kept, "HOME": str(home), "TORCHINF_CACHE_DIR": str(home / "store")}
