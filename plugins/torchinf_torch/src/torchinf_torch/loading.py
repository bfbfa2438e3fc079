"""From an artifact to a predictor: the right reader, the right device, the right options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torchinf_core.errors import (
    DeviceError,
    FormatError,
    LoadError,
    OptionError,
    TorchinfError,
)
from torchinf_core.runtimes import Architecture, Artifact, Claim, LoadOptions, Signature
from torchinf_core.types import Json
from torchinf_torch import building, devices, framework, programs, reading, tuning
from torchinf_torch.calling import takes_keywords
from torchinf_torch.forms import Form, form_of, original
from torchinf_torch.predictor import Loaded, TorchPredictor, is_memory_error, set_threads

Place = Callable[[Any], None]
"""Moves a module to where it is to run."""


def load_predictor(artifact: Artifact, claim: Claim, options: LoadOptions) -> TorchPredictor:
    """Load an artifact for the ``load`` hook; see there for what it raises."""
    torch = framework.import_torch()
    device = devices.require(torch, claim.device)
    set_threads(torch, options.threads)
    loaded = load_on(torch, artifact, device, options)
    return TorchPredictor(torch, artifact, claim, loaded, options)


def load_on(
    torch: Any,
    artifact: Artifact,
    device: Any,
    options: LoadOptions,
    runtime: str = "torch",
    place: Place | None = None,
) -> Loaded:
    """Load an artifact onto a device.

    Args:
        torch: the module of that name.
        artifact: a model as downloaded, or a form of the runtime.
        device: a ``torch.device`` that is there.
        options: of the user.
        runtime: name of the plugin that loads.
        place: moves a module to the device, where that is more than ``module.to``.

    Raises:
        TorchinfError: as the ``load`` hook.
    """
    form = form_of(artifact, runtime)
    try:
        if form.kind == "module":
            return _load_module(torch, artifact, device, options, place)
        return _load_program(torch, artifact, form, device, options)
    except TorchinfError:
        raise
    except Exception as error:
        if is_memory_error(error):
            raise DeviceError(
                f"{artifact.name!r} needs more memory than {device} has left",
                hint="another --device, --precision bf16, or close other models",
            ) from error
        what = str(error).strip().partition("\n")[0][:300]
        raise LoadError(
            f"{artifact.name!r} can't be loaded: {type(error).__name__}: {what}"
        ) from error


def _load_module(
    torch: Any, artifact: Artifact, device: Any, options: LoadOptions, place: Place | None
) -> Loaded:
    """A module with its weights, tuned as a derived form's options say."""
    chosen: Mapping[str, Json] = artifact.derived.options if artifact.derived else {}
    origin = original(artifact)
    architecture = origin.architecture()
    module = make_module(torch, origin, architecture)
    if not isinstance(module, torch.nn.Module):
        raise LoadError(f"{architecture.name} is a {type(module).__name__}, not a torch module")
    if chosen.get("fold"):
        # Folding multiplies numbers that have to be as exact as the file has them.
        tuning.fold(torch, module)
    wanted = str(chosen.get("precision") or options.precision)
    precision, dtype = tuning.set_precision(torch, module, wanted)
    if place is not None:
        place(module)
    elif device.type != "cpu":
        module.to(device)
    if chosen.get("channels_last"):
        tuning.use_channels_last(torch, module)
    loaded = describe(module, architecture.signature, precision, dtype, device)
    if chosen.get("compile"):
        loaded = replace(loaded, call=torch.compile(module))
    return loaded


def describe(module: Any, signature: Signature, precision: str, dtype: Any, device: Any) -> Loaded:
    """A module as the predictor takes it."""
    return Loaded(
        call=module,
        module=module,
        signature=signature,
        precision=precision,
        dtype=dtype,
        device=device,
        keywords=takes_keywords(module.forward, signature),
    )


def make_module(torch: Any, artifact: Artifact, architecture: Architecture) -> Any:
    """The module of an artifact as downloaded, on the CPU, as exact as its files.

    Raises:
        FormatError, PolicyError, StoreError: see :func:`reading.read_all`.
        LoadError: there is no way to build it.
    """
    if architecture.build is None:
        raise LoadError(
            f"the source of {artifact.name!r} tells how it is used, and not how it is built"
        )
    if architecture.complete:
        return building.build_whole(torch, architecture)
    files = architecture.weights or _weights(artifact)
    if not files and artifact.files:
        # Random weights in the place of those that somebody downloaded would be a lie.
        raise FormatError(f"no file of {artifact.name!r} holds weights that torch reads")
    if not files:
        return building.build_whole(torch, architecture)
    return building.build_from(torch, architecture, reading.read_all(torch, artifact, files))


def _weights(artifact: Artifact) -> tuple[str, ...]:
    """The files that hold the state dict, where the architecture doesn't say."""
    for kind in ("safetensors", "torch"):
        if found := artifact.having(kind):
            return tuple(sorted(file.path for file in found))
    return ()


def _load_program(
    torch: Any, artifact: Artifact, form: Form, device: Any, options: LoadOptions
) -> Loaded:
    if form.kind is None:
        raise FormatError(f"{artifact.name!r} can't be loaded: {form.reason}", hint=form.hint)
    if form.kind == "aotinductor":
        return _load_compiled(artifact, device)
    if options.precision not in ("auto", "fp32"):
        raise OptionError(
            f"{artifact.name!r} is {form.reason}, which computes with what it was made for",
            hint="--precision auto",
        )
    file = artifact.having(form.kind)[0]
    path = artifact.path(file)
    signature = _told(artifact)
    if form.kind == "torchscript":
        module = programs.load_script(torch, path, file.path, device)
        takes = programs.describe_script(module)
    else:
        module, found = programs.load_export(torch, path, file.path, device)
        signature, takes = (found if found.inputs else signature), ""
    return Loaded(
        call=module,
        module=module,
        signature=signature,
        precision="fp32",
        dtype=None,
        device=device,
        takes=takes,
    )


def _told(artifact: Artifact) -> Signature:
    """What a source says of a program's inputs; most know nothing of it."""
    if not artifact.describable:
        return Signature()
    try:
        return artifact.architecture().signature
    except TorchinfError:
        return Signature()


def _load_compiled(artifact: Artifact, device: Any) -> Loaded:
    path = artifact.files[0].path
    architecture = original(artifact).architecture()
    call = programs.load_compiled(artifact.path(path), path)
    signature = architecture.signature
    names = [spec.name for spec in signature.inputs]
    derived = artifact.derived
    keywords = bool(derived and derived.options.get("keywords")) and len(names) > 1
    return Loaded(
        call=call,
        module=None,
        signature=signature,
        precision="fp32",
        dtype=None,
        device=device,
        keywords=keywords,
    )
