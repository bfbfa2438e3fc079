"""The downloads of the library that are named after a source, as its users know them.

Each is :meth:`ModelDownloader.download` with the arguments in other words.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torchinf_core.errors import UsageError
from torchinf_core.types import Event, Json, ModelInfo


class Downloads(Protocol):
    """What can download by a source and the name of a model there."""

    def download(
        self, source: str, model_id: str | None = None, **asked: Any
    ) -> tuple[Path, ModelInfo]:
        """See :meth:`ModelDownloader.download`."""


class BySource:
    """One method for each source that the first users called by name."""

    def download_huggingface_model(
        self: Downloads,
        model_id: str,
        task: str | None = None,
        revision: str | None = None,
        custom_name: str | None = None,
        **more: Any,
    ) -> tuple[Path, ModelInfo]:
        """``download("huggingface", model_id)``, at a revision and under a name.

        Args:
            model_id: ``org/name``, ``name``, or either with a path in it.
            task: label of the record, such as ``"text-classification"``.
            revision: branch, tag, commit or ``refs/pr/N``; default: the main branch.
            custom_name: name in the store; default: the repository's.
            more: as for :meth:`ModelDownloader.download`, such as ``variant="fp16"``.
        """
        at = f"@{revision}" if revision else ""
        return self.download("huggingface", model_id + at, name=custom_name, task=task, **more)

    def download_pytorch_hub_model(
        self: Downloads,
        repo_or_dir: str,
        model: str,
        *,
        custom_name: str | None = None,
        pretrained: bool = True,
        source: str | None = None,
        on_event: Callable[[Event], None] | None = None,
        trust: bool = False,
        update: bool = False,
        **arguments: Json,
    ) -> tuple[Path, ModelInfo]:
        """Have what ``torch.hub.load(repo_or_dir, model, …)`` would use; none of it is run.

        Args:
            repo_or_dir: ``owner/repo``, ``owner/repo:ref``, or a directory, which
                begins with ``/``, ``./``, ``../`` or ``~/``.
            model: an entry point of its hubconf.py.
            custom_name: name in the store; default: the entry point's.
            pretrained: with its weights, or the bare model.
            source: ``"local"`` takes ``repo_or_dir`` for a directory in any case,
                ``"github"`` for a repository.
            on_event: called for each step, also from other threads.
            trust: decide that code of exactly this content may run; recorded.
            update: ask the source again, and fetch what changed.
            arguments: what else the entry point is to be called with.
        """
        if source not in (None, "github", "local"):
            raise UsageError(f"source is {source!r}, expected 'github' or 'local'")
        where = os.path.abspath(repo_or_dir) if source == "local" else repo_or_dir.rstrip("/")
        return self.download(
            "pytorch_hub",
            f"{where}/{model}",
            name=custom_name,
            pretrained=pretrained,
            on_event=on_event,
            trust=trust,
            update=update,
            arguments=arguments or None,
        )

    def download_torchvision_model(
        self: Downloads,
        model_name: str,
        pretrained: bool = True,
        custom_name: str | None = None,
        **more: Any,
    ) -> tuple[Path, ModelInfo]:
        """``download("torchvision", model_name)`` under the name ``custom_name``."""
        return self.download(
            "torchvision", model_name, name=custom_name, pretrained=pretrained, **more
        )

    def download_from_url(
        self: Downloads,
        url: str,
        model_name: str | None = None,
        expected_hash: str | None = None,
        **more: Any,
    ) -> tuple[Path, ModelInfo]:
        """``download("url", url)``; ``expected_hash`` is a sha256 in hex."""
        return self.download("url", url, name=model_name, sha256=expected_hash, **more)
