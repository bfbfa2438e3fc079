"""Source plugin for the Hugging Face hub: a repository at one commit, as data.

It asks for metadata alone; the core fetches and checks the files.  Nothing of a
repository is run by a download, and no framework is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl
from torchinf_core.types import Json, ModelRef, Plan, SearchHit, SourceInfo

if TYPE_CHECKING:
    from torchinf_core.host import Host
    from torchinf_core.runtimes import Architecture, Artifact

__all__ = ["architecture", "fetch", "resolve", "search", "sources", "token"]


@hookimpl
def sources() -> Iterable[SourceInfo]:
    """The one source."""
    yield SourceInfo(
        name="hf",
        schemes=("hf", "huggingface"),
        description="Models of the Hugging Face hub: ORG/NAME[/PATH][@REVISION]",
        examples=(
            "hf:sentence-transformers/all-MiniLM-L6-v2",
            "hf:bert-base-uncased@main",
            "hf:openai/whisper-tiny@refs/pr/12",
            "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        ),
        options=("include", "exclude", "all_files", "variant", "format"),
        searchable=True,
    )


@hookimpl
def resolve(ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
    """The files of a repository at the commit that the reference means.

    Args:
        ref: ``hf:ORG/NAME``, with a path in it or a revision behind it.
        options: ``include`` and ``exclude``, lists of patterns; ``all_files``;
            ``variant`` and ``format`` of the weights.
        host: for two requests, one more where the repository is gated.

    Raises:
        ModelNotFoundError: no such repository, revision, file, format or variant.
        AccessDeniedError: gated without access, or a token that is not valid.
        SourceError: too many requests, or no Hugging Face hub answers there.
        RefError, OptionError, OfflineError: as their classes say.
    """
    from torchinf_hf.plans import make_plan

    return make_plan(ref, options, host)


@hookimpl
def fetch(plan: Plan, into: Path, host: Host) -> bool:
    """By Xet where the ``xet`` setting says so; else nothing, and the core transfers."""
    from torchinf_hf.fetching import fetch_by_xet

    return fetch_by_xet(plan, into, host)


@hookimpl
def token(hostname: str, host: Host) -> str | None:
    """The user's token, for the hub alone: never for the servers it redirects to."""
    from torchinf_hf.endpoint import find_token

    return find_token(hostname, host)


@hookimpl
def search(scheme: str, pattern: str, limit: int, host: Host) -> Iterable[SearchHit]:
    """Models whose id has the words of ``pattern``, the most downloaded first."""
    from torchinf_hf.searching import find

    return find(scheme, pattern, limit, host)


@hookimpl
def architecture(artifact: Artifact, ref: ModelRef) -> Architecture:
    """How the model's task is done: its module by transformers, tokens, labels, vectors.

    Raises:
        UsageError: the reference is that of another model.
        FormatError: the model's configuration is not what it should be.
    """
    from torchinf_hf.using import make_architecture

    return make_architecture(artifact, ref)
