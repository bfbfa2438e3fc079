"""Forms of a module that may be faster on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torchinf_core.runtimes import Artifact, Candidate, LoadOptions
from torchinf_core.types import Json
from torchinf_cuda.bidding import RUNTIME
from torchinf_torch import devices, framework, optimizing
from torchinf_torch.forms import MODULE_OPTIONS, form_of

_BOUND = ("torch",)


def candidates(artifact: Artifact, device: str, options: LoadOptions) -> Iterator[Candidate]:
    """What :func:`torchinf_cuda.optimize` offers, on a GPU that is there."""
    place = devices.choose(device)
    if artifact.derived or place.problem or not place.name.startswith("cuda"):
        return
    if form_of(artifact, RUNTIME).kind != "module":
        return
    torch = framework.import_torch()
    there = devices.require(torch, place.name)
    architecture = artifact.architecture()
    if architecture.build is None:
        return
    tuned = optimizing.tunings(torch, optimizing.sketch(torch, architecture))
    name = str(torch.cuda.get_device_name(there))
    yield from offers(tuned, name, options, bf16=_has_bf16(torch, there))


def offers(
    tuned: dict[str, Json], hardware: str, options: LoadOptions, *, bf16: bool
) -> Iterator[Candidate]:
    """The candidates for a module.

    Args:
        tuned: options that change anything for it.
        hardware: name of the GPU.
        options: the precision that the user wants, if any.
        bf16: the GPU multiplies it in hardware; older ones get fp16.
    """
    short = "bf16" if bf16 else "fp16"
    fp32: dict[str, Json] = {**tuned, "precision": "fp32"}
    halved: dict[str, Json] = {**tuned, "precision": short}
    ways: list[tuple[str, str, dict[str, Json], bool]] = [
        ("CUDA graph", "fp32", {**fp32, "graph": True}, False),
        ("autocast", short, {**fp32, "autocast": short}, False),
        ("", short, halved, False),
        ("CUDA graph", short, {**halved, "graph": True}, False),
        ("torch.compile", short, {**halved, "compile": True}, True),
    ]
    if tuned:
        ways.insert(0, ("", "fp32", fp32, False))
    for way, precision, chosen, thorough in ways:
        if options.precision in ("auto", precision):
            yield Candidate(
                label=optimizing.label("CUDA" + f", {way}" * bool(way), tuned, precision),
                format=MODULE_OPTIONS,
                precision=precision,
                options=chosen,
                distributions=_BOUND,
                hardware=hardware,
                thorough=thorough,
            )


def _has_bf16(torch: Any, device: Any) -> bool:
    first_with_it = 8  # compute capability of Ampere
    return bool(torch.cuda.get_device_capability(device)[0] >= first_with_it)
