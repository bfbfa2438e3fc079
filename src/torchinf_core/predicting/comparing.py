"""Whether two sets of outputs are the same, and by how much they differ.

The third module of the core that uses numpy, inside functions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from torchinf_core.runtimes import Array, Feeds

_BLOCK = 1 << 20
"""Numbers that are compared at once, so that large outputs need no second copy."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far outputs are from those they should be.

    Attributes:
        error: the largest difference, relative to the largest value of the same
            output; infinite where they can't be compared.
        reason: why they can't, or where the difference is; ``""`` for equal ones.
    """

    error: float
    reason: str = ""


def compare(reference: Feeds, other: Feeds) -> Difference:
    """Compare outputs by name; the worst difference counts.

    Floating point numbers are compared in float64.  What is infinite or not a number
    on one side must be the same on the other.  Integers, truth values and texts
    must be equal.  Where an output is zero everywhere, the difference itself counts.
    """
    if set(reference) != set(other):
        have, want = ", ".join(sorted(other)), ", ".join(sorted(reference))
        return Difference(inf, f"it gives the outputs {have or 'none'}, not {want}")
    worst = Difference(0.0)
    for name in sorted(reference):
        found = _compare(name, reference[name], other[name])
        if found.error > worst.error:
            worst = found
    return worst


def has_numbers(outputs: Feeds) -> bool:
    """True when each output of floating point numbers has one that is finite, or is empty."""
    import numpy as np

    arrays = [np.asarray(array) for array in outputs.values()]
    return all(
        array.size == 0 or array.dtype.kind not in "fc" or bool(np.isfinite(array).any())
        for array in arrays
    )


def copied(feeds: Feeds) -> dict[str, Array]:
    """The same arrays in memory of their own."""
    import numpy as np

    return {name: np.array(array, copy=True) for name, array in feeds.items()}


def shapes(feeds: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """Name → shape."""
    return {name: tuple(int(axis) for axis in array.shape) for name, array in feeds.items()}


def _compare(name: str, reference: Array, other: Array) -> Difference:
    import numpy as np

    a, b = np.asarray(reference), np.asarray(other)
    if a.shape != b.shape:
        return Difference(inf, f"the output {name!r} has the shape {b.shape}, not {a.shape}")
    kinds = tuple("i" if array.dtype.kind == "u" else array.dtype.kind for array in (a, b))
    if kinds[0] != kinds[1]:
        return Difference(inf, f"the output {name!r} is {b.dtype}, not {a.dtype}")
    if kinds[0] not in "fc":
        equal = bool(np.array_equal(a, b))
        return Difference(0.0) if equal else Difference(inf, f"the output {name!r} is not equal")
    largest = difference = 0.0
    wide = np.complex128 if kinds[0] == "c" else np.float64
    a, b = a.reshape(-1), b.reshape(-1)
    for start in range(0, a.size, _BLOCK):
        left = a[start : start + _BLOCK].astype(wide)
        right = b[start : start + _BLOCK].astype(wide)
        finite = np.isfinite(left)
        if not finite.all() or not np.isfinite(right).all():
            rest = ~finite
            if (
                not np.array_equal(left[rest], right[rest], equal_nan=True)
                or not (np.isfinite(right) == finite).all()
            ):
                return Difference(inf, f"the output {name!r} is not a number somewhere")
            left, right = left[finite], right[finite]
        if left.size:
            largest = max(largest, float(np.abs(left).max()))
            difference = max(difference, float(np.abs(left - right).max()))
    error = difference / largest if largest else difference
    return Difference(error, f"the output {name!r} differs" if error else "")
