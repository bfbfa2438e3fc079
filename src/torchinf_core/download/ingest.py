"""From a checked plan to verified blobs: fetch what is missing, unpack, look inside."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from torchinf_core import transfer
from torchinf_core.download.job import Resolved
from torchinf_core.errors import FormatError, OfflineError, PluginContractError
from torchinf_core.plugins import Plugins
from torchinf_core.refs import redact
from torchinf_core.settings import Settings
from torchinf_core.store import Store
from torchinf_core.transfer.partial import partial_key
from torchinf_core.types import Event, Plan, RemoteFile, StoredFile, Trust
from torchinf_core.verify import (
    Sniffed,
    archives,
    check_digests,
    check_path,
    hash_file,
    hash_git_blob,
    sniff,
)

_log = logging.getLogger("torchinf.download")
_RANK = ("none", "recorded", "published", "pinned")


@dataclass(frozen=True, slots=True)
class Ingested:
    """Blobs that hold a model, not yet published under a name.

    Attributes:
        files: sorted by path; their blobs are in the store.
        format: of the main file, or None.
        trust: the highest level of the plan and of any file.
        verified: the weakest of the files' verifications.
        notes: what the look inside showed that the user should know.
        fetched: bytes of the files that were not in the store before.
    """

    files: tuple[StoredFile, ...]
    format: str | None
    trust: Trust
    verified: str
    fetched: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Have:
    file: RemoteFile
    sha256: str
    size: int
    validator: str | None
    verified: str
    fetched: bool


def missing(plan: Plan, store: Store) -> list[RemoteFile]:
    """Files of the plan whose bytes the store lacks or can't recognise."""
    return [
        file
        for file in plan.files
        if file.sha256 is None or not store.has_blob(file.sha256, file.size)
    ]


def room(plan: Plan, store: Store) -> int:
    """Bytes that fetching the plan will take, as far as its sizes are known.

    What an unfinished download has already allocated is not needed again.
    """
    need = 0
    for file in missing(plan, store):
        size = file.size or file.approximate_size or 0
        with suppress(OSError):
            partial = os.stat(store.partial(partial_key(file)))
            size -= min(size, partial.st_blocks * 512)
        need += size
    return need


def ingest(
    found: Resolved,
    store: Store,
    settings: Settings,
    on_event: Callable[[Event], None],
    trusted: frozenset[str] = frozenset(),
) -> Ingested:
    """Bring every file of the plan into the store as a verified blob.

    Args:
        found: the checked plan, and the plugins whose ``fetch`` is asked first.
        store: prepared, and leased by the caller.
        settings: for the transfer.
        on_event: told what happens.
        trusted: digests of blobs that need no second look; any other blob that
            is there already is hashed before it becomes part of this model.

    Raises:
        OfflineError, NetworkError, IntegrityError, FormatError, StoreError:
            see the modules that do the work; nothing is published then.
    """
    plan = found.plan
    _set_rotten_aside(plan, store, trusted)
    have = _obtain(plan, store, found.plugins, settings, on_event)
    files: list[StoredFile] = []
    level = plan.trust
    for item in have:
        if item.file.unpack:
            files += _unpack(item, store, settings)
        else:
            url = redact(item.file.url)
            files.append(
                StoredFile(item.file.path, item.size, item.sha256, None, url, item.validator)
            )
    paths = {entry.path for entry in files}
    looked_at, absent = [], list[str]()
    for entry in files:
        try:
            sniffed = sniff(store.blob(entry.sha256), entry.path)
        except FormatError as error:
            in_tree = entry.url is None or entry.url.startswith("file:")
            if not (plan.trust is Trust.CODE and in_tree):
                raise
            # A tree of code holds what its tests need: broken files, pointers to others.
            absent.append(f"{error}; it is kept as a file of the repository")
            sniffed = Sniffed(None, Trust.CODE)
        level = max(level, sniffed.trust)
        folder = PurePosixPath(entry.path).parent
        absent += [
            f"{entry.path} reads {name}, which is not among the model's files"
            for name in sniffed.external
            if (folder / name).as_posix() not in paths
        ]
        looked_at.append(replace(entry, format=sniffed.format))
    looked_at.sort(key=lambda entry: entry.path)
    levels = [_level(item, found.published) for item in have]
    verified = min(levels, key=_RANK.index, default="recorded")
    return Ingested(
        files=tuple(looked_at),
        format=plan.format or _main_format(looked_at),
        trust=level,
        verified="pinned" if plan.ref.sha256 else verified,
        fetched=sum(item.size for item in have if item.fetched),
        notes=tuple(absent),
    )


