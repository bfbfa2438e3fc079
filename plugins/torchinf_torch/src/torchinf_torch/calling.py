"""Between arrays by name and the call of a module: what goes in where, what came out as what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torchinf_core.runtimes import Array, Feeds, Signature

Call = Callable[..., Any]


def takes_keywords(forward: Call, signature: Signature) -> bool:
    """True when a module is to get its inputs by name.

    A single one goes by place where it is the first; several go by name where the
    module knows all of the names.
    """
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        return False
    by_name = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [spec.name for spec in signature.inputs]
    if names == by_name[:1]:
        return False
    return bool(names) and all(name in by_name for name in names)


def arrange(
    torch: Any, feeds: Feeds, signature: Signature, *, keywords: bool
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments for a module.

    Where nobody described the inputs, single numbers stay numbers (a sampling rate
    is no tensor), and names that were not made up are keywords.
    """
    if signature.inputs:
        tensors = {spec.name: to_tensor(torch, feeds[spec.name]) for spec in signature.inputs}
        return ([], tensors) if keywords else (list(tensors.values()), {})
    places, named = [], {}
    for name, array in feeds.items():
        value = array.item() if array.ndim == 0 else to_tensor(torch, array)
        if name == "input" or (name.startswith("input_") and name[6:].isdigit()):
            places.append(value)
        else:
            named[name] = value
    return places, named


def to_tensor(torch: Any, array: Array) -> Any:
    """A tensor over an array's memory; over a copy where torch can't use that."""
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def name_outputs(torch: Any, output: Any, signature: Signature) -> dict[str, Any]:
    """Tensors by name, whatever a module returned: one, several, a dict, one within another.

    Args:
        torch: the module of that name.
        output: a tensor, number, mapping, tuple or list of such.
        signature: names the outputs in their order, where it is known.
    """
    names = [spec.name for spec in signature.outputs]
    if isinstance(output, torch.Tensor):
        return {names[0] if len(names) == 1 else "output": output}
    found: dict[str, Any] = {}
    in_order = isinstance(output, (tuple, list)) and not hasattr(output, "_fields")
    if in_order and len(names) == len(output):
        output = dict(zip(names, output, strict=True))
    _flatten(torch, output, "", found)
    return found


def _flatten(torch: Any, value: Any, name: str, found: dict[str, Any]) -> None:
    if isinstance(value, torch.Tensor):
        found[name or "output"] = value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(torch, item, f"{name}_{key}" if name else str(key), found)
    elif hasattr(value, "_fields"):
        _flatten(torch, value._asdict(), name, found)
    elif isinstance(value, (tuple, list)):
        for number, item in enumerate(value):
            _flatten(torch, item, f"{name or 'output'}_{number}", found)
    elif isinstance(value, (bool, int, float)):
        found[name or "output"] = torch.tensor(value)


def to_array(torch: Any, tensor: Any) -> Array:
    """A numpy array; float32 for the short floating types that numpy does not have."""
    tensor = tensor.detach()
    if tensor.is_floating_point() and tensor.dtype not in (
        torch.float16,
        torch.float32,
        torch.float64,
    ):
        tensor = tensor.float()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    return tensor.cpu().resolve_conj().resolve_neg().numpy()
