"""Blocks in any order give the bytes and the digest of the file."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchinf_core.errors import DiskSpaceError, StoreError
from torchinf_core.transfer.partial import Partial, Source
from torchinf_core.transfer.sink import Sink

BLOCK = 4096


def begin(path: Path, total: int, states: bytearray | None = None) -> Partial:
    partial = Partial.open(path, locks_work=True)
    partial.begin(Source("http://x/y", total, BLOCK), states)
    return partial


def give(sink: Sink, content: bytes, index: int) -> None:
    part = content[index * BLOCK : (index + 1) * BLOCK]
    buffer = sink.acquire(index)
    buffer.view[: len(part)] = part
    buffer.filled = len(part)
    sink.put(buffer)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    total=st.integers(0, 12 * BLOCK),
    order=st.permutations(range(13)),
    buffers=st.integers(2, 5),
    direct=st.booleans(),
)
def test_any_order_of_blocks_gives_the_file_and_its_digests(
    tmp_path: Path, total: int, order: list[int], buffers: int, direct: bool
) -> None:
    content = os.urandom(total)
    partial = begin(tmp_path / "key.part", total)
    if direct:
        partial.open_direct()
    sink = Sink(partial, BLOCK, buffers=buffers, git_size=total)
    for index in order:
        if index * BLOCK < total:
            give(sink, content, index)
    sink.finish(total)
    assert partial.path.read_bytes() == content
    assert sink.sha256.hexdigest() == hashlib.sha256(content).hexdigest()
    assert sink.git_sha1 is not None
    git = hashlib.sha1(b"blob %d\0" % total + content, usedforsecurity=False)
    assert sink.git_sha1.hexdigest() == git.hexdigest()
    partial.discard()


def test_blocks_that_are_there_already_are_hashed_from_the_file(tmp_path: Path) -> None:
    content = os.urandom(4 * BLOCK - 7)
    (tmp_path / "key.part").write_bytes(content[: 2 * BLOCK])
    states = bytearray([1, 1, 0, 0])
    partial = begin(tmp_path / "key.part", len(content), states)
    sink = Sink(partial, BLOCK, states)
    give(sink, content, 3)
    give(sink, content, 2)
    sink.finish(len(content))
    assert sink.sha256.hexdigest() == hashlib.sha256(content).hexdigest()
    partial.discard()


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, DiskSpaceError), (errno.EIO, StoreError)]
)
def test_a_failing_disk_ends_the_transfer_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    partial = begin(tmp_path / "key.part", 8 * BLOCK)

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    sink = Sink(partial, BLOCK, buffers=2)
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(expected):
        for index in range(8):
            give(sink, bytes(8 * BLOCK), index)
        sink.finish(8 * BLOCK)
    sink.abort()
    monkeypatch.undo()
    partial.discard()


def test_a_failing_sync_is_an_error_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = begin(tmp_path / "key.part", BLOCK)
    calls = []

    def fail(fd: int) -> None:
        calls.append(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)
    sink = Sink(partial, BLOCK)
    give(sink, bytes(BLOCK), 0)
    with pytest.raises(StoreError):
        sink.finish(BLOCK)
    assert len(calls) == 1
    monkeypatch.undo()
    partial.discard()
