"""nginx on loopback: plain files over http and https, and the routes of a model hub.

The hub's routes are static too, so that the official client and git are not held
back by a server in Python: metadata are files, and ``resolve`` is answered from a map.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import hub
from benchmarks.content import Item

CONFIG = r"""
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
  map $file $git_id {{ include {work}/git.map; }}
  map $file $xet_hash {{ include {work}/xet.map; }}
  map $xet_hash $xet_link {{ default '<$xet_token>; rel="xet-auth"'; "" ""; }}
  server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{https} ssl;
    ssl_certificate {work}/cert.pem;
    ssl_certificate_key {work}/key.pem;
    root {root};
    location /api/ {{ alias {work}/api/; default_type application/json; }}
    location ~ ^/api/models/{owner}/(?<model>[^/]+)$ {{
      alias {work}/api/models/{owner}/$model/revision/main;
      default_type application/json;
    }}
    location ~ ^/{owner}/(?<repo>[^/]+)/resolve/[^/]+/(?<member>.+)$ {{
      set $file $repo/$member;
      if ($git_id) {{ rewrite ^ /held-by-git last; }}
      add_header X-Xet-Hash $xet_hash always;
      set $xet_token $scheme://$http_host/api/models/{owner}/$repo/xet-read-token/{commit};
      add_header Link $xet_link always;
      add_header X-Repo-Commit {commit} always;
      add_header X-Linked-Etag '"$linked_etag"' always;
      add_header X-Linked-Size $linked_size always;
      return 302 $scheme://localhost:$seen_port/$file;
    }}
    location = /held-by-git {{
      internal;
      alias {root}/$file;
      etag off;
      add_header ETag '"$git_id"';
      add_header X-Repo-Commit {commit};
    }}
    location ~ ^/api/models/{owner}/[^/]+/xet-read-token/ {{
      default_type application/json;
      add_header X-Xet-Cas-Url local://{storage};
      add_header X-Xet-Access-Token xet;
      add_header X-Xet-Token-Expiration 9999999999;
      return 200 '{{"casUrl": "local://{storage}", "accessToken": "xet", "exp": 9999999999}}';
    }}
    location /git/ {{ alias {work}/git/; }}
    location ~ ^/git/(?<bare>[^/]+)\.git/info/lfs/objects/batch$ {{
      error_page 405 =200 /lfs/$bare.json;
      return 405;
    }}
    location /lfs/ {{
      internal;
      alias {work}/lfs/;
      types {{ application/vnd.git-lfs+json json; }}
      sub_filter_types application/vnd.git-lfs+json;
      sub_filter {here} $scheme://$http_host;
      sub_filter_once off;
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
    hub.write(root, work, items)
    _make_certificate(work)
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIG.format(
        work=work, root=root, http=http, https=https, user=user, owner=hub.OWNER,
        commit=hub.COMMIT, storage=hub.storage(root), here=hub.HERE,
    )  # fmt: skip
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


def _make_certificate(work: Path) -> None:
    """A throw-away certificate that signs itself."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(work / "key.pem"), "-out", str(work / "cert.pem")]
    subject = ["-subj", "/CN=localhost", "-addext", names, "-days", "2"]
    argv = ["openssl", "req", "-x509", *curve, *files, *subject]
    subprocess.run(argv, check=True, capture_output=True)
