"""Spreads a module over several GPUs, layer after layer, where one is too small.

The simplest thing that works: GPUs are filled in order, and tensors follow the layers
from one to the next, so that only one computes at a time.  It gives room, not speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchinf_core.errors import DeviceError
from torchinf_cuda.memory import human, size_of

USABLE = 0.9
"""Of what is free; the rest is for what layers compute."""
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


@dataclass(frozen=True, slots=True)
class Placed:
    """One part of a module and where it goes.

    Attributes:
        path: of the part; ``""`` is the whole.
        device: such as ``cuda:1``.
        whole: True with all that is in it; False for its own tensors alone.
    """

    path: str
    device: str
    whole: bool = True


def plan(module: Any, rooms: Mapping[str, int]) -> list[Placed]:
    """Which part goes where.

    A part that fits on a GPU is kept together, unless it is only a list of parts.
    The whole is not: the GPU that the user named is to be filled before another is.

    Args:
        module: its tensors may be on the meta device.
        rooms: device → bytes that may be used, in the order in which to fill them.

    Raises:
        DeviceError: they are too small together, or for one part.
    """
    left = list(rooms.items())
    largest = max(rooms.values(), default=0)
    placed: list[Placed] = []

    def take(path: str, size: int, *, whole: bool) -> None:
        while left and left[0][1] < size:
            left.pop(0)
        if not left:
            raise _too_small(module, rooms)
        device, room = left[0]
        left[0] = (device, room - size)
        placed.append(Placed(path, device, whole))

    def visit(path: str, part: Any) -> None:
        size = size_of(part)
        children = list(part.named_children())
        fits = bool(left) and size <= left[0][1]
        divisible = not path or type(part).__name__ in _CONTAINERS
        together = size <= largest and not divisible
        if fits or together or not children:
            take(path, size, whole=True)
            return
        own = sum(
            tensor.numel() * tensor.element_size()
            for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False))
        )
        if own:
            take(path, own, whole=False)
        for name, child in children:
            visit(f"{path}.{name}" if path else name, child)

    visit("", module)
    return placed


def spread(torch: Any, module: Any, parts: list[Placed], home: Any) -> None:
    """Move the parts to their devices, and have tensors follow.

    Args:
        torch: the module of that name.
        module: changed in place; its outputs come back to ``home``.
        parts: as :func:`plan` returns them.
        home: device of the inputs and outputs.

    Raises:
        DeviceError: two parts on different devices share weights.
    """
    _refuse_shared(module, parts)
    for part in parts:
        found = module.get_submodule(part.path)
        if not part.whole:
            _move_own(found, part.device)
            continue
        found.to(part.device)
        found.register_forward_pre_hook(_bringing(torch, part.device), with_kwargs=True)
    module.register_forward_hook(lambda _module, _inputs, output: move(torch, output, home))


def move(torch: Any, value: Any, device: Any) -> Any:
    """A value with all tensors in it on a device."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(move(torch, item, device) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(move(torch, item, device) for item in value)
    if isinstance(value, dict):
        # Outputs of transformers are dicts of classes of their own, which take keywords.
        moved = {key: move(torch, item, device) for key, item in value.items()}
        return moved if type(value) is dict else type(value)(**moved)
    return value


def _bringing(torch: Any, device: str) -> Any:
    def hook(_module: Any, places: Any, named: Any) -> Any:
        return move(torch, places, device), move(torch, named, device)

    return hook


def _move_own(part: Any, device: str) -> None:
    for parameter in part.parameters(recurse=False):
        parameter.data = parameter.data.to(device)
    for name, buffer in list(part.named_buffers(recurse=False)):
        setattr(part, name, buffer.to(device))


def _refuse_shared(module: Any, parts: list[Placed]) -> None:
    where: dict[int, str] = {}
    for part in parts:
        found = module.get_submodule(part.path)
        for name, parameter in found.named_parameters(recurse=part.whole):
            if where.setdefault(id(parameter), part.device) != part.device:
                full = f"{part.path}.{name}".lstrip(".")
                raise DeviceError(
                    f"the model fits on no GPU alone, and can't be spread over several: "
                    f"{full!r} is shared by parts on two of them",
                    hint="--precision bf16, or --device cpu",
                )


def _too_small(module: Any, rooms: Mapping[str, int]) -> DeviceError:
    free = ", ".join(f"{device} has {human(room)}" for device, room in rooms.items())
    return DeviceError(
        f"the model needs {human(size_of(module))} for its weights, and of that {free}",
        hint="--precision bf16, close other models, or --device cpu",
    )
