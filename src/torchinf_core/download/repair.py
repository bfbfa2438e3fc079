"""Make a known model whole again: find what is damaged, fetch that, accept nothing else."""

from __future__ import annotations

import logging
from dataclasses import replace

from torchinf_core.download.job import Job, Outcome
from torchinf_core.download.publish import fetch_and_publish
from torchinf_core.download.resolve import resolve
from torchinf_core.download.sameness import with_added_files, with_recorded_digests
from torchinf_core.errors import TorchinfError
from torchinf_core.refs import URL_SCHEMES
from torchinf_core.types import ModelRef, Record
from torchinf_core.verify import hash_file

_log = logging.getLogger("torchinf.download")


def repair(job: Job, record: Record) -> Outcome:
    """Restore a model whose files changed on disk since they were recorded.

    Files that are as recorded are kept; the others are fetched again and must
    have the recorded digests.

    Raises:
        IntegrityError: the source no longer has the recorded content.
        TorchinfError: as for a download.
    """
    store = job.store
    store.prepare()
    with store.lease():
        damaged = _set_damaged_aside(job, record)
        if not damaged:
            files = store.materialise(record.name, record.files)
            healed = replace(record, files=files)
            job.registry.put(healed)
            _log.info("the files of %r were moved or touched; their content is intact", record.name)
            return Outcome(healed, store.model_path(healed), hit=True)
    listed = ", ".join(damaged[:3]) + (" …" if len(damaged) > 3 else "")
    note = f"{listed} of {record.name!r} was damaged or missing and has been fetched again"
    _log.warning("%s of %r is damaged or missing; fetching it again", listed, record.name)
    try:
        found = resolve(job, _same_revision(job.request.ref, record))
        plan = with_added_files(found.plan, record)
        plan = with_recorded_digests(plan, record, changed_ok=False)
        found = replace(
            found, plan=plan, name=record.name, existing=record, same_ref=True, strict=record
        )
        outcome = fetch_and_publish(job, found, again=True)
    except TorchinfError as error:
        error.hint = error.hint or f"torchinf download {job.shown} --update takes what is there now"
        raise
    if outcome is None:
        healed = job.registry.get(record.name)
        return Outcome(healed, store.model_path(healed), hit=True)
    return replace(outcome, notes=(*outcome.notes, note))


def _set_damaged_aside(job: Job, record: Record) -> list[str]:
    """Quarantine every blob whose content is not its name; paths of what is lacking."""
    lacking = []
    for file in record.files:
        blob = job.store.blob(file.sha256)
        if blob.is_file():
            if hash_file(blob) == (file.sha256, file.size):
                continue
            job.store.quarantine(file.sha256)
        lacking.append(file.path)
    return lacking


def _same_revision(ref: ModelRef, record: Record) -> ModelRef:
    """The reference bound to the recorded revision, where references can say that."""
    if ref.scheme in (*URL_SCHEMES, "file") or record.revision is None:
        return ref
    return replace(ref, revision=record.revision)
