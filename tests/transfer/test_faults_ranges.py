"""Continuing a transfer never mixes two versions, whatever the server makes of a range."""

from __future__ import annotations

import random
import time

import pytest

from torchinf_core.testing import Fault, faults
from torchinf_core.testing.faults import has_range
from torchinf_core.transfer import large

NEW = random.Random(8).randbytes(50 * 4096 + 123)


def plain(request) -> bool:
    return not has_range(request)


def ranged(scene) -> int:
    """Requests that asked for a part."""
    return sum("Range" in seen.headers for seen in scene.hub.requests)


MANGLED = [
    faults.ignore_range(),
    faults.wrong_start(),
    faults.wrong_start(1),
    faults.other_total(1000),
    faults.other_total(-1000),
    faults.many_parts(),
    faults.unsatisfiable(),
    faults.unsatisfiable(None),
    faults.unsatisfiable("bytes */99999999"),
    faults.unsatisfiable("nonsense"),
    faults.header("Content-Range", "nonsense").on(has_range),
    faults.header("Content-Range", "bytes 5-2/9").on(has_range),
    faults.header("Content-Range", f"bytes {'9' * 30}-{'9' * 31}/{'9' * 32}").on(has_range),
    faults.claim_length(-100).on(has_range),
    faults.claim_length(100).on(has_range),
    faults.gzipped_part(),
    faults.together(faults.gzipped(), faults.fine()).on(has_range),
    faults.wrong_part(),
    faults.garble().on(has_range),
    faults.empty().on(has_range),
    faults.status(204).on(has_range),
]


@pytest.mark.parametrize("fault", MANGLED, ids=lambda fault: fault.name)
def test_a_range_mangled_once_is_survived(large_scene, fault: Fault):
    large_scene.hub.fail("/model.bin", faults.cut(0.5), fault)
    if fault.name == "status-204":
        assert large_scene.refused().exit_code == 4
        return
    large_scene.check_published(large_scene.fetch())


@pytest.mark.parametrize("fault", MANGLED, ids=lambda fault: fault.name)
def test_a_server_that_cuts_and_mangles_for_ever_brings_an_error_and_no_model(
    large_scene, fault: Fault
):
    if fault.name in ("ignore-range", "gzipped+fine"):
        pytest.skip("that is a server without ranges, which is no fault")
    large_scene.hub.fail("/model.bin", faults.cut(0.5).on(plain).always(), fault.always())
    assert large_scene.refused().exit_code in (4, 5)
    assert large_scene.gets < 30


def test_wrong_bytes_under_the_right_header_are_found_by_the_digest(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.5).on(plain).always())
    large_scene.hub.fail("/model.bin", faults.wrong_part().always())
    error = large_scene.refused()
    assert error.exit_code == 5
    assert large_scene.partials() == []


def test_without_ranges_a_cut_body_starts_from_the_first_byte(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.5), faults.ignore_range().always())
    large_scene.check_published(large_scene.fetch())
    assert large_scene.gets <= 3


def test_parts_shorter_than_asked_for_add_up(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.1), faults.short_part(0.5).always())
    large_scene.check_published(large_scene.fetch())
    assert large_scene.sent <= 1.01 * len(large_scene.content)


def test_every_continuation_is_bound_to_the_entity_tag(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.2).repeat(3))
    large_scene.check_published(large_scene.fetch())
    conditions = [seen.headers.get("If-Range") for seen in large_scene.hub.requests]
    assert conditions == [None, '"one"', '"one"', '"one"']
    assert {seen.headers["Accept-Encoding"] for seen in large_scene.hub.requests} == {"identity"}


@pytest.mark.parametrize("heed_if_range", [True, False])
@pytest.mark.parametrize("length", [len(NEW), len(NEW) - 5000])
@pytest.mark.parametrize("known", ["size", "nothing"])
def test_a_file_that_changes_meanwhile_is_the_new_one_throughout(
    large_scene, heed_if_range: bool, length: int, known: str
):
    new = NEW[:length]
    changed = faults.replaced_by(new, heed_if_range=heed_if_range)
    large_scene.hub.fail("/model.bin", faults.cut(0.5), changed.always())
    size = None if known == "nothing" or length != len(NEW) else length
    fetched = large_scene.fetch(size=size, sha256=None)
    large_scene.check_published(fetched, new)
    assert fetched.validator == '"other"'


