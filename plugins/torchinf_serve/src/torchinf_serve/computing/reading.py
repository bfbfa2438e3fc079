"""The short way from what clients send to arrays that a model takes.

It is prepared once from the signature, and only says whether something fits; what
does not goes the core's way, which knows what was wrong, and can add a batch axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from torchinf_core.runtimes import Array, Signature

_NUMBERS = (list, float, int)


class Reader:
    """Reads inputs of one model.

    Args:
        signature: that it was loaded with.
    """

    __slots__ = ("_only", "_specs")

    def __init__(self, signature: Signature) -> None:
        self._specs: list[tuple[str, Any, tuple[int | str, ...] | None]] = []
        for spec in signature.inputs:
            try:
                dtype = np.dtype(spec.dtype)
            except TypeError:
                self._specs = []
                break
            if dtype.kind not in "biuf":
                self._specs = []
                break
            self._specs.append((spec.name, dtype, spec.shape))
        self._only = self._specs[0][0] if len(self._specs) == 1 else ""

    def read(self, inputs: Any) -> dict[str, Array] | None:
        """Arrays of lists of numbers that have just the right shapes; None for all else."""
        if self._only and type(inputs) is list:
            inputs = {self._only: inputs}
        if type(inputs) is not dict or len(inputs) != len(self._specs):
            return None
        feeds: dict[str, Array] = {}
        try:
            with np.errstate(over="raise"):
                for name, dtype, _ in self._specs:
                    value = inputs[name]
                    if type(value) not in _NUMBERS:
                        return None
                    feeds[name] = np.array(value, dtype)
        except (KeyError, ValueError, TypeError, ArithmeticError):
            return None
        return feeds if self.fits(feeds) else None

    def fits(self, feeds: dict[str, Array]) -> bool:
        """True when the model surely takes these arrays as they are."""
        if not self._specs or len(feeds) != len(self._specs):
            return False
        sizes: dict[str, int] = {}
        for name, dtype, shape in self._specs:
            array = feeds.get(name)
            if array is None or array.dtype != dtype:
                return False
            if shape is None:
                continue
            found = array.shape
            if len(found) != len(shape):
                return False
            for wanted, have in zip(shape, found, strict=True):
                if wanted != have and (
                    type(wanted) is int or sizes.setdefault(wanted, have) != have  # type: ignore[arg-type]
                ):
                    return False
        return True
