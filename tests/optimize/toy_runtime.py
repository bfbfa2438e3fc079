"""A runtime plugin in pure numpy, whose candidates and whose time the tests have in hand.

Copied into a site folder and installed there as ``toy``.
"""

from __future__ import annotations

import os
import sys

import numpy as np

from torchinf_core import Candidate, Claim, LoadError, Predictor, Signature, TensorSpec, hookimpl

now = 0.0
offers: list = []
original: dict = {}
log: list = []


def reset() -> None:
    """As if nothing had happened."""
    global now, original
    now, original = 0.0, {}
    offers.clear()
    log.clear()


def clock() -> float:
    """The time that calls and builds have taken."""
    return now


def offer(label, **options):
    """Have the runtime offer a candidate from now on."""
    offers.append({"label": label, **options})


class Toy(Predictor):
    def __init__(self, artifact, claim, options, how, precision):
        width = how.get("width", 3)
        shape = how.get("shape", ("batch", width))
        self.how = how
        self.calls = 0
        super().__init__(
            artifact,
            claim,
            Signature((TensorSpec(how.get("input", "x"), "float32", shape),)),
            options,
            precision=precision,
        )

    def run(self, feeds):
        global now
        self.calls += 1
        [x] = feeds.values()
        now += self.how.get("cost", 1.0) + self.how.get("per_item", 0.0) * len(x)
        y = x * self.how.get("factor", 2.0)
        if self.how.get("hiccups") and self.calls % 3:
            now += 0.3
        fault = self.how.get("fault", "")
        if fault == "nan":
            y = y * np.nan
        if fault == "run" or (fault == "large" and len(x) > 1):
            raise RuntimeError("the kernel gave up")
        if fault == "drift":
            y = y + self.calls
        if fault == "late" and self.calls > 5:
            y = y + 1
        if fault == "shape":
            y = y[..., None]
        if fault == "integers":
            y = y.astype(np.int64)
        if fault == "another output":
            return {"z": y}
        if fault == "scribbles":
            x *= 0
        return {"y": y}

    def release(self):
        log.append(f"closed {self.how.get('label', 'original')}")


def builder(options):
    def build(into):
        global now
        now += options.get("building", 0.0)
        print(f"building {options['label']}")
        os.system(f"echo child of {options['label']}")
        log.append(f"built {options['label']}")
        fault = options.get("fault", "")
        if fault == "build":
            raise RuntimeError("the compiler\ngave up")
        if fault == "exit":
            sys.exit(3)
        if fault == "memory":
            raise MemoryError
        if fault == "link":
            (into / "packed.bin").symlink_to("/etc/hostname")
            return
        if fault == "interrupt":
            raise KeyboardInterrupt
        (into / "sub").mkdir()
        (into / "sub" / "packed.bin").write_bytes(options["label"].encode() * 100)
        if fault == "place":
            (into / "place").write_text(str(into))

    return build


@hookimpl
def claim(artifact, device):
    if artifact.format != "toy":
        return Claim(0, "cpu", f"it does not read {artifact.format}")
    if device not in ("auto", "cpu", "cuda:0", "cuda"):
        return Claim(0, device, f"there is no {device}", "use cpu")
    where = "cuda:0" if device.startswith("cuda") else "cpu"
    if artifact.derived is None:
        return Claim(100, where, "made for this format")
    fault = artifact.derived.options.get("fault", "")
    if fault == "claim":
        return Claim(0, where, "it changed its mind")
    if fault == "elsewhere":
        return Claim(300, "cuda:7", "it fits there")
    if fault == "weak":
        return Claim(90, where, "it is not sure")
    return Claim(110, where, "proven faster")


@hookimpl
def load(artifact, claim, options):
    derived = artifact.derived
    log.append(f"loaded {derived.label if derived else 'original'} as {options.precision}")
    if derived is None:
        if original.get("only_auto") and options.precision != "auto":
            raise LoadError("it has fp16 weights")
        return Toy(artifact, claim, options, original, "fp32")
    fault = derived.options.get("fault", "")
    if fault == "load":
        raise RuntimeError("the engine is for another driver")
    if fault == "not a predictor":
        return "a text"
    for file in derived.files:
        assert artifact.path(file).read_bytes()
        if file.path == "place" and not os.path.isdir(artifact.path(file).read_text()):
            raise FileNotFoundError("the place where it was built")
    return Toy(artifact, claim, options, dict(derived.options), derived.precision)


@hookimpl
def optimize(artifact, device):
    if artifact.format != "toy":
        return
    for each in offers:
        options = {key: value for key, value in each.items() if key not in KEYS}
        yield Candidate(
            label=each["label"],
            format="toy",
            options=options,
            build=builder(each) if each.get("builds", True) else None,
            **{key: each[key] for key in KEYS if key in each},
        )
    if original.get("breaks"):
        raise RuntimeError("it lost count")


KEYS = ("precision", "distributions", "hardware", "thorough")