def _level(item: _Have, published: frozenset[str]) -> str:
    """How a file is verified; a digest that only our own record states is not published."""
    known_elsewhere = item.verified != "published" or item.file.path in published
    return item.verified if known_elsewhere else "recorded"


def _set_rotten_aside(plan: Plan, store: Store, trusted: frozenset[str]) -> None:
    """Quarantine blobs of the plan whose content has changed on disk."""
    for file in plan.files:
        if file.sha256 is None or file.sha256 in trusted:
            continue
        blob = store.blob(file.sha256)
        if blob.is_file() and hash_file(blob)[0] != file.sha256:
            _log.warning("the blob %s is damaged; it is set aside", file.sha256)
            store.quarantine(file.sha256)


def _obtain(
    plan: Plan,
    store: Store,
    plugins: Plugins,
    settings: Settings,
    on_event: Callable[[Event], None],
) -> list[_Have]:
    needed = missing(plan, store)
    have = [
        _Have(
            file,
            file.sha256,
            store.blob(file.sha256).stat().st_size,
            file.validator,
            "published",
            fetched=False,
        )
        for file in plan.files
        if file.sha256 is not None and file not in needed
    ]
    if not needed:
        with store.staging() as into:
            plugins.fetch(plan, into, settings, None)
        return have
    if settings.offline and not all(file.url.startswith("file:") or file.local for file in needed):
        raise OfflineError(
            f"{redact(str(plan.ref))} is not in the store, and offline mode forbids fetching it",
            hint="run without --offline (and without TORCHINF_OFFLINE)",
        )
    brought: list[_Have] = []

    def transfer_urls() -> None:
        staging.close()  # a process that is killed while it transfers leaves no folder behind
        own = settings
        if tokens := plugins.tokens(plan, settings):
            own = replace(settings, tokens={**settings.tokens, **tokens})
        sizes = [file.size for file in needed]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        on_event(Event("started", total=total))
        results = transfer.fetch(needed, store, own, on_event)
        brought.extend(
            _Have(f, got.sha256, got.size, got.validator or f.validator, got.verified, fetched=True)
            for f, got in zip(needed, results, strict=True)
        )

    with ExitStack() as staging:
        into = staging.enter_context(store.staging())
        if not plugins.fetch(plan, into, settings, transfer_urls):
            return have + brought
        planned = {file.path: file for file in plan.files}
        with plugins.answerable(plan.ref.scheme, "fetch"):
            _check_written(into, plan, planned.keys())
        written = [_hashed(into / path, file) for path, file in planned.items()]
        store.add_blobs([(into / item.file.path, item.sha256) for item in written])
        return written


def _check_written(root: Path, plan: Plan, planned: AbstractSet[str]) -> None:
    found = set()
    for folder, folders, names in os.walk(root):
        for name in [*names, *folders]:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                raise PluginContractError(
                    f"fetching {redact(str(plan.ref))} wrote {name!r}, which is no regular file"
                )
            found.add(Path(path).relative_to(root).as_posix())
    if found != planned:
        wrong = ", ".join(ascii(path)[1:-1][:80] for path in sorted(found ^ planned)[:5])
        raise PluginContractError(
            f"fetching {redact(str(plan.ref))} did not write exactly the planned files: {wrong}"
        )


def _hashed(path: Path, file: RemoteFile) -> _Have:
    sha256, size = hash_file(path)
    check_digests(file, sha256, size, hash_git_blob(path) if file.git_sha1 else None)
    verified = "published" if file.sha256 or file.git_sha1 else "recorded"
    return _Have(file, sha256, size, file.validator, verified, fetched=True)


def _unpack(item: _Have, store: Store, settings: Settings) -> list[StoredFile]:
    """The members of an archive as blobs; the archive itself is left to gc."""
    base = PurePosixPath(item.file.path).parent
    files = list[StoredFile]()
    with store.staging() as into:
        members = archives.unpack(
            store.blob(item.sha256), into, strip=item.file.strip, max_bytes=settings.max_bytes
        )
        hashed = [(into / member, *hash_file(into / member)) for member in members]
        for member, (_, sha256, size) in zip(members, hashed, strict=True):
            files.append(StoredFile(check_path((base / member).as_posix()), size, sha256))
        store.add_blobs([(path, sha256) for path, sha256, _ in hashed])
    return files


def _main_format(files: list[StoredFile]) -> str | None:
    """The format of the largest file that has one."""
    known = [file for file in files if file.format is not None]
    return max(known, key=lambda file: file.size).format if known else None
