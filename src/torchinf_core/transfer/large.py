"""One file of any size, through a partial that survives the process."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from torchinf_core.errors import IntegrityError, SourceError, TorchinfError, from_os_error
from torchinf_core.store import Store
from torchinf_core.transfer.engine import DIRECT_FROM, LARGE_BLOCK, Digests, receive
from torchinf_core.transfer.partial import Partial
from torchinf_core.transfer.requester import Context
from torchinf_core.transfer.result import Fetched, fetched
from torchinf_core.transfer.sink import Sink
from torchinf_core.transfer.wire import BrokenError
from torchinf_core.types import Event, RemoteFile
from torchinf_core.verify import check_digests


def fetch_large(
    file: RemoteFile,
    key: str,
    store: Store,
    context: Context,
    *,
    after: BrokenError | None = None,
) -> Fetched:
    """Fetch one file into the store.

    Args:
        file: with an http(s) URL.
        key: of its partial, the same in every process that wants these bytes.
        store: gets the blob.
        context: shared by the download.
        after: how a first attempt, made elsewhere, failed.

    Raises:
        IntegrityError: wrong bytes, also after one more try from the first byte.
        TorchinfError: the partial is kept where a later try can continue it.
    """

    def transfer(partial: Partial, *, again: bool) -> Digests:
        return receive(file, partial, context, fresh=again, after=None if again else after)

    return _publish(file, key, store, context, transfer, repeat=True)


def copy_local(file: RemoteFile, path: str, key: str, store: Store, context: Context) -> Fetched:
    """Copy a file of this machine into the store, hashed on the way.

    Raises:
        SourceError: it can't be read.
        IntegrityError: it changed meanwhile, or is not what was pinned.
    """

    def transfer(partial: Partial, *, again: bool) -> Digests:
        del again
        return _copy(file, path, partial, context)

    return _publish(file, key, store, context, transfer, repeat=False)


def _publish(
    file: RemoteFile,
    key: str,
    store: Store,
    context: Context,
    transfer: Callable[..., Digests],
    *,
    repeat: bool,
) -> Fetched:
    partial = Partial.open(store.partial(key), locks_work=store.locks_work)
    kept = context.meter.kept
    try:
        digests = transfer(partial, again=False)
        try:
            check_digests(file, digests.sha256, digests.size, digests.git_sha1)
        except IntegrityError as error:
            if not repeat:
                raise
            context.meter.discard(context.meter.kept - kept)
            context.on_event(Event("retry", file.path, message=f"{error}; trying once more"))
            digests = transfer(partial, again=True)
            check_digests(file, digests.sha256, digests.size, digests.git_sha1)
        result = fetched(
            file, digests.sha256, digests.size, digests.validator, framed=digests.framed
        )
        if result.verified == "none" and not context.settings.allow_unverified:
            raise IntegrityError(
                f"{file.path}: the server states neither size nor digest, "
                "so nothing would show if bytes are missing",
                hint="pin it with --sha256, or accept it with --allow-unverified",
            )
        partial.settle()
        store.add_blob(partial.path, digests.sha256)
    except BaseException as error:
        if _worth_keeping(error) and partial.load() is not None:
            partial.close()
        else:
            partial.discard()
        raise
    partial.close()
    return result


def _worth_keeping(error: BaseException) -> bool:
    return isinstance(error, SourceError) or not isinstance(error, TorchinfError)


def _copy(file: RemoteFile, path: str, partial: Partial, context: Context) -> Digests:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror}") from error
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise SourceError(f"{path} is not a regular file")
        total = before.st_size
        partial.restart()
        if total >= DIRECT_FROM:
            partial.reserve(total)
            partial.open_direct()
        sink = Sink(partial, LARGE_BLOCK, git_size=total if file.git_sha1 else None)
        try:
            for index in range(-(-total // LARGE_BLOCK)):
                buffer = sink.acquire(index)
                buffer.filled = os.preadv(fd, [buffer.view], index * LARGE_BLOCK)
                context.meter.add(buffer.filled)
                sink.put(buffer)
                context.on_event(Event("progress", file.path, index * LARGE_BLOCK, total))
            sink.finish(total)
        except BaseException:
            sink.abort()
            raise
        after = os.fstat(fd)
    except OSError as error:
        if isinstance(error, TorchinfError):
            raise
        raise from_os_error(error, path) from error
    finally:
        os.close(fd)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise IntegrityError(f"{path} changed while it was copied", hint="try again")
    git_sha1 = sink.git_sha1.hexdigest() if sink.git_sha1 else None
    return Digests(sink.sha256.hexdigest(), git_sha1, total, None, framed=True)
