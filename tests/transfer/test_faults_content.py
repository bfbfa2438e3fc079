"""Wrong, encoded, endless and unasked content: refused, or made right, and never published."""

from __future__ import annotations

import hashlib
import resource

import pytest

from torchinf_core import transfer
from torchinf_core.testing import Fault, faults
from torchinf_core.types import RemoteFile


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("at", [0, 0.5, 10**9])
def test_a_bit_flipped_once_costs_a_second_try(scene, at: float):
    scene.hub.fail("/model.bin", faults.flip(at))
    scene.check_published(scene.fetch())
    assert scene.gets == 2


def test_a_bit_flipped_always_is_refused_with_both_digests(scene):
    scene.hub.fail("/model.bin", faults.flip().always())
    error = scene.refused()
    assert error.exit_code == 5
    wrong = bytearray(scene.content)
    wrong[len(wrong) // 2] ^= 1
    assert scene.sha256 in str(error)
    assert sha256(bytes(wrong)) in str(error)
    assert scene.partials() == []


def test_the_page_of_a_captive_portal_is_no_model(scene):
    scene.hub.fail("/model.bin", faults.portal().always())
    for known in ({}, {"size": None, "sha256": None}):
        error = scene.refused(**known)
        assert error.exit_code in (5, 8)
        assert "HTML" in str(error)
    assert scene.partials() == []


def test_a_portal_that_opens_in_the_middle_of_a_transfer_is_no_model(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.5), faults.portal().always())
    for known in ({}, {"size": None, "sha256": None}):
        assert large_scene.refused(**known).exit_code in (5, 8)


# ENCODINGS


def test_an_encoding_nobody_asked_for_is_undone(scene):
    scene.hub.fail("/model.bin", faults.gzipped().always())
    scene.check_published(scene.fetch())
    assert {seen.headers["Accept-Encoding"] for seen in scene.hub.requests} == {"identity"}


def test_an_encoded_body_is_never_continued_with_a_range(large_scene):
    broken = faults.together(faults.gzipped(), faults.cut(0.5))
    large_scene.hub.fail("/model.bin", broken, faults.gzipped().always())
    large_scene.check_published(large_scene.fetch(size=None, sha256=None))
    assert not any("Range" in seen.headers for seen in large_scene.hub.requests)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip", "deflate", "x"])
def test_an_encoding_that_can_not_be_undone_is_refused(scene, coding: str):
    scene.hub.fail("/model.bin", faults.encoded(coding).always())
    assert scene.refused(retries=2).exit_code in (4, 5)
    assert scene.partials() == []


@pytest.mark.parametrize("known", [{"size": None, "sha256": None}, {"size": None}, {}])
def test_a_bomb_is_defused_at_the_limit(scene, known: dict):
    scene.hub.fail("/model.bin", faults.bomb(1 << 30).always())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = scene.refused(**known, max_bytes=1_000_000)
    assert error.exit_code == 7 or (error.exit_code == 5 and "size" not in known)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024
    assert scene.partials() == []


# SIZE


@pytest.mark.parametrize("declared", [False, True])
def test_an_endless_body_ends_at_the_limit(scene, declared: bool):
    scene.hub.fail("/model.bin", faults.endless(declared).always())
    assert scene.refused(size=None, sha256=None, max_bytes=1_000_000).exit_code == 7
    assert scene.sent < 50_000_000
    assert scene.partials() == []


@pytest.mark.parametrize("declared", [False, True])
def test_a_body_larger_than_published_is_not_read_to_its_end(scene, declared: bool):
    scene.hub.fail("/model.bin", faults.endless(declared).always())
    assert scene.refused().exit_code in (5, 7)
    assert scene.sent < 50_000_000
    assert scene.partials() == []


def test_a_file_over_the_limit_is_refused_before_its_body(large_scene):
    assert large_scene.refused(size=None, max_bytes=1000).exit_code == 7
    assert large_scene.partials() == []


@pytest.mark.parametrize(
    "schedule",
    [
        [faults.flip()],
        [faults.cut(0.8)],
        [faults.cut(0.8), faults.ignore_range()],
        [faults.together(faults.chunked(), faults.cut(0.8))],
    ],
    ids=["wrong", "cut", "cut without ranges", "cut in chunks"],
)
def test_bytes_that_were_thrown_away_do_not_count_towards_the_limit(scene, schedule: list[Fault]):
    scene.hub.fail("/model.bin", *schedule)
    scene.check_published(scene.fetch(max_bytes=len(scene.content)))


# HEADS


@pytest.mark.parametrize(
    "fault",
    [faults.many_headers(), faults.big_header(), faults.header("X-Nul", "a\0b"), faults.not_http()],
    ids=lambda fault: fault.name,
)
def test_a_monstrous_head_is_refused(scene, fault: Fault):
    scene.hub.fail("/model.bin", fault.always())
    assert scene.refused(retries=2).exit_code == 4
    assert scene.partials() == []


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/x", "a" * 300, "CON", "\U0001f600", "\u202egnp.exe", "..", "", 'a"; x="b'],
)
def test_what_a_server_calls_a_file_changes_nothing_in_the_store(scene, name: str, tmp_path):
    nasty = faults.header("Content-Disposition", f'attachment; filename="{name}"')
    scene.hub.fail("/model.bin", nasty.always())
    scene.check_published(scene.fetch())
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


# UNASKED BYTES


def test_a_reply_nobody_asked_for_is_not_taken_for_the_next_file(scene):
    content = scene.content[:5000]  # one packet: what is unasked is there when the rest is
    other = content[::-1]
    wrong = b"x" * len(other)
    scene.hub.add("/model.bin", content)
    scene.hub.add("/other.bin", other)
    scene.hub.fail("/model.bin", faults.smuggled(wrong))
    files = [
        RemoteFile("model.bin", scene.hub.url("/model.bin"), size=len(other)),
        RemoteFile("other.bin", scene.hub.url("/other.bin"), size=len(other)),
    ]
    found = transfer.fetch(files, scene.store, scene.settings(connections=1))
    assert [fetched.sha256 for fetched in found] == [sha256(content), sha256(other)]


def test_a_late_second_reply_is_found_on_a_connection_that_broke_ranges(large_scene):
    large_scene.hub.fail(
        "/model.bin", faults.cut(0.5), faults.together(faults.short_part(), faults.smuggled())
    )
    large_scene.check_published(large_scene.fetch())
