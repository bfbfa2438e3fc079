"""Downloads as jobs: from the request to the record, once, and what may go wrong between."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub, faults

if TYPE_CHECKING:
    from conftest import Running, Serve

Content = Callable[[int], bytes]


def ask(hub: Hub, path: str, **more: Any) -> dict[str, Any]:
    return {"source": "url", "model_id": hub.url(path), **more}


def hold(hub: Hub, path: str, content: bytes) -> threading.Event:
    """Serve a file whose first GET is answered when the event is set."""
    go, began = threading.Event(), threading.Event()
    hub.add(f"/kept{path}", content)

    def handler(request: Any) -> Any:
        if request.method == "GET":
            began.set()
            go.wait(30)
        return None

    hub.route(path, handler)
    hub.add(path, content)
    resource = hub._resources.pop(path)
    from torchinf_core.testing import serve

    hub.route(path, lambda request: (handler(request), serve(request, resource))[1])
    go.began = began  # type: ignore[attr-defined]
    return go


def test_a_download_is_a_job_that_ends_with_a_model(
    open_server: Running, hub: Hub, content: Content, store: Path
) -> None:
    data = content(100_000)
    hub.add("/m.bin", data)
    client = open_server.client()
    body = ask(hub, "/m.bin", name="mine", task="classification", pretrained=True)
    answer = client.post("/models/download", json=body)
    assert answer.status_code == 202
    job = answer.json()["job_id"]
    assert answer.headers["location"] == f"/models/jobs/{job}"
    assert client.get(answer.headers["location"]).json()["id"] == job
    events = open_server.events(job)
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    kinds = [kind for _, kind, _ in events]
    assert kinds[:2] == ["queued", "running"]
    assert kinds[-1] == "done"
    done = client.get(f"/models/jobs/{job}").json()
    assert (done["state"], done["model_name"], done["done_bytes"]) == ("done", "mine", len(data))
    assert done["result"]["fetched"] == len(data)
    info = client.get("/models/download/mine/info").json()
    assert info["model_name"] == "mine"
    assert info["info"]["task"] == "classification"
    assert info["info"]["files"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    path = ModelDownloader(store).get_model_path("mine")
    assert path.read_bytes() == data


def test_who_waits_gets_the_model(open_server: Running, hub: Hub, content: Content) -> None:
    hub.add("/m.bin", content(1000))
    client = open_server.client()
    first = client.post("/models/download?wait=true", json=ask(hub, "/m.bin"))
    assert first.status_code == 200
    assert first.json()["status"] == "downloaded"
    assert first.json()["info"]["name"] == "m"
    asked = len(hub.requests)
    second = client.post("/models/download", json=ask(hub, "/m.bin", task="a label"))
    assert second.status_code == 200
    assert second.json()["status"] == "cached"
    assert second.json()["info"]["task"] == "a label"
    assert len(hub.requests) == asked
    assert client.get("/models/jobs").json()["total"] == 1


def test_query_parameters_stand_in_for_a_body(
    open_server: Running, hub: Hub, content: Content
) -> None:
    hub.add("/m.bin", content(1000))
    query = {"source": "url", "model_id": hub.url("/m.bin"), "name": "q", "wait": "true",
             "pretrained": "true"}  # fmt: skip
    answer = open_server.client().post("/models/download", params=query)
    assert (answer.status_code, answer.json().get("model_name")) == (200, "q")


def test_a_failure_is_told_with_its_status(open_server: Running, hub: Hub) -> None:
    client = open_server.client()
    answer = client.post("/models/download?wait=true", json=ask(hub, "/nothing.bin"))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    [job] = client.get("/models/jobs").json()["jobs"]
    assert job["state"] == "failed"
    assert job["error"]["type"] == "urn:torchinf:error:model-not-found"
    assert "127.0.0.1" not in str(job["error"])
    assert [kind for _, kind, _ in open_server.events(job["id"])][-1] == "failed"


def test_what_failed_can_be_tried_again(open_server: Running, hub: Hub, content: Content) -> None:
    client = open_server.client()
    job = client.post("/models/download", json=ask(hub, "/m.bin")).json()["job_id"]
    assert open_server.finished(job)["state"] == "failed"
    hub.add("/m.bin", content(1000))
    answer = client.post(f"/models/jobs/{job}/retry")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/models/jobs/{job}")
    done = open_server.finished(job)
    assert (done["state"], done["attempt"], done["error"]) == ("done", 2, None)
    kinds = [kind for _, kind, _ in open_server.events(job)]
    assert kinds.count("queued") == 2
    assert client.post(f"/models/jobs/{job}/retry").status_code == 409


def test_equal_requests_are_one_job(open_server: Running, hub: Hub, content: Content) -> None:
    data = content(300_000)
    go = hold(hub, "/m.bin", data)
    client = open_server.client()
    answers = [client.post("/models/download", json=ask(hub, "/m.bin")) for _ in range(5)]
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert [answer.json()["joined"] for answer in answers] == [False, True, True, True, True]
    go.set()
    assert open_server.finished(answers[0].json()["job_id"])["state"] == "done"
    assert hub.bytes_sent("/m.bin") == len(data)


def test_another_request_for_the_same_content_waits_and_fetches_nothing(
    serve: Serve, hub: Hub, place: str, content: Content
) -> None:
    server = serve(url_hosts=(place,), allow_http=True, processes=True)
    data = content(300_000)
    go = hold(hub, "/m.bin", data)
    client = server.client()
    first = client.post("/models/download", json=ask(hub, "/m.bin")).json()["job_id"]
    assert go.began.wait(30)  # type: ignore[attr-defined]
    second = client.post("/models/download", json=ask(hub, "/m.bin", name="two")).json()["job_id"]
    behind = ""
    with client.stream("GET", f"/models/jobs/{second}/events") as stream:
        for line in stream.iter_lines():
            if line == "event: waiting":
                behind = client.get(f"/models/jobs/{second}").json()["behind"]
                go.set()
    assert behind == first
    assert server.finished(first)["state"] == server.finished(second)["state"] == "done"
    assert hub.bytes_sent("/m.bin") == len(data)
    names = client.get("/models/available").json()["available_models"]
    assert sorted(names) == ["m", "two"]


def test_a_full_queue_says_when_to_come_back(
    serve: Serve, hub: Hub, place: str, content: Content
) -> None:
    server = serve(url_hosts=(place,), allow_http=True, downloads=1, queue=2)
    go = hold(hub, "/a.bin", content(1000))
    for name in "bcd":
        hub.add(f"/{name}.bin", content(1000))
    client = server.client()
    first = client.post("/models/download", json=ask(hub, "/a.bin"))
    assert go.began.wait(30)  # type: ignore[attr-defined]
    taken = [client.post("/models/download", json=ask(hub, f"/{name}.bin")) for name in "bc"]
    full = client.post("/models/download", json=ask(hub, "/d.bin"))
    assert [answer.status_code for answer in (first, *taken, full)] == [202, 202, 202, 429]
    assert int(full.headers["retry-after"]) > 0
    health = client.get("/health").json()
    assert health["downloads"] == {"running": 1, "queued": 2}
    assert "the queue of downloads is full" in health["problems"]
    go.set()
    for answer in (first, *taken):
        assert server.finished(answer.json()["job_id"])["state"] == "done"


def test_a_waiting_job_can_be_cancelled(
    serve: Serve, hub: Hub, place: str, content: Content
) -> None:
    server = serve(url_hosts=(place,), allow_http=True, downloads=1)
    go = hold(hub, "/a.bin", content(1000))
    hub.add("/b.bin", content(1000))
    client = server.client()
    first = client.post("/models/download", json=ask(hub, "/a.bin")).json()["job_id"]
    second = client.post("/models/download", json=ask(hub, "/b.bin")).json()["job_id"]
    cancelled = client.delete(f"/models/jobs/{second}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert client.delete(f"/models/jobs/{second}").status_code == 409
    go.set()
    assert server.finished(first)["state"] == "done"
    assert hub.bytes_sent("/b.bin") == 0


def test_a_model_that_is_being_downloaded_is_not_removed(
    open_server: Running, hub: Hub, content: Content
) -> None:
    go = hold(hub, "/m.bin", content(1000))
    client = open_server.client()
    job = client.post("/models/download", json=ask(hub, "/m.bin", name="m")).json()["job_id"]
    refused = client.delete("/models/download/m")
    assert refused.status_code == 409
    assert job in refused.json()["hint"]
    go.set()
    open_server.finished(job)
    assert client.delete("/models/download/m").json()["removed"] == ["m"]
    assert client.delete("/models/download/m").status_code == 404


def test_a_client_that_leaves_leaves_the_job_running(
    open_server: Running, hub: Hub, content: Content
) -> None:
    import httpx

    go = hold(hub, "/m.bin", content(1000))
    client = open_server.client()
    with pytest.raises(httpx.ReadTimeout):
        client.post("/models/download?wait=true", json=ask(hub, "/m.bin"), timeout=1)
    [job] = client.get("/models/jobs").json()["jobs"]
    go.set()
    assert open_server.finished(job["id"])["state"] == "done"


def test_only_the_latest_jobs_are_remembered(
    serve: Serve, hub: Hub, place: str, store: Path
) -> None:
    server = serve(url_hosts=(place,), allow_http=True, keep_jobs=3)
    client = server.client()
    jobs = []
    for n in range(5):
        answer = client.post("/models/download?wait=true", json=ask(hub, f"/{n}.bin"))
        assert answer.status_code == 404
        jobs.append(client.get("/models/jobs").json()["jobs"][0]["id"])
    assert [job["id"] for job in client.get("/models/jobs").json()["jobs"]] == jobs[:1:-1]
    assert client.get(f"/models/jobs/{jobs[0]}").status_code == 404
    server.close()
    assert sorted({path.stem for path in (store / "jobs").glob("*.json")}) == jobs[2:]


def test_a_secret_in_a_url_is_shown_nowhere_and_forgotten_when_it_is_done(
    open_server: Running, hub: Hub, content: Content, store: Path
) -> None:
    hub.add("/m.bin", content(1000))
    client = open_server.client()
    body = ask(hub, "/m.bin?token=hush-hush", name="m")
    job = client.post("/models/download", json=body).json()["job_id"]
    assert open_server.finished(job)["state"] == "done"
    assert "hush" not in client.get("/models/jobs").text + client.get("/models/available").text
    for path in (store / "jobs").iterdir():
        assert b"hush" not in path.read_bytes()
    assert (store / "jobs").stat().st_mode & 0o077 == 0


def test_too_many_bytes_are_refused(serve: Serve, hub: Hub, place: str, content: Content) -> None:
    server = serve(url_hosts=(place,), allow_http=True, max_bytes=1000)
    hub.add("/m.bin", content(1001))
    answer = server.client().post("/models/download?wait=true", json=ask(hub, "/m.bin"))
    assert answer.status_code == 413


def test_a_damaged_transfer_is_a_bad_gateway(
    open_server: Running, hub: Hub, content: Content
) -> None:
    hub.add("/m.bin", content(1000))
    hub.fail("/m.bin", faults.status(503).always())
    answer = open_server.client().post("/models/download?wait=true", json=ask(hub, "/m.bin"))
    assert answer.status_code == 502
    assert hub.url("").split("/")[2] not in answer.text


def test_a_store_that_is_full_takes_no_more(
    serve: Serve, hub: Hub, place: str, content: Content
) -> None:
    server = serve(url_hosts=(place,), allow_http=True, max_store=500_000)
    statuses = []
    for name, size in (("a", 300_000), ("b", 300_000), ("c", 100_000)):
        hub.add(f"/{name}.bin", content(size))
        body = ask(hub, f"/{name}.bin")
        statuses.append(server.client().post("/models/download?wait=true", json=body).status_code)
    assert statuses == [200, 413, 200]
