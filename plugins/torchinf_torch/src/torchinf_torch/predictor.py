"""Predictions by a torch module.

One array or tensor of the expected type goes straight to the module; everything
else takes the way of the base class.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torchinf_core.errors import InputError, LoadError, TorchinfError
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Artifact, Claim, Feeds, LoadOptions, Signature
from torchinf_torch.calling import arrange, name_outputs, to_array

_NUMBERS = (float, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model of torch, ready to be called.

    Attributes:
        call: takes tensors on ``device`` and returns what the module returns.
        module: for pipelines that need it, or None where there is no such thing.
        signature: what it takes and gives, as far as is known.
        precision: the word for the type it computes with.
        dtype: floating inputs are converted to it, and outputs back; None leaves
            both as they are.
        device: where it is.
        keywords: True when several inputs go in by name.
        takes: what it takes in torch's own words, where there is no signature.
    """

    call: Callable[..., Any]
    module: Any
    signature: Signature
    precision: str
    dtype: Any
    device: Any
    keywords: bool = False
    takes: str = ""


class TorchPredictor(Predictor):
    """A model that torch runs eagerly, as a program, or compiled."""

    def __init__(
        self, torch: Any, artifact: Artifact, claim: Claim, loaded: Loaded, options: LoadOptions
    ) -> None:
        super().__init__(
            artifact,
            claim,
            loaded.signature,
            options,
            precision=loaded.precision,
            module=loaded.module,
        )
        import numpy as np

        self._torch = torch
        self._loaded: Loaded | None = loaded
        self._tensor, self._ndarray = torch.Tensor, np.ndarray
        self._from_numpy, self._asarray = torch.from_numpy, np.asarray
        # torch.inference_mode wraps this class of torch's core, and takes 1.5 µs to do so.
        guard = getattr(torch._C, "_InferenceMode", torch.inference_mode)  # noqa: SLF001
        self._inference: Callable[[bool], AbstractContextManager[Any]] = guard
        self._stays = loaded.device.type == "cpu"
        self._compute = loaded.call if self.is_plain(loaded) else self.converted(loaded)
        inputs = loaded.signature.inputs
        wanted = inputs[0].dtype if len(inputs) == 1 else "float32" if not inputs else ""
        # Bytes may be a picture, which is for the base class to tell.
        fast = wanted not in ("", "uint8") and not (inputs and loaded.keywords)
        self._array_type = np.dtype(wanted) if fast else None
        self._tensor_type = getattr(torch, wanted, None) if fast else None
        self._axes = len(inputs[0].shape) if fast and inputs and inputs[0].shape else 0

    def predict(self, inputs: Any, **options: Any) -> Any:
        """See :meth:`torchinf_core.predicting.predictor.Predictor.predict`."""
        kind = type(inputs)
        if options:
            return super().predict(inputs, **options)
        if kind is self._ndarray:
            if inputs.dtype is self._array_type and inputs.flags.carray:
                return self._predict_array(inputs)
        elif kind is self._tensor:
            if inputs.dtype is self._tensor_type:
                try:
                    with self._inference(True):
                        output = self._compute(inputs)
                        if self._stays and type(output) is self._tensor:
                            return output
                        return self._give(output, inputs.device)
                except Exception as error:
                    raise self.failure(error, inputs) from error
        elif kind is list and (array := self._numbers(inputs)) is not None:
            return self._predict_array(array)
        return super().predict(inputs)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """See :meth:`torchinf_core.predicting.predictor.Predictor.run`."""
        loaded, torch = self._loaded, self._torch
        if loaded is None:
            raise LoadError(f"{self.name!r} was closed", hint="load it again")
        places, named = arrange(torch, feeds, loaded.signature, keywords=loaded.keywords)
        with self._inference(True):
            output = self._compute(*places, **named)
            found = name_outputs(torch, output, loaded.signature)
            return {name: to_array(torch, tensor) for name, tensor in found.items()}

    def failure(self, error: Exception, inputs: object) -> TorchinfError:
        """See :meth:`torchinf_core.predicting.predictor.Predictor.failure`."""
        known = super().failure(error, inputs)
        loaded = self._loaded
        if loaded is None or isinstance(error, TorchinfError) or type(known) is not LoadError:
            return known
        text = str(error)
        if loaded.takes and ("forward()" in text or "Expected a value of type" in text):
            return InputError(f"{self.name!r} takes {loaded.takes}")
        if not loaded.signature.inputs and (wrong := _other_dtype(inputs, loaded.dtype)):
            wanted = str(loaded.dtype).removeprefix("torch.")
            return InputError(
                f"{self.name!r} computes with {wanted}, and got {wrong}",
                hint=f"array.astype({wanted!r})",
            )
        return known

    def is_memory_error(self, error: Exception) -> bool:
        """See :meth:`torchinf_core.predicting.predictor.Predictor.is_memory_error`."""
        return is_memory_error(error)

    def release(self) -> None:
        """Let go of the module, so that its memory is free once no call uses it."""
        self._loaded = None
        self._compute = _closed

    # INSIDE

    def _numbers(self, inputs: list[Any]) -> Array | None:
        """The array for a list of numbers that has its batch axis; None for any other list."""
        leaf: Any = inputs
        while type(leaf) is list and leaf:
            leaf = leaf[0]
        if type(leaf) not in _NUMBERS or self._array_type is None:
            return None
        try:
            array = self._asarray(inputs, self._array_type)
        except (ValueError, TypeError, OverflowError):
            return None
        return array if not self._axes or array.ndim == self._axes else None

    def _predict_array(self, array: Array) -> Any:
        try:
            with self._inference(True):
                output = self._compute(self._from_numpy(array))
                if self._stays and type(output) is self._tensor:
                    try:
                        return output.numpy()
                    except (TypeError, RuntimeError):
                        return to_array(self._torch, output)
                return self._give(output, None)
        except Exception as error:
            raise self.failure(error, array) from error

    def _give(self, output: Any, device: Any) -> Any:
        """One output or several by name, as tensors on a device or as arrays for None."""
        found = name_outputs(self._torch, output, self.signature)
        made: dict[str, Any] = {
            name: to_array(self._torch, tensor) if device is None else tensor.to(device)
            for name, tensor in found.items()
        }
        return next(iter(made.values())) if len(made) == 1 else made

    def is_plain(self, loaded: Loaded) -> bool:
        """True when the module takes what is given as it is."""
        converts = loaded.dtype not in (None, self._torch.float32)
        return self._stays and not converts

    def converted(self, loaded: Loaded) -> Callable[..., Any]:
        """The call, with inputs brought to the module's device and type, and outputs to float32."""
        torch, call, device, dtype = self._torch, loaded.call, loaded.device, loaded.dtype

        def bring(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            return value.to(device, dtype if value.is_floating_point() else None)

        def back(value: Any) -> Any:
            short = value.is_floating_point() and value.dtype is dtype
            return value.float() if short else value

        def compute(*places: Any, **named: Any) -> Any:
            output = call(*map(bring, places), **{key: bring(v) for key, v in named.items()})
            if isinstance(output, torch.Tensor):
                return back(output)
            found = name_outputs(torch, output, loaded.signature)
            return {name: back(tensor) for name, tensor in found.items()}

        return compute


def is_memory_error(error: BaseException) -> bool:
    """True when torch could not get the memory that it asked for."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return "DefaultCPUAllocator" in text or "MPS backend out of memory" in text


def set_threads(torch: Any, count: int) -> None:
    """Have torch compute with so many threads; that is one setting for the whole process."""
    if count and torch.get_num_threads() != count:
        with _threads:
            torch.set_num_threads(count)


_threads = threading.Lock()


def _closed(*_: Any, **__: Any) -> Any:
    raise LoadError("the model was closed", hint="load it again")


def _other_dtype(inputs: object, dtype: Any) -> str:
    """The first floating input of another type than the module's, for people."""
    values = inputs.values() if isinstance(inputs, dict) else (inputs,)
    wanted = str(dtype).removeprefix("torch.")
    for value in values:
        found = str(getattr(value, "dtype", "")).removeprefix("torch.")
        if dtype is not None and found and "float" in found and found != wanted:
            return f"{found}{list(getattr(value, 'shape', ()))}"
    return ""
