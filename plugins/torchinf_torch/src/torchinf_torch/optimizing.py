"""Forms of a module that may be faster; each is offered only where it could be built."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torchinf_core.errors import LoadError
from torchinf_core.predicting import arrays
from torchinf_core.runtimes import Architecture, Artifact, Candidate, LoadOptions
from torchinf_core.types import Json
from torchinf_torch import building, devices, framework, tuning
from torchinf_torch.calling import arrange, takes_keywords
from torchinf_torch.forms import AOT, MODULE_OPTIONS, form_of
from torchinf_torch.loading import make_module

_BOUND = ("torch",)


def candidates(artifact: Artifact, device: str, options: LoadOptions) -> Iterator[Candidate]:
    """What :func:`torchinf_torch.optimize` offers: for modules on the CPU and on Apple GPUs.

    On NVIDIA GPUs the cuda plugin does.
    """
    place = devices.choose(device)
    if artifact.derived or place.problem or place.name.startswith("cuda"):
        return
    if form_of(artifact).kind != "module":
        return
    torch = framework.import_torch()
    architecture = artifact.architecture()
    if architecture.build is None:
        return
    module = sketch(torch, architecture)
    tuned = tunings(torch, module)
    exact = options.precision in ("auto", "fp32")
    if tuned and exact:
        yield Candidate(
            label=label("PyTorch", tuned, "fp32"),
            format=MODULE_OPTIONS,
            options={**tuned, "precision": "fp32"},
            distributions=_BOUND,
        )
    if place.name == "cpu" and devices.has_fast_bf16() and options.precision in ("auto", "bf16"):
        yield Candidate(
            label=label("PyTorch", tuned, "bf16"),
            format=MODULE_OPTIONS,
            precision="bf16",
            options={**tuned, "precision": "bf16"},
            distributions=_BOUND,
        )
    if place.name == "cpu" and exact and find_compiler():
        keywords = takes_keywords(module.forward, architecture.signature)
        yield from _compiled(torch, artifact, tuned, keywords=keywords)


def sketch(torch: Any, architecture: Architecture) -> Any:
    """The module to look at, without its weights where it can be built without.

    Raises:
        LoadError: it can't be built, or is no module.
    """
    build = building.build_whole if architecture.complete else building.skeleton
    module = build(torch, architecture)
    if not isinstance(module, torch.nn.Module):
        raise LoadError(f"{architecture.name} is a {type(module).__name__}, not a torch module")
    return module.eval()


def tunings(torch: Any, module: Any) -> dict[str, Json]:
    """The options of ``Derived`` that change anything for a module."""
    found: dict[str, Json] = {}
    if tuning.foldable(torch, module):
        found["fold"] = True
    if tuning.has_convolutions(torch, module):
        found["channels_last"] = True
    return found


def label(start: str, tuned: dict[str, Json], precision: str) -> str:
    """``PyTorch, folded, channels last, fp32``."""
    words = [start, "folded" * bool(tuned.get("fold"))]
    words += ["channels last" * bool(tuned.get("channels_last")), precision]
    return ", ".join(filter(None, words))


def find_compiler() -> str | None:
    """The C++ compiler that torch would use, or None."""
    named = os.environ.get("CXX", "")
    return next(filter(None, map(shutil.which, (named, "g++", "c++", "clang++"))), None)


def _compiled(
    torch: Any, artifact: Artifact, tuned: dict[str, Json], *, keywords: bool
) -> Iterator[Candidate]:
    architecture = artifact.architecture()
    yield Candidate(
        label="torch.compile, fp32",
        format=MODULE_OPTIONS,
        options={**tuned, "precision": "fp32", "compile": True},
        distributions=_BOUND,
        thorough=True,
    )
    feeds = example_feeds(architecture)
    if feeds:

        def build(directory: Path) -> None:
            package(torch, artifact, architecture, tuned, directory)

        yield Candidate(
            label="AOTInductor, fp32",
            format=AOT,
            options={"keywords": keywords},
            distributions=_BOUND,
            build=build,
            thorough=True,
        )


def example_feeds(architecture: Architecture, batch: int = 2) -> dict[str, Any]:
    """Inputs to trace with; two items, for torch takes a length of one for a constant."""
    if architecture.examples is not None:
        return architecture.examples(batch)
    return arrays.examples(architecture.signature, batch)


def package(
    torch: Any,
    artifact: Artifact,
    architecture: Architecture,
    tuned: dict[str, Json],
    directory: Path,
) -> None:
    """Compile a module with AOTInductor into ``model.pt2``."""
    module = make_module(torch, artifact, architecture)
    if tuned.get("fold"):
        tuning.fold(torch, module)
    tuning.set_precision(torch, module, "fp32")
    program = export(torch, module, architecture)
    compile_package: Callable[..., Any] = torch._inductor.aoti_compile_and_package  # noqa: SLF001
    compile_package(program, package_path=str(directory / "model.pt2"))


def export(torch: Any, module: Any, architecture: Architecture) -> Any:
    """The module as an exported program whose free axes stay free where torch allows it."""
    signature = architecture.signature
    places, named = arrange(
        torch,
        example_feeds(architecture),
        signature,
        keywords=takes_keywords(module.forward, signature),
    )
    free = {
        spec.name: {
            place: torch.export.Dim.AUTO
            for place, axis in enumerate(spec.shape or ())
            if isinstance(axis, str)
        }
        for spec in signature.inputs
    }
    shapes: Any = tuple(free.values()) if places else free
    with torch.no_grad():
        return torch.export.export(
            module, tuple(places), named, dynamic_shapes=shapes or None, strict=False
        )
