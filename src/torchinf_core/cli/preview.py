"""What ``download --dry-run`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchinf_core.cli import output
from torchinf_core.refs import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchinf_core.download import Preview
    from torchinf_core.types import RemoteFile


def show_preview(preview: Preview) -> None:
    """Print a plan for people: facts and files on stdout, the sum on stderr."""
    plan = preview.plan
    output.facts(
        [
            ("name", preview.name),
            ("reference", redact(str(plan.ref))),
            ("revision", plan.revision),
            ("task", plan.task),
            ("license", plan.license),
            ("trust", plan.trust.name.lower()),
        ]
    )
    if plan.files:
        output.table(
            ["FILE", "SIZE", "DIGEST"],
            [[file.path, _about([file]), _digest(file)] for file in plan.files],
            right=["SIZE"],
        )
    for text in plan.notes:
        output.note(text)
    if preview.cached is not None:
        output.tell("nothing to fetch: the store has it")
    elif preview.transfer is None:
        output.tell(f"{_about(plan.files)} to fetch")
    else:
        output.tell(f"{output.size(preview.transfer)} to fetch")


def _about(files: Sequence[RemoteFile]) -> str:
    """The size of files for people, as exactly as their source tells it."""
    if all(file.size is not None for file in files):
        return output.size(sum(file.size or 0 for file in files))
    sizes = [file.size or file.approximate_size for file in files]
    known = [size for size in sizes if size is not None]
    return f"about {output.size(sum(known))}" if len(known) == len(sizes) else output.size(None)


def _digest(file: RemoteFile) -> str:
    if file.sha256 is None and file.git_sha1:
        return f"git {file.git_sha1}"
    prefix = f"{file.sha256_prefix}…" if file.sha256_prefix else "recorded on arrival"
    return file.sha256 or prefix


def preview_json(preview: Preview) -> dict[str, Any]:
    """A plan as ``download --dry-run --json`` shows it; the field names are stable."""
    plan = preview.plan
    return {
        "name": preview.name,
        "ref": redact(str(plan.ref)),
        "revision": plan.revision,
        "format": plan.format,
        "trust": plan.trust.name.lower(),
        "task": plan.task,
        "description": plan.description,
        "license": plan.license,
        "tags": list(plan.tags),
        "size": plan.size,
        "transfer": preview.transfer,
        "cached": preview.cached is not None,
        "files": [
            {
                "path": file.path,
                "url": redact(file.url),
                "size": file.size,
                "approximate_size": file.approximate_size,
                "sha256": file.sha256,
                "sha256_prefix": file.sha256_prefix,
                "git_sha1": file.git_sha1,
            }
            for file in plan.files
        ],
        "notes": list(plan.notes),
    }
