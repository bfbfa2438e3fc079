"""Predictions on a GPU: pinned transfers, graphs, and memory that runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchinf_core.errors import TorchinfError
from torchinf_core.runtimes import Artifact, Claim, LoadOptions
from torchinf_cuda.graphs import Graphs
from torchinf_cuda.memory import translate
from torchinf_torch.calling import name_outputs
from torchinf_torch.predictor import Loaded, TorchPredictor

PINNED = 1 << 16
"""Bytes from which on a transfer goes through pinned memory; below, the copy costs more."""


class CudaPredictor(TorchPredictor):
    """A model of torch on one GPU, or on several."""

    def __init__(
        self,
        torch: Any,
        artifact: Artifact,
        claim: Claim,
        loaded: Loaded,
        options: LoadOptions,
        *,
        graph: bool = False,
    ) -> None:
        self._graphs: Graphs | None = None
        self._wants_graph = graph
        super().__init__(torch, artifact, claim, loaded, options)

    def is_plain(self, loaded: Loaded) -> bool:  # noqa: ARG002
        """See :meth:`torchinf_torch.predictor.TorchPredictor.is_plain`."""
        return False

    def converted(self, loaded: Loaded) -> Callable[..., Any]:
        """See :meth:`torchinf_torch.predictor.TorchPredictor.converted`."""
        torch, device, dtype = self._torch, loaded.device, loaded.dtype
        call = loaded.call
        if self._wants_graph:
            self._graphs = Graphs(torch, call, _copier(torch))
            call = self._graphs
        short = (torch.bfloat16, torch.float16)

        def bring(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            there = to_gpu(value, device)
            return there.to(dtype) if dtype and there.is_floating_point() else there

        def back(value: Any) -> Any:
            return value.float() if value.dtype in short else value

        def compute(*places: Any, **named: Any) -> Any:
            with torch.cuda.device(device):
                output = call(*map(bring, places), **{key: bring(v) for key, v in named.items()})
                if isinstance(output, torch.Tensor):
                    return back(output)
                found = name_outputs(torch, output, loaded.signature)
                return {name: back(tensor) for name, tensor in found.items()}

        return compute

    def failure(self, error: Exception, inputs: object) -> TorchinfError:
        """See :meth:`torchinf_core.predicting.predictor.Predictor.failure`."""
        known = translate(error, self.name, self.device)
        if known is None:
            return super().failure(error, inputs)
        # What torch holds back for later may be what a smaller batch needs now.
        self._torch.cuda.empty_cache()
        return known

    def release(self) -> None:
        """Give the GPU's memory back, also what torch would keep for later."""
        super().release()
        if self._graphs is not None:
            self._graphs.clear()
        self._torch.cuda.empty_cache()


def to_gpu(value: Any, device: Any) -> Any:
    """A tensor on a GPU; large ones go there while the processor does something else."""
    if value.device.type != "cpu":
        return value.to(device)
    if value.numel() * value.element_size() < PINNED or value.is_pinned():
        return value.to(device, non_blocking=value.is_pinned())
    return value.pin_memory().to(device, non_blocking=True)


def _copier(torch: Any) -> Callable[[Any], Any]:
    def copy(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.clone()
        return {name: one.clone() for name, one in _flat(value).items()}

    def _flat(value: Any) -> dict[str, Any]:
        from torchinf_core.runtimes import Signature

        return name_outputs(torch, value, Signature())

    return copy
