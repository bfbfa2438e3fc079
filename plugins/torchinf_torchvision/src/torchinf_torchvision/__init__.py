"""Source plugin for the models and weights of torchvision.

All it knows is in the catalogue that ships with it: resolving, searching and
telling how a model is used import no framework and open no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl
from torchinf_core.types import Json, ModelRef, Plan, SearchHit, SourceInfo

if TYPE_CHECKING:
    import typer

    from torchinf_core.host import Host
    from torchinf_core.runtimes import Architecture, Artifact

__all__ = ["architecture", "commands", "resolve", "search", "sources"]


@hookimpl
def sources() -> Iterable[SourceInfo]:
    """The one source."""
    yield SourceInfo(
        name="torchvision",
        schemes=("torchvision",),
        description="Every model and weights member of torchvision",
        examples=(
            "torchvision:resnet18",
            "torchvision:resnet50@IMAGENET1K_V1",
            "torchvision:resnet50@ResNet50_Weights.IMAGENET1K_V2",
        ),
        options=("pretrained",),
        searchable=True,
    )


@hookimpl
def resolve(ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
    """The checkpoint of a weights member, or no file for ``pretrained=False``.

    Args:
        ref: ``torchvision:MODEL``, ``torchvision:MODEL@MEMBER``.
        options: ``pretrained``, False for the architecture alone.
        host: for the ``mirror`` setting; nothing is asked over the network.

    Raises:
        ModelNotFoundError: the catalogue has no such model or member.
        OptionError: ``pretrained`` is not a bool, or contradicts the member.
        UsageError: the ``mirror`` setting is not a URL.
    """
    from torchinf_torchvision.plans import make_plan

    return make_plan(ref, options.get("pretrained"), host.setting("mirror"))


@hookimpl
def search(pattern: str, limit: int) -> Iterable[SearchHit]:
    """Weights members whose model, name, task or tag match all words of ``pattern``."""
    from torchinf_torchvision.searching import find

    return find(pattern, limit)


@hookimpl
def architecture(artifact: Artifact, ref: ModelRef) -> Architecture:
    """The module, and what turns pictures into labels, as the catalogue tells them.

    Raises:
        ModelNotFoundError: the catalogue has no such model or member.
        LoadError: the artifact holds several checkpoints.
    """
    from torchinf_torchvision.architectures import make_architecture

    return make_architecture(artifact, ref)


@hookimpl
def commands(app: typer.Typer) -> None:
    """``torchinf torchvision labels MODEL``."""
    from torchinf_torchvision.labels import print_labels

    app.command("labels")(print_labels)
