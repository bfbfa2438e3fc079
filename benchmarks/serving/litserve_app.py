"""The same with LitServe, which takes JSON: a ``.npy`` file is in it as base64."""

import base64
import io
import os
import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime as ort
from fastapi import Request


class Silero(litserve.LitAPI):
    """JSON in, JSON out."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        path = os.environ["BENCH_MODEL"]
        self.session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def decode_request(self, request: Request) -> Any:
        inputs = request["inputs"]
        return {
            "input": np.array(inputs["input"], np.float32),
            "state": np.array(inputs["state"], np.float32),
        }

    def batch(self, inputs: list[Any]) -> Any:
        return {
            "input": np.concatenate([each["input"] for each in inputs]),
            "state": np.concatenate([each["state"] for each in inputs], 1),
        }

    def predict(self, feeds: Any) -> Any:
        return self.session.run(self.names, {**feeds, "sr": np.array(16000)})

    def unbatch(self, outputs: Any) -> Any:
        output, state = outputs
        return [(output[i : i + 1], state[:, i : i + 1]) for i in range(len(output))]

    def encode_response(self, outputs: Any) -> Any:
        return {n: array.tolist() for n, array in zip(self.names, outputs, strict=True)}


class Resnet(Silero):
    """A file in, JSON out."""

    def decode_request(self, request: Request) -> Any:
        return np.load(io.BytesIO(base64.b64decode(request["file"])), allow_pickle=False)

    def batch(self, inputs: list[Any]) -> Any:
        return np.concatenate(inputs)

    def predict(self, x: Any) -> Any:
        return self.session.run(self.names, {"x": x})[0]

    def unbatch(self, outputs: Any) -> Any:
        return [outputs[i : i + 1] for i in range(len(outputs))]

    def encode_response(self, outputs: Any) -> Any:
        return {"y": outputs.tolist()}


def main() -> None:
    kind = Silero if sys.argv[1] == "silero" else Resnet
    most = int(sys.argv[3])
    more = {"max_batch_size": most, "batch_timeout": 0.005} if most > 1 else {}
    server = litserve.LitServer(kind(**more), accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(
        port=int(sys.argv[2]), host="127.0.0.1", log_level="error", generate_client_file=False
    )


if __name__ == "__main__":
    main()
