"""CUDA graphs: what a model does for inputs of one shape, recorded once and replayed.

Replaying costs one launch instead of hundreds, which is what small batches wait for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST = 8
"""Shapes that are recorded; each keeps its inputs, outputs and all between them in memory."""
_WARM_UP = 3

_log = logging.getLogger("torchinf.plugin.cuda")


@dataclass(frozen=True, slots=True)
class _Recorded:
    graph: Any
    inputs: dict[Any, Any]
    output: Any


class Graphs:
    """A call that is recorded for each shape of its inputs.

    One thread replays at a time: a graph reads and writes fixed memory.

    Args:
        torch: the module of that name.
        call: takes tensors on one GPU and returns such, by place or by name.
        copy: makes a copy of an output, whatever it is made of.
    """

    def __init__(self, torch: Any, call: Callable[..., Any], copy: Callable[[Any], Any]) -> None:
        self._torch, self._call, self._copy = torch, call, copy
        self._recorded: dict[Any, _Recorded | None] = {}
        self._lock = threading.Lock()

    def __call__(self, *places: Any, **named: Any) -> Any:
        """What the call gives for these tensors."""
        inputs: dict[Any, Any] = {**dict(enumerate(places)), **named}
        if not all(isinstance(value, self._torch.Tensor) for value in inputs.values()):
            return self._call(*places, **named)
        key = tuple((name, tuple(v.shape), v.dtype, v.stride()) for name, v in inputs.items())
        with self._lock:
            if key not in self._recorded:
                if len(self._recorded) >= MOST:
                    return self._call(*places, **named)
                self._recorded[key] = self._record(inputs)
            recorded = self._recorded[key]
            if recorded is None:
                return self._call(*places, **named)
            for name, value in inputs.items():
                recorded.inputs[name].copy_(value)
            recorded.graph.replay()
            return self._copy(recorded.output)

    def clear(self) -> None:
        """Give the memory of all recordings back."""
        with self._lock:
            self._recorded.clear()

    def _record(self, inputs: dict[Any, Any]) -> _Recorded | None:
        cuda = self._torch.cuda
        fixed = {name: value.clone() for name, value in inputs.items()}

        def call() -> Any:
            places = [value for name, value in fixed.items() if isinstance(name, int)]
            return self._call(
                *places, **{name: value for name, value in fixed.items() if isinstance(name, str)}
            )

        # What libraries set up on first use may not be recorded, and not on the main stream.
        side = cuda.Stream()
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            for _ in range(_WARM_UP):
                call()
        cuda.current_stream().wait_stream(side)
        graph = cuda.CUDAGraph()
        try:
            with cuda.graph(graph, capture_error_mode="thread_local"):
                output = call()
        except RuntimeError as error:
            if type(error).__name__ == "OutOfMemoryError":
                raise
            _log.info("inputs of this shape run without a CUDA graph: %s", str(error)[:200])
            return None
        return _Recorded(graph, fixed, output)
