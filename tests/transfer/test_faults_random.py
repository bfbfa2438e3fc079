"""Whatever the faults and their order: right bytes, or an error and nothing published.

``TORCHINF_FAULT_EXAMPLES=10000`` runs as many schedules, shared out among the
tests, instead of a few.
"""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchinf_core import transfer
from torchinf_core.errors import TorchinfError
from torchinf_core.testing import Fault, faults
from torchinf_core.transfer import engine
from torchinf_core.types import RemoteFile

EXAMPLES = -(-int(os.environ.get("TORCHINF_FAULT_EXAMPLES", "120")) // 6)
BLOCK = 4096
OLD = random.Random(1).randbytes(40 * BLOCK + 77)
NEW = random.Random(2).randbytes(40 * BLOCK + 77)
SHORT = NEW[: 23 * BLOCK + 5]


def any_of(*kinds: st.SearchStrategy) -> st.SearchStrategy:
    """One of the kinds, each as often; ``st.one_of`` prefers those that have more to vary."""
    return st.sampled_from(kinds).flatmap(lambda kind: kind)


places = any_of(
    st.floats(0, 1, allow_nan=False).map(lambda at: round(at, 3)),
    st.integers(0, 12).map(lambda blocks: blocks * BLOCK),
    st.integers(0, 10_000),
)
shifts = st.sampled_from([-BLOCK, -1000, -1, 1, 7, 1000, BLOCK])

honest = any_of(
    places.map(faults.cut),
    places.map(faults.reset),
    st.builds(faults.stall, places),
    st.sampled_from(
        [
            faults.fine(),
            faults.vanish(),
            faults.silence(),
            faults.ignore_range(),
            faults.empty(),
            faults.portal(),
            faults.unsatisfiable(None),
            faults.unsatisfiable("bytes */5"),
            faults.chunked(),
            faults.gzipped(),
            faults.not_http(),
            faults.early_hints(),
            faults.unasked_part(),
            faults.short_part(0.3),
            faults.many_parts(),
            faults.status(500),
            faults.status(502),
            faults.status(503, Retry_After="2"),
            faults.status(429, Retry_After="soon"),
            faults.moved("/model.bin"),
            faults.encoded("br"),
        ]
    ),
    shifts.map(lambda shift: faults.wrong_start(abs(shift))),
    places.map(lambda at: faults.together(faults.chunked(), faults.cut(at))),
    places.map(lambda at: faults.together(faults.chunked(), faults.reset(at))),
    places.map(lambda at: faults.together(faults.gzipped(), faults.cut(at))),
    places.map(lambda at: faults.together(faults.short_part(), faults.cut(at))),
)
"""Faults of the transport: what arrives is true as far as it goes, or says that it is not."""

changes = st.builds(
    faults.replaced_by,
    st.sampled_from([NEW, SHORT]),
    etag=st.sampled_from(['"new"', 'W/"new"', None]),
    heed_if_range=st.booleans(),
)
"""The file is replaced on the server, under a validator of its own."""

lies = any_of(
    st.builds(faults.flip, places, st.sampled_from([1, 0x80, 0xFF])),
    shifts.map(faults.wrong_part),
    shifts.map(faults.other_total),
    shifts.map(faults.claim_length),
    st.sampled_from(
        [
            faults.garble(),
            faults.no_length(),
            faults.validators(),
            faults.validators(etag='"one"'),
            faults.validators(etag='W/"one"'),
            faults.gzipped_part(),
            faults.encoded("gzip"),
            faults.smuggled(b"x" * len(OLD)),
            faults.endless(),
            faults.endless(declared=True),
            faults.replaced_by(NEW, etag='"one"', heed_if_range=False),
        ]
    ),
    places.map(lambda at: faults.together(faults.no_length(), faults.cut(at))),
)
"""Bytes that claim to be what they are not: only a digest can tell."""


breaks = st.builds(lambda at: faults.cut(0.05 + at * 0.9), st.floats(0, 1))


def schedules(kinds: st.SearchStrategy[Fault]) -> st.SearchStrategy[list[Fault]]:
    """Faults one after the other; half of them meet a transfer that has just broken off."""
    times = st.sampled_from([1, 1, 1, 2, 3, 50])
    one = st.builds(lambda fault, times: fault.repeat(times), kinds, times)
    step = any_of(st.tuples(one), st.tuples(breaks, one))
    return st.lists(step, min_size=1, max_size=6).map(lambda steps: [*chain(*steps)])


def attempt(scene, schedule: list[Fault], file: RemoteFile, **changes) -> str | None:
    """The digest of what was published after up to two calls, or None after an error."""
    hub, store = scene.hub, scene.store
    hub.reset()
    hub.add("/model.bin", OLD, etag="one")
    hub.fail("/model.bin", *schedule)
    settings = scene.settings(
        idle_timeout=0.05, retries=3, min_speed=0, max_bytes=4_000_000, **changes
    )
    found = None
    for _ in range(2):  # the second call meets what the first one left
        try:
            (found,) = transfer.fetch([file], store, settings)
            break
        except TorchinfError:
            continue
    published = scene.blobs()
    if found is not None:
        assert published == [found.sha256]
        blob = store.blob(found.sha256)
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == found.sha256
        blob.unlink()
    else:
        assert published == []
    for left in (store.root / "partial").iterdir():
        left.unlink()
    return found.sha256 if found is not None else None


def explored(test):
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=quiet)(test)


