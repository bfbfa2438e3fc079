"""nginx on loopback: plain files over http and https, and the routes of a model hub.

The hub's routes are static too, so that the official client is not held back by
a server in Python: metadata are files, and ``resolve`` is answered from a map.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.content import Item

COMMIT = "5ca1ab1e" * 5
OWNER = "bench"

CONFIG = """
daemon off;
worker_processes 2;
pid {work}/nginx.pid;
error_log {work}/error.log warn;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
  uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  map_hash_max_size 16384;
  map_hash_bucket_size 256;
  map $http_host $seen_port {{ default {http}; "~:(?<port>[0-9]+)$" $port; }}
  map $file $linked_etag {{ include {work}/sha256.map; }}
  map $file $linked_size {{ include {work}/size.map; }}
  server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{https} ssl;
    ssl_certificate {work}/cert.pem;
    ssl_certificate_key {work}/key.pem;
    root {root};
    location /api/ {{ alias {work}/api/; default_type application/json; }}
    location ~ ^/{owner}/(?<file>[^/]+)/resolve/[^/]+/(?<member>.+)$ {{
      set $file $file/$member;
      add_header X-Repo-Commit {commit} always;
      add_header X-Linked-Etag '"$linked_etag"' always;
      add_header X-Linked-Size $linked_size always;
      return 302 $scheme://localhost:$seen_port/$file;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A running server: where it answers, its certificate, and the bytes its link has carried."""

    http: str
    https: str
    port: int
    ca: Path
    sent: Callable[[], int] = int

    def through(self, port: int, sent: Callable[[], int]) -> Site:
        """The same site behind a link that listens on ``port`` and counts what it carries."""
        return replace(self, http=f"http://127.0.0.1:{port}", sent=sent)


@contextmanager
def serve(root: Path, work: Path, items: Sequence[Item]) -> Iterator[Site]:
    """Serve ``root``, and each folder of ``items`` as the hub's repository ``bench/FOLDER``.

    Raises:
        RuntimeError: nginx or openssl is missing or does not start.
    """
    program = find()
    if program is None or shutil.which("openssl") is None:
        raise RuntimeError("nginx and openssl are needed: apt-get install nginx-light openssl")
    work.mkdir(parents=True)
    http, https = free_ports(2)
    _write_hub(root, work, items)
    _make_certificate(work)
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIG.format(
        work=work, root=root, http=http, https=https, user=user, owner=OWNER, commit=COMMIT
    )
    (work / "nginx.conf").write_text(text)
    argv = [program, "-p", str(work), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        _wait(process, http)
        yield Site(
            f"http://127.0.0.1:{http}",
            f"https://127.0.0.1:{https}",
            http,
            work / "cert.pem",
        )
    finally:
        process.terminate()
        process.communicate()


def find() -> str | None:
    """Path of nginx, which Debian keeps out of the PATH of most users."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(item.getsockname()[1]) for item in sockets]
    for item in sockets:
        item.close()
    return ports


def _wait(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                raise RuntimeError(f"nginx does not start: {process.communicate()[1]}") from None
            time.sleep(0.02)


def _write_hub(root: Path, work: Path, items: Sequence[Item]) -> None:
    """What the official client asks of a hub, the list for our own source, and the maps."""
    repos: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        repos[item.repo].append(item)
    for name, members in repos.items():
        model = work / "api" / "models" / OWNER / name
        for folder in ("revision", "tree"):
            (model / folder).mkdir(parents=True)
        (model / "revision" / "main").write_text(
            json.dumps({"id": f"{OWNER}/{name}", "sha": COMMIT})
        )
        listing = [asdict(item) | {"name": item.name} for item in members]
        (root / f"{name}.json").write_text(json.dumps(listing))
        tree = [_entry(item) for item in members]
        (model / "tree" / COMMIT).write_text(json.dumps(tree))
    for variable in ("sha256", "size"):
        lines = [f'"{item.path}" "{getattr(item, variable)}";\n' for item in items]
        (work / f"{variable}.map").write_text("".join(lines))


def _entry(item: Item) -> dict[str, object]:
    lfs = {"oid": item.sha256, "size": item.size, "pointerSize": 134}
    return {
        "type": "file",
        "path": item.name,
        "size": item.size,
        "oid": item.sha256[:40],
        "lfs": lfs,
    }


def _make_certificate(work: Path) -> None:
    """A throw-away certificate that signs itself."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(work / "key.pem"), "-out", str(work / "cert.pem")]
    subject = ["-subj", "/CN=localhost", "-addext", names, "-days", "2"]
    argv = ["openssl", "req", "-x509", *curve, *files, *subject]
    subprocess.run(argv, check=True, capture_output=True)
