"""The proxy of the guide, a real one, before a real server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from torchinf_core.testing import Hub, have_openssl
from torchinf_core.testing.tls import Certificate, server_context

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide/serving.md").read_text()
NAME = "models.example.com"
WHOLE = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  {server}
}}
"""
PATH = "/usr/bin:/bin:/usr/sbin:/usr/local/sbin"
needed = shutil.which("nginx", path=PATH)
pytestmark = [
    pytest.mark.skipif(needed is None, reason="nginx is not installed"),
    pytest.mark.skipif(not have_openssl(), reason="the openssl command is not installed"),
]


@contextmanager
def proxy(folder: Path, behind: str) -> Iterator[tuple[int, str]]:
    """The nginx of the guide, with another port and certificate; its port, and whom to trust."""
    [server] = re.findall(r"```nginx\n(.*?)```", GUIDE, re.DOTALL)
    _, certificate = server_context(Certificate(names=f"DNS:{NAME}"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for written, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/models.pem": certificate,
        "/etc/ssl/models.key": str(Path(certificate).with_name("key.pem")),
        "http://127.0.0.1:8000": behind,
    }.items():
        assert written in server
        server = server.replace(written, here)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder, server=server, user=user))
    log = str(folder / "error.log")
    argv = [str(needed), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", log]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=60).close()
                break
            except ConnectionRefusedError:
                continue
        assert process.poll() is None, Path(log).read_text()
        yield port, certificate
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def serving(home: Path, place: str) -> Iterator[tuple[str, str]]:
    """``torchinf serve`` as the guide starts it for a proxy; its address and a token."""
    command = "torchinf serve --allow-host models.example.com"
    assert command in GUIDE
    environment = {**os.environ, "HOME": str(home), "TORCHINF_PRIVATE_NETWORKS": "127.0.0.0/8"}
    argv = [sys.executable, "-m", "torchinf_core", *command.split()[1:], "--port", "0"]
    argv += ["--allow-http", "--url-host", place]
    process = subprocess.Popen(
        argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if match := re.search(r"listening on (\S+)", line):
                break
        else:
            raise AssertionError(said)
        token = (home / ".config/torchinf/serve.token").read_text().split()[0]
        yield match[1], token
    finally:
        process.terminate()
        process.stderr.read()
        process.wait(60)
        process.stderr.close()


def test_the_proxy_of_the_guide(tmp_path: Path) -> None:
    pytest.importorskip("torchinf_serve")
    with Hub() as hub:
        url = hub.add("/model.bin", b"x" * 100_000)
        with (
            serving(tmp_path, url.split("/")[2]) as (behind, token),
            proxy(tmp_path, behind) as (port, certificate),
            httpx.Client(
                base_url=f"https://127.0.0.1:{port}",
                verify=ssl.create_default_context(cafile=certificate),
                headers={"host": NAME},
                trust_env=False,
                timeout=60,
            ) as client,
        ):
            named = {"extensions": {"sni_hostname": NAME}}
            assert client.get("/health", **named).json()["status"] == "ok"
            assert client.get("/models/available", **named).status_code == 401
            client.headers["authorization"] = f"Bearer {token}"
            # As a browser that shows the page sends it.
            client.headers["origin"] = f"https://{NAME}"
            asked = {"source": "url", "model_id": url}
            job = client.post("/models/download", json=asked, **named).json()["job_id"]
            events = client.get(f"/models/jobs/{job}/events", **named).text
            assert "event: done" in events
            assert client.get("/models/available", **named).json()["total_available"] == 1
            client.headers["origin"] = "https://elsewhere.example"
            assert client.get("/models/available", **named).status_code == 403