@pytest.fixture(params=[1, 4], ids=["one connection", "four connections"])
def connections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of connections is decided here instead of by measurement."""
    tuner = engine.Tuner
    monkeypatch.setattr(engine, "Tuner", lambda owner, _start: tuner(owner, request.param))
    return request.param


LIMIT = pytest.mark.timeout(max(120, EXAMPLES * 2))


@LIMIT
@explored
@given(schedule=schedules(any_of(honest, changes, lies)), size=st.sampled_from([None, len(OLD)]))
def test_pinned_bytes_are_those_bytes_or_an_error(
    large_scene, connections: int, schedule: list[Fault], size: int | None
):
    digest = hashlib.sha256(OLD).hexdigest()
    file = RemoteFile("model.bin", large_scene.hub.url("/model.bin"), size=size, sha256=digest)
    found = attempt(large_scene, schedule, file, connections=connections)
    assert found in (None, digest)


@LIMIT
@explored
@given(schedule=schedules(any_of(honest, changes)))
def test_unpinned_bytes_are_those_of_one_version_or_an_error(
    large_scene, connections: int, schedule: list[Fault]
):
    file = RemoteFile("model.bin", large_scene.hub.url("/model.bin"))
    found = attempt(large_scene, schedule, file, connections=connections)
    assert found in (None, *(hashlib.sha256(whole).hexdigest() for whole in (OLD, NEW, SHORT)))


@LIMIT
@explored
@given(schedule=schedules(any_of(honest, changes, lies)))
def test_small_pinned_bytes_are_those_bytes_or_an_error(
    large_scene, monkeypatch: pytest.MonkeyPatch, schedule: list[Fault]
):
    monkeypatch.setattr(transfer, "SMALL", 1 << 20)
    digest = hashlib.sha256(OLD).hexdigest()
    url = large_scene.hub.url("/model.bin")
    file = RemoteFile("model.bin", url, size=len(OLD), sha256=digest)
    assert attempt(large_scene, schedule, file) in (None, digest)


@LIMIT
@explored
@given(schedule=schedules(honest))
def test_a_schedule_that_ends_leaves_the_file_reachable(large_scene, schedule: list[Fault]):
    file = RemoteFile("model.bin", large_scene.hub.url("/model.bin"))
    attempt(large_scene, schedule, file)
    digest = hashlib.sha256(OLD).hexdigest()
    assert attempt(large_scene, [], replace(file, sha256=digest)) == digest
