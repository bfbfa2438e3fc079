# ruff: noqa: INP001, S603, T201 - a script of the command line, which starts itself
"""Loading to the first prediction, and the cost of a call, beside torch by hand.

Run it as ``python plugins/torchinf_torch/benchmarks/load_and_call.py [MEGABYTES]``.
Every measurement of loading is a process of its own, and the ways take turns; what
counts is the ratio within one run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROUNDS = 5
WIDTH = 2048
TESTS = Path(__file__).parents[1] / "tests"
WAYS = (
    "ours, safetensors",
    "ours, state dict",
    "by hand, safetensors",
    "by hand, state dict",
    "load_state_dict(torch.load())",
)


def build(layers: int) -> Any:
    """So many square layers, without biases."""
    import torch

    return torch.nn.Sequential(
        *(torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(layers))
    ).eval()


def artifact(folder: Path, name: str, layers: int) -> Any:
    """One of the two files, as the core opens it; nothing is hashed here."""
    sys.path.insert(0, str(TESTS))
    from conftest import artifact_of
    from torchinf_core.runtimes import Architecture
    from torchinf_core.types import StoredFile

    kind = "safetensors" if name.endswith("safetensors") else "torch"
    architecture = Architecture(name="layers", build=lambda: build(layers), weights=(name,))
    made = artifact_of(folder, {}, kind, architecture)
    file = StoredFile(name, (folder / name).stat().st_size, "0" * 64, format=kind)
    return replace(made, record=replace(made.record, files=(file,)))


def prepared(way: str, folder: Path, layers: int) -> tuple[Callable[[], Any], Any]:
    """Everything that is imported before the clock runs, and what is timed."""
    import safetensors
    import torch

    x = torch.ones(1, WIDTH)
    if way.startswith("ours"):
        from torchinf_core.runtimes import Claim, LoadOptions
        from torchinf_torch.loading import load_predictor

        name = "m.safetensors" if "safetensors" in way else "m.pt"
        opened = artifact(folder, name, layers)
        claim = Claim(100, "cpu", "x", runtime="torch")
        return lambda: load_predictor(opened, claim, LoadOptions()).predict(x), torch

    def by_hand(read: Callable[[], Any]) -> Any:
        with torch.device("meta"):
            module = build(layers)
        module.load_state_dict(read(), assign=True)
        with torch.inference_mode():
            return module(x)

    def mapped() -> Any:
        with safetensors.safe_open(folder / "m.safetensors", framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118

    def usual() -> Any:
        module = build(layers)
        module.load_state_dict(torch.load(folder / "m.pt", weights_only=True))
        with torch.inference_mode():
            return module(x)

    if way == "by hand, safetensors":
        return lambda: by_hand(mapped), torch
    if way == "by hand, state dict":
        return lambda: by_hand(lambda: torch.load(folder / "m.pt", mmap=True)), torch
    return usual, torch


def child(way: str, folder: Path, layers: int) -> None:
    """One measurement: seconds, and bytes of memory that were added at most."""
    work, torch = prepared(way, folder, layers)
    with torch.inference_mode():
        torch.nn.Linear(8, 8)(torch.ones(1, 8))
    status = Path("/proc/self/status")

    def field(name: str) -> int:
        return int(status.read_text().split(f"{name}:")[1].split()[0]) << 10

    Path("/proc/self/clear_refs").write_text("5")
    before = field("VmRSS")
    seconds = timeit.timeit(work, number=1)
    print(json.dumps([seconds, field("VmHWM") - before]))


def loading(megabytes: int) -> None:
    """The table of loading."""
    import safetensors.torch
    import torch

    layers = max(1, megabytes * 1_000_000 // (WIDTH * WIDTH * 4))
    size = layers * WIDTH * WIDTH * 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state = build(layers).state_dict()
        safetensors.torch.save_file(state, folder / "m.safetensors")
        torch.save(state, folder / "m.pt")
        del state
        found: dict[str, list[tuple[float, int]]] = {way: [] for way in WAYS}
        for number in range(ROUNDS + 1):
            for way in WAYS:
                command = [sys.executable, __file__, "--child", way, name, str(layers)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                if number:
                    found[way].append(tuple(json.loads(done.stdout)))
    print(f"{size / 1e6:.0f} MB to the first prediction, medians of {ROUNDS} interleaved rounds")
    for way, samples in found.items():
        seconds = statistics.median(sample[0] for sample in samples)
        memory = statistics.median(sample[1] for sample in samples)
        print(f"  {way:32} {seconds * 1e3:8.1f} ms   memory / weights {memory / size:5.2f}")


def calling() -> None:
    """The table of the cost of one call, above torch's own."""
    import numpy as np
    import torch

    from torchinf_core.runtimes import Architecture, Claim, LoadOptions, Signature, TensorSpec

    sys.path.insert(0, str(TESTS))
    from conftest import artifact_of
    from torchinf_torch.loading import load_predictor

    module = torch.nn.Linear(4, 2).eval().requires_grad_(False)
    signature = Signature((TensorSpec("x", "float32", ("batch", 4)),))
    architecture = Architecture(
        name="tiny", signature=signature, build=lambda: module, complete=True
    )
    made = artifact_of(Path("/nowhere"), {}, None, architecture)
    predict = load_predictor(made, Claim(100, "cpu", "x"), LoadOptions()).predict
    array = np.ones((1, 4), np.float32)
    tensor, numbers = torch.from_numpy(array), array.tolist()

    def raw() -> Any:
        with torch.inference_mode():
            return module(tensor)

    def raw_array() -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(array)).numpy()

    ways: dict[str, Callable[[], Any]] = {
        "torch, a tensor": raw,
        "torch, an array by hand": raw_array,
        "ours, a tensor": lambda: predict(tensor),
        "ours, an array": lambda: predict(array),
        "ours, a list": lambda: predict(numbers),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(40):
        for way, work in ways.items():
            best[way] = min(best[way], timeit.timeit(work, number=2000) / 2000 * 1e6)
    print("one call of a tiny layer, best of 40 interleaved rounds")
    for way, micros in best.items():
        print(f"  {way:28} {micros:6.2f} us   above torch {micros - best['torch, a tensor']:+6.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        loading(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
        calling()
