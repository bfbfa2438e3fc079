"""How a module computes: number type, memory format, batch normalisation folded away.

All of it changes the module in place, once, before the first prediction.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from torchinf_core.errors import OptionError

WORDS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_NAMES = {f"torch.{dtype}": word for word, dtype in WORDS.items()} | {"torch.float64": "fp64"}


def set_precision(torch: Any, module: Any, wanted: str) -> tuple[str, Any]:
    """Have a module compute with one floating type.

    Args:
        torch: the module of that name.
        module: changed where needed; what it holds is then copied.
        wanted: ``auto`` takes the type of the weights, and the widest where they
            have several.

    Returns:
        The word for it, and the dtype; ``("fp32", None)`` for a module without
        floating weights.

    Raises:
        OptionError: there is no such precision.
    """
    held = {
        tensor.dtype
        for tensors in (module.parameters(), module.buffers())
        for tensor in tensors
        if tensor.is_floating_point() and tensor.dtype.itemsize > 1
    }
    if wanted != "auto":
        if wanted not in WORDS:
            raise OptionError(
                f"torch has no precision {wanted!r}", hint=f"one of auto, {', '.join(WORDS)}"
            )
        dtype = getattr(torch, WORDS[wanted])
    elif held:
        dtype = max(held, key=lambda one: (one.itemsize, str(one) == "torch.bfloat16"))
    else:
        return "fp32", None
    if held - {dtype}:
        module.to(dtype)
    return _NAMES.get(str(dtype), str(dtype).removeprefix("torch.")), dtype


def use_channels_last(torch: Any, module: Any) -> None:
    """Lay out kernels with colours innermost, as convolutions read them fastest."""
    module.to(memory_format=torch.channels_last)


def has_convolutions(torch: Any, module: Any) -> bool:
    """True for a module that convolves pictures."""
    return any(isinstance(one, torch.nn.Conv2d) for one in module.modules())


def foldable(torch: Any, module: Any) -> list[tuple[str, str]]:
    """Paths of convolutions and of the batch normalisations that alone read their output.

    Found in a trace of the module; empty for one that can't be traced, for its way
    depends on the numbers.
    """
    try:
        graph = torch.fx.Tracer().trace(module)
    except Exception:  # noqa: BLE001 - whatever foreign code does with stand-ins for tensors
        return []
    modules = dict(module.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or not _is_norm(torch, modules.get(node.target)):
            continue
        before: Any = node.args[0] if node.args else None
        if (
            getattr(before, "op", "") == "call_module"
            and type(modules.get(before.target)) in _convolutions(torch)
            and len(before.users) == 1
            and calls[before.target] == calls[node.target] == 1
        ):
            pairs.append((str(before.target), str(node.target)))
    return pairs


def fold(torch: Any, module: Any) -> int:
    """Multiply batch normalisations into the convolutions before them; how many were."""
    pairs = foldable(torch, module)
    for convolution, norm in pairs:
        fused = torch.nn.utils.fusion.fuse_conv_bn_eval(
            module.get_submodule(convolution), module.get_submodule(norm)
        )
        _replace(module, convolution, fused.requires_grad_(False))
        _replace(module, norm, torch.nn.Identity())
    return len(pairs)


def _is_norm(torch: Any, module: Any) -> bool:
    kinds = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)
    return type(module) in kinds and module.track_running_stats


def _convolutions(torch: Any) -> tuple[type, ...]:
    return (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def _replace(module: Any, path: str, new: Any) -> None:
    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, new)
