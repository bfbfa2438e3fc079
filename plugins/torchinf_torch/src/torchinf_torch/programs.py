"""Programs of torch: TorchScript, exported programs, and what AOTInductor made of one here.

They are code; that somebody trusted them was found out before they get here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchinf_core.errors import FormatError, LoadError
from torchinf_core.runtimes import Signature, TensorSpec
from torchinf_torch import limits


def load_script(torch: Any, path: Path, name: str, device: Any) -> Any:
    """A TorchScript module on a device, in evaluation mode.

    Raises:
        FormatError: it is damaged, or torch can't read it.
    """
    limits.check_program(path, name)
    with warnings.catch_warnings():
        # torch wants programs to be exported anew; those that exist are run all the same.
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        module = _read(lambda: torch.jit.load(str(path), map_location=device), name)
        module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def describe_script(module: Any) -> str:
    """What a TorchScript module's ``forward`` takes, as torch writes it, or ``""``."""
    try:
        schema = module.forward.schema
        inputs = [
            f"{argument.type} {argument.name}"
            + (f" = {argument.default_value}" if argument.has_default_value() else "")
            for argument in schema.arguments[1:]
        ]
    except (AttributeError, RuntimeError):
        return ""
    return f"forward({', '.join(inputs)})"


def load_export(torch: Any, path: Path, name: str, device: Any) -> tuple[Any, Signature]:
    """The module of an exported program on a device, and what it takes and gives.

    Raises:
        FormatError: it is damaged, or from a torch that this one does not understand.
        LoadError: it is a compiled library for other hardware.
    """
    limits.check_program(path, name)
    program = _read(lambda: torch.export.load(str(path)), name)
    signature = read_signature(program)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program.module(check_guards=False), signature


def load_compiled(path: Path, name: str) -> Any:
    """What runs a package of AOTInductor.

    Raises:
        FormatError: it can't be read.
    """
    from torch._inductor import aoti_load_package

    return _read(lambda: aoti_load_package(str(path)), name)


def _read(load: Callable[[], Any], name: str) -> Any:
    try:
        return load()
    except LoadError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        what = lines[0][:300] if lines else type(error).__name__
        raise FormatError(f"{name!a} can't be read as a program of torch: {what}") from error


def read_signature(program: Any) -> Signature:
    """What an exported program takes and gives; unknown where its inputs are nested."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = [(name, values.get(name)) for name in program.graph_signature.user_inputs]
    outputs = [(name, values.get(name)) for name in program.graph_signature.user_outputs]
    taken, named = program.call_spec.in_spec.children()
    flat = all(child.is_leaf() for child in (*taken.children(), *named.children()))
    axes: dict[str, str] = {}
    given = tuple(_spec(name, value, axes) for name, value in inputs)
    made = tuple(_spec(name, value, axes) for name, value in outputs)
    return Signature(
        tuple(spec for spec in given if spec) if flat and all(given) else (),
        tuple(spec for spec in made if spec) if all(made) else (),
    )


def _spec(name: Any, value: Any, axes: dict[str, str]) -> TensorSpec | None:
    """One input or output; its free axes are named ``batch``, ``axis_1`` and so on."""
    if not hasattr(value, "shape") or not isinstance(name, str):
        return None
    shape = tuple(
        axis
        if isinstance(axis, int)
        else axes.setdefault(str(axis), f"axis_{len(axes)}" if axes or place else "batch")
        for place, axis in enumerate(value.shape)
    )
    dtype = str(value.dtype).removeprefix("torch.")
    return TensorSpec(name, "float32" if dtype == "bfloat16" else dtype, shape)
