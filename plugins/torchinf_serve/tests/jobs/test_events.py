"""Watching a job: from any event on, by any number of watchers, to its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from torchinf_core.testing import Hub
from torchinf_serve.jobs.events import EventLog

if TYPE_CHECKING:
    from conftest import Running, Serve


@pytest.fixture
def ended(open_server: Running, hub: Hub, content: Callable[[int], bytes]) -> str:
    """A job that is done."""
    hub.add("/m.bin", content(1000))
    body = {"source": "url", "model_id": hub.url("/m.bin")}
    job: str = open_server.client().post("/models/download", json=body).json()["job_id"]
    assert open_server.finished(job)["state"] == "done"
    return job


def test_any_event_can_be_the_last_one_seen(open_server: Running, ended: str) -> None:
    events = open_server.events(ended)
    assert len(events) >= 4
    for seen in range(len(events)):
        assert open_server.events(ended, **{"last-event-id": str(seen)}) == events[seen:]
    client = open_server.client()
    for last in (len(events), 10**8):
        answer = client.get(f"/models/jobs/{ended}/events", headers={"last-event-id": str(last)})
        assert answer.status_code == 204
    query = client.get(f"/models/jobs/{ended}/events?after=1").text
    assert query.startswith("id: 2\n")


@pytest.mark.parametrize("last", ["-1", "x", "1.5", "9" * 20, "٣"])
def test_what_is_no_id_of_an_event_is_refused(open_server: Running, ended: str, last: str) -> None:
    headers = {"last-event-id": last.encode()}
    answer = open_server.client().get(f"/models/jobs/{ended}/events", headers=headers)
    assert answer.status_code == 422


def test_events_survive_the_server(open_server: Running, serve: Serve, ended: str) -> None:
    before = open_server.events(ended)
    open_server.close()
    again = serve()
    assert again.events(ended) == before
    assert again.client().get(f"/models/jobs/{ended}").json()["state"] == "done"


def test_a_hundred_watchers_see_the_same(
    open_server: Running, hub: Hub, content: Callable[[int], bytes]
) -> None:
    go = threading.Event()
    hub.route("/m.bin", lambda request: go.wait(30) and None)
    body = {"source": "url", "model_id": hub.url("/m.bin")}
    job = open_server.client().post("/models/download", json=body).json()["job_id"]
    with ThreadPoolExecutor(100) as pool:
        watching = [pool.submit(open_server.events, job) for _ in range(100)]
        go.set()
        seen = [future.result(60) for future in watching]
    assert len(seen[0]) >= 3
    assert all(events == seen[0] for events in seen)


def test_a_silent_stream_shows_that_it_is_alive() -> None:
    async def watch() -> list[bytes]:
        log = EventLog([], closed=False)
        log.add("queued", {})
        stream = log.follow(0, heartbeat=0.01)
        found = [await anext(stream), await anext(stream), await anext(stream)]
        log.closed = True
        log.add("done", {})
        found += [part async for part in stream]
        return found

    first, beat, again, *rest = asyncio.run(watch())
    assert first.startswith(b"id: 1\nevent: queued\n")
    assert beat == again
    assert beat.startswith(b":")
    assert b"".join(rest).startswith(b"id: 2\nevent: done\n")


def test_a_server_that_stops_ends_its_streams(serve: Serve, hub: Hub, place: str) -> None:
    server = serve(url_hosts=(place,), allow_http=True)
    go = threading.Event()
    hub.route("/m.bin", lambda request: go.wait(30) and None)
    body = {"source": "url", "model_id": hub.url("/m.bin")}
    job = server.client().post("/models/download", json=body).json()["job_id"]
    with server.client().stream("GET", f"/models/jobs/{job}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "id: 1"
        server.server.should_exit = True
        assert "event: queued" in list(lines)
    go.set()
