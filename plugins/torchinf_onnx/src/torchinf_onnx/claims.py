"""What ONNX Runtime bids for a model: by its record, its files' names and this machine."""

from __future__ import annotations

from torchinf_core.errors import LoadError
from torchinf_core.runtimes import Artifact, Claim
from torchinf_onnx import devices
from torchinf_onnx.choosing import main_file

MADE_FOR, BESIDE, ACCELERATED, PROVEN = 100, 50, 200, 10


def make_claim(artifact: Artifact, device: str) -> Claim:
    """The bid for one device, or for the best one there is (``auto``)."""
    shown = "cpu" if device == "auto" else device
    if artifact.derived and artifact.derived.runtime != "onnx":
        return Claim(0, shown, f"this form was made by the runtime {artifact.derived.runtime}")
    if not artifact.derived and artifact.format != "onnx" and not artifact.having("onnx"):
        what = f"a {artifact.format} model" if artifact.format else "a model of unknown format"
        return Claim(0, shown, f"it runs ONNX graphs, and this is {what}")
    place = devices.package()
    if place is None:
        return Claim(0, shown, "onnxruntime is not installed", "pip install onnxruntime")
    try:
        path = main_file(artifact)
    except LoadError as error:
        return Claim(0, shown, str(error), error.hint)
    gpus = devices.count_gpus() if devices.has_cuda_provider(place) else 0
    if device == "auto":
        shown = "cuda:0" if gpus else "cpu"
    elif device.startswith("cuda"):
        shown = f"cuda:{devices.cuda_index(device)}"
        if problem := _cuda_problem(devices.cuda_index(device), gpus):
            return problem
    elif device != "cpu":
        return Claim(0, device, f"it does not run on {device} here", "--device cpu")
    more = ACCELERATED if shown != "cpu" else 0
    if artifact.derived:
        reason = f"{artifact.derived.label}, proven equal and faster here"
        return Claim(MADE_FOR + PROVEN + more, shown, reason)
    if artifact.format == "onnx":
        return Claim(MADE_FOR + more, shown, "made for ONNX graphs")
    return Claim(BESIDE + more, shown, f"the model also has the graph {path}")


def _cuda_problem(index: int, gpus: int) -> Claim | None:
    device = f"cuda:{index}"
    there = devices.count_gpus()
    if there <= index:
        many = "no NVIDIA GPU" if not there else f"{there} NVIDIA GPU{'s'[: there > 1]}"
        return Claim(0, device, f"there is no {device}: this machine has {many}", "--device cpu")
    if not gpus:
        return Claim(
            0,
            device,
            "the installed onnxruntime was built without CUDA",
            "pip install onnxruntime-gpu, instead of onnxruntime",
        )
    return None
