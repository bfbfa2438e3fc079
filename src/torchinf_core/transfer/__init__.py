"""The download engine: verified files from URLs, as fast as link and disk allow.

:func:`fetch` is all of its interface.  It writes into the store's ``partial/``
and hands complete, checked files to the store; it decides nothing about models.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

from torchinf_core.settings import Settings
from torchinf_core.store import Store
from torchinf_core.transfer.large import copy_local, fetch_large
from torchinf_core.transfer.meter import Meter
from torchinf_core.transfer.requester import Context
from torchinf_core.transfer.result import Fetched
from torchinf_core.transfer.small import SMALL, fetch_small
from torchinf_core.transfer.wire import Wire
from torchinf_core.types import Event, RemoteFile

__all__ = ["Fetched", "fetch"]


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
    small = {
        key: file
        for key, file in wanted.items()
        if file.size is not None and file.size <= SMALL and not file.url.startswith("file:")
    }
    found: dict[str, Fetched] = {}
    try:
        if small:
            found.update(zip(small, fetch_small(list(small.values()), store, context), strict=True))
        for key, file in wanted.items():
            if key not in small:
                found[key] = _fetch_one(file, key, store, context)
    finally:
        stop.set()
        wire.close()
    return [found[partial_key(file)] for file in files]


def partial_key(file: RemoteFile) -> str:
    """32 hex digits that name the bytes of ``file``: its digest where known, else its URL."""
    name = file.sha256 or f"{file.url}\n{file.sha256_prefix}\n{file.git_sha1}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _fetch_one(file: RemoteFile, key: str, store: Store, context: Context) -> Fetched:
    if file.url.startswith("file:"):
        return copy_local(file, unquote(urlsplit(file.url).path), key, store, context)
    return fetch_large(file, key, store, context)
