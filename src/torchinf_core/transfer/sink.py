"""Where received blocks go: written once, hashed on the way, both in threads.

Buffers come from a fixed pool, so memory is bounded and a slow disk or hash
holds the network back.  A block that follows the hash's front is hashed from
its buffer; one that arrived ahead of it is hashed from the page cache when the
front gets there, so the digest is ready when the last byte is.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from torchinf_core.errors import StoreError, from_os_error
from torchinf_core.transfer.partial import WRITTEN, Partial

CHECKPOINT_SECONDS = 2.0


class Buffer:
    """Page-aligned memory for one block; ``index`` says which."""

    __slots__ = ("filled", "index", "memory", "uses", "view")

    def __init__(self, size: int) -> None:
        self.memory = mmap.mmap(-1, size)
        self.view = memoryview(self.memory)
        self.index = -1
        self.filled = 0
        self.uses = 0


class Sink:
    """Takes the blocks of one file in any order.

    Args:
        partial: the file.
        block: bytes of each block but the last.
        states: per block, non-zero when it is in the file already.
        buffers: size of the pool.
        git_size: compute the git blob id for a file of this size too.
    """

    def __init__(
        self,
        partial: Partial,
        block: int,
        states: bytearray | None = None,
        *,
        buffers: int = 8,
        git_size: int | None = None,
    ) -> None:
        self.partial = partial
        self.block = block
        self.error: StoreError | None = None
        self.waited = 0.0
        self.sha256 = hashlib.sha256()
        self.git_sha1 = None
        if git_size is not None:
            self.git_sha1 = hashlib.sha1(b"blob %d\0" % git_size, usedforsecurity=False)
        self._limit = buffers
        self._made = 0
        self._free: list[Buffer] = []
        self._to_write: deque[Buffer] = deque()
        self._in_memory: dict[int, Buffer] = {}
        self._on_disk = {index for index, state in enumerate(states or b"") if state}
        self._front = 0
        self._hashed = 0
        self._end: int | None = None
        self._aborted = False
        self._change = threading.Condition()
        with self._change:
            self._advance()
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=f"torchinf-{name}", daemon=True)
            for name, work in (("write", self._write_all), ("hash", self._hash_all))
        ]
        for thread in self._threads:
            thread.start()

    def grow(self, buffers: int) -> None:
        """Allow a larger pool, for more connections."""
        with self._change:
            self._limit = max(self._limit, buffers)
            self._change.notify_all()

    def acquire(self, index: int) -> Buffer:
        """An empty buffer for block ``index``; waits for one to come free.

        Raises:
            StoreError: when writing failed meanwhile.
        """
        with self._change:
            if not self._free and self._made >= self._limit:
                start = time.monotonic()
                while not self._free and not self.error and not self._aborted:
                    self._change.wait()
                self.waited += time.monotonic() - start
            self.check()
            if self._free:
                buffer = self._free.pop()
            else:
                self._made += 1
                buffer = Buffer(self.block)
            buffer.index, buffer.filled = index, 0
            return buffer

    def release(self, buffer: Buffer) -> None:
        """Give a buffer back unused."""
        with self._change:
            self._free.append(buffer)
            self._change.notify_all()

    def put(self, buffer: Buffer) -> None:
        """Hand over a filled block."""
        with self._change:
            buffer.uses = 1
            if buffer.index == self._front:
                buffer.uses = 2
                self._in_memory[buffer.index] = buffer
                self._front += 1
                self._advance()
            self._to_write.append(buffer)
            self._change.notify_all()

    def check(self) -> None:
        """Raise the error of the writing thread, if it had one."""
        if self.error is not None:
            raise self.error
        if self._aborted:
            raise StoreError("the transfer was ended")

    def finish(self, total: int) -> None:
        """Wait until ``total`` bytes are written, hashed and on the disk."""
        with self._change:
            self._end = -(-total // self.block)
            self._change.notify_all()
        for thread in self._threads:
            thread.join()
        self.check()
        try:
            self.partial.sync()
        except OSError as error:
            raise from_os_error(error, self.partial.path) from error

    def interrupt(self) -> None:
        """Take no further blocks: threads that wait for a buffer get an error."""
        with self._change:
            self._aborted = True
            self._change.notify_all()

    def abort(self) -> None:
        """Write what was handed over, then stop; nothing is hashed any more."""
        self.interrupt()
        for thread in self._threads:
            thread.join()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            with self._change:
                self.error = from_os_error(error, self.partial.path)
                self._change.notify_all()

    def _write_all(self) -> None:
        checkpoint = time.monotonic()
        unsafe: list[int] = []
        while True:
            with self._change:
                while not self._to_write:
                    if self.error or self._aborted or self._end is not None:
                        return
                    self._change.wait()
                buffer = self._to_write.popleft()
            self._write(buffer)
            self.partial.mark(buffer.index, WRITTEN)
            unsafe.append(buffer.index)
            with self._change:
                if buffer.index >= self._front:
                    self._on_disk.add(buffer.index)
                    self._advance()
                self._drop(buffer)
            now = time.monotonic()
            if now - checkpoint >= CHECKPOINT_SECONDS:
                self.partial.checkpoint(unsafe)
                unsafe.clear()
                checkpoint = now

    def _write(self, buffer: Buffer) -> None:
        view = buffer.view[: buffer.filled]
        offset = buffer.index * self.block
        direct = self.partial.direct_fd
        if direct is not None and buffer.filled == self.block:
            try:
                if os.pwrite(direct, view, offset) == len(view):
                    return
            except OSError as error:
                import errno

                if error.errno != errno.EINVAL:
                    raise
            self.partial.direct_fd = None  # the file system has rules of its own
            os.close(direct)
        while view:
            count = os.pwrite(self.partial.fd, view, offset)
            view = view[count:]
            offset += count

    def _hash_all(self) -> None:
        scratch = Buffer(self.block)
        while True:
            with self._change:
                while self._hashed >= self._front:
                    if self.error or self._aborted or self._end == self._hashed:
                        return
                    self._change.wait()
                if self._aborted or self.error:
                    return
                buffer = self._in_memory.get(self._hashed)
            if buffer is not None:
                self._update(buffer.view[: buffer.filled])
                with self._change:
                    del self._in_memory[self._hashed]
                    self._drop(buffer)
            else:
                count = os.preadv(self.partial.fd, [scratch.view], self._hashed * self.block)
                self._update(scratch.view[:count])
            with self._change:
                self._on_disk.discard(self._hashed)
                self._hashed += 1

    def _update(self, view: memoryview) -> None:
        self.sha256.update(view)
        if self.git_sha1 is not None:
            self.git_sha1.update(view)

    def _drop(self, buffer: Buffer) -> None:
        buffer.uses -= 1
        if buffer.uses == 0:
            self._free.append(buffer)
            self._change.notify_all()

    def _advance(self) -> None:
        while self._front in self._on_disk:
            self._front += 1
        if self._front > self._hashed:
            self._change.notify_all()
