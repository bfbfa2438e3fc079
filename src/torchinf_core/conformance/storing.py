"""Makes the artifact that the core would hand out for files in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torchinf_core import __version__
from torchinf_core.errors import TorchinfError
from torchinf_core.refs import redact
from torchinf_core.runtimes import Artifact
from torchinf_core.types import Plan, Record, StoredFile, Trust
from torchinf_core.verify import hash_file, sniff

_NOW = "2026-01-01T00:00:00Z"


def stored_files(folder: Path) -> tuple[StoredFile, ...]:
    """The files of a folder with sizes, digests and formats, as the store has them."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest, size = hash_file(path)
        name = path.relative_to(folder).as_posix()
        found.append(StoredFile(name, size, digest, _format(path, name)))
    return tuple(found)


def _format(path: Path, name: str) -> str | None:
    try:
        return sniff(path, name).format
    except TorchinfError:  # the store would have refused it; the kit has uses for it
        return None


def artifact_of(
    folder: Path,
    *,
    kind: str | None = None,
    ref: str = "kit:model",
    trust: Trust = Trust.DATA,
    metadata: Mapping[str, Any] | None = None,
    **more: Any,
) -> Artifact:
    """An artifact of all files of a folder.

    Args:
        folder: that holds the files and nothing else.
        kind: format of the main file; default: that of the largest one that has a format.
        ref: reference that it was got by.
        trust: level that the content needs.
        metadata: of its record.
        more: other fields of the artifact.
    """
    files = stored_files(folder)
    known = [file for file in sorted(files, key=lambda file: -file.size) if file.format]
    source, _, model_id = ref.partition(":")
    record = Record(
        name="kit-model",
        source=source,
        ref=ref,
        model_id=model_id,
        requested_revision=None,
        revision=None,
        files=files,
        generation="0" * 64,
        format=kind or (known[0].format if known else None),
        trust=trust,
        trusted=None,
        verified="recorded",
        task=None,
        description=None,
        license=None,
        tags=(),
        metadata=dict(metadata or {}),
        request_key="0" * 64,
        created=_NOW,
        updated=_NOW,
        torchinf_version=__version__,
    )
    return Artifact(record, folder, **more)


def artifact_of_plan(folder: Path, plan: Plan) -> Artifact:
    """The artifact of a plan whose files are in a folder; a user has trusted its code."""
    made = artifact_of(folder, kind=plan.format)
    urls = {file.path: redact(file.url) for file in plan.files if not file.unpack}
    record = replace(
        made.record,
        source=plan.ref.scheme,
        ref=redact(str(plan.ref)),
        model_id=redact(plan.ref.locator),
        requested_revision=plan.ref.revision,
        revision=plan.revision,
        files=tuple(replace(file, url=urls.get(file.path)) for file in made.record.files),
        trust=plan.trust,
        trusted="by the user of the kit",
        task=plan.task,
        tags=plan.tags,
        metadata=dict(plan.metadata),
    )
    return replace(made, record=record)
