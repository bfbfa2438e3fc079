"""An engine that predicts, on memory and a stream of PyTorch.

Written without a GPU at hand: what talks to CUDA was tried against a stand-in for
TensorRT's objects alone, as the README says.
"""

from __future__ import annotations

import threading
from typing import Any

from torchinf_core.errors import InputError, LoadError
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Artifact, Claim, Feeds, LoadOptions, Signature
from torchinf_tensorrt.api import Log


class EnginePredictor(Predictor):
    """An engine and its one execution context, which one thread uses at a time.

    Args:
        artifact, claim, signature, options: as for :class:`Predictor`.
        engine: an ``ICudaEngine``.
        context: an ``IExecutionContext`` of it.
        log: of the runtime that made them; TensorRT holds only a plain pointer to it.
    """

    def __init__(
        self,
        artifact: Artifact,
        claim: Claim,
        signature: Signature,
        options: LoadOptions,
        engine: Any,
        context: Any,
        log: Log,
    ) -> None:
        import torch

        precision = artifact.derived.precision if artifact.derived else "fp32"
        super().__init__(artifact, claim, signature, options, precision=precision)
        self._torch = torch
        self._engine, self._context, self._log = engine, context, log
        self._place = torch.device(claim.device)
        self._on_gpu = self._place.type == "cuda"
        self._stream = torch.cuda.Stream(self._place) if self._on_gpu else None
        self._turn = threading.Lock()

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """All outputs of one batch, copied to the processor's memory."""
        with self._turn:
            if self._context is None:
                raise RuntimeError("closed")  # `failure` says so in the core's words
            if self._stream is None:
                return self._execute(feeds, 0)
            with self._torch.cuda.device(self._place), self._torch.cuda.stream(self._stream):
                return self._execute(feeds, self._stream.cuda_stream)

    def is_memory_error(self, error: Exception) -> bool:
        """True when PyTorch or TensorRT ran out of the GPU's memory."""
        return super().is_memory_error(error) or "out of memory" in str(error).lower()

    def release(self) -> None:
        """Give back the context before the engine, as TensorRT demands."""
        with self._turn:
            self._context = None
            self._engine = None
            self._stream = None

    def _execute(self, feeds: Feeds, stream: int) -> dict[str, Array]:
        torch, context = self._torch, self._context
        held = []  # an address is all that TensorRT gets, so the tensors must live until the end
        for spec in self.signature.inputs:
            tensor = torch.as_tensor(feeds[spec.name]).contiguous().to(self._place)
            if tensor.dtype != getattr(torch, spec.dtype):
                raise InputError(f"the model takes {spec}, and got {tensor.dtype}")
            if not context.set_input_shape(spec.name, tuple(tensor.shape)):
                raise self._outside(spec.name, tuple(tensor.shape))
            held.append(tensor)
            context.set_tensor_address(spec.name, tensor.data_ptr())
        outputs = {}
        for spec in self.signature.outputs:
            shape = tuple(context.get_tensor_shape(spec.name))
            if -1 in shape:
                raise LoadError(f"the shape of the output {spec.name!r} depends on the data")
            made = torch.empty(shape, dtype=getattr(torch, spec.dtype), device=self._place)
            outputs[spec.name] = made
            context.set_tensor_address(spec.name, made.data_ptr())
        if not context.execute_async_v3(stream):
            raise self._log.failure(f"{self.name!r} failed on {self.device}")
        if self._stream is not None:
            self._stream.synchronize()
        return {name: self._to_numpy(tensor) for name, tensor in outputs.items()}

    def _to_numpy(self, tensor: Any) -> Array:
        if tensor.dtype == self._torch.bfloat16:  # numpy has no such type
            tensor = tensor.float()
        return tensor.cpu().numpy()

    def _outside(self, name: str, shape: tuple[int, ...]) -> InputError:
        low, _, high = self._engine.get_tensor_profile_shape(name, 0)
        return InputError(
            f"the engine of {self.name!r} takes {name!r} from {tuple(low)} to {tuple(high)}, "
            f"and got {shape}",
            hint="a smaller batch, or build the engine for larger ones",
        )
