"""Ask the source, and settle what its answer means for the name in the store."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from torchinf_core.download import sameness
from torchinf_core.download.job import Job, Resolved
from torchinf_core.download.options import select_options
from torchinf_core.errors import IntegrityError
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import URL_SCHEMES, redact, suggest_name
from torchinf_core.types import Event, ModelRef, Plan, Record, SourceInfo
from torchinf_core.verify import check_plan

_log = logging.getLogger("torchinf.download")


def resolve(job: Job, ref: ModelRef) -> Resolved:
    """The source's plan for ``ref``, checked, and the name it is for.

    Raises:
        UnknownSourceError, OptionError, ModelNotFoundError, NetworkError,
        PluginError, IntegrityError, SizeLimitError: as their classes say.
    """
    started = time.perf_counter()
    plugins = load_plugins(job.settings)
    source = plugins.source(ref.scheme)
    request = job.request
    options, notes = select_options(request.options, request.task, source, plugins.sources())
    plan = plugins.resolve(ref, options, job.settings)
    plan = replace(_pinned(plan, ref), notes=(*plan.notes, *notes))
    with plugins.answerable(ref.scheme, "resolve"):
        check_plan(plan, job.settings)
    # A renamed model stays the answer to the request that brought it.
    known = None if request.name else job.registry.by_request(request.key)
    name = request.name or (known.name if known else suggest_name(plan.name))
    _log.debug(
        "%s resolved by the %s source in %.3f s: revision %s, %d files, %s bytes, name %r",
        job.shown,
        source.name,
        time.perf_counter() - started,
        plan.revision,
        len(plan.files),
        plan.size,
        name,
    )
    job.on_event(Event("resolved", total=plan.size, message=name))
    existing = job.registry.find(name)
    word = source_word(source)
    same_ref = existing is not None and sameness.same_request(plan, word, existing)
    stated = frozenset(
        file.path
        for file in plan.files
        if (file.sha256 and not file.observed) or file.git_sha1 or file.sha256_prefix
    )
    if existing is not None and same_ref and plan.revision == existing.revision:
        plan = sameness.with_added_files(plan, existing)
    return Resolved(
        plan=plan,
        name=name,
        source=word,
        plugins=plugins,
        existing=existing,
        same_ref=same_ref,
        published=stated,
    )


def source_word(source: SourceInfo) -> str:
    """What records call a source: its canonical scheme, ``url`` for URLs and paths."""
    scheme = source.schemes[0]
    return "url" if scheme in (*URL_SCHEMES, "file") else scheme


def is_here(job: Job, found: Resolved, existing: Record) -> bool:
    """True when the name's content is what was asked for, False when it may be replaced.

    Raises:
        NameTakenError: it is another content and nobody allowed a change.
    """
    request, plan = job.request, found.plan
    same = sameness.same_content(plan, existing)
    if same is None and found.same_ref and not request.update and not request.replace:
        moved = None not in (plan.revision, existing.revision)
        same = not (moved and plan.revision != existing.revision)
    if same:
        return True
    if request.replace or (request.update and found.same_ref):
        return False
    # Other files of the very same revision are another choice of the caller, not news.
    changed = found.same_ref and (plan.revision is None or plan.revision != existing.revision)
    raise sameness.name_taken(found.name, existing, request.ref, same_ref=changed)


def with_strictness(job: Job, found: Resolved) -> Resolved:
    """Hold the source to what an immutable revision contained the last time.

    Raises:
        IntegrityError: it publishes other digests for it now.
    """
    existing, plan = found.existing, found.plan
    if existing is None or not found.same_ref or job.request.replace:
        return found
    same_revision = plan.revision is not None and plan.revision == existing.revision
    plan = sameness.with_recorded_digests(plan, existing, changed_ok=not same_revision)
    same_files = sameness.same_content(plan, existing) is not False
    return replace(found, plan=plan, strict=existing if same_revision and same_files else None)


def _pinned(plan: Plan, ref: ModelRef) -> Plan:
    """The plan with the user's digest on its file."""
    if ref.sha256 is None:
        return plan
    if len(plan.files) != 1:
        raise IntegrityError(
            f"{redact(str(ref))} pins one sha256, but the model has {len(plan.files)} files",
            hint="pin a revision instead",
        )
    file = plan.files[0]
    if file.sha256 not in (None, ref.sha256):
        raise IntegrityError(
            f"{file.path} is pinned to sha256 {ref.sha256}, but its source publishes {file.sha256}"
        )
    return replace(plan, files=(replace(file, sha256=ref.sha256),))
