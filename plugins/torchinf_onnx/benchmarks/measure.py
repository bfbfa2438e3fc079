# ruff: noqa: INP001, S603
"""Measures this plugin beside onnxruntime alone: the overhead of a call, and the start.

    python plugins/torchinf_onnx/benchmarks/measure.py FOLDER

FOLDER gets 1 GB of models that are made on the spot.  Each start is a process of its
own, from an imported onnxruntime to the first result; the rounds are interleaved.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 7


def main(folder: Path) -> None:
    """Print one table."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, ways in {
        "weights": ("session", "tuned session", "plugin", "no prepacking"),
        "graph": ("session", "tuned session", "plugin", "derived"),
    }.items():
        make(folder / kind, kind)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way in ways:
                command = [sys.executable, __file__, "start", str(folder / kind), way]
                seconds[way].append(float(subprocess.check_output(command)))
        base = statistics.median(seconds["session"])
        for way, found in seconds.items():
            middle, least = statistics.median(found), min(found)
            share = f"{middle / base:.3f}  best {least / min(seconds['session']):.3f}"
            say(f"start, {kind:8} {way:24} {1e3 * middle:8.1f} ms  {share}")
    overhead(folder / "tiny")


def make(folder: Path, kind: str) -> None:
    """A model bound by its weights (500 MB) or by its graph (5,200 nodes), and its form."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    (folder / "form").mkdir(parents=True, exist_ok=True)
    random, node = np.random.default_rng(0), helper.make_node
    width, last = (2048, "x") if kind == "weights" else (32, "x")
    nodes, tensors = [], [numpy_helper.from_array(np.float32(2), "two")]
    tensors.append(numpy_helper.from_array(np.float32(1e-5), "epsilon"))
    for number in range({"weights": 30, "graph": 400, "tiny": 1}[kind]):
        p = f"{number}_"
        values = random.standard_normal((width, width), dtype=np.float32) / (width / 2) ** 0.5
        tensors.append(numpy_helper.from_array(values, f"{p}w"))
        if kind != "graph":
            nodes += [node("MatMul", [last, f"{p}w"], [f"{p}m"]), node("Relu", [f"{p}m"], [p])]
        else:
            ones = numpy_helper.from_array(np.ones(width, np.float32), f"{p}b")
            tensors.append(ones)
            nodes += [
                node("Transpose", [f"{p}w"], [f"{p}t"], perm=[1, 0]),
                node("MatMul", [last, f"{p}t"], [f"{p}m"]),
                node("Add", [f"{p}m", f"{p}b"], [f"{p}a"]),
                node("Add", [f"{p}a", last], [f"{p}r"]),
                node("ReduceMean", [f"{p}r"], [f"{p}e"], axes=[-1]),
                node("Sub", [f"{p}r", f"{p}e"], [f"{p}d"]),
                node("Pow", [f"{p}d", "two"], [f"{p}q"]),
                node("ReduceMean", [f"{p}q"], [f"{p}v"], axes=[-1]),
                node("Add", [f"{p}v", "epsilon"], [f"{p}y"]),
                node("Sqrt", [f"{p}y"], [f"{p}s"]),
                node("Div", [f"{p}d", f"{p}s"], [f"{p}n"]),
                node("Mul", [f"{p}n", f"{p}b"], [f"{p}c"]),
                node("Add", [f"{p}c", f"{p}b"], [p]),
            ]
        last = p
    sides = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])]
        for name in ("x", last)
    ]
    graph = helper.make_graph(nodes, "g", sides[0], sides[1], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "m.onnx.data").unlink(missing_ok=True)
    beside = kind == "weights"
    onnx.save(model, folder / "m.onnx", save_as_external_data=beside, location="m.onnx.data")
    from torchinf_onnx.optimising import save_optimised

    for path in (folder / "form").iterdir():
        path.unlink()
    save_optimised(folder / "m.onnx", folder / "form" / "model.onnx", "cpu", beside=beside)


def start(folder: Path, way: str) -> float:
    """Seconds from files to the first result."""
    import onnxruntime

    width = 2048 if folder.name == "weights" else 32
    x = np.ones((1, width), np.float32)
    if way.endswith("session"):
        options, path = onnxruntime.SessionOptions(), folder / "m.onnx"
        if way == "tuned session" and folder.name == "weights":
            options.add_session_config_entry("session.disable_prepacking", "1")
        elif way == "tuned session":
            levels = onnxruntime.GraphOptimizationLevel
            options.graph_optimization_level, path = (
                levels.ORT_DISABLE_ALL,
                folder / "form/model.onnx",
            )
        begun = time.perf_counter()
        session = onnxruntime.InferenceSession(path, options)
        session.run(None, {"x": x})
        return time.perf_counter() - begun
    import torchinf_onnx.loading  # noqa: F401 - imports are not what is compared

    artifact = open_artifact(folder / "form" if "derived" in way else folder)
    begun = time.perf_counter()
    load(artifact, "no" if "no prepacking" in way else "yes").predict(x)
    return time.perf_counter() - begun


def load(artifact: Any, prepacking: str = "yes") -> Any:
    """The plugin's predictor."""
    import torchinf_onnx
    from torchinf_core.host import Host
    from torchinf_core.runtimes import LoadOptions
    from torchinf_core.settings import Settings

    with Host(Settings(plugins={"onnx": {"prepacking": prepacking}}), "onnx") as host:
        claim = torchinf_onnx.claim(artifact, "cpu")
        return torchinf_onnx.load(artifact, claim, LoadOptions(), host)


