"""From an architecture and its tensors to a module, without a second copy of the weights.

The module is built on the meta device, where parameters have shapes and no memory,
and takes the tensors themselves instead of copies of them.  What no checkpoint
holds (tables computed by constructors) comes from a second, hollow module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torchinf_core.errors import FormatError, LoadError, TorchinfError
from torchinf_core.runtimes import Architecture
from torchinf_torch.reading import Tensors

_OPTIONAL = "num_batches_tracked"
"""Counts training steps; files from before torch 0.4.1 lack it, and nothing here uses it."""
_SHOWN = 3


def build_whole(torch: Any, architecture: Architecture) -> Any:
    """The module as its source makes it: with its weights, or with random ones.

    Random ones are the same each time.

    Raises:
        LoadError: the source could not make it.
    """
    with _seeded(torch):
        return _ready(_built(architecture, architecture.build or _nothing))


def build_from(torch: Any, architecture: Architecture, tensors: Tensors) -> Any:
    """The module, with these tensors as its weights.

    Args:
        torch: the module.
        architecture: tells how to build it.
        tensors: what its state dict is to be; not copied.

    Raises:
        FormatError: they do not fit the module; names the first that do not.
        LoadError: the module can't be built.
    """
    module = skeleton(torch, architecture)
    if not isinstance(module, torch.nn.Module):
        raise LoadError(f"{architecture.name} is a {type(module).__name__}, not a torch module")
    expected = dict(module.state_dict(keep_vars=True))
    tensors = _without_prefix(tensors, expected)
    shared = _shared_parameters(module)
    _check_fit(module, expected, tensors, shared, architecture)
    module.requires_grad_(False)
    try:
        module.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise FormatError(f"the weights do not fit {architecture.name}: {lines[-1]}") from error
    _share_again(module, shared)
    _repair(torch, module, architecture)
    return _ready(module)


def skeleton(torch: Any, architecture: Architecture) -> Any:
    """The module without its weights.

    Raises:
        LoadError: the source could not make it.
    """
    build = architecture.build or _nothing
    with _seeded(torch):
        try:
            with torch.device("meta"):
                return build()
        except TorchinfError:
            raise
        except Exception:  # noqa: BLE001 - whatever a constructor can't do without numbers
            return _built(architecture, lambda: _hollow(torch, build))


def _built(architecture: Architecture, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except TorchinfError:
        raise
    except Exception as error:
        what = str(error).strip().partition("\n")[0][:300]
        raise LoadError(
            f"{architecture.name} can't be built: {type(error).__name__}: {what}"
        ) from error


def _hollow(torch: Any, build: Callable[[], Any]) -> Any:
    """The module with real buffers and tables; its parameters give their memory back at once."""
    owner = threading.get_ident()

    def empty(_module: Any, _name: str, parameter: Any) -> Any:
        # The hook is the process's; modules that other threads build are none of ours.
        if threading.get_ident() != owner or parameter is None or parameter.is_meta:
            return None
        return torch.nn.Parameter(parameter.detach().to("meta"), requires_grad=False)

    from torch.nn.modules.module import register_module_parameter_registration_hook

    handle = register_module_parameter_registration_hook(empty)
    try:
        return build()
    finally:
        handle.remove()


@contextmanager
def _seeded(torch: Any) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _ready(module: Any) -> Any:
    if hasattr(module, "requires_grad_") and hasattr(module, "eval"):
        module.eval()
        module.requires_grad_(False)
    return module


def _nothing() -> Any:
    raise LoadError("the source tells no way to build the module")


# KEYS


def _without_prefix(tensors: Tensors, expected: Tensors) -> Tensors:
    """Drop what wrappers such as DataParallel put before every name, when that makes them fit."""
    for _ in range(3):
        first = next(iter(tensors), "")
        prefix = first[: first.find(".") + 1]
        if not prefix or not all(key.startswith(prefix) for key in tensors):
            break
        shorter = {key[len(prefix) :]: value for key, value in tensors.items()}
        known = prefix in ("module.", "_orig_mod.")
        if any(key in expected for key in tensors):
            break
        if not known and not any(key in expected for key in shorter):
            break
        tensors = shorter
    return tensors


def _check_fit(
    module: Any,
    expected: Tensors,
    tensors: Tensors,
    shared: list[list[str]],
    architecture: Architecture,
) -> None:
    twins = {name: group for group in shared for name in group}
    missing = [
        name
        for name in expected
        if name not in tensors
        and not name.endswith(_OPTIONAL)
        and not any(twin in tensors for twin in twins.get(name, ()))
    ]
    unexpected = [name for name in tensors if name not in expected and not _held(module, name)]
    if missing or unexpected:
        words = [
            f"{len(names)} {what} ({', '.join(map(repr, names[:_SHOWN]))}"
            f"{', …' if len(names) > _SHOWN else ''})"
            for what, names in (("missing", missing), ("unexpected", unexpected))
            if names
        ]
        raise FormatError(
            f"the weights do not fit {architecture.name}: {' and '.join(words)}",
            hint="another architecture may fit: --arch",
        )
    for name, tensor in tensors.items():
        if tensor.is_meta:
            raise FormatError(f"the weights of {architecture.name} lack the numbers of {name!r}")
        have, want = tuple(tensor.shape), tuple(getattr(expected.get(name), "shape", tensor.shape))
        # Before torch 0.4 single numbers were saved as tensors of one element.
        if have != want and not (want == () and have == (1,)):
            raise FormatError(
                f"the weights do not fit {architecture.name}: {name!r} has the shape "
                f"{list(have)} where {list(want)} is needed",
                hint="another architecture may fit: --arch",
            )


def _held(module: Any, name: str) -> bool:
    """True for a buffer that is no longer saved; older files have it."""
    owner, _, last = name.rpartition(".")
    try:
        return last in module.get_submodule(owner)._buffers  # noqa: SLF001 - torch has no other way
    except AttributeError:
        return False


def _shared_parameters(module: Any) -> list[list[str]]:
    """Names of parameters that are one and the same, such as tied embeddings."""
    by_identity: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        by_identity.setdefault(id(parameter), []).append(name)
    return [names for names in by_identity.values() if len(names) > 1]


def _share_again(module: Any, shared: list[list[str]]) -> None:
    for names in shared:
        found = [module.get_parameter(name) for name in names]
        real = next((one for one in found if not one.is_meta), None)
        for name, parameter in zip(names, found, strict=True):
            if real is not None and parameter is not real:
                owner, _, last = name.rpartition(".")
                setattr(module.get_submodule(owner), last, real)


# TABLES


def _repair(torch: Any, module: Any, architecture: Architecture) -> None:
    """Fill what is still without memory from modules that are built for their tables alone."""
    build = architecture.build or _nothing
    for make in (lambda: _hollow(torch, build), build):
        unfilled = _unfilled(torch, module)
        if not unfilled:
            return
        with _seeded(torch):
            twin = _built(architecture, make)
        for path, attribute in unfilled:
            _take(module.get_submodule(path), twin.get_submodule(path), attribute)
    if unfilled := _unfilled(torch, module):
        path, attribute = unfilled[0]
        raise LoadError(
            f"{architecture.name} has tensors that are in no file and that building it does "
            f"not fill: {f'{path}.{attribute}'.lstrip('.')!r}"
        )


def _take(owner: Any, twin: Any, attribute: str) -> None:
    # Weights are never taken from a constructor: those would be random numbers.
    if attribute not in owner._parameters:  # noqa: SLF001 - what is not saved is no parameter
        setattr(owner, attribute, getattr(twin, attribute))


def _unfilled(torch: Any, module: Any) -> list[tuple[str, str]]:
    """Path of a module and attribute, for each tensor that has no memory yet."""
    found = []
    for path, owner in module.named_modules():
        for place in (owner._parameters, owner._buffers, vars(owner)):  # noqa: SLF001
            found += [
                (path, key)
                for key, value in place.items()
                if key not in ("_parameters", "_buffers", "_modules") and _is_meta(torch, value)
            ]
    return found


def _is_meta(torch: Any, value: Any, depth: int = 3) -> bool:
    if isinstance(value, torch.Tensor):
        return bool(value.is_meta)
    inside: Any = ()
    if depth and isinstance(value, (list, tuple)):
        inside = value
    elif depth and isinstance(value, dict):
        inside = value.values()
    return any(_is_meta(torch, item, depth - 1) for item in inside)
