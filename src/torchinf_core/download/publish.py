"""Room, locks, bytes, files, record: the part of a download that writes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from torchinf_core import __version__
from torchinf_core.download import sameness
from torchinf_core.download.ingest import Ingested, ingest, room
from torchinf_core.download.job import Job, Outcome, Resolved, decision, timestamp
from torchinf_core.download.resolve import is_here
from torchinf_core.refs import URL_SCHEMES, redact
from torchinf_core.store import generation
from torchinf_core.types import Event, Plan, Record
from torchinf_core.warm import request_key


def fetch_and_publish(job: Job, found: Resolved, *, again: bool = False) -> Outcome | None:
    """Fetch what is missing and put the record in place.

    Of several processes that want the same content one fetches and the others
    wait for it; that saves bandwidth and nothing else depends on it.

    Args:
        job: the request and its surroundings.
        found: what the source offers, and the record it replaces.
        again: publish even if the name already has this content.

    Returns:
        The outcome, or None when another process published the content first.
    """
    store = job.store
    store.prepare()
    store.check_space(room(_with_twin(job, found), store))

    def waiting(holder: str) -> None:
        job.on_event(Event("note", message=f"waiting for {holder}"))

    with store.lease(), store.single_flight(_content_key(found.plan), waiting=waiting):
        if _done_meanwhile(job, found):
            return None
        found = replace(found, plan=_with_twin(job, found))
        ingested = ingest(found, store, job.settings, job.on_event, _intact(job, found.existing))
        sameness.check_recorded(ingested.files, found.strict)
        # Two contents may race for one name: the second must see the first.
        with store.naming(found.name):
            if _done_meanwhile(job, found) and not again:
                return None
            record = _record(job, found, ingested)
            record = replace(record, files=store.materialise(record.name, record.files))
            job.registry.put(record)
            for key in _pinned_keys(job, found):
                job.registry.answers(key, record)
    job.on_event(Event("done", done=record.size, total=record.size))
    return Outcome(
        record,
        store.model_path(record),
        hit=False,
        notes=(*found.plan.notes, *ingested.notes),
        fetched=ingested.fetched,
    )


def _done_meanwhile(job: Job, found: Resolved) -> bool:
    """Another process may have published the name since it was looked at."""
    now = job.registry.find(found.name)
    if now is None or now == found.existing:
        return False
    same_ref = sameness.same_request(found.plan, found.source, now)
    return is_here(job, replace(found, same_ref=same_ref), now)


def _with_twin(job: Job, found: Resolved) -> Plan:
    """The plan with digests of the model that the same request without a name brought.

    An equal address with an equal validator is then not fetched a second time.
    """
    key = request_key(str(job.request.ref), job.request.options, None)
    twin = job.registry.by_request(key) if key != job.request.key else None
    if twin is None or not sameness.same_request(found.plan, found.source, twin):
        return found.plan
    return sameness.with_recorded_digests(found.plan, twin, changed_ok=True)


def _pinned_keys(job: Job, found: Resolved) -> set[str]:
    """Keys of the same request at the revision it was resolved to, which can mean nothing else."""
    request, revision = job.request, found.plan.revision
    ref = request.ref
    if revision in (None, ref.revision) or ref.scheme in (*URL_SCHEMES, "file"):
        return set()
    pinned = replace(ref, revision=revision)
    refs = {str(replace(pinned, scheme=word)) for word in (ref.scheme, found.source)}
    return {request_key(text, request.options, request.name) for text in refs}


def _intact(job: Job, record: Record | None) -> frozenset[str]:
    """Digests of a model's files that look as they did when they were recorded."""
    if record is None:
        return frozenset()
    suspect = {problem.sha256 for problem in job.store.check(record, full=False)}
    return frozenset(file.sha256 for file in record.files) - suspect


def _content_key(plan: Plan) -> str:
    """Equal for plans of equal content, whatever name each will get."""
    text = json.dumps([[f.path, f.url, f.size, f.sha256, f.validator] for f in plan.files])
    return hashlib.sha256(text.encode()).hexdigest()


def _trusted(job: Job, found: Resolved, content: str) -> str | None:
    """The decision on exactly this content; another content has to be trusted anew."""
    if job.request.trust:
        return decision("--trust")
    before = found.existing
    return before.trusted if before is not None and before.generation == content else None


def _record(job: Job, found: Resolved, ingested: Ingested) -> Record:
    request, plan, now = job.request, found.plan, timestamp()
    metadata = dict(plan.metadata)
    if any(file.unpack for file in plan.files):
        metadata[sameness.ARCHIVES] = sameness.archive_marks(plan)
    before = found.existing if found.same_ref else None
    tags = (*plan.tags, *(before.tags if before else ()), *request.tags)
    return Record(
        name=found.name,
        source=found.source,
        ref=job.shown,
        model_id=redact(plan.ref.locator),
        requested_revision=request.ref.revision,
        revision=plan.revision,
        files=ingested.files,
        generation=generation(ingested.files),
        format=ingested.format,
        trust=ingested.trust,
        trusted=_trusted(job, found, generation(ingested.files)),
        verified=ingested.verified,
        task=request.task or (before.task if before else None) or plan.task,
        description=request.description or plan.description,
        license=plan.license,
        tags=tuple(dict.fromkeys(tags)),
        metadata=metadata,
        request_key=request.key,
        created=before.created if before else now,
        updated=now,
        torchinf_version=__version__,
    )
