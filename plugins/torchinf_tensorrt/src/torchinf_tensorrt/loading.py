"""Opening an engine: only one that was built here, by this version, for this GPU."""

from __future__ import annotations

from typing import Any

from torchinf_core.errors import DeviceError, LoadError, MissingDependencyError, UntrustedError
from torchinf_core.runtimes import Artifact, Claim, Derived, LoadOptions
from torchinf_tensorrt.api import Log, load_module
from torchinf_tensorrt.candidates import ENGINE
from torchinf_tensorrt.predictor import EnginePredictor
from torchinf_tensorrt.signatures import make_signature
from torchinf_tensorrt.targets import NO_GPU, count_gpus, cuda_index


def load_engine(artifact: Artifact, claim: Claim, options: LoadOptions) -> EnginePredictor:
    """Deserialise the engine on the claim's device; raises as the ``load`` hook."""
    derived = artifact.derived
    if derived is None or derived.runtime != "tensorrt":
        raise UntrustedError(
            f"{artifact.name!r} holds no engine that was built here, and an engine is code",
            hint="take the ONNX model that it was made from, and torchinf optimize it",
        )
    if cuda_index(claim.device) >= count_gpus():
        raise DeviceError(f"{artifact.name!r} needs {claim.device}: {NO_GPU}")
    trt = load_module(str(derived.options["module"]))
    try:
        import torch
    except ImportError:
        raise MissingDependencyError(
            "engines are run with PyTorch's memory and streams", hint="pip install torch"
        ) from None
    _check_gpu(torch, derived, claim.device)
    log = Log(trt)
    with torch.cuda.device(cuda_index(claim.device)):
        runtime = trt.Runtime(log.logger)
        engine = runtime.deserialize_cuda_engine(artifact.path(ENGINE).read_bytes())
        if engine is None:
            raise log.failure(f"{trt.__name__} can't open the engine of {artifact.name!r}")
        context = engine.create_execution_context()
        if context is None:
            raise log.failure(f"{artifact.name!r} does not fit on {claim.device}")
    signature = make_signature(trt, engine)
    return EnginePredictor(artifact, claim, signature, options, engine, context, log)


def _check_gpu(torch: Any, derived: Derived, device: str) -> None:
    """See that the GPU is of the kind the engine was built for."""
    index = cuda_index(device)
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise DeviceError(
            f"PyTorch finds no {device}", hint="install a PyTorch that fits the driver"
        )
    major, minor = torch.cuda.get_device_capability(index)
    target = derived.options.get("target")
    if target and target != f"sm{major}{minor}":
        raise LoadError(
            f"the engine was built for {target}, and {device} is sm{major}{minor}",
            hint="torchinf optimize builds one for this GPU",
        )
