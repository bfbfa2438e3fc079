"""Source plugin for PyTorch Hub: repositories with a hubconf.py, as data.

Code is fetched at a commit and read by its syntax tree.  It runs in
:mod:`torchinf_hub.running` and :mod:`torchinf_hub.capture` alone, when somebody
has decided so for exactly this content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl
from torchinf_core.types import Json, ModelRef, Plan, SearchHit, SourceInfo

if TYPE_CHECKING:
    import typer

    from torchinf_core.host import Host

__all__ = ["commands", "resolve", "search", "sources"]


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
def commands(app: typer.Typer) -> None:
    """``torchinf hub capture NAME``."""
    from torchinf_hub.commands import capture_command

    app.command("capture")(capture_command)
