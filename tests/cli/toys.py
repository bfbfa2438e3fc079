"""A source and a runtime of numpy alone: a model for each kind of input."""

import json
import os
import sys

from torchinf_core import (
    Architecture,
    Candidate,
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

BATCHES = []
"""Sizes of the batches that the models computed."""
X = TensorSpec("x", "float32", ("batch", 4))
Y = TensorSpec("y", "float32", ("batch",))


def tell():
    """What libraries do while they load and compute."""
    print("a library prints")
    print("a library complains", file=sys.stderr)
    os.write(1, b"from below\n")
    os.write(2, b"from far below\n")


@hookimpl
def sources():
    yield SourceInfo("toybox", ("toybox",), "Toys", ("toybox:text",))


@hookimpl
def resolve(ref, host):
    url = f"{host.setting('host')}/{ref.locator}/toy.json"
    return Plan(ref, ref.locator, (RemoteFile("toy.json", url, 12),), format="toy")


def labels(items, options, scores):
    top = options.get("top", 3)
    return [
        sorted(
            ({"label": f"{word} of {item}", "score": score} for word, score in scores),
            key=lambda row: -row["score"],
        )[:top]
        for item in items
    ]


def answers(kind):
    def pipeline(run):
        def answer(items, options):
            import numpy as np

            BATCHES.append(len(items))
            tell()
            if kind == "image":
                rows = [np.asarray(item, np.float32).mean((0, 1)) for item in items]
                rows = np.stack([np.append(row, 1).astype(np.float32) for row in rows])
                run({"x": rows})
                names = ["red", "green", "blue"]
                return [
                    [
                        {"label": names[place], "score": float(row[place] / 255)}
                        for place in np.argsort(-row[:3])[: options.get("top", 3)]
                    ]
                    for row in rows
                ]
            if kind == "text":
                if any("boom" in item for item in items):
                    raise InputError("it goes boom")
                return labels(items, options, [("love", 0.75), ("hate", 0.25)])
            return [{"answer": item["context"].split()[0], "score": 0.5} for item in items]

        return answer

    return pipeline


@hookimpl
def architecture(artifact, ref):
    kind = artifact.name if artifact.name in ("text", "image", "mapping") else "array"
    return Architecture(
        name=f"toy {ref.locator}",
        signature=Signature((X,), (Y,)),
        kind=kind,
        pipeline=answers(kind) if kind != "array" else None,
        build=lambda: None,
        options=("top",),
    )


@hookimpl
def claim(artifact, device):
    if device not in ("auto", "cpu"):
        return Claim(0, device, f"there is no {device} here")
    if artifact.format != "toy":
        return Claim(0, "cpu", "it reads toys alone", hint="give it a toy")
    return Claim(110 if artifact.derived else 100, "cpu", "made for toys")


@hookimpl
def optimize(artifact, device):
    yield Candidate(label="packed", format="toy")
    yield Candidate(label="doubled", format="toy", options={"factor": 2})


class Toy(Predictor):
    def __init__(self, artifact, claim, options):
        super().__init__(artifact, claim, Signature((X,), (Y,)), options)
        import numpy as np

        self.weights = np.array(
            json.loads((artifact.parent or artifact).path("toy.json").read_text()), np.float32
        )
        if artifact.derived:
            self.weights = self.weights * np.float32(artifact.derived.options.get("factor", 1))

    def run(self, feeds):
        tell()
        BATCHES.append(len(feeds["x"]))
        if (feeds["x"] == 666).any():
            raise RuntimeError("the number of the beast")
        return {"y": feeds["x"] @ self.weights}


@hookimpl
def load(artifact, claim, options):
    tell()
    return Toy(artifact, claim, options)
