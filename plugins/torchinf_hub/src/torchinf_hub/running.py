"""Loads a downloaded model of PyTorch Hub, offline and from verified files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchinf_core.errors import IntegrityError, NotCachedError, UsageError
from torchinf_core.manager import ModelDownloader, get_model_downloader
from torchinf_core.types import ModelInfo, Record
from torchinf_hub.executing import execute, program_of
from torchinf_hub.plans import FORMAT
from torchinf_hub.trusting import require_trust


def load(
    model: str | Path | Record | ModelInfo,
    entry: str | None = None,
    /,
    *,
    downloader: ModelDownloader | None = None,
    installed: Sequence[str] = (),
    **arguments: Any,
) -> Any:
    """Run an entry point of a stored model, and return what it returns.

    The repository's modules get a world of their own, so that several
    repositories with a ``utils.py`` each can be loaded side by side.  Whatever
    the code has torch.hub download comes from the recorded files.

    Args:
        model: name or reference of a stored model, the directory that a download
            returned, or what is known of it.
        entry: another entry point of the same hubconf.py.
        downloader: of the store that has it; default: the default store.
        installed: packages to take from this Python although the repository has
            them too, such as ``("torchvision",)`` for their compiled parts.
        arguments: for the entry point; they win over those that the model was
            downloaded for.

    Raises:
        UntrustedError: nobody has decided that this code may run.
        NotCachedError: there is no such model, or its code asks for a file that
            was not recorded.
        IntegrityError: a file is not as recorded.
        MissingDependencyError: a module that the code needs is not installed.
        LoadError: the code failed; the cause is kept.
    """
    store = downloader or get_model_downloader()
    record = find_record(model, store)
    require_trust(record, store.settings)
    with store.store.lease():
        problems = store.store.check(record, full=False)
        if problems:
            raise IntegrityError(
                f"{record.name!r} is damaged: {problems[0]}",
                hint=f"torchinf download {record.ref}",
            )
        root = store.store.model_dir(record)
        return execute(program_of(record, root, entry, arguments, installed))


def find_record(model: str | Path | Record | ModelInfo, store: ModelDownloader) -> Record:
    """The record that is meant.

    Raises:
        NotCachedError: the store has no such model.
        UsageError: it is no model of PyTorch Hub.
    """
    if isinstance(model, (ModelInfo, Record)):
        # What was decided about trust since then counts.
        record = store.registry.get(model.name)
    elif isinstance(model, Path):
        record = _by_directory(model, store)
    else:
        record = store.get_record(model)
    if record.format != FORMAT or not record.metadata.get("entry"):
        raise UsageError(
            f"{record.name!r} is no model of PyTorch Hub, but {record.format or record.source}"
        )
    return record


def _by_directory(path: Path, store: ModelDownloader) -> Record:
    wanted = os.path.realpath(path)
    for record in store.registry.records().records:
        places = (store.store.model_dir(record), store.store.model_path(record))
        if wanted in map(os.path.realpath, places):
            return record
    raise NotCachedError(f"{path} is not the directory of a stored model", hint="torchinf list")