def open_artifact(folder: Path) -> Any:
    """What the core would give the plugin."""
    from torchinf_core.runtimes import Artifact, Derived
    from torchinf_core.types import Record, StoredFile

    files = tuple(
        StoredFile(path.name, path.stat().st_size, "", "onnx" if path.suffix == ".onnx" else None)
        for path in sorted(folder.glob("m*"))
    )
    values: dict[str, Any] = dict.fromkeys(Record.__dataclass_fields__)
    record = Record(**values | {"name": "m", "files": files, "format": "onnx"})
    if folder.name != "form":
        return Artifact(record, folder)
    derived = Derived("onnx", "form", "onnx", "cpu", "fp32", {"optimised": True}, {}, "", "", files)
    return Artifact(record, folder, derived=derived)


def overhead(folder: Path) -> None:
    """Microseconds of a call on a model that takes next to no time."""
    make(folder, "tiny")
    predictor = load(open_artifact(folder))
    session, x = predictor.session, np.ones((1, 32), np.float32)
    row, rows = x[0].tolist(), x.tolist()
    calls: dict[str, Callable[[], object]] = {
        "session.run(None, {name: x})": lambda: session.run(None, {"x": x}),
        "predict(array)": lambda: predictor.predict(x),
        "predict([[...]]), 32 numbers": lambda: predictor.predict(rows),
        "predict([...]), 32 numbers": lambda: predictor.predict(row),
    }
    binding = session.io_binding()
    import onnxruntime

    given = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    got = onnxruntime.OrtValue.ortvalue_from_numpy(predictor.predict(x))
    binding.bind_ortvalue_input("x", given)
    binding.bind_ortvalue_output(predictor.signature.outputs[0].name, got)

    def bound() -> object:
        given.update_inplace(x)
        session.run_with_iobinding(binding)
        return got.numpy().copy()

    calls["IO binding, copied in and out"] = bound
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(40):
        for name, call in calls.items():
            found[name].append(timeit.timeit(call, number=2000) / 2000 * 1e6)
    base = min(found["session.run(None, {name: x})"])
    for name, times in found.items():
        say(f"{name:32} {min(times):6.2f} us  {min(times) - base:+.2f}")


def say(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "start":
        say(json.dumps(start(Path(sys.argv[2]), sys.argv[3])))
    else:
        main(Path(sys.argv[1]))
