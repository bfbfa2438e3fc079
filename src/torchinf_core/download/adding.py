"""Further files for a model that is here: fetched and verified as in a download.

For what a model asks for only when it is used, such as weights whose address its
code computes.  They become part of the record, so that they are checked, repaired
and removed with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torchinf_core.download.ingest import Ingested, ingest, room
from torchinf_core.download.job import Outcome, Resolved, timestamp
from torchinf_core.download.sameness import ADDED
from torchinf_core.errors import NotCachedError, UsageError
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.registry import Registry
from torchinf_core.settings import Settings
from torchinf_core.store import Store, generation
from torchinf_core.types import Event, Plan, Record, RemoteFile
from torchinf_core.verify import check_plan

_WEAKEST = ("none", "recorded", "published", "pinned")


def add_files(
    record: Record,
    files: Sequence[RemoteFile],
    settings: Settings,
    on_event: Callable[[Event], None],
) -> Outcome:
    """Fetch files and publish the model with them.

    A decision that the model's code may run holds on: the code is the same.

    Args:
        record: of the model, as it is now.
        files: to fetch; paths that the model does not have.
        settings: where the store is and how to transfer.
        on_event: told what happens, also from other threads.

    Raises:
        UsageError: the model has other content at one of the paths.
        NotCachedError: it was removed or replaced meanwhile.
        TorchinfError: as for a download; the model is as before then.
    """
    store = Store(settings.cache_dir, lock_timeout=settings.lock_timeout)
    registry = Registry(store)
    plan = Plan(parse_ref(record.ref), record.name, tuple(files), trust=record.trust)
    check_plan(plan, settings)
    stated = frozenset(f.path for f in files if f.sha256 or f.git_sha1 or f.sha256_prefix)
    found = Resolved(plan, record.name, record.source, load_plugins(settings), published=stated)
    store.prepare()
    store.check_space(room(plan, store))
    with store.lease():
        ingested = ingest(found, store, settings, on_event)
        with store.naming(record.name):
            merged = _merged(record, registry.get(record.name), ingested)
            merged = replace(merged, files=store.materialise(merged.name, merged.files))
            registry.put(merged)
    on_event(Event("done", done=merged.size, total=merged.size))
    path = store.model_path(merged)
    return Outcome(merged, path, False, ingested.notes, ingested.fetched)


def _merged(seen: Record, record: Record, ingested: Ingested) -> Record:
    """The record that is there now, which may have got further files since it was seen."""
    files = {file.path: file for file in record.files}
    for file in seen.files:
        if file.path not in files or files[file.path].sha256 != file.sha256:
            raise NotCachedError(
                f"the content of {record.name!r} was replaced meanwhile", hint="try again"
            )
    for file in ingested.files:
        if files.setdefault(file.path, file).sha256 != file.sha256:
            raise UsageError(f"{record.name!r} has a file {file.path} with other content")
    listed = record.metadata.get(ADDED)
    added = {*(listed if isinstance(listed, list) else ()), *(f.path for f in ingested.files)}
    ordered = tuple(file for _, file in sorted(files.items()))
    return replace(
        record,
        files=ordered,
        generation=generation(ordered),
        trust=max(record.trust, ingested.trust),
        verified=min(record.verified, ingested.verified, key=_WEAKEST.index),
        metadata={**record.metadata, ADDED: sorted(added)},
        updated=timestamp(),
    )
