"""The two models of the comparison, and the bodies that clients send."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One model and one request.

    Attributes:
        name: of the model.
        path: of its graph.
        kind: ``json`` or ``binary``, what a request is made of.
        json: body for the peers that take JSON.
        npy: body for those that take an array as a file.
    """

    name: str
    path: Path
    kind: str
    json: bytes = b""
    npy: bytes = b""


def silero(folder: Path) -> Case:
    """The voice detector: half a millisecond, 832 numbers in, 257 out."""
    import numpy as np

    spec = find_spec("silero_vad")
    assert spec is not None, "pip install --no-deps silero-vad"
    assert spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0]) / "data/silero_vad.onnx"
    path = folder / "silero.onnx"
    path.write_bytes(source.read_bytes())
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {
        "input": (rng.standard_normal((1, 576)) * 0.1).round(5).tolist(),
        "state": (rng.standard_normal((2, 1, 128)) * 0.1).round(5).tolist(),
        "sr": 16000,
    }
    return Case("silero", path, "json", json.dumps({"inputs": inputs}).encode())


def resnet18(folder: Path) -> Case:
    """A picture network with random weights: 11.7 million of them, 602 kB in, 4 kB out."""
    import numpy as np
    import torch
    import torchvision

    path = folder / "resnet18.onnx"
    if not path.exists():
        torch.manual_seed(0)
        module = torchvision.models.resnet18().eval()
        torch.onnx.export(
            module,
            (torch.randn(2, 3, 224, 224),),
            str(path),
            input_names=["x"],
            output_names=["y"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
            dynamo=True,
            external_data=False,
        )
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32))
    return Case("resnet18", path, "binary", npy=file.getvalue())


CASES = {"silero": silero, "resnet18": resnet18}
