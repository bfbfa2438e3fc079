"""A plain FastAPI app with a ``def`` handler, as tutorials write it: run by uvicorn."""

from __future__ import annotations

import io
import os
from typing import Annotated, Any

import numpy as np
import onnxruntime as ort
from fastapi import Body, FastAPI
from pydantic import BaseModel

SESSION = ort.InferenceSession(os.environ["BENCH_MODEL"], providers=["CPUExecutionProvider"])
NAMES = [output.name for output in SESSION.get_outputs()]
app = FastAPI()


class Inputs(BaseModel):
    """Of silero."""

    input: list[list[float]]
    state: list[list[list[float]]]
    sr: int


class Asked(BaseModel):
    """The body."""

    inputs: Inputs


@app.post("/predict")
def predict(asked: Asked) -> dict[str, Any]:
    feeds = {
        "input": np.array(asked.inputs.input, np.float32),
        "state": np.array(asked.inputs.state, np.float32),
        "sr": np.array(asked.inputs.sr),
    }
    outputs = SESSION.run(NAMES, feeds)
    return {name: array.tolist() for name, array in zip(NAMES, outputs, strict=True)}


@app.post("/npy")
def predict_npy(
    body: Annotated[bytes, Body(media_type="application/octet-stream")],
) -> dict[str, Any]:
    array = np.load(io.BytesIO(body), allow_pickle=False)
    return {"y": SESSION.run(NAMES, {"x": array})[0].tolist()}
