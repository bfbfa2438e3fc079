"""What the plugin bids for: nothing but engines of its own, on the GPU they were built for."""

from __future__ import annotations

from torchinf_core.runtimes import Artifact, Claim
from torchinf_tensorrt.api import INSTALL, installed
from torchinf_tensorrt.targets import NO_GPU, count_gpus, cuda_index, gpu_name

SCORE = 310  # made for it, on an accelerator, proven faster


def make_claim(artifact: Artifact, device: str) -> Claim:
    """The bid; 0 with the reason for all that is no engine built here."""
    shown = "cuda:0" if device in ("auto", "cuda") else device
    derived = artifact.derived
    if derived is None:
        return _refusal(artifact, shown)
    if derived.runtime != "tensorrt":
        return Claim(0, shown, f"this form was made by the runtime {derived.runtime}")
    module = str(derived.options.get("module", ""))
    if module not in installed():
        return Claim(0, shown, f"{module or 'TensorRT'} is not installed", INSTALL)
    if not shown.startswith("cuda"):
        return Claim(0, shown, "engines run on NVIDIA GPUs alone")
    there, index = count_gpus(), cuda_index(shown)
    if index >= there:
        reason = NO_GPU if not there else f"there is no {shown}: this machine has {there}"
        return Claim(0, shown, reason)
    built_for, found = str(derived.options.get("gpu", "")), gpu_name(index)
    if built_for and found and built_for != found:
        return Claim(0, shown, f"it was built for a {built_for}, and {shown} is a {found}")
    return Claim(SCORE, shown, f"{derived.label}, proven equal and faster here")


def _refusal(artifact: Artifact, device: str) -> Claim:
    if artifact.having("tensorrt") or artifact.format == "tensorrt":
        return Claim(
            0,
            device,
            "an engine is code for one GPU, and only engines built here are run",
            "take the ONNX model that it was made from",
        )
    if artifact.format == "onnx" and not count_gpus():
        return Claim(0, device, f"engines run on NVIDIA GPUs alone; {NO_GPU}")
    if artifact.format == "onnx":
        reason = "an ONNX graph has to be made into an engine first"
        hint = f"torchinf optimize {artifact.name} --device cuda"
        return Claim(0, device, reason, hint if installed() else INSTALL)
    return Claim(0, device, "it runs engines that it built from ONNX graphs")
