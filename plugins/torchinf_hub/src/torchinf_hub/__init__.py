"""Source plugin for PyTorch Hub: repositories with a hubconf.py, as data.

Code is fetched at a commit and read by its syntax tree.  It runs in
:mod:`torchinf_hub.running`, :mod:`torchinf_hub.building` and
:mod:`torchinf_hub.capture` alone, when somebody has decided so for exactly this content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl
from torchinf_core.types import Json, ModelRef, Plan, Record, SearchHit, SourceInfo

if TYPE_CHECKING:
    import typer

    from torchinf_core.host import Host
    from torchinf_core.runtimes import Architecture, Artifact

__all__ = ["architecture", "commands", "resolve", "search", "sources", "trusts"]


@hookimpl
def sources() -> Iterable[SourceInfo]:
    """The one source."""
    yield SourceInfo(
        name="hub",
        schemes=("hub", "pytorch_hub"),
        description="Repositories of PyTorch Hub: OWNER/REPO[:REF]/ENTRY, or a directory",
        examples=(
            "hub:pytorch/vision/resnet50",
            "hub:pytorch/vision:v0.10.0/resnet50",
            "hub:pytorch/vision/resnet50@v0.10.0",
            "hub:/srv/models/my_repository/entry",
        ),
        options=("pretrained", "arguments"),
        searchable=True,
    )


@hookimpl
def resolve(ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
    """The code at one commit, and the weights that reading it shows.

    Args:
        ref: ``hub:OWNER/REPO[:REF]/ENTRY`` or ``hub:/DIRECTORY/ENTRY``.
        options: ``pretrained``, False for the bare model; ``arguments``, what
            else the entry point is to be called with, by name.
        host: for two requests, and the ``github`` and ``max_archive`` settings.

    Raises:
        ModelNotFoundError: no such repository, ref, commit or entry point.
        RefError: the reference is none, or names a branch and a tag.
        FormatError: the archive or its hubconf.py can't be read.
        IntegrityError: the server sent another commit.
        SizeLimitError: the archive is larger than allowed.
        OptionError: an argument that the entry point does not take.
    """
    from torchinf_hub.plans import make_plan

    return make_plan(ref, options, host)


@hookimpl
def search(scheme: str, pattern: str, host: Host) -> Iterable[SearchHit]:
    """The entry points of the repository or directory that ``pattern`` begins with."""
    from torchinf_hub.searching import find

    return find(scheme, pattern, host)


@hookimpl
def trusts(record: Record, host: Host) -> bool:
    """True for a named commit of an owner in the ``trusted_owners`` setting."""
    from torchinf_hub.trusting import trusts_owner

    return trusts_owner(record, host.settings)


@hookimpl
def architecture(artifact: Artifact, ref: ModelRef, host: Host) -> Architecture:
    """The module that the entry point returns; its code runs when that is built.

    Raises:
        UsageError: the reference is not that of the artifact.
    """
    from torchinf_hub.building import make_architecture

    return make_architecture(artifact, ref, host.settings)


@hookimpl
def commands(app: typer.Typer) -> None:
    """``torchinf hub capture NAME``."""
    from torchinf_hub.command import capture_command

    app.command("capture")(capture_command)
