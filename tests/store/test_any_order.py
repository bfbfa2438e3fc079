"""Whatever happens to a store in whatever order, an acknowledged model stays what it was.

The operations run against a dict of what must be there.  A crash is a call of
the operating system after which nothing else happens; damage is done behind the
store's back and is all that a check may find.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from torchinf_core.errors import NameTakenError, NotCachedError, StoreError

NAMES = st.sampled_from(["a", "A", "b", "c-1"])
CONTENTS = st.sampled_from(
    [
        {"m.bin": b"one"},
        {"m.bin": b"two", "d/n.bin": b"one"},
        {"x.bin": b"two"},
        {"g.onnx": b"graph", "w.data": b"one"},
        {"g.onnx": b"graph"},
        {},
    ]
)
EXAMPLES = int(os.environ.get("TORCHINF_STORE_EXAMPLES", "150"))


class StoreMachine(RuleBasedStateMachine):
    """A store, and beside it what must be in it."""

    make_shelf: Any
    failing: Any

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.shelf = type(self).make_shelf(self.base / "store")
        self.shelf.store.prepare()
        self.models: dict[str, dict[str, bytes]] = {}
        self.damaged: set[str] = set()
        self.unreadable: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.base)

    def forget(self, name: str) -> None:
        self.models.pop(name, None)
        self.damaged.discard(name)
        self.unreadable.discard(name)

    def check_cut(self, error: BaseException) -> None:
        """A power cut is what was asked for; anything else is a bug."""
        if type(error).__name__ != "PowerCut":
            raise error

    def heal_blobs(self, files: dict[str, bytes]) -> None:
        """What a download does about content it finds damaged: set aside and fetch again."""
        from torchinf_core.verify import hash_file

        for file in self.shelf.record("x", files).files:
            blob = self.shelf.store.blob(file.sha256)
            if blob.is_file() and hash_file(blob) != (file.sha256, file.size):
                self.shelf.store.quarantine(file.sha256)

    @rule(name=NAMES, files=CONTENTS)
    def add(self, name: str, files: dict[str, bytes]) -> None:
        self.heal_blobs(files)
        record = self.shelf.add(name, files)
        assert self.shelf.registry.by_request(record.request_key) == record
        self.forget(name)
        self.models[name] = files

    @rule(name=NAMES, files=CONTENTS, call=st.integers(1, 80), crash=st.booleans())
    def add_that_breaks_off(
        self, name: str, files: dict[str, bytes], call: int, crash: bool
    ) -> None:
        self.heal_blobs(files)
        before = name in self.models
        record = None
        with self.failing.at_call(call, crash=crash):
            try:
                record = self.shelf.add(name, files)
            except StoreError:
                assert not crash
            except BaseException as error:
                self.check_cut(error)
        if record is not None:
            self.forget(name)
            self.models[name] = files
            return
        if name in self.unreadable:
            try:
                self.shelf.registry.find(name)
            except StoreError:
                return
        now = self.shelf.registry.find(name)
        if now is not None and now.generation == self.shelf.record(name, files).generation:
            checks = [self.shelf.store.check(now, full=full) for full in (False, True)]
            if checks == [[], []]:
                self.forget(name)
                self.models[name] = files  # cut off after the record: it is all there
        else:
            assert (now is not None) == before

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.unreadable:
            with pytest.raises(StoreError):
                self.shelf.registry.remove(name)
        elif name in self.models:
            self.shelf.registry.remove(name)
            self.forget(name)
        else:
            with pytest.raises(NotCachedError):
                self.shelf.registry.remove(name)

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.damaged or {old, new} & self.unreadable:
            return
        if old not in self.models:
            with pytest.raises(NotCachedError):
                self.shelf.registry.rename(old, new)
        elif new in self.models and new != old:
            with pytest.raises(NameTakenError):
                self.shelf.registry.rename(old, new)
        else:
            self.shelf.registry.rename(old, new)
            self.models[new] = self.models.pop(old)

    @rule(grace=st.sampled_from([0, 3600]), days=st.sampled_from([-3650, 0, 3, 3650]))
    def gc(self, grace: float, days: int) -> None:
        real = time.time
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: real() + days * 86400)
            report = self.shelf.store.gc(dry_run=False, grace=grace)
        assert report.freed >= 0

    @rule(call=st.integers(1, 30))
    def gc_that_is_cut_off(self, call: int) -> None:
        with self.failing.at_call(call, crash=True):
            try:
                self.shelf.store.gc(dry_run=False, grace=0)
            except BaseException as error:
                self.check_cut(error)

    @precondition(lambda self: self.models.keys() - self.damaged - self.unreadable)
    @rule(data=st.data(), how=st.sampled_from(["flip", "truncate", "delete", "touch"]))
    def damage_a_file(self, data: st.DataObject, how: str) -> None:
        name = data.draw(
            st.sampled_from(sorted(self.models.keys() - self.damaged - self.unreadable))
        )
        if not self.models[name]:
            return
        record = self.shelf.registry.get(name)
        file = data.draw(st.sampled_from(record.files))
        path = self.shelf.store.model_dir(record) / file.path
        if how == "delete":
            path.unlink()
        elif how == "touch":
            os.utime(path, ns=(1, 1))
        elif how == "truncate":
            os.truncate(path, 1)
        else:
            with open(path, "r+b") as handle:
                handle.write(b"?")
        self.damaged.add(name)
        if how == "delete":
            return
        for other in self.models.keys() - self.unreadable:  # a link or the blob itself
            found = self.shelf.registry.get(other)
            if any(item.sha256 == file.sha256 for item in found.files):
                self.damaged.add(other)

    @rule(name=NAMES, content=st.sampled_from([b"", b"{", b"\xef\xbb\xbf{}", b"[1]"]))
    def damage_a_record(self, name: str, content: bytes) -> None:
        if name in self.models:
            Path(self.shelf.store.layout.record(name)).write_bytes(content)
            self.unreadable.add(name)

    @rule()
    def repair(self) -> None:
        self.shelf.store.fsck(repair=True)
        for name in list(self.unreadable):
            self.forget(name)
        for name in list(self.damaged):
            record = self.shelf.registry.get(name)
            if not (
                self.shelf.store.check(record, full=True)
                or self.shelf.store.check(record, full=False)
            ):
                self.damaged.discard(name)

    @invariant()
    def acknowledged_models_are_intact(self) -> None:
        for name in self.models.keys() - self.damaged - self.unreadable:
            assert self.shelf.content(name) == self.models[name]
            record = self.shelf.registry.get(name)
            answer = self.shelf.registry.by_request(record.request_key)
            assert answer is None or answer.request_key == record.request_key

    @invariant()
    def nothing_else_is_listed(self) -> None:
        unreadable = {damaged_name(self.shelf, name) for name in self.unreadable}
        readable = self.models.keys() - self.unreadable
        assert set(self.shelf.registry.names()) == readable | unreadable
        listing = self.shelf.registry.records()
        assert {record.name for record in listing.records} == readable
        assert {damaged.name for damaged in listing.damaged} == unreadable

    @invariant()
    def only_injected_damage_is_found(self) -> None:
        suspects = self.damaged | {damaged_name(self.shelf, name) for name in self.unreadable}
        assert {problem.name for problem in self.shelf.store.fsck()} <= suspects | {None}
        for record in self.shelf.registry.records().records:
            if record.name not in self.damaged:
                assert self.shelf.store.check(record, full=True) == []


def damaged_name(shelf: Any, name: str) -> str:
    """What a listing calls a model whose record can't be read."""
    return name if name == name.lower() else Path(shelf.store.layout.record(name)).stem


def test_any_order_of_events_keeps_acknowledged_models(make_shelf, failing):
    StoreMachine.make_shelf = staticmethod(make_shelf)
    StoreMachine.failing = failing
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
