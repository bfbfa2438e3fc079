"""The order of things: known request, plan, name, fetch and publish.

What only a miss needs (plugins, transfer) is imported when there is one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from torchinf_core.download.job import Job, Outcome, Preview, decision, ignore, make_job, timestamp
from torchinf_core.download.request import Request
from torchinf_core.errors import NotCachedError
from torchinf_core.settings import Settings
from torchinf_core.types import Event, Record

_log = logging.getLogger("torchinf.download")
_TRIES = 10


def download(
    request: Request, settings: Settings, on_event: Callable[[Event], None] | None = None
) -> Outcome:
    """Have the requested model in the store, fetching only what is not there.

    A request that was answered before costs two small file reads, no connection
    and no plugin.  The model is either published whole or not at all.

    Args:
        request: from :func:`make_request`.
        settings: where the store is and how to transfer.
        on_event: called for each step, also from other threads.

    Raises:
        TorchinfError: see each class; nothing is published then.
    """
    job = make_job(request, settings, on_event or ignore)
    for _ in range(_TRIES):
        try:
            return _download(job)
        except NotCachedError as error:  # somebody removed or replaced what was just here
            _log.debug("%s; starting over", error)
            gone = error
    raise gone


def _download(job: Job) -> Outcome:
    if not job.request.update:
        record = job.registry.by_request(job.request.key)
        if record is not None:
            return _known(job, record)
    started = time.perf_counter()
    outcome = _obtain(job)
    _log.info(
        "%s is %r at %s (%s, %d bytes fetched, %.2f s)",
        job.shown,
        outcome.record.name,
        outcome.path,
        "already here" if outcome.hit else f"verified: {outcome.record.verified}",
        outcome.fetched,
        time.perf_counter() - started,
    )
    return outcome


def preview(request: Request, settings: Settings) -> Preview:
    """What :func:`download` would do now; asks the source, fetches nothing."""
    from torchinf_core.download.ingest import missing
    from torchinf_core.download.resolve import resolve
    from torchinf_core.download.sameness import same_content

    job = make_job(request, settings, ignore)
    found = resolve(job, request.ref)
    cached = found.existing
    if cached is not None and not same_content(found.plan, cached):
        cached = None
    sizes = [] if cached else [file.size for file in missing(found.plan, job.store)]
    known = [size for size in sizes if size is not None]
    return Preview(found.plan, found.name, cached, sum(known) if len(known) == len(sizes) else None)


def _known(job: Job, record: Record) -> Outcome:
    """A record that answers the request: whole, or made whole."""
    if job.store.check(record, full=False):
        from torchinf_core.download.repair import repair

        outcome = repair(job, record)
        return replace(outcome, record=_label(job, outcome.record))
    _log.debug("%s is the known model %r; no connection is made", job.shown, record.name)
    record = _label(job, record)
    job.on_event(Event("done", done=record.size, total=record.size, message="already here"))
    return Outcome(record, job.store.model_path(record), hit=True)


def _obtain(job: Job) -> Outcome:
    from torchinf_core.download.publish import fetch_and_publish
    from torchinf_core.download.resolve import is_here, resolve, with_strictness

    found = resolve(job, job.request.ref)
    existing = found.existing
    if existing is None or not is_here(job, found, existing):
        outcome = fetch_and_publish(job, with_strictness(job, found))
        if outcome is not None:
            return outcome
        existing = job.registry.get(found.name)
    key = job.request.key
    existing = job.registry.amend(existing, lambda now: replace(now, request_key=key))
    outcome = _known(job, existing)
    current = (f"{existing.name!r} is up to date",) if job.request.update else ()
    return replace(outcome, notes=(*found.plan.notes, *current, *outcome.notes))


def _label(job: Job, record: Record) -> Record:
    """The record with the labels the caller gave; they never change what is downloaded."""
    request = job.request

    def label(now: Record) -> Record:
        labelled = replace(
            now,
            task=request.task or now.task,
            description=request.description or now.description,
            tags=tuple(dict.fromkeys((*now.tags, *request.tags))),
            trusted=now.trusted or (decision("--trust") if request.trust else None),
        )
        return now if labelled == now else replace(labelled, updated=timestamp())

    return record if label(record) == record else job.registry.amend(record, label)
