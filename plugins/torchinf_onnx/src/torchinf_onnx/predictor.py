"""A session that predicts: arrays straight into it, everything else by way of the core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torchinf_core.predicting.items as pictures
from torchinf_core.errors import DeviceError, LoadError
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Artifact, Claim, Feeds, LoadOptions, Signature


class OnnxPredictor(Predictor):
    """An open session.

    Several threads may use it: onnxruntime's ``run`` is made for that.

    Args:
        artifact, claim, signature, options, precision: as for :class:`Predictor`.
        session: an ``onnxruntime.InferenceSession``.
    """

    def __init__(
        self,
        artifact: Artifact,
        claim: Claim,
        signature: Signature,
        session: Any,
        options: LoadOptions,
        precision: str,
    ) -> None:
        import numpy as np

        super().__init__(artifact, claim, signature, options, precision=precision)
        self.session = session
        self._numpy = np
        self._call: Callable[..., Sequence[Any]] = session.run
        self._outputs = [spec.name for spec in signature.outputs]
        self._single = len(self._outputs) == 1
        self._all_arrays = all("(" not in spec.dtype for spec in signature.outputs)
        self._direct: type | None = None
        if len(signature.inputs) == 1 and self._all_arrays:
            only = signature.inputs[0]
            self._input, self._dtype = only.name, only.dtype
            self._axes = only.shape or ()
            # A picture could be meant for the pipeline, so those models ask the core first.
            if not (only.dtype == "uint8" and artifact.describable):
                self._direct = np.ndarray

    def predict(self, inputs: Any, **options: Any) -> Any:
        """As :meth:`Predictor.predict`; one array, or a list of numbers, takes a short way."""
        if type(inputs) is self._direct and not options:
            try:
                outputs = self._call(self._outputs, {self._input: inputs})
            except Exception as error:
                if self._is_for_pipeline(inputs):
                    return super().predict(inputs)
                raise self.failure(error, inputs) from error
            return outputs[0] if self._single else dict(zip(self._outputs, outputs, strict=True))
        if type(inputs) is list and self._direct is not None and not options:
            return self._predict_list(inputs)
        return super().predict(inputs, **options)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """All outputs of one batch."""
        outputs = self._call(self._outputs, dict(feeds))
        if not self._all_arrays:
            outputs = [self._to_array(value) for value in outputs]
        return dict(zip(self._outputs, outputs, strict=True))

    def warm_up(self, times: int = 1) -> None:
        """As :meth:`Predictor.warm_up`; invented inputs that the model can't take are no error."""
        try:
            super().warm_up(times)
        except DeviceError:
            raise
        except LoadError:
            if self.artifact.describable:
                raise

    def is_memory_error(self, error: Exception) -> bool:
        """True for the words of onnxruntime's allocators."""
        text = str(error).lower()
        words = ("failed to allocate memory", "out of memory", "bad_alloc", "bad allocation")
        return super().is_memory_error(error) or any(word in text for word in words)

    def release(self) -> None:
        """Let go of the session; calls that run hold it until they are done."""
        self._call = self._refuse
        self.session = None

    # INSIDE

    def _predict_list(self, inputs: list[Any]) -> Any:
        try:
            first: Any = inputs
            while type(first) is list:
                first = first[0]
            if type(first) is not float and type(first) is not int:
                return super().predict(inputs)
            array = self._numpy.array(inputs, self._dtype)
        except (IndexError, TypeError, ValueError, OverflowError):
            return super().predict(inputs)
        axes = self._axes
        lacks = array.ndim == len(axes) - 1 and (axes[0] == 1 or isinstance(axes[0], str))
        if lacks:
            array = array[None]
        try:
            outputs = self._call(self._outputs, {self._input: array})
        except Exception as error:
            raise self.failure(error, array) from error
        if lacks:
            outputs = [output[0] for output in outputs]
        return outputs[0] if self._single else dict(zip(self._outputs, outputs, strict=True))

    def _is_for_pipeline(self, inputs: Array) -> bool:
        return pictures.is_picture(inputs) and self.kind == "image"

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("closed")  # `failure` says so in the core's words

    def _to_array(self, value: Any) -> Array:
        """One array of a sequence or a map, as classifiers of scikit-learn give them."""
        np = self._numpy
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, dict):
            return np.array(list(value.values()))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return np.array([list(row.values()) for row in value])
        try:
            return np.array(value)
        except ValueError:
            raise LoadError(f"{self.name!r} gives a sequence of arrays of several shapes") from None
