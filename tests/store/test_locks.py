"""Locks: who waits for whom, and that nothing but waiting depends on them."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
import time

import pytest

from torchinf_core.errors import BusyError, StoreError
from torchinf_core.store import locks


@pytest.fixture(autouse=True)
def _forget_probes(monkeypatch):
    monkeypatch.setattr(locks, "_usable", {})


def test_after_the_timeout_the_holder_is_named(shelf, holder):
    process = holder(shelf.store.root, "single_flight", "key")
    shelf.store.lock_timeout = 0.05
    with pytest.raises(BusyError, match=f"process {process.pid} on {os.uname().nodename}, since"):
        with shelf.store.single_flight("key"):
            pytest.fail("two processes hold one lock")


def test_with_no_timeout_nobody_waits(shelf, holder):
    holder(shelf.store.root, "single_flight", "key")
    shelf.store.lock_timeout = 0
    with pytest.raises(BusyError), shelf.store.single_flight("key"):
        pass


def test_another_key_is_free(shelf, holder):
    holder(shelf.store.root, "single_flight", "key")
    shelf.store.lock_timeout = 0
    with shelf.store.single_flight("other"):
        pass


def test_a_waiting_process_says_for_whom_and_goes_on_when_the_holder_is_done(shelf, holder):
    process = holder(shelf.store.root, "single_flight", "key")
    told = []

    def waiting(who: str) -> None:
        told.append(who)
        process.communicate("")

    with shelf.store.single_flight("key", waiting=waiting):
        pass
    assert f"process {process.pid} on" in told[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_process_is_free(shelf, holder, number):
    process = holder(shelf.store.root, "single_flight", "key")
    with shelf.store.single_flight("key", waiting=lambda who: process.send_signal(number)):
        assert process.wait() == -number


def test_the_lock_of_a_stopped_process_stays_held(shelf, holder):
    process = holder(shelf.store.root, "single_flight", "key")
    process.send_signal(signal.SIGSTOP)
    shelf.store.lock_timeout = 0.05
    with pytest.raises(BusyError, match=f"process {process.pid}"):
        with shelf.store.single_flight("key"):
            pass


def test_many_hold_the_lease_together_and_gc_waits_for_all(shelf, holder):
    process = holder(shelf.store.root, "lease")
    shelf.store.lock_timeout = 0.05
    with shelf.store.lease():
        pass
    with pytest.raises(
        BusyError, match=f"in use by (another )?process( {process.pid} .*)? \\(0.05 s"
    ):
        shelf.store.gc(dry_run=False)
    process.communicate("")
    shelf.store.gc(dry_run=False)


def test_a_lease_holder_that_left_is_not_blamed(shelf, holder):
    staying = holder(shelf.store.root, "lease")
    holder(shelf.store.root, "lease").communicate("")
    shelf.store.lock_timeout = 0
    with pytest.raises(BusyError) as caught:
        shelf.store.gc(dry_run=False)
    assert "another process" in str(caught.value) or f"process {staying.pid}" in str(caught.value)


def test_two_threads_exclude_each_other(shelf):
    shelf.store.prepare()
    inside: list[int] = []
    overlaps: list[int] = []

    def work() -> None:
        for _ in range(20):
            with shelf.store.single_flight("key"):
                inside.append(1)
                overlaps.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == [1] * 80


def test_a_lock_file_that_is_deleted_while_one_waits_does_not_split_the_lock(shelf, holder):
    process = holder(shelf.store.root, "single_flight", "key")
    path = shelf.store.root / "locks" / "key.lock"

    def waiting(who: str) -> None:
        path.unlink()
        process.communicate("")

    shelf.store.lock_timeout = 5
    with shelf.store.single_flight("key", waiting=waiting):
        shelf.store.lock_timeout = 0
        with pytest.raises(BusyError), shelf.store.single_flight("key"):
            pytest.fail("two hold it")


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b'{"pid": "x"}', b"[1]", b"9" * 5000])
def test_a_lock_file_with_nonsense_in_it_is_as_good_as_any(shelf, note):
    shelf.store.prepare()
    path = shelf.store.root / "locks" / "key.lock"
    path.write_bytes(note)
    shelf.store.lock_timeout = 0
    with shelf.store.single_flight("key"):
        path.write_bytes(note)
        with pytest.raises(BusyError, match="another process"), shelf.store.single_flight("key"):
            pass


def test_a_lock_file_that_is_a_link_is_not_followed(shelf, tmp_path):
    shelf.store.prepare()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (shelf.store.root / "locks" / "key.lock").symlink_to(victim)
    with pytest.raises(StoreError, match=r"key\.lock"), shelf.store.single_flight("key"):
        pass
    assert victim.read_text() == "precious"


def test_where_flock_does_nothing_nobody_waits_and_publishing_still_works(shelf, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda fd, operation: None)
    shelf.store.lock_timeout = 0
    shelf.add("m", {"m": b"1"})
    assert not shelf.store.locks_work
    with shelf.store.single_flight("key"), shelf.store.single_flight("key"), shelf.store.lease():
        shelf.add("n", {"m": b"1"})
    assert shelf.damage() == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_flock_is_refused_nobody_waits(shelf, monkeypatch, number):
    def flock(fd: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    shelf.add("m", {"m": b"1"})
    assert not shelf.store.locks_work
    with shelf.store.single_flight("key"), shelf.store.lease():
        pass
    assert shelf.damage() == []


def test_whether_locks_work_is_tried_once(shelf, monkeypatch):
    shelf.store.prepare()
    assert shelf.store.locks_work
    monkeypatch.setattr(locks, "_probe", lambda path: pytest.fail("probed again"))
    assert shelf.store.locks_work


def test_on_a_network_file_system_locks_are_used_but_not_relied_upon(shelf, monkeypatch):
    shelf.store.prepare()
    monkeypatch.setattr(locks, "on_network", lambda directory: True)
    assert not shelf.store.locks_work
    shelf.store.lock_timeout = 0
    with shelf.store.single_flight("key"):
        with pytest.raises(BusyError), shelf.store.single_flight("key"):
            pass


def test_a_clock_that_is_set_back_while_one_waits_changes_nothing(shelf, holder, monkeypatch):
    holder(shelf.store.root, "single_flight", "key")
    clock = iter(range(10**9, 0, -(10**8)))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    shelf.store.lock_timeout = 0.2
    with pytest.raises(BusyError), shelf.store.single_flight("key"):
        pass