@pytest.mark.parametrize("heed_if_range", [True, False])
def test_a_file_that_changes_meanwhile_is_refused_when_it_is_pinned(
    large_scene, heed_if_range: bool
):
    changed = faults.replaced_by(NEW, heed_if_range=heed_if_range)
    large_scene.hub.fail("/model.bin", faults.cut(0.5), changed.always())
    assert large_scene.refused().exit_code == 5
    assert large_scene.partials() == []


@pytest.mark.parametrize(
    "validators",
    [
        {"etag": None},
        {"etag": None, "last_modified": "Tue, 01 Oct 2024 00:00:00 GMT"},
        {"etag": 'W/"other"'},
    ],
    ids=["nothing", "a date", "a weak tag"],
)
@pytest.mark.parametrize("had_etag", [True, False])
def test_a_part_that_names_its_version_otherwise_is_not_appended(
    large_scene, validators: dict, had_etag: bool
):
    if not had_etag:
        large_scene.hub.add("/model.bin", large_scene.content, etag=None)
    changed = faults.replaced_by(NEW, heed_if_range=False, **validators)
    large_scene.hub.fail("/model.bin", faults.cut(0.5), changed.always())
    large_scene.check_published(large_scene.fetch(sha256=None), NEW)


@pytest.mark.parametrize(
    "validators",
    [
        {"etag": 'W/"one"', "last_modified": None},
        {"etag": None, "last_modified": None},
        {"etag": None, "last_modified": "nonsense"},
        {"etag": None, "last_modified": "now"},
    ],
    ids=["weak tag", "none", "no date", "a date too near"],
)
def test_without_a_strong_validator_only_a_digest_allows_to_continue(large_scene, validators: dict):
    if validators["last_modified"] == "now":
        validators["last_modified"] = time.time() + 3600
    large_scene.hub.add("/model.bin", large_scene.content, **validators)
    large_scene.hub.fail("/model.bin", faults.cut(0.5))
    large_scene.check_published(large_scene.fetch(sha256=None, size=None))
    assert ranged(large_scene) == 0


@pytest.mark.parametrize("validators", [{"etag": 'W/"one"'}, {"etag": None}])
def test_with_a_digest_a_weak_validator_does_not_cost_a_restart(large_scene, validators: dict):
    large_scene.hub.add("/model.bin", large_scene.content, **validators, last_modified=None)
    large_scene.hub.fail("/model.bin", faults.cut(0.5))
    large_scene.check_published(large_scene.fetch())
    assert ranged(large_scene) == 1
    assert large_scene.sent <= 1.01 * len(large_scene.content)


def test_an_old_date_is_validator_enough(large_scene):
    large_scene.hub.add("/model.bin", large_scene.content, etag=None)
    large_scene.hub.fail("/model.bin", faults.cut(0.5))
    large_scene.check_published(large_scene.fetch(sha256=None, size=None))
    assert large_scene.hub.requests[-1].headers["If-Range"].endswith("GMT")
    assert large_scene.sent <= 1.01 * len(large_scene.content)


# WHAT AN EARLIER PROCESS LEFT


def test_a_partial_that_is_complete_is_published_without_a_request(
    large_scene, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(large, "check_digests", interrupted)
        with pytest.raises(KeyboardInterrupt):
            large_scene.fetch()
    assert large_scene.blobs() == []
    large_scene.check_published(large_scene.fetch())
    assert large_scene.sent == len(large_scene.content)


def test_a_partial_longer_than_the_file_now_is_starts_over(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.8))
    large_scene.refused(retries=1, size=None, sha256=None)
    large_scene.hub.add("/model.bin", NEW[:10_000], etag=None, last_modified=None)
    large_scene.check_published(large_scene.fetch(size=None, sha256=None), NEW[:10_000])


@pytest.mark.parametrize("fault", MANGLED, ids=lambda fault: fault.name)
def test_a_leftover_survives_a_mangled_first_answer(large_scene, fault: Fault):
    large_scene.hub.fail("/model.bin", faults.cut(0.5))
    large_scene.refused(retries=1)
    large_scene.hub.fail("/model.bin", fault)
    if fault.name == "status-204":
        assert large_scene.refused().exit_code == 4
    large_scene.check_published(large_scene.fetch())


def test_a_file_that_changed_since_is_the_new_one_throughout(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.5))
    large_scene.refused(retries=1, sha256=None)
    large_scene.hub.add("/model.bin", NEW, etag="two")
    fetched = large_scene.fetch(sha256=None)
    large_scene.check_published(fetched, NEW)
    assert fetched.validator == '"two"'
