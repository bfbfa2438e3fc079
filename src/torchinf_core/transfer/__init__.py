"""The download engine: verified files from URLs, as fast as link and disk allow.

:func:`fetch` is all of its interface.  It writes into the store's ``partial/``
and hands complete, checked files to the store; it decides nothing about models.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

from torchinf_core.errors import IntegrityError, SourceError
from torchinf_core.settings import Settings
from torchinf_core.store import Store
from torchinf_core.transfer.large import copy_local, fetch_large
from torchinf_core.transfer.meter import Meter
from torchinf_core.transfer.partial import partial_key
from torchinf_core.transfer.requester import Context
from torchinf_core.transfer.result import Fetched
from torchinf_core.transfer.small import SMALL, fetch_small
from torchinf_core.transfer.wire import Wire
from torchinf_core.types import Event, RemoteFile

__all__ = ["Fetched", "fetch"]

_log = logging.getLogger("torchinf.transfer")


def fetch(
    files: Sequence[RemoteFile],
    store: Store,
    settings: Settings,
    on_event: Callable[[Event], None] = lambda _: None,
) -> list[Fetched]:
    """Bring files into the store; equal content is transferred once.

    Args:
        files: of a checked plan.
        store: prepared; gets a blob for each.
        settings: limits, time-outs, connections, credentials.
        on_event: told about progress and retries, by one thread at a time.

    Returns:
        One result for each file, in their order.

    Raises:
        TorchinfError: why a file could not be brought.  What arrived of it stays
            for the next call, in whatever process, where that is safe.
    """
    stop = threading.Event()
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            on_event(event)

    wire = Wire(settings)
    context = Context(wire, Meter(settings, stop), settings, stop, tell)
    wanted = {partial_key(file): file for file in files}
    small = {key: file for key, file in wanted.items() if _is_small(file, key, store)}
    found: dict[str, Fetched] = {}
    try:
        for key, file in wanted.items():
            if (copied := _copy_known(file, key, store, context)) is not None:
                found[key] = copied
        small = {key: file for key, file in small.items() if key not in found}
        while small:
            arrived, broken = fetch_small(small, store, context)
            found.update(arrived)
            # A server in trouble gets one patient request at a time, then the rest again.
            for key, error in list(broken.items())[:1]:
                found[key] = fetch_large(small[key], key, store, context, after=error)
            small = {key: file for key, file in small.items() if key not in found}
        for key, file in wanted.items():
            if key not in found:
                found[key] = _fetch_one(file, key, store, context)
    finally:
        stop.set()
        wire.close()
    return [found[partial_key(file)] for file in files]


def _is_small(file: RemoteFile, key: str, store: Store) -> bool:
    """Whether to read it into memory: not where an earlier call left a part of it."""
    return (
        file.size is not None
        and file.size <= SMALL
        and not file.url.startswith("file:")
        and not store.partial(key).exists()
    )


def _copy_known(file: RemoteFile, key: str, store: Store, context: Context) -> Fetched | None:
    """The file from a place on this machine that holds it already, or None."""
    if not (file.sha256 or file.git_sha1):
        return None
    for path in file.local:
        kept = context.meter.kept
        try:
            return copy_local(file, path, f"{key[:24]}-local", store, context)
        except (SourceError, IntegrityError) as error:
            context.meter.discard(context.meter.kept - kept)
            _log.debug("%s is not what %s needs: %s", path, file.path, error)
    return None


def _fetch_one(file: RemoteFile, key: str, store: Store, context: Context) -> Fetched:
    if file.url.startswith("file:"):
        return copy_local(file, unquote(urlsplit(file.url).path), key, store, context)
    return fetch_large(file, key, store, context)
