"""Is what a source offers what the store already has?  Decided without a transfer."""

from __future__ import annotations

from dataclasses import replace

from torchinf_core.errors import IntegrityError, NameTakenError
from torchinf_core.refs import redact
from torchinf_core.types import ModelRef, Plan, Record, RemoteFile, StoredFile


def same_request(plan: Plan, source: str, record: Record) -> bool:
    """True when the record was made by asking the same source for the same thing.

    That is: the same model, at the same requested or resolved revision, with its
    weights or without.
    """
    asked_alike = record.requested_revision == plan.ref.revision
    same_revision = plan.revision is not None and plan.revision == record.revision
    return (
        record.source == source
        and record.model_id == redact(plan.ref.locator)
        and (asked_alike or same_revision)
        and bool(record.files) == bool(plan.files)
    )


def same_content(plan: Plan, record: Record) -> bool | None:
    """Whether fetching ``plan`` would give ``record``'s files again; None if nobody can tell.

    Only content counts here: digests and sizes; with neither, an equal address
    together with an equal validator.
    """
    unpacked = any(file.unpack for file in plan.files)
    # Of what came out of an archive nobody keeps the address.
    stored = {file.path: file for file in record.files if file.url or not unpacked}
    plain = [file for file in plan.files if not file.unpack]
    if stored.keys() != {file.path for file in plain}:
        return False
    answers = [_same_file(file, stored[file.path]) for file in plain]
    if unpacked:
        answers.append(_same_archives(plan, record))
    if False in answers:
        return False
    return None if None in answers else True


ARCHIVES = "archives"
"""Key of a record's metadata: what is known of the archives its files came from."""
ADDED = "added"
"""Key of a record's metadata: paths of files that were added after the download."""


def _same_archives(plan: Plan, record: Record) -> bool | None:
    known = record.metadata.get(ARCHIVES)
    if not isinstance(known, list):
        return False
    # One archive may hold many models, told apart by what they are called there.
    same_model = record.model_id == redact(plan.ref.locator)
    return True if same_model and known == archive_marks(plan) and None not in known else None


def with_added_files(plan: Plan, record: Record) -> Plan:
    """The plan and what was added to its record later, which belongs to the model too."""
    paths = record.metadata.get(ADDED)
    if not isinstance(paths, list):
        return plan
    planned = {file.path for file in plan.files}
    added = tuple(
        RemoteFile(file.path, file.url, size=file.size, sha256=file.sha256)
        for file in record.files
        if file.path in paths and file.path not in planned and file.url
    )
    return replace(
        plan, files=(*plan.files, *added), metadata={**plan.metadata, ADDED: list(paths)}
    )


def archive_marks(plan: Plan) -> list[str | None]:
    """What identifies each archive of the plan: digest, else validator, else None."""
    return [file.sha256 or file.validator for file in plan.files if file.unpack]


def _same_file(file: RemoteFile, stored: StoredFile) -> bool | None:
    if file.size is not None and file.size != stored.size:
        return False
    if file.sha256 is not None:
        return file.sha256 == stored.sha256
    if file.sha256_prefix is not None and not stored.sha256.startswith(file.sha256_prefix):
        return False
    if file.url and stored.url == redact(file.url):
        if file.sha256_prefix is not None and file.size is not None:
            return True
        if file.validator is not None and stored.validator is not None:
            return file.validator == stored.validator
    return None


def with_recorded_digests(plan: Plan, record: Record, *, changed_ok: bool) -> Plan:
    """The plan with digests filled in from the record, so that they are enforced.

    Args:
        plan: what the source offers now.
        record: what was downloaded before from the same reference.
        changed_ok: files that visibly changed keep the source's word; otherwise
            a published digest that differs from the recorded one is refused.

    Raises:
        IntegrityError: the source publishes another digest for the same
            immutable revision.
    """
    stored = {file.path: file for file in record.files}
    files = []
    for file in plan.files:
        old = stored.get(file.path)
        if old is None or file.unpack:
            files.append(file)
            continue
        if file.sha256 is None and (not changed_ok or _same_file(file, old)):
            file = replace(file, sha256=old.sha256)
        elif file.sha256 is not None and file.sha256 != old.sha256 and not changed_ok:
            raise IntegrityError(
                f"{file.path} of {plan.ref} had sha256 {old.sha256} when {record.name!r} was "
                f"downloaded; for the same revision {plan.revision!r} the source now says "
                f"{file.sha256}",
                hint="--replace accepts the new content",
            )
        files.append(file)
    return replace(plan, files=tuple(files))


def name_taken(name: str, record: Record, ref: ModelRef, *, same_ref: bool) -> NameTakenError:
    """The error for a name that belongs to another content."""
    shown = redact(str(ref))
    if same_ref:
        return NameTakenError(
            f"{name!r} is here with other content: {shown} has changed at its source",
            hint="--update fetches the new content, --name NAME keeps both",
        )
    other = ", which is here with other options or content" if record.ref == shown else ""
    return NameTakenError(
        f"the name {name!r} belongs to {record.ref}{other}",
        hint=f"--name OTHER keeps both, --replace gives {name!r} the new content",
    )


def check_recorded(files: tuple[StoredFile, ...], strict: Record | None) -> None:
    """Refuse other content for an immutable revision that was recorded before.

    Raises:
        IntegrityError: naming the first file that differs.
    """
    if strict is None:
        return
    recorded = {file.path: file.sha256 for file in strict.files}
    arrived = {file.path: file.sha256 for file in files}
    for path in sorted(recorded.keys() | arrived.keys()):
        if recorded.get(path) != arrived.get(path):
            raise IntegrityError(
                f"{path} of {strict.name!r} should have sha256 {recorded.get(path, '(none)')}, "
                f"as recorded for revision {strict.revision!r}; "
                f"the source sent {arrived.get(path, '(none)')}",
                hint="--replace accepts the new content",
            )
