"""``python -m benchmarks.serving [--only silero …] [--connections 1,16,64] [--seconds 5]``.

Each server runs alone, on the same machine as the client; peers take turns within a
round, and the table has medians.  ``torchinf serve`` is the whole server as people
start it, with its token, its checks and its limits.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.serving.load import Figures, press
from benchmarks.serving.models import CASES, Case

ROOT = Path(__file__).parents[2]
TOKEN = secrets.token_urlsafe(32)
SIZES = (1, 8, 32)
"""Batches that the runtime alone is measured with."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to compare.

    Attributes:
        name: for the table.
        argv: makes its command from a case and a port.
        path: to send predictions to.
    """

    name: str
    argv: Callable[[Case, int, Path], list[str]]
    path: Callable[[Case], str]


def stored(case: Case, folder: Path) -> str:
    """A store that has the model."""
    store = str(folder / "store")
    command = [sys.executable, "-m", "torchinf_core", "download", case.path.as_uri()]
    command += ["--name", case.name, "--cache-dir", store]
    subprocess.run(command, check=True, capture_output=True)
    return store


def torchinf(*options: str) -> Callable[[Case, int, Path], list[str]]:
    """``torchinf serve`` with a store that has the model."""

    def argv(case: Case, port: int, folder: Path) -> list[str]:
        tokens = folder / "token"
        tokens.write_text(f"{TOKEN}\n")
        tokens.chmod(0o600)
        where = ["--port", str(port), "--token-file", str(tokens)]
        store = ["--cache-dir", stored(case, folder)]
        return [sys.executable, "-m", "torchinf_core", "serve", *where, *store, *options]

    return argv


def routes(case: Case, port: int, folder: Path) -> list[str]:
    app = "benchmarks.serving.torchinf_routes"
    return [sys.executable, "-m", app, str(port), stored(case, folder)]


def fastapi(_case: Case, port: int, _folder: Path) -> list[str]:
    app = "benchmarks.serving.fastapi_def:app"
    return [sys.executable, "-m", "uvicorn", app, f"--port={port}", "--log-level=error"]


def litserve(most: int) -> Callable[[Case, int, Path], list[str]]:
    def argv(case: Case, port: int, _folder: Path) -> list[str]:
        app = "benchmarks.serving.litserve_app"
        return [sys.executable, "-m", app, case.name, str(port), str(most)]

    return argv


def ours(case: Case) -> str:
    return f"/models/{case.name}/predict"


def plain(case: Case) -> str:
    return "/npy" if case.kind == "binary" else "/predict"


PEERS = (
    Peer("torchinf serve", torchinf(), ours),
    Peer("torchinf, one by one", torchinf("--batch-max", "1"), ours),
    Peer("torchinf, routes alone", routes, ours),
    Peer("fastapi def", fastapi, plain),
    Peer("litserve", litserve(1), lambda _: "/predict"),
    Peer("litserve, batches", litserve(32), lambda _: "/predict"),
)


def body_of(case: Case, peer: Peer) -> tuple[bytes, str]:
    """The body and its type."""
    if case.kind == "json":
        return case.json, "application/json"
    if peer.name.startswith("litserve"):
        text = base64.b64encode(case.npy).decode()
        return json.dumps({"file": text}).encode(), "application/json"
    return case.npy, "application/octet-stream"


@contextmanager
def running(peer: Peer, case: Case, folder: Path) -> Iterator[tuple[str, int]]:
    """The peer's server; where to send predictions, and its session."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "BENCH_MODEL": str(case.path),
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    command = peer.argv(case, port, folder)
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}{peer.path(case)}"
    try:
        wait_for(url, *body_of(case, peer), server, folder / "server.log")
        yield url, server.pid
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(20)
        # LitServe's processes outlive it, and would take time from whoever comes next.
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def ask(url: str, body: bytes, kind: str) -> None:
    """One prediction."""
    headers = {"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()


def wait_for(url: str, body: bytes, kind: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return after the first prediction."""
    until = time.monotonic() + 60
    while True:
        try:
            ask(url, body, kind)
            return
        except OSError as error:
            if server.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{error}\n{log.read_text()[-3000:]}") from None
            time.sleep(0.1)


def bare(case: Case, seconds: float) -> dict[int, tuple[float, float]]:
    """Predictions a second of the runtime alone, and milliseconds of processors for each."""
    import io

    import numpy as np
    import onnxruntime as ort

    session = ort.InferenceSession(str(case.path), providers=["CPUExecutionProvider"])
    if case.kind == "binary":
        one = {"x": np.load(io.BytesIO(case.npy), allow_pickle=False)}
    else:
        given = json.loads(case.json)["inputs"]
        one = {n: np.array(given[n], np.float32) for n in ("input", "state")}
    found = {}
    for size in SIZES:
        feeds = {n: np.concatenate([a] * size, 1 if n == "state" else 0) for n, a in one.items()}
        if case.kind == "json":
            feeds["sr"] = np.array(16000)
        session.run(None, feeds)
        calls, began, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            session.run(None, feeds)
            calls += 1
        cpu = time.process_time() - cpu
        found[size] = calls * size / (time.perf_counter() - began), 1e3 * cpu / calls / size
    return found


def middle(samples: list[Figures]) -> Figures:
    return Figures(
        median(s.rate for s in samples),
        median(s.p50 for s in samples),
        median(s.p99 for s in samples),
        sum(s.failed for s in samples),
        median(s.cpu for s in samples),
    )


def measure(case: Case, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """All peers at all numbers of connections."""
    found: dict[tuple[str, int], list[Figures]] = {}
    alone: list[dict[int, tuple[float, float]]] = []
    peers = [p for p in PEERS if not options.peers or p.name in options.peers]
    for turn in range(options.rounds):
        alone.append(bare(case, min(2.0, options.seconds)))
        for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
            own = folder / f"{case.name}-{turn}-{peers.index(peer)}"
            own.mkdir()
            body, kind = body_of(case, peer)
            with running(peer, case, own) as (url, session):
                for connections in options.connections:
                    settings = {"connections": connections, "folder": own, "token": TOKEN}
                    press(url, body, kind, seconds=2, **settings)  # to warm up
                    # Some servers go on with what wrk has left behind; that is not to count.
                    ask(url, body, kind)
                    figures = press(
                        url, body, kind, seconds=options.seconds, session=session, **settings
                    )
                    ask(url, body, kind)
                    found.setdefault((peer.name, connections), []).append(figures)
    table = {
        peer.name: {n: asdict(middle(found[peer.name, n])) for n in options.connections}
        for peer in peers
    }
    runtime = {
        size: {"rate": median(r[size][0] for r in alone), "cpu": median(r[size][1] for r in alone)}
        for size in SIZES
    }
    return {"runtime": runtime, "servers": table}


def show(name: str, made: dict[str, object]) -> str:
    """A table for people."""
    runtime, servers = made["runtime"], made["servers"]
    assert isinstance(runtime, dict)
    assert isinstance(servers, dict)
    lines = [
        name,
        "",
        "| server | connections | requests/s | p50 ms | p99 ms | failed | cpu ms each |",
    ]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for size, alone in runtime.items():
        row = f"{alone['rate']:,.0f} | | | | {alone['cpu']:.2f}"
        lines.append(f"| the runtime alone, batches of {size} | | {row} |")
    for server, by_count in servers.items():
        for count, f in by_count.items():
            row = f"{f['rate']:,.0f} | {f['p50']:.1f} | {f['p99']:.1f} | {f['failed']}"
            lines.append(f"| {server} | {count} | {row} | {f['cpu']:.2f} |")
    lines.append("")
    most = max(next(iter(servers.values())))
    if "torchinf serve" in servers:
        mine = servers["torchinf serve"][most]
        for server, by_count in servers.items():
            if not server.startswith("torchinf"):
                times = mine["rate"] / max(by_count[most]["rate"], 1e-9)
                lines.append(f"{times:.1f} times the requests of {server}")
        best = max(alone["rate"] for alone in runtime.values())
        least = min(alone["cpu"] for alone in runtime.values())
        lines.append(f"the runtime's best: {best / mine['rate']:.2f} times")
        lines.append(f"processors for each, to the runtime's least: {mine['cpu'] / least:.2f}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--peers", nargs="+", choices=[peer.name for peer in PEERS])
    parser.add_argument(
        "--connections", type=lambda t: [int(n) for n in t.split(",")], default=[1, 16, 64]
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made = {}
    with tempfile.TemporaryDirectory(prefix="torchinf-serving-") as root:
        for name in options.only:
            made[name] = measure(CASES[name](Path(root)), options, Path(root))
            print(show(name, made[name]), end="\n\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(made, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
