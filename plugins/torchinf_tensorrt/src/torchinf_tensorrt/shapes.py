"""Optimisation profiles: the smallest, usual and largest shape of each input."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torchinf_core.errors import LoadError, UsageError

Shape = tuple[int, ...]
Range = tuple[Shape, Shape, Shape]

_RANGE = re.compile(r"([^=]+)=(\d+(?:x\d+)*),(\d+(?:x\d+)*),(\d+(?:x\d+)*)")


@dataclass(frozen=True, slots=True)
class Shapes:
    """What inputs an engine has to take.

    Attributes:
        batch: the smallest, usual and largest, for a first axis of any length.
        ranges: input → its whole shapes, where another axis may have any length.
    """

    batch: tuple[int, int, int] = (1, 1, 8)
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        low, usual, high = self.batch
        if not 1 <= low <= usual <= high:
            raise UsageError(
                f"the batches {low}, {usual} and {high} must rise from 1: the smallest, the "
                "usual and the largest"
            )


def parse_range(text: str) -> tuple[str, Range]:
    """``input_ids=1x8,4x128,8x512`` → the name and its three shapes.

    Raises:
        UsageError: it is nothing like that, or the shapes do not rise.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is not None:
        low, usual, high = (
            tuple(int(axis) for axis in word.split("x")) for word in match.groups()[1:]
        )
        rising = len(low) == len(usual) == len(high) and all(
            a <= b <= c for a, b, c in zip(low, usual, high, strict=True)
        )
        if rising:
            return match[1], (low, usual, high)
    raise UsageError(
        f"{text[:80]!r} is no range of shapes",
        hint="NAME=SMALLEST,USUAL,LARGEST, such as input_ids=1x8,4x128,8x512",
    )


def add_profile(builder: Any, config: Any, network: Any, shapes: Shapes) -> None:
    """Add the profile that ``shapes`` asks for, if any input has an axis of any length.

    Raises:
        UsageError: a range is for no input, or does not fit it.
        LoadError: another axis than the first may have any length and there is no
            range, or an input is itself a shape.
    """
    inputs = [network.get_input(place) for place in range(network.num_inputs)]
    names = [tensor.name for tensor in inputs]
    for name in shapes.ranges:
        if name not in names:
            raise UsageError(f"there is no input {name!r}; the model takes {', '.join(names)}")
    profile = builder.create_optimization_profile()
    dynamic = False
    for tensor in inputs:
        if tensor.is_shape_tensor:
            raise LoadError(f"the input {tensor.name!r} is a shape, which is not supported")
        wanted = tuple(tensor.shape)
        if -1 not in wanted:
            continue
        dynamic = True
        profile.set_shape(tensor.name, *_range(tensor.name, wanted, shapes))
    if dynamic and config.add_optimization_profile(profile) < 0:
        raise LoadError("TensorRT refuses the range of shapes")


def _range(name: str, wanted: Shape, shapes: Shapes) -> Range:
    if name in shapes.ranges:
        for shape in shapes.ranges[name]:
            fits = len(shape) == len(wanted) and all(
                axis in (-1, given) for axis, given in zip(wanted, shape, strict=True)
            )
            if not fits:
                raise UsageError(f"the shape {shape} does not fit the input {name!r}: {wanted}")
        return shapes.ranges[name]
    if -1 in wanted[1:]:
        raise LoadError(
            f"the input {name!r} has an axis of any length beside the batch: {wanted}",
            hint=f"say how long: --shape {name}=SMALLEST,USUAL,LARGEST, such as 1x8,4x128,8x512",
        )
    low, usual, high = ((batch, *wanted[1:]) for batch in shapes.batch)
    return low, usual, high
