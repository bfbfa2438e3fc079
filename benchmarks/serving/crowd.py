"""A whole server with much to do at once.

    python -m benchmarks.serving.crowd [--clients 1000] [--seconds 10] [--rounds 5]

First 64 connections predict with the voice detector, alone and while a download runs
through the API, in turns: what a download costs.  Then so many clients predict at
once while a download runs, and ``/health`` is asked on a new connection every 50 ms:
how long that takes, and whether anybody got no answer.  nginx hands out the file with
at most 8 MB/s for each connection, so that 16 make the 1 Gbit/s of a usual network.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

from benchmarks.content import make
from benchmarks.nginx import find, free_ports
from benchmarks.serving.__main__ import PEERS, TOKEN, running
from benchmarks.serving.load import press
from benchmarks.serving.models import CASES

SITE = """
daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/error.log; {user}
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
  uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
  server {{
    listen 127.0.0.1:{port};
    limit_rate 8m;
    location ~ ^/[0-9]+/(?<file>.+)$ {{ alias {root}/$file; }}
  }}
}}
"""
HEALTH = """
import http.client, sys, time
host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
until = time.perf_counter() + seconds
while time.perf_counter() < until:
    began = time.perf_counter()
    asked = http.client.HTTPConnection(host, port, timeout=60)
    asked.request("GET", "/health")
    answer = asked.getresponse()
    answer.read()
    asked.close()
    print(answer.status, 1e3 * (time.perf_counter() - began), flush=True)
    print(began + seconds - until, 1e3 * (time.perf_counter() - began), file=sys.stderr, flush=True)
    time.sleep(0.05)
"""


@contextmanager
def site(folder: Path, place: Path, size: int) -> Iterator[tuple[int, str]]:
    """A web server's port, and the path of a large file on it."""
    root, work = place / "site", folder / "nginx"
    work.mkdir()
    item = make(root, "model/model.safetensors", size)
    [port] = free_ports(1)
    user = "user root;" if os.geteuid() == 0 else ""
    (work / "nginx.conf").write_text(SITE.format(work=work, root=root, port=port, user=user))
    nginx = find()
    if nginx is None:
        raise SystemExit("nginx is needed: apt-get install nginx-light")
    argv = [nginx, "-p", str(work), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    process = subprocess.Popen(argv)
    try:
        yield port, item.path
    finally:
        process.terminate()
        process.wait()


class Api:
    """The server's management, as a client sees it."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self.host, self.port = where.hostname or "", where.port or 0

    def ask(self, method: str, path: str, body: object = None) -> Any:
        asked = http.client.HTTPConnection(self.host, self.port, timeout=60)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        asked.request(method, path, json.dumps(body) if body else None, headers)
        answer = asked.getresponse()
        told = answer.read()
        asked.close()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {told.decode()[:300]}")
        return json.loads(told)

    @contextmanager
    def downloading(self, url: str) -> Iterator[list[float]]:
        """A download that runs meanwhile; gets its MB/s at the end."""
        speed: list[float] = []
        told = self.ask("POST", "/models/download", {"source": "url", "model_id": url})
        path = f"/models/jobs/{told['job_id']}"
        until = time.monotonic() + 20
        while (before := self._done(path)) == 0:
            if time.monotonic() > until:
                raise SystemExit(f"the download does not begin: {self.ask('GET', path)}")
            time.sleep(0.05)
        began = time.monotonic()
        try:
            yield speed
        finally:
            job = self.ask("GET", path)
            if job["state"] != "running":
                raise SystemExit(f"the download was over too early: {job}")
            speed.append((self._done(path) - before) / (time.monotonic() - began) / 1e6)
            self.ask("DELETE", path)

    def _done(self, path: str) -> int:
        done: int = self.ask("GET", path)["done_bytes"]
        return done


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.crowd", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="torchinf-crowd-") as root:
        folder = Path(root)
        size = 160_000_000 * (options.seconds + 5)
        # In memory: what a server elsewhere does on its disks is not to count.
        shared = Path("/dev/shm")
        place = stack.enter_context(
            tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)
        )
        with site(folder, Path(place), size) as (port, path):
            measure(options, folder, path, port)
    return 0


def measure(options: argparse.Namespace, folder: Path, path: str, port: int) -> None:
    case = CASES["silero"](folder)
    more = ["--url-host", f"127.0.0.1:{port}", "--allow-http", "--rate", "0"]
    plain = PEERS[0]
    peer = replace(plain, argv=lambda *given: [*plain.argv(*given), *more])
    os.environ["TORCHINF_PRIVATE_NETWORKS"] = "127.0.0.1"
    # Another address each time, of which nothing has arrived yet.
    files = (f"http://127.0.0.1:{port}/{number}/{path}" for number in count())
    with running(peer, case, folder) as (url, _session):
        api = Api(url)
        given = {"folder": folder, "token": TOKEN, "seconds": options.seconds}
        press(url, case.json, "application/json", connections=64, **given)
        alone, beside, speeds = [], [], []
        for _ in range(options.rounds):
            alone.append(press(url, case.json, "application/json", connections=64, **given))
            with api.downloading(next(files)) as speed:
                beside.append(press(url, case.json, "application/json", connections=64, **given))
            speeds += speed
        speed_of_it = median(speeds)
        kept = median(b.rate / a.rate for a, b in zip(alone, beside, strict=True))
        print(
            f"predictions/s alone {median(a.rate for a in alone):,.0f}, beside a download", end=" "
        )
        print(
            f"{median(b.rate for b in beside):,.0f} ({kept:.2f}), which has {speed_of_it:.0f} MB/s"
        )
        with api.downloading(next(files)):
            argv = [sys.executable, "-c", HEALTH, api.host, str(api.port), str(options.seconds + 1)]
            health = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            crowd = press(url, case.json, "application/json", connections=options.clients, **given)
            told, _ = health.communicate()
        answers = [line.split() for line in told.splitlines()]
        took = [float(ms) for _, ms in answers]
        print(
            f"{options.clients} clients: {crowd.rate:,.0f} predictions/s, p50 {crowd.p50:.0f} ms, "
            f"p99 {crowd.p99:.0f} ms, {crowd.failed} without an answer of 200; /health: "
            f"{len(took)} asked, {sum(status != '200' for status, _ in answers)} failed, "
            f"p50 {median(took):.1f} ms, p99 {quantiles(took, n=100)[98]:.1f} ms, "
            f"most {max(took):.1f} ms"
        )


if __name__ == "__main__":
    sys.exit(main())
