"""Whether several requests can be computed as one batch, found out by computing.

A signature says which axes may have any length, not that items along them are kept
apart: a first axis can be the time, and the batch can be the second one, as in the
state of a recurrent network.  So the axes are guessed from the signature, and the
guess holds only after two different inputs gave together what they gave alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from torchinf_core.runtimes import Array, Feeds, Signature

Run = Callable[[Feeds], dict[str, Array]]
_log = logging.getLogger("torchinf.serve")

SHARED_BYTES = 1024
"""Of an input that all items of a batch have in common, such as a sampling rate."""
TOLERANCE = 1e-3
"""Largest difference between computing together and alone, relative to the largest value."""
MOST_PROOFS = 8
"""Attempts after which a model whose inputs never differ is computed one by one."""


class Joiner:
    """Joins the arrays of requests to one model, and parts the outputs again.

    Args:
        name: of the model.
        signature: that it was loaded with.
    """

    def __init__(self, name: str, signature: Signature) -> None:
        self.name = name
        self._axes = guess_axes(signature)
        self._outputs: dict[str, int] = {}
        self._proofs = 0
        self.proven = False

    @property
    def possible(self) -> bool:
        """False once it is known that the model takes no batches."""
        return bool(self._axes)

    def key(self, feeds: Feeds) -> tuple[Hashable, int]:
        """What requests must have in common to share a call, and the rows of this one.

        The key is None for what is computed alone.
        """
        parts: list[Hashable] = []
        rows = 0
        for name, axis in self._axes.items():
            array = feeds[name]
            shape = array.shape
            if axis is None:
                if array.nbytes > SHARED_BYTES:
                    return None, 1
                parts.append((array.dtype.str, shape, array.tobytes()))
                continue
            if len(shape) <= axis or not shape[axis] or rows not in (0, shape[axis]):
                return None, 1
            rows = shape[axis]
            parts.append((array.dtype.str, shape[:axis], shape[axis + 1 :]))
        if not rows:
            return None, 1
        return tuple(parts), rows

    def compute(self, run: Run, requests: Sequence[Feeds], rows: Sequence[int]) -> Any:
        """The outputs of several requests with the same key, in one call.

        Args:
            run: computes one batch.
            requests: their arrays.
            rows: of each.

        Returns:
            The outputs of each, or None when that can't be done, or not yet.

        Raises:
            Exception: of ``run``; one of the requests may be the cause.
        """
        if not self.proven and not self._prove(run, requests, rows):
            return None
        together = run(self._join(requests))
        total = sum(rows)
        parts: list[dict[str, Array]] = [{} for _ in requests]
        for name, array in together.items():
            axis = self._outputs.get(name)
            if axis is None or array.ndim <= axis or array.shape[axis] != total:
                self._give_up(f"its output {name!r} has not one row for each")
                return None
            start = 0
            for part, count in zip(parts, rows, strict=True):
                part[name] = _slice(array, axis, start, start + count)
                start += count
        return parts

    def prove(self, run: Run, feeds: Feeds) -> None:
        """Try with example inputs, so that no request has to wait for it."""
        if not self.possible or self.proven:
            return
        key, rows = self.key(feeds)
        if key is not None:
            self._prove(run, [feeds], [rows])

    # INSIDE

    def _prove(self, run: Run, requests: Sequence[Feeds], rows: Sequence[int]) -> bool:
        if not self._axes:
            return False
        self._proofs += 1
        if self._proofs > MOST_PROOFS:
            self._give_up("its inputs never differed")
            return False
        first = requests[0]
        other, others = self._another(requests, rows)
        if other is None:
            return False
        alone = [run(first), run(other)]
        together = run(self._join([first, other]))
        for name, array in together.items():
            one, two = alone[0][name], alone[1][name]
            axis = _batch_axis(one, two, array, rows[0], others)
            if axis is None:
                self._give_up(f"its output {name!r} has not one row for each")
                return False
            parts = (
                _slice(array, axis, 0, rows[0]),
                _slice(array, axis, rows[0], rows[0] + others),
            )
            if not (_same(parts[0], one) and _same(parts[1], two)):
                self._give_up(f"its output {name!r} differs when computed with others")
                return False
            self._outputs[name] = axis
        self.proven = True
        return True

    def _another(self, requests: Sequence[Feeds], rows: Sequence[int]) -> tuple[Feeds | None, int]:
        """Inputs that differ from those of the first request in each batched array, if any do."""
        first = requests[0]
        batched = [name for name, axis in self._axes.items() if axis is not None]
        for feeds, count in zip(requests[1:], rows[1:], strict=True):
            if any(not np.array_equal(feeds[name], first[name]) for name in batched):
                return feeds, count
        made = dict(first)
        for name in batched:
            made[name] = _changed(first[name])
        if any(not np.array_equal(made[name], first[name]) for name in batched):
            return made, rows[0]
        return None, 0

    def _join(self, requests: Sequence[Feeds]) -> dict[str, Array]:
        return {
            name: requests[0][name]
            if axis is None
            else np.concatenate([feeds[name] for feeds in requests], axis)
            for name, axis in self._axes.items()
        }

    def _give_up(self, why: str) -> None:
        self._axes, self.proven = {}, False
        _log.info("%s is computed one request at a time: %s", self.name, why)


def guess_axes(signature: Signature) -> dict[str, int | None]:
    """For each input the axis along which items lie, or None for one that all share.

    The first axis if it may have any length, else the only one that may; empty
    when there is no such input, or nobody described them.
    """
    axes: dict[str, int | None] = {}
    for spec in signature.inputs:
        shape = spec.shape or ()
        free = [place for place, axis in enumerate(shape) if isinstance(axis, str)]
        if 0 in free or len(free) == 1:
            axes[spec.name] = free[0]
        elif free:
            return {}
        else:
            axes[spec.name] = None
    return axes if any(axis is not None for axis in axes.values()) else {}


def _changed(array: Array) -> Array:
    """Other values that a model can take as well: of the same set, or half as large.

    Neither their order nor their sum stays, so that no mean over a batch hides.
    """
    if array.dtype.kind == "f":
        return (
            np.ascontiguousarray(array[..., ::-1] * array.dtype.type(0.5)) if array.ndim else array
        )
    made = array.copy()
    made[..., ::2] = array[..., :1]
    return made


def _batch_axis(one: Array, two: Array, both: Array, rows: int, others: int) -> int | None:
    for axis in range(both.ndim):
        expected = list(one.shape)
        if len(expected) != both.ndim or expected[axis] != rows:
            continue
        expected[axis] = rows + others
        if tuple(expected) == both.shape and two.shape[axis] == others:
            return axis
    return None


def _same(one: Array, two: Array) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    if one.dtype.kind not in "fc":
        return bool(np.array_equal(one, two))
    finite = np.abs(two[np.isfinite(two)])
    largest = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(one, two, rtol=0, atol=TOLERANCE * largest, equal_nan=True))


def _slice(array: Array, axis: int, start: int, end: int) -> Array:
    if axis == 0:
        return array[start:end]
    return np.ascontiguousarray(array[(slice(None),) * axis + (slice(start, end),)])
