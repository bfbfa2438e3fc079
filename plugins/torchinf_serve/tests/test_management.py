"""The endpoints of the feature document, as it words them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.plugins import PluginState
from torchinf_core.testing import Hub

if TYPE_CHECKING:
    from conftest import Running, Serve


@pytest.fixture
def server(serve: Serve, store: Path, tmp_path: Path) -> Running:
    """A server whose store holds two models, one of them from a file of this machine."""
    downloader = ModelDownloader(store)
    for name in ("one", "two"):
        path = tmp_path / f"{name}.bin"
        path.write_bytes(name.encode() * 1000)
        downloader.download("url", str(path), name=name, tags=["test"])
    return serve()


def test_the_stored_models_are_listed_by_name(server: Running, tmp_path: Path) -> None:
    answer = server.client().get("/models/available")
    body = answer.json()
    assert body["total_available"] == 2
    assert sorted(body["available_models"]) == ["one", "two"]
    one = body["available_models"]["one"]
    assert (one["name"], one["source"], one["tags"]) == ("one", "url", ["test"])
    assert one["size_mb"] == pytest.approx(0.003)
    assert str(tmp_path) not in answer.text


def test_one_model_is_shown(server: Running) -> None:
    body = server.client().get("/models/download/one/info").json()
    assert body["model_name"] == "one"
    assert body["info"]["model_id"] == "one.bin"
    assert server.client().get("/models/download/three/info").status_code == 404


def test_a_model_is_removed(server: Running) -> None:
    client = server.client()
    assert client.delete("/models/download/one").json() == {
        "model_name": "one",
        "removed": ["one"],
    }
    assert list(client.get("/models/available").json()["available_models"]) == ["two"]


def test_all_models_are_removed_only_by_who_says_so_twice(server: Running) -> None:
    client = server.client()
    for query in ("", "?confirm=yes", "?confirm=", "?all=all"):
        assert client.delete(f"/models/download/all{query}").status_code == 422
    assert client.get("/models/available").json()["total_available"] == 2
    removed = client.delete("/models/download/all?confirm=all").json()["removed"]
    assert sorted(removed) == ["one", "two"]
    assert client.get("/models/available").json()["total_available"] == 0


def test_the_store_is_described_and_its_place_told_to_writers_alone(
    server: Running, store: Path, tokens: tuple[str, str]
) -> None:
    body = server.client().get("/models/cache/info").json()
    assert body["cache_directory"] == str(store)
    assert body["total_models"] == 2
    assert body["models"] == ["one", "two"]
    assert body["total_size_mb"] > 0
    hidden = server.client(tokens[1]).get("/models/cache/info")
    assert hidden.json()["cache_directory"] == "hidden"
    assert str(store) not in hidden.text


WRONG: list[tuple[Any, int]] = [
    ({"source": "url"}, 422),
    ({"model_id": "resnet18"}, 422),
    ({}, 422),
    ([], 422),
    ("text", 422),
    (None, 422),
    ({"source": "zoo", "model_id": "x", "unknown": 1}, 422),
    ({"source": 1, "model_id": "x"}, 422),
    ({"source": "torchvision", "model_id": "resnet18", "pretrained": "yes"}, 422),
    ({"source": "torchvision", "model_id": "resnet18", "name": "../x"}, 422),
    ({"source": "torchvision", "model_id": "resnet18", "name": "all"}, 422),
    ({"source": "torchvision", "model_id": "resnet18", "name": "x" * 129}, 422),
    ({"source": "torchvision", "model_id": "resnet18", "name": "a", "model_name": "b"}, 422),
    ({"source": "torchvision", "model_id": "x" * 5000}, 422),
    ({"source": "torchvision", "model_id": "a\r\nb"}, 422),
    ({"source": "no such source", "model_id": "x"}, 422),
    ({"source": "nosuch", "model_id": "x"}, 501),
    ({"source": "resnet18"}, 422),
    ({"source": "url", "model_id": "resnet18"}, 422),
    ({"source": "url", "model_id": "/etc/passwd"}, 422),
    ({"source": "url", "model_id": "etc/passwd"}, 422),
    ({"source": "file", "model_id": "/etc/passwd"}, 403),
    ({"source": "file", "model_id": "file:///etc/passwd"}, 403),
    ({"source": "url", "model_id": "file:///etc/passwd"}, 403),
    ({"source": "url", "model_id": "url:url:file:///etc/passwd"}, 403),
    ({"source": "URL", "model_id": "FILE:///etc/passwd"}, 403),
    ({"source": "hf", "model_id": "/etc"}, 403),
    ({"source": "hub", "model_id": "./x"}, 403),
    ({"source": "hub", "model_id": "~/x"}, 403),
    ({"source": "https", "model_id": "https://example.com/x"}, 403),
    ({"source": "url", "model_id": "https://u:p@example.com/x"}, 403),
    ({"source": "torchvision", "model_id": "resnet18", "trust": True}, 403),
    ({"source": "torchvision", "model_id": "resnet18", "trust": False}, 403),
    ({"source": "hf", "model_id": "a/b", "trust_remote_code": True}, 403),
    ({"source": "hf", "model_id": "a/b", "allow_pickle": True}, 403),
    ({"source": "hf", "model_id": "a/b", "weights_only": False}, 403),
    ({"source": "hf", "model_id": "a/b", "allow_unverified": True}, 403),
]


@pytest.mark.parametrize(("body", "status"), WRONG)
def test_what_can_not_be_asked_for_is_refused(serve: Serve, body: Any, status: int) -> None:
    server = serve()
    client = server.client()
    answer = client.post("/models/download", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert "/etc" not in answer.text
    assert client.get("/models/jobs").json()["total"] == 0


@pytest.mark.parametrize("query", ["trust=true", "trust_remote_code=1", "allow_pickle=true"])
def test_a_query_lets_no_code_run_either(serve: Serve, query: str) -> None:
    path = f"/models/download?source=hf&model_id=a/b&{query}"
    assert serve().client().post(path).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"\xff", b'{"a": NaN}', b'{"source":"hf","source":"url"}', b"[" * 60000,
        b'{"a":' * 10000, b'"' + b"\\ud800" * 10 + b'"', b"1" * 6000, b"1e999", b"\x00",
        b'{"source":"\\ud800","model_id":"x"}', b'{"source":"hf","model_id":"\\u0000"}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_proper_json_is_refused(serve: Serve, body: bytes) -> None:
    answer = (
        serve()
        .client()
        .post("/models/download", content=body, headers={"content-type": "application/json"})
    )
    assert answer.status_code == 422


def test_whether_a_file_is_here_is_told_to_nobody(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.bin").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    client = serve().client()
    for source in ("url", "hf", "torchvision"):
        answers = [
            client.post("/models/download", json={"source": source, "model_id": f"{name}.bin"})
            for name in ("here", "nowhere")
        ]
        texts = [
            answer.text.replace("nowhere", "here").split('"request_id"')[0]
            for answer in answers
            if "job_id" not in answer.json()
        ]
        assert len(set(texts)) <= 1


def test_sources_may_be_limited(serve: Serve) -> None:
    client = serve(sources=("torchvision",)).client()
    refused = client.post("/models/download", json={"source": "hf", "model_id": "a/b"})
    assert refused.status_code == 403
    assert "torchvision" in refused.json()["hint"]
    refused = client.post("/models/download", json={"source": "huggingface", "model_id": "a/b"})
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("allowed", "url", "status"),
    [
        ("models.example", "https://models.example/x", 202),
        ("models.example", "https://MODELS.example:443/x", 202),
        ("models.example", "https://models.example:8443/x", 403),
        ("models.example:8443", "https://models.example:8443/x", 202),
        ("models.example:8443", "https://models.example/x", 403),
        ("models.example", "http://models.example/x", 403),
        ("models.example", "https://models.example.evil.example/x", 403),
        ("models.example", "https://evil.example/?models.example", 403),
        ("models.example", "https://evil.example#@models.example", 422),
        ("models.example", "https://evil.example\\@models.example/", 422),
        ("models.example", "https://models.example@evil.example/", 403),
        ("models.example", "https://sub.models.example/x", 403),
        ("*.models.example", "https://sub.models.example/x", 202),
        ("*.models.example", "https://models.example/x", 403),
        ("*.models.example", "https://evilmodels.example/x", 403),
    ],
)
def test_urls_are_asked_of_allowed_hosts_alone(
    serve: Serve, allowed: str, url: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchinf_core.network.addresses.resolve", lambda *_: ["127.0.0.1"])
    client = serve(url_hosts=(allowed,)).client()
    answer = client.post("/models/download", json={"source": "url", "model_id": url})
    assert answer.status_code == status, answer.text


def test_health_says_what_is_wrong_in_words(serve: Serve, store: Path) -> None:
    server = serve()
    assert server.client(None).get("/health").json() == {
        "status": "ok",
        "problems": [],
        "downloads": {"running": 0, "queued": 0},
        "predictions": {"status": "ok"},
    }
    (store / "records" / "x-00000000.json").write_text("{")
    server.state._problems = server.state._look()
    answer = server.client(None).get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["problems"] == ["1 of the store's records can't be read"]


def test_health_names_the_plugins_that_do_not_work_at_all(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    words = ("ok", "broken", "incompatible", "duplicate", "conflict", "limited", "disabled")
    states = tuple(PluginState(f"is-{word}", word, "", "") for word in words)
    monkeypatch.setattr(server.state.plugins, "states", lambda: states)
    assert server.state._look() == [
        f"the plugin 'is-{word}' can't be used" for word in ("broken", "incompatible", "duplicate")
    ]


def test_a_store_that_can_not_be_written_is_out_of_service(serve: Serve, store: Path) -> None:
    server = serve()
    (store / "VERSION").write_text('{"layout": 99}')
    server.state._problems = server.state._look()
    answer = server.client(None).get("/health")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the store can't be written"]
    assert str(store) not in answer.text


def test_figures_count_downloads(
    open_server: Running, hub: Hub, content: Callable[[int], bytes]
) -> None:
    hub.add("/m.bin", content(1000))
    client = open_server.client()
    for path in ("/m.bin", "/nothing.bin"):
        body = {"source": "url", "model_id": hub.url(path)}
        client.post("/models/download?wait=true", json=body)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'source="url"' in answer.text
    assert "model-not-found" in answer.text


def test_figures_count_requests_by_route_and_not_by_path(serve: Serve) -> None:
    client = serve().client()
    for path in ("/models/available", "/models/download/x/info", "/models/jobs/y", "/z", "/health"):
        client.get(path)
    client.request("MADEUP", "/models/available")
    lines = [line for line in client.get("/metrics").text.splitlines() if "route=" in line]
    routes = {line.split('route="')[1].split('"')[0] for line in lines}
    assert routes >= {"/models/available", "/models/download/{model_name}/info",
                      "/models/jobs/{job_id}", "none"}  # fmt: skip
    assert not {"/z", "/models/jobs/y"} & routes
    assert "MADEUP" not in "".join(lines)


def test_the_description_of_the_api_names_every_endpoint(serve: Serve) -> None:
    schema = serve().client().get("/openapi.json").json()
    model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
    assert set(schema["paths"]) == {
        *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/repository/index"),
        *(f"{place}{end}" for place in (model, version) for end in ("", "/ready", "/infer")),
        *(f"/v2/repository/models/{{name}}/{end}" for end in ("load", "unload")),
        "/models/{name}/predict",
        "/models/download",
        "/models/available",
        "/models/download/{model_name}/info",
        "/models/download/{model_name}",
        "/models/cache/info",
        "/models/jobs",
        "/models/jobs/{job_id}",
        "/models/jobs/{job_id}/retry",
        "/models/jobs/{job_id}/events",
        "/health",
        "/metrics",
    }
    json.dumps(schema)


def test_a_method_that_a_route_has_not_is_405(serve: Serve) -> None:
    client = serve().client()
    answer = client.put("/models/available")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.headers["content-type"] == "application/problem+json"
