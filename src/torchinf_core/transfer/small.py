"""Many small files at once, over connections that stay open.

A small file is read into memory, checked there and written once; the disk is asked
to keep many of them at a time, because asking costs more than writing.  When answers
take long to come, more connections are used; when they come at once, the
processor is the limit and a few are enough.  Nothing is repeated here: what did
not arrive at the first attempt is left to :mod:`~torchinf_core.transfer.large`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchinf_core.errors import IntegrityError, TorchinfError, from_os_error
from torchinf_core.store import Store
from torchinf_core.transfer import answers
from torchinf_core.transfer.requester import Context
from torchinf_core.transfer.result import Fetched, fetched
from torchinf_core.transfer.wire import Answer, BrokenError
from torchinf_core.types import Event, RemoteFile
from torchinf_core.verify import check_digests

SMALL = 1 << 20
"""Files up to this size are fetched here."""
FEW = 8
SLOW = 0.008
"""Seconds a file takes from which latency is worth hiding behind more connections."""
MOST_BROKEN = 4
"""Failures after which no further file is asked for."""
TOGETHER = 64
"""Files that become blobs at once."""
TICK = 0.05


def fetch_small(
    files: Mapping[str, RemoteFile], store: Store, context: Context
) -> tuple[dict[str, Fetched], dict[str, BrokenError]]:
    """Fetch small files into the store.

    Returns:
        A result for each key whose file arrived, and for each that did not, why.
        Keys in neither were not asked for, because too many others broke.

    Raises:
        TorchinfError: what no other attempt would change.
    """
    batch = _Batch(files, store, context)
    most = min(context.settings.connections, len(files))
    batch.start(min(FEW, most))
    shown = 0
    try:
        while True:
            with batch.change:
                if batch.error is None and batch.running:
                    batch.change.wait(TICK)
                error, running = batch.error, batch.running
            if not (error or running):
                batch.keep_written()
            with batch.change:
                news = list(batch.results.values())[shown:]
            for result in news:
                context.on_event(Event("progress", result.file.path, result.size, result.size))
            shown += len(news)
            if error is not None:
                raise error
            context.meter.check_speed("the source")
            if not running:
                return batch.results, batch.broken
            if batch.slow:
                batch.start(most - running)
    except BaseException:
        context.stop.set()
        context.wire.kick_all()
        batch.join()
        batch.drop_written()
        raise


class _Batch:
    def __init__(self, files: Mapping[str, RemoteFile], store: Store, context: Context) -> None:
        self.files = files
        self.store = store
        self.context = context
        self.results: dict[str, Fetched] = {}
        self.error: TorchinfError | None = None
        self.broken: dict[str, BrokenError] = {}
        self.running = 0
        self.slow = False
        self.change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._queue = deque(files)
        self._written: list[_Written] = []

    def start(self, count: int) -> None:
        for _ in range(min(count, len(self._queue))):
            thread = threading.Thread(target=self._work, name="torchinf-small", daemon=True)
            self._threads.append(thread)
            with self.change:
                self.running += 1
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def keep_written(self) -> None:
        """Turn what is written so far into blobs; durable when this returns."""
        with self.change:
            written, self._written = self._written, []
        try:
            self.store.add_blobs([(item.path, item.result.sha256) for item in written])
        except BaseException:
            with self.change:
                self._written += written  # to be dropped with the rest
            raise
        with self.change:
            self.results.update((item.key, item.result) for item in written)

    def drop_written(self) -> None:
        """Remove what did not become a blob."""
        for item in self._written:
            item.path.unlink(missing_ok=True)

    def _work(self) -> None:
        error: TorchinfError | None = None
        try:
            while self.error is None and len(self.broken) < MOST_BROKEN:
                try:
                    key = self._queue.popleft()
                except IndexError:
                    break
                began = time.monotonic()
                try:
                    written = _fetch_one(key, self.files[key], self.store, self.context)
                except IntegrityError as wrong:
                    self.broken[key] = BrokenError(wrong)
                    continue
                except BrokenError as broken:
                    self.broken[key] = broken
                    continue
                with self.change:
                    self._written.append(written)
                    self.slow = time.monotonic() - began > SLOW
                    enough = len(self._written) >= TOGETHER
                if enough:
                    self.keep_written()
        except TorchinfError as raised:
            error = raised
        finally:
            with self.change:
                self.running -= 1
                self.error = self.error or error
                self.change.notify_all()


@dataclass(frozen=True, slots=True)
class _Written:
    key: str
    path: Path
    result: Fetched


def _fetch_one(key: str, file: RemoteFile, store: Store, context: Context) -> _Written:
    answer = context.wire.get(file.url, {})
    try:
        answers.check_whole(answer, file)
        view = _read_all(answer, file, context)
    finally:
        answer.close()
    sha256 = hashlib.sha256(view).hexdigest()
    try:
        check_digests(file, sha256, len(view), _git_sha1(file, view))
    except IntegrityError:
        context.meter.discard(len(view))
        raise
    result = fetched(file, sha256, len(view), answer.etag, framed=answers.is_framed(answer))
    return _Written(key, _write(store, sha256, view), result)


def _read_all(answer: Answer, file: RemoteFile, context: Context) -> memoryview:
    total = answers.total_of(answer, file, context.settings)
    size = (file.size or 0) + 1 if total is None else total
    view = memoryview(bytearray(size))
    count = 0
    while count < size:
        try:
            received = answer.readinto(view[count : count + context.meter.gulp])
        except BrokenError:
            context.meter.discard(count)
            raise
        if received == 0:
            break
        count += received
        context.meter.add(received)
    return view[:count]


def _git_sha1(file: RemoteFile, view: memoryview) -> str | None:
    if file.git_sha1 is None:
        return None
    digest = hashlib.sha1(b"blob %d\0" % len(view), usedforsecurity=False)
    digest.update(view)
    return digest.hexdigest()


def _write(store: Store, sha256: str, view: memoryview) -> Path:
    path = store.partial(f"{sha256[:32]}-{os.getpid()}-{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o644)
        try:
            rest = view
            while rest:
                rest = rest[os.write(fd, rest) :]
        finally:
            os.close(fd)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, TorchinfError):
            raise from_os_error(error, path) from error
        raise
    return path
