"""Jobs in processes of their own: what becomes of them when something is killed for real."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub
from torchinf_core.testing import serve as serve_file

if TYPE_CHECKING:
    from conftest import Process, Running, Serve

Content = Callable[[int], bytes]


@pytest.fixture
def server(serve: Serve, place: str) -> Running:
    return serve(url_hosts=(place,), allow_http=True, processes=True)


def stall(hub: Hub, path: str, content: bytes) -> tuple[threading.Event, threading.Event]:
    """Serve a file whose GETs wait; tells that one has begun, and is told to go on."""
    began, go = threading.Event(), threading.Event()
    hub.add(path, content)
    resource = hub._resources.pop(path)

    def handler(request: Any) -> Any:
        if request.method == "GET":
            began.set()
            go.wait(60)
        return serve_file(request, resource)

    hub.route(path, handler)
    return began, go


def worker_of(server: Running, job: str) -> int:
    return server.state.jobs._workers[job].pid


def test_a_worker_that_is_killed_is_a_failed_job_that_can_be_retried(
    server: Running, hub: Hub, content: Content
) -> None:
    data = content(200_000)
    began, go = stall(hub, "/m.bin", data)
    client = server.client()
    body = {"source": "url", "model_id": hub.url("/m.bin")}
    job = client.post("/models/download", json=body).json()["job_id"]
    assert began.wait(60)
    os.kill(worker_of(server, job), signal.SIGKILL)
    failed = server.finished(job)
    assert failed["state"] == "failed"
    assert failed["error"]["detail"] == "the worker was killed by signal 9 (SIGKILL)"
    assert failed["error"]["type"] == "urn:torchinf:error:worker-crash"
    go.set()
    assert client.post(f"/models/jobs/{job}/retry").status_code == 202
    done = server.finished(job)
    assert (done["state"], done["attempt"]) == ("done", 2)
    info = client.get("/models/download/m/info").json()["info"]
    assert info["files"][0]["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_worker_that_is_silent_is_given_up(
    server: Running, hub: Hub, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go = stall(hub, "/m.bin", content(1000))
    client = server.client()
    body = {"source": "url", "model_id": hub.url("/m.bin")}
    server.state.jobs._silence = 7.0
    job = client.post("/models/download", json=body).json()["job_id"]
    assert began.wait(60)
    pid = worker_of(server, job)
    os.kill(pid, signal.SIGSTOP)
    failed = server.finished(job)
    assert failed["state"] == "failed"
    assert "no sign of life" in failed["error"]["detail"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    go.set()


def test_cancelling_ends_the_process_and_keeps_what_arrived(
    server: Running, hub: Hub, content: Content, store: Path
) -> None:
    data = content(80 << 20)
    hub.add("/m.bin", data)
    hub.throttle = 4 << 20
    client = server.client()
    body = {"source": "url", "model_id": hub.url("/m.bin"),
            "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
    job = client.post("/models/download", json=body).json()["job_id"]
    with client.stream("GET", f"/models/jobs/{job}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: ") and json.loads(line[6:]).get("done_bytes", 0) > 20 << 20:
                break
    hub.throttle = 16 << 10  # the rest takes longer than anybody waits
    pid = worker_of(server, job)
    cancelled = client.delete(f"/models/jobs/{job}").json()
    assert cancelled["state"] == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert sum(path.stat().st_size for path in (store / "partial").glob("*.part")) > 16 << 20
    hub.throttle = None
    sent = hub.bytes_sent("/m.bin")
    assert client.post(f"/models/jobs/{job}/retry").status_code == 202
    assert server.finished(job)["state"] == "done"
    assert hub.bytes_sent("/m.bin") - sent < len(data) - (16 << 20) + 1
    path = ModelDownloader(store).get_model_path("m")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashlib.sha256(data).hexdigest()


@pytest.mark.timeout(300)
def test_ten_jobs_outlive_a_server_that_is_killed(
    start: Callable[..., Process], hub: Hub, content: Content, store: Path
) -> None:
    contents = {f"model{n}": content((4 << 20) + n) for n in range(10)}
    for name, data in contents.items():
        hub.add(f"/{name}.bin", data)
    hub.throttle = 100 << 10
    server = start("--downloads", "10")
    ids = {}
    for name in contents:
        body = {"source": "url", "model_id": hub.url(f"/{name}.bin"), "name": name}
        ids[name] = server.client.post("/models/download", json=body).json()["job_id"]
    jobs = server.client.get("/models/jobs").json()["jobs"]
    while not all(job["state"] == "running" and job["total_bytes"] for job in jobs):
        jobs = server.client.get("/models/jobs").json()["jobs"]
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    files = {path.stem: json.loads(path.read_text()) for path in (store / "jobs").glob("*.json")}
    assert {files[ident]["state"] for ident in ids.values()} == {"running"}

    hub.throttle = None
    again = start("--downloads", "10")
    jobs = again.client.get("/models/jobs").json()["jobs"]
    assert {job["id"] for job in jobs} == set(ids.values())
    for ident in ids.values():
        text = again.client.get(f"/models/jobs/{ident}/events").text
        assert "event: interrupted\n" in text
        assert "event: done\n" in text
    downloader = ModelDownloader(store)
    for name, data in contents.items():
        assert downloader.get_model_path(name).read_bytes() == data
        assert downloader.verify(name) == []
    assert again.end() == 0


def test_no_worker_goes_on_without_its_server(
    start: Callable[..., Process], hub: Hub, content: Content
) -> None:
    began, go = stall(hub, "/m.bin", content(1000))
    server = start()
    body = {"source": "url", "model_id": hub.url("/m.bin")}
    server.client.post("/models/download", json=body)
    assert began.wait(60)
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    [worker] = [int(pid) for pid in children.split()]
    server.end(signal.SIGKILL)
    go.set()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}/cmdline").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
            break
    else:
        assert not Path(f"/proc/{worker}/cmdline").exists()


def test_a_second_server_on_the_same_store_says_why_it_does_not_start(
    start: Callable[..., Process],
) -> None:
    start()
    with pytest.raises(AssertionError, match="another server runs the downloads of this store"):
        start()


def test_sigterm_ends_a_server_in_peace(start: Callable[..., Process], hub: Hub) -> None:
    began, go = stall(hub, "/m.bin", b"x" * 1000)
    server = start()
    body = {"source": "url", "model_id": hub.url("/m.bin")}
    job = server.client.post("/models/download", json=body).json()["job_id"]
    assert began.wait(60)
    assert server.end() == 0
    go.set()
    assert "stopped" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()
    again = start()
    assert "event: done\n" in again.client.get(f"/models/jobs/{job}/events").text
    assert again.end() == 0
