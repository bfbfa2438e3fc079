"""``POST /models/{name}/predict`` against a real server."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest

from torchinf_core.types import Trust


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture
def picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (6, 5), "red").save(file, "PNG")
    return file.getvalue()


def test_lists_of_numbers_give_arrays_with_shape_and_dtype(toys, serve):
    record = toys.toy("toy")
    with serve(toys) as server:
        answer = server.predict("toy", [[1, 0, 0, 0], [0, 1, 0, 0]])
    assert answer.status_code == 200
    assert answer.json() == {
        "model": "toy",
        "version": record.generation[:12],
        "outputs": {"y": {"shape": [2], "dtype": "float32", "data": [1.0, 2.0]}},
    }
    assert "compute;dur=" in answer.headers["server-timing"]


def test_a_missing_batch_axis_is_added_and_taken_off_again(toys, serve):
    toys.toy("toy")
    with serve(toys) as server:
        answer = server.predict("toy", {"x": [1, 0, 0, 2]})
    assert answer.json()["outputs"]["y"] == {"shape": [], "dtype": "float32", "data": 9.0}


def test_an_array_can_be_sent_as_answers_show_it(toys, serve):
    toys.toy("toy")
    with serve(toys) as server:
        x = {"shape": [1, 4], "dtype": "float32", "data": [1, 2, 3, 4]}
        assert server.predict("toy", {"x": x}).json()["outputs"]["y"]["data"] == [30.0]
        assert server.predict("toy", {"x": {**x, "dtype": "object"}}).status_code == 422
        assert server.predict("toy", {"x": {**x, "shape": [9]}}).status_code == 422
        assert server.predict("toy", {"x": {"shape": [1]}}).status_code == 422


def test_what_json_has_no_word_for_is_null(toys, serve):
    toys.toy("toy", weights=[float("inf"), 0, 0, 0])
    toys.toy("text-a")
    with serve(toys) as server:
        assert server.predict("toy", [[1, 0, 0, 0]]).json()["outputs"]["y"]["data"] == [None]
        assert server.predict("text-a", "hi").json()["result"] == [{"label": "hi", "score": None}]


def test_texts_go_through_the_pipeline_with_options(toys, serve):
    toys.toy("text-a")
    with serve(toys) as server:
        answer = server.predict("text-a", ["one", "/etc/passwd"], options={"top": 2}).json()
        assert [[row["label"] for row in rows] for rows in answer["result"]] == [
            ["one", "one"],
            ["/etc/passwd", "/etc/passwd"],
        ]
        wrong = server.predict("text-a", "one", options={"bottom": 2})
        assert wrong.status_code == 422
        assert "bottom" in wrong.json()["detail"]


def test_dicts_go_through_the_pipeline(toys, serve):
    toys.toy("mapping-a")
    with serve(toys) as server:
        answer = server.predict("mapping-a", {"question": "why"}).json()
        assert answer["result"][0]["label"] == {"question": "why"}
        assert server.predict("mapping-a", "why").status_code == 422


def test_pictures_come_as_bytes_as_forms_and_in_base64(toys, serve, picture):
    toys.toy("image-a")
    text = base64.b64encode(picture).decode()
    with serve(toys) as server, server.client() as client:
        where = "/models/image-a/predict"
        answers = [
            client.post(where, content=picture, headers={"content-type": "image/png"}),
            client.post(
                where, content=picture, headers={"content-type": "application/octet-stream"}
            ),
            client.post(where, files={"file": ("a.png", picture, "image/png")}),
            client.post(where, json={"inputs": {"base64": text}}),
            client.post(where, json={"inputs": f"data:image/png;base64,{text}"}),
            client.post(
                where,
                content=npy(np.zeros((5, 6, 3), np.uint8)),
                headers={"content-type": "application/x-npy"},
            ),
        ]
        for answer in answers:
            assert answer.status_code == 200, answer.text
            assert answer.json()["result"] == [{"label": [6, 5], "score": None}]
        several = client.post(
            where, files=[("a", picture), ("b", picture)], data={"options": '{"top": 2}'}
        )
        assert [len(rows) for rows in several.json()["result"]] == [2, 2]
        query = client.post(
            f"{where}?top=3", content=picture, headers={"content-type": "image/png"}
        )
        assert len(query.json()["result"]) == 3


@pytest.mark.parametrize("path", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/a.png"])
def test_no_text_is_taken_for_a_path_or_an_address(toys, serve, path):
    toys.toy("toy")
    toys.toy("image-a")
    with serve(toys) as server:
        for name in ("toy", "image-a"):
            for inputs in (path, [path], {"x": path}, {"base64": path}):
                assert server.predict(name, inputs).status_code == 422


def test_a_npy_body_is_read_without_unpickling(toys, serve):
    toys.toy("toy")
    kind = {"content-type": "application/octet-stream"}
    with serve(toys) as server, server.client() as client:
        where = "/models/toy/predict"
        x = np.ones((2, 4), np.float32)
        assert client.post(where, content=npy(x), headers=kind).json()["outputs"]["y"]["data"] == [
            10.0,
            10.0,
        ]
        binary = client.post(
            where, content=npy(x), headers={**kind, "accept": "application/octet-stream"}
        )
        assert np.load(io.BytesIO(binary.content), allow_pickle=False).tolist() == [10.0, 10.0]
        columns = client.post(where, content=npy(np.asfortranarray(x)), headers=kind)
        assert columns.status_code == 200
        for bad in (
            b"",
            b"\x93NUMPY",
            b"\x93NUMPY\x09\x00" + bytes(20),
            npy(x)[:-1],
            npy(x) + b"more",
            npy(np.array(["text"])),
            npy(np.zeros(2, np.float32)).replace(b"(2,)", b"(-2,)"),
            npy(x).replace(b"'<f4'", b"'|O8'"),
            npy(x).replace(b"(2, 4)", b"(9**9)"),
        ):
            answer = client.post(where, content=bad, headers=kind)
            assert answer.status_code in (400, 422), bad


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"inputs": [[1,1,1,NaN]]}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"inputs": []}', "application/json", 422),
        (b'{"inputs": null}', "application/json", 422),
        (b'{"inputs": [[1,2],[3]]}', "application/json", 422),
        (b'{"inputs": [["a","b","c","d"]]}', "application/json", 422),
        (b'{"inputs": [[1e999,1,1,1]]}', "application/json", 400),
        (b'{"inputs": {"z": [1]}}', "application/json", 422),
        (b'{"inputs": [[1,1,1,1]], "trust": true}', "application/json", 422),
        (b'{"inputs": [[1,1,1,1]], "options": {"top": 1}}', "application/json", 422),
        (b'{"inputs": [[1,1,1,1]], "options": []}', "application/json", 422),
        (b'{"inputs": [[1,1,1,1]], "options": [1]}', "application/json", 422),
        (b"x", "text/plain", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=a", 400),
        (b"--a--", "multipart/form-data; boundary=a", 422),
        (b"x", "image/png", 422),
    ],
)
def test_what_the_model_can_not_take_is_a_problem_of_the_client(toys, serve, content, kind, status):
    toys.toy("toy")
    with serve(toys) as server, server.client() as client:
        answer = client.post("/models/toy/predict", content=content, headers={"content-type": kind})
    if content.endswith(b'"options": []}'):
        status = 200  # no options at all
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_the_body_has_a_largest_size(toys, serve):
    toys.toy("toy")
    with serve(toys, max_predict_body=1000) as server, server.client() as client:
        kind = {"content-type": "application/json"}
        assert (
            client.post("/models/toy/predict", content=b"x" * 1001, headers=kind).status_code == 413
        )
        parts = (b"x" * 600 for _ in range(2))
        assert client.post("/models/toy/predict", content=parts, headers=kind).status_code == 413


def test_a_number_that_does_not_fit_is_refused(toys, serve):
    toys.toy("toy")
    with serve(toys) as server:
        for inputs in ([[1e300, 2, 3, 4]], {"x": [[1e300, 2, 3, 4]]}):
            answer = server.predict("toy", inputs)
            assert answer.status_code == 422, answer.text
            assert "overflow" in answer.json()["detail"]


def test_bodies_have_room_together_and_give_it_back(toys, serve):
    toys.toy("toy")
    body = b'{"inputs": [[1, 2, 3, 4]]}'
    kind = {"content-type": "application/json"}
    with serve(toys, predict_bytes=len(body) + 1) as server, server.client() as client:

        def ask(content):
            return client.post("/models/toy/predict", content=content, headers=kind)

        for _ in range(3):
            assert ask(body).status_code == 200
            assert ask(iter([body[:5], body[5:]])).status_code == 200
            refused = ask(body + b"  ")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert ask(iter([body, b"  "])).status_code == 503
            assert ask(b"no JSON").status_code == 400


def test_a_model_that_is_not_stored_is_not_found_and_not_fetched(toys, serve):
    with serve(toys) as server:
        for name in ("nothing", "toybox:toy", "..", "https:%2F%2F127.0.0.1%2Fa.onnx"):
            assert server.predict(name, [1]).status_code in (404, 405), name
    assert toys.module.LOADS == []


def test_a_model_that_no_runtime_loads_says_so_without_paths(toys, serve):
    toys.toy("unloadable")
    with serve(toys) as server:
        answer = server.predict("unloadable", [1])
    assert answer.status_code == 501
    assert "no runtime loads" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_code_runs_only_where_it_was_trusted_and_the_server_allows_it(toys, serve):
    toys.toy("code", trust=Trust.CODE)
    toys.toy("trusted", trust=Trust.CODE, trusted="torchinf trust on 2026-01-01T00:00:00Z")
    with serve(toys) as server:
        assert server.predict("trusted", [[1, 0, 0, 0]]).status_code == 403
    with serve(toys, allow_code=("trusted", "code")) as server:
        assert server.predict("trusted", [[1, 0, 0, 0]]).status_code == 200
        assert server.predict("code", [[1, 0, 0, 0]]).status_code == 403
    assert toys.module.LOADS == ["trusted"]


def test_a_failure_inside_the_model_is_told_without_paths(toys, serve):
    toys.toy("text-a")
    with serve(toys) as server:
        answer = server.predict("text-a", "boom")
    assert answer.status_code == 422
    assert "boom" in answer.json()["detail"]
    assert "passwd" not in answer.text


def test_many_clients_that_want_a_model_load_it_once(toys, serve):
    from concurrent.futures import ThreadPoolExecutor

    toys.toy("toy")
    with serve(toys) as server, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.predict("toy", [[1, 0, 0, 0]]), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert toys.module.LOADS == ["toy"]


def test_a_model_with_new_content_is_loaded_anew(toys, serve, monkeypatch):
    monkeypatch.setattr("torchinf_serve.computing.served.CHECK_SECONDS", -1)
    toys.toy("toy")
    with serve(toys) as server:
        assert server.predict("toy", [[1, 0, 0, 0]]).json()["outputs"]["y"]["data"] == [1.0]
        toys.toy("toy", weights=(5, 5, 5, 5))
        assert server.predict("toy", [[1, 0, 0, 0]]).json()["outputs"]["y"]["data"] == [5.0]
        toys.toy("toy", weights=(6, 6, 6, 6), trust=Trust.CODE)
        for _ in range(3):
            assert server.predict("toy", [[1, 0, 0, 0]]).status_code == 403
        toys.toy("toy")
        with server.client() as client:
            client.post("/v2/repository/models/toy/load")
        assert server.predict("toy", [[1, 0, 0, 0]]).status_code == 200
        toys.registry.remove("toy")
        assert server.predict("toy", [[1, 0, 0, 0]]).status_code == 404


def test_models_make_room_for_each_other(toys, serve):
    toys.toy("one", weights=(1, 1, 1, 1))
    toys.toy("two", weights=(2, 2, 2, 2))
    size = toys.registry.get("one").size
    toys.settings = {"memory_budget": size + 1}
    with serve(toys) as server:
        for name, expected in (("one", 4.0), ("two", 8.0), ("one", 4.0)):
            answer = server.predict(name, [[1, 1, 1, 1]]).json()
            assert answer["outputs"]["y"]["data"] == [expected]
            assert server.predictions.pool.held() == {name}
    assert toys.module.LOADS == ["one", "two", "one"]


def test_a_stopping_server_finishes_what_it_took_and_refuses_the_rest(toys, serve):
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    toys.toy("toy")
    with serve(toys) as server, ThreadPoolExecutor(1) as pool, server.client() as client:
        server.predict("toy", [[1, 0, 0, 0]])
        module = toys.module
        while module.ENTERED.acquire(blocking=False):
            pass
        module.GO.clear()
        running = pool.submit(server.predict, "toy", [[1, 0, 0, 0]])
        assert module.ENTERED.acquire(timeout=30)
        stopped = asyncio.run_coroutine_threadsafe(server.predictions.shutdown(30), server.loop)
        while client.get("/v2/health/ready").status_code != 503:
            pass
        refused = server.predict("toy", [[1, 0, 0, 0]])
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        module.GO.set()
        assert running.result(30).status_code == 200
        stopped.result(30)
        assert server.predictions.health()["loaded"] == 0


def test_the_voice_detector_of_silero_answers_as_known(graphs, serve, tone):
    inputs = {name: array.tolist() for name, array in tone.items()}
    with serve(graphs) as server:
        answer = server.predict("silero", inputs).json()
    assert answer["outputs"]["output"]["data"][0][0] == pytest.approx(0.1233494, abs=1e-5)
    assert answer["outputs"]["stateN"]["shape"] == [2, 1, 128]


def test_what_is_not_there_is_said_in_the_form_of_its_neighbours(toys, serve):
    with serve(toys) as server, server.client() as client:
        missing = client.get("/models/toy/other")
        assert missing.status_code == 404
        assert missing.json()["detail"] == "there is nothing here"
        wrong = client.get("/models/toy/predict")
        assert wrong.status_code == 405
        assert wrong.headers["allow"] == "POST"
        assert client.post("/v2/health/live").json() == {"error": "not with this method"}
        assert client.get("/v2/nothing").json() == {"error": "there is nothing here"}
        assert client.get("/v2").json()["name"] == "torchinf"


def test_the_routes_serve_another_app_as_well(toys, serve):
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    with serve(toys) as server:
        app = Starlette(routes=server.predictions.routes())
        assert TestClient(app).get("/v2/health/live").json() == {"live": True}
