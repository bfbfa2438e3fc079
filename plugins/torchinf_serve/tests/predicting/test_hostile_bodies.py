"""Whatever a body holds, the answer is an error of the client, and the server goes on."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

STRANGE: list[Any] = [
    None, True, 0, -1, 1.5, 1 << 70, "", "x", "/etc/passwd", [], [[]], [None], {}, {"a": 1}, [{}],
    [[[[[]]]]], {"data": [], "shape": [], "dtype": "float32"}, {"base64": 1}, ["a", 1], [1, "a"],
    {"shape": [1 << 40], "dtype": "float32", "data": [1]}, {"x": {"x": {}}}, 1e300,
    {"shape": [-1], "dtype": "V8", "data": [1]}, {"shape": "x", "dtype": [], "data": {}},
]  # fmt: skip


def mutate(rng: random.Random, value: Any) -> Any:
    """The same with one part replaced by something strange."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        return {**value, key: mutate(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        return [*value[:place], mutate(rng, value[place]), *value[place + 1 :]]
    return rng.choice(STRANGE)


@pytest.mark.parametrize("name", ["toy", "text-a", "image-a", "mapping-a"])
def test_strange_bodies_are_refused_with_4xx(toys, serve, name):
    toys.toy(name)
    rng = random.Random(name)
    x = np.ones((1, 4), np.float32).tobytes()
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
    binary = {"name": "x", "shape": [1, 4], "datatype": "FP32"}
    infers = [
        {"inputs": [tensor], "id": "1", "outputs": [{"name": "y", "parameters": {}}]},
        {"inputs": [{**tensor, "datatype": "BYTES", "data": ["a"], "shape": [1]}]},
        {"inputs": [{**binary, "parameters": {"binary_data_size": 16}}], "parameters": {}},
    ]
    with serve(toys) as server, server.client() as client:
        for _ in range(150):
            body = mutate(rng, {"inputs": {"x": [[1, 2, 3, 4]]}, "options": {"top": 1}})
            answer = client.post(f"/models/{name}/predict", json=body)
            assert answer.status_code < 500, (body, answer.text)
            request = mutate(rng, rng.choice(infers))
            head = json.dumps(request).encode()
            headers = {"inference-header-content-length": str(len(head))}
            answer = client.post(f"/v2/models/{name}/infer", content=head + x, headers=headers)
            assert answer.status_code < 500, (request, answer.text)
            content = bytearray(b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order'")
            content += b": False, 'shape': (1, 4), }".ljust(86) + b"\n" + x
            for _ in range(3):
                content[rng.randrange(len(content))] = rng.randrange(256)
            kind = {"content-type": rng.choice(["application/octet-stream", "image/png"])}
            answer = client.post(f"/models/{name}/predict", content=bytes(content), headers=kind)
            assert answer.status_code < 500, (content, answer.text)
        assert client.get("/v2/health/ready").status_code == 200
