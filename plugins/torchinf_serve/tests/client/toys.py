"""A source and a runtime of numpy alone: a model for each kind of input."""

import json

import numpy as np

from torchinf_core import (
    Architecture,
    Claim,
    InputError,
    Plan,
    Predictor,
    RemoteFile,
    Signature,
    SourceInfo,
    TensorSpec,
    hookimpl,
)

X = TensorSpec("x", "float32", ("batch", 4))


@hookimpl
def sources():
    yield SourceInfo("toybox", ("toybox",), "Toys", ("toybox:text",))


@hookimpl
def resolve(ref, host):
    url = f"{host.setting('host')}/{ref.locator}/toy.json"
    return Plan(ref, ref.locator, (RemoteFile("toy.json", url),), format="toy", license="mit")


def _labels(kind, item):
    if kind == "image":
        red, green, blue = (float(c) / 255 for c in np.asarray(item).mean((0, 1)))
        found = {"red": red, "green": green, "blue": blue}
    elif kind == "text":
        if "boom" in item:
            raise InputError("it goes boom")
        found = {f"love of {item}": 0.75, f"hate of {item}": 0.25}
    else:
        found = {item["context"].split()[0]: 0.5}
    rows = [{"label": label, "score": score} for label, score in found.items()]
    return sorted(rows, key=lambda row: -row["score"])


@hookimpl
def architecture(artifact, ref):
    kind = artifact.name if artifact.name in ("text", "image", "mapping") else "array"

    def pipeline(_run):
        return lambda items, options: [_labels(kind, i)[: options.get("top", 3)] for i in items]

    return Architecture(
        name=f"toy {ref.locator}",
        signature=Signature((X,)),
        kind=kind,
        build=lambda: None,
        pipeline=pipeline if kind != "array" else None,
        options=("top",),
    )


@hookimpl
def claim(artifact):
    return Claim(100 if artifact.format == "toy" else 0, "cpu", "made for toys")


class Toy(Predictor):
    def __init__(self, artifact, claim, options):
        outputs = [TensorSpec("y", "float32", ("batch",))]
        if artifact.name == "two":
            outputs.append(TensorSpec("z", "int64", ("batch",)))
        super().__init__(artifact, claim, Signature((X,), tuple(outputs)), options)
        self.weights = np.array(json.loads(artifact.path("toy.json").read_text()), np.float32)

    def run(self, feeds):
        y = feeds["x"] @ self.weights
        if len(self.signature.outputs) == 1:
            return {"y": y}
        return {"y": y, "z": y.astype(np.int64)}


@hookimpl
def load(artifact, claim, options):
    return Toy(artifact, claim, options)
