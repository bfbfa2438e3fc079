"""The Open Inference Protocol, driven by the client that NVIDIA publishes for it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

http = pytest.importorskip("tritonclient.http")

from tritonclient.utils import InferenceServerException  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def connect() -> Any:
    made = []

    def run(server):
        made.append(http.InferenceServerClient(server.address))
        return made[-1]

    yield run
    for client in made:
        client.close()


def tensor(name, array, datatype, *, binary=True):
    made = http.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def test_the_server_and_its_models_are_described(graphs, serve, connect):
    with serve(graphs) as server:
        client = connect(server)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.get_server_metadata()["name"] == "torchinf"
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        known = client.get_model_metadata("trees")
        assert known["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}] or (
            known["inputs"][0]["datatype"] == "FP32"
        )
        [version] = known["versions"]
        assert client.get_model_metadata("trees", version)["versions"] == [version]
        assert client.is_model_ready("trees", version)
        with pytest.raises(InferenceServerException, match="no version"):
            client.get_model_metadata("trees", "999")
        with pytest.raises(InferenceServerException) as missing:
            client.get_model_metadata("nothing")
        assert missing.value.status() == "404"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("answer", [True, False])
def test_the_voice_detector_answers_in_json_and_in_binary(
    graphs, serve, connect, tone, binary, answer
):
    with serve(graphs) as server:
        client = connect(server)
        inputs = [
            tensor("input", tone["input"], "FP32", binary=binary),
            tensor("state", tone["state"], "FP32", binary=binary),
            tensor("sr", np.array([16000]), "INT64", binary=binary),
        ]
        outputs = [http.InferRequestedOutput("output", binary_data=answer)]
        result = client.infer("silero", inputs, request_id="7", outputs=outputs)
        assert result.as_numpy("output")[0, 0] == pytest.approx(0.1233494, abs=1e-5)
        assert result.as_numpy("stateN") is None
        assert result.get_response()["id"] == "7"
        everything = client.infer("silero", inputs)
        assert everything.as_numpy("stateN").shape == (2, 1, 128)
        state = tensor("state", everything.as_numpy("stateN"), "FP32")
        again = client.infer("silero", [inputs[0], state, inputs[2]])
        assert again.as_numpy("output").shape == (1, 1)


def test_many_requests_at_once_get_each_its_own_answer(graphs, serve, connect):
    with serve(graphs) as server:
        client = http.InferenceServerClient(server.address, concurrency=8)
        name = client.get_model_metadata("trees")["inputs"][0]["name"]
        rng = np.random.default_rng(0)
        rows = rng.standard_normal((40, 4)).astype(np.float32)
        sent = [client.async_infer("trees", [tensor(name, row[None], "FP32")]) for row in rows]
        output = client.get_model_metadata("trees")["outputs"][0]["name"]
        found = [request.get_result().as_numpy(output).reshape(-1)[0] for request in sent]
        together = client.infer("trees", [tensor(name, rows, "FP32")]).as_numpy(output)
        np.testing.assert_allclose(found, together.reshape(-1), rtol=1e-5)
        client.close()


def test_models_are_listed_loaded_and_unloaded_with_reasons(toys, serve, connect):
    toys.toy("toy")
    toys.toy("unloadable")
    with serve(toys) as server:
        client = connect(server)
        index = {model["name"]: model for model in client.get_model_repository_index()}
        assert index["toy"]["state"] == "UNAVAILABLE"
        assert "not loaded yet" in index["toy"]["reason"]
        assert not client.is_model_ready("toy")
        client.load_model("toy")
        assert client.is_model_ready("toy")
        with pytest.raises(InferenceServerException, match="no runtime") as failed:
            client.load_model("unloadable")
        assert "secret" not in str(failed.value)
        index = {model["name"]: model for model in client.get_model_repository_index()}
        assert index["toy"]["state"] == "READY"
        assert index["toy"]["reason"] == ""
        assert "no runtime" in index["unloadable"]["reason"]
        with server.client() as plain:
            ready = plain.post("/v2/repository/index", json={"ready": True}).json()
            assert [model["name"] for model in ready] == ["toy"]
            reason = plain.get("/v2/models/unloadable/ready")
            assert reason.status_code == 503
            assert "no runtime" in reason.json()["reason"]
        client.unload_model("toy")
        assert not client.is_model_ready("toy")
        index = {model["name"]: model for model in client.get_model_repository_index()}
        assert index["toy"]["reason"] == "unloaded on request"
        x = np.ones((1, 4), np.float32)
        assert client.infer("toy", [tensor("x", x, "FP32")]).as_numpy("y").tolist() == [10.0]
        for call in (client.load_model, client.unload_model):
            with pytest.raises(InferenceServerException) as missing:
                call("nothing")
            assert missing.value.status() == "404"
        with pytest.raises(InferenceServerException, match="settings"):
            client.load_model("toy", config="{}")
        with pytest.raises(InferenceServerException, match="settings"):
            client.load_model("toy", config="{}", files={"file:1/model.py": b"evil"})


def test_a_pipeline_takes_texts_as_bytes(toys, serve, connect):
    toys.toy("text-a")
    with serve(toys) as server:
        client = connect(server)
        inputs = client.get_model_metadata("text-a")["inputs"]
        assert {"name": "text", "datatype": "BYTES", "shape": [-1], "optional": True} in inputs
        texts = np.array(["one", "two"], object)
        for binary in (True, False):
            sent = [tensor("text", texts, "BYTES", binary=binary)]
            for output in (True, False):
                wanted = [http.InferRequestedOutput("result", binary_data=output)]
                found = client.infer(
                    "text-a", sent, outputs=wanted, parameters={"top": 2}
                ).as_numpy("result")
                rows = [json.loads(text) for text in found]
                assert [[row["label"] for row in each] for each in rows] == [
                    ["one", "one"],
                    ["two", "two"],
                ]


def test_a_pipeline_takes_pictures_and_dicts_as_bytes(toys, serve, connect):
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (3, 2)).save(file, "PNG")
    toys.toy("image-a")
    toys.toy("mapping-a")
    with serve(toys) as server:
        client = connect(server)
        picture = np.array([file.getvalue()], object)
        found = client.infer("image-a", [tensor("image", picture, "BYTES")]).as_numpy("result")
        assert json.loads(found[0])[0]["label"] == [3, 2]
        asked = np.array(['{"question": "why"}'], object)
        found = client.infer("mapping-a", [tensor("mapping", asked, "BYTES")]).as_numpy("result")
        assert json.loads(found[0])[0]["label"] == {"question": "why"}
        with pytest.raises(InferenceServerException, match="no JSON"):
            client.infer("mapping-a", [tensor("mapping", np.array(["{"], object), "BYTES")])


def infer(**tensor_fields):
    return {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", **tensor_fields}]}


@pytest.mark.parametrize(
    ("request_body", "status"),
    [
        ({}, 400),
        ({"inputs": [1]}, 400),
        ({"inputs": []}, 422),
        (infer(), 400),
        (infer(data=[1, 2, 3]), 422),
        (infer(data=["a", "b", "c", "d"]), 422),
        (infer(data=[[1, 2], [3]]), 422),
        (infer(data=[1, 2, 3, 4], datatype="FP8"), 400),
        (infer(data=[1, 2, 3, 4], datatype="INT64"), 422),
        (infer(data=[1, 2, 3, 4.5], datatype="INT32"), 422),
        (infer(data=["a"] * 4, datatype="BYTES"), 422),
        (infer(data=[1, 2, 3, 4], shape=[-1, 4]), 400),
        (infer(data=[1, 2, 3, 4], shape=[4]), 422),
        (infer(data=[1, 2, 3, 4], shape=[1] * 40), 400),
        (infer(data=[1, 2, 3, 4], name="z"), 422),
        (infer(parameters={"binary_data_size": 16}), 400),
        (infer(parameters={"binary_data_size": -1}), 400),
        ({**infer(data=[1, 2, 3, 4]), "outputs": [{"name": "z"}]}, 422),
        ({**infer(data=[1, 2, 3, 4]), "parameters": 3}, 400),
        (
            {
                **infer(data=[1, 2, 3, 4]),
                "outputs": [{"name": "y", "parameters": {"classification": 2}}],
            },
            422,
        ),
    ],
)
def test_wrong_requests_are_errors_of_the_protocol(toys, serve, request_body, status):
    toys.toy("toy")
    with serve(toys) as server, server.client() as client:
        answer = client.post("/v2/models/toy/infer", json=request_body)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["error"], str)
    assert list(answer.json()) == ["error"]


def test_binary_bodies_must_be_as_long_as_they_say(toys, serve):
    toys.toy("toy")
    x = np.ones((1, 4), np.float32).tobytes()
    head = json.dumps(infer(parameters={"binary_data_size": len(x)})).encode()
    with serve(toys) as server, server.client() as client:

        def post(content, length):
            headers = {"inference-header-content-length": str(length)}
            return client.post("/v2/models/toy/infer", content=content, headers=headers)

        assert post(head + x, len(head)).json()["outputs"][0]["data"] == [10.0]
        for content, length in (
            (head + x[:-1], len(head)),
            (head + x + b"x", len(head)),
            (head + x, len(head) + 99),
            (head + x, "x"),
            (head + x, 3),
        ):
            assert post(content, length).status_code == 400
        odd = json.dumps(infer(parameters={"binary_data_size": 15})).encode()
        assert post(odd + x[:15], len(odd)).status_code == 400
        texts = {"name": "x", "shape": [1], "datatype": "BYTES"}
        for content in (b"\x05\0\0\0abc", b"\x05\0"):
            texts["parameters"] = {"binary_data_size": len(content)}
            odd = json.dumps({"inputs": [texts]}).encode()
            assert post(odd + content, len(odd)).status_code == 400


def test_compressed_bodies_are_refused_in_words(graphs, serve, connect):
    with serve(graphs) as server:
        client = connect(server)
        x = tensor("X", np.ones((1, 4), np.float32), "FP32")
        with pytest.raises(InferenceServerException, match="gzip"):
            client.infer("trees", [x], request_compression_algorithm="gzip")
