"""Connections that break, stall or crawl, and servers that say no: what arrives in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from torchinf_core.testing import Fault, faults

EIGHTH = 6 * 4096

# CONNECTIONS


@pytest.mark.parametrize("fault", [faults.cut(0.5), faults.reset(0.5)], ids=["fin", "rst"])
def test_a_body_cut_once_is_continued_where_it_broke_off(large_scene, fault: Fault):
    large_scene.hub.fail("/model.bin", fault)
    large_scene.check_published(large_scene.fetch())
    assert large_scene.sent <= 1.01 * len(large_scene.content)
    assert len(large_scene.pauses) == 1


@pytest.mark.parametrize("fault", [faults.cut, faults.reset], ids=["fin", "rst"])
def test_a_body_cut_every_time_arrives_because_each_attempt_gets_further(scene, fault):
    scene.hub.fail("/model.bin", fault(EIGHTH).always())
    scene.check_published(scene.fetch(retries=2))
    assert scene.gets >= 8


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut(0.5),
        faults.reset(0.5),
        faults.cut(0),
        faults.vanish().repeat(3),
        faults.together(faults.chunked(), faults.cut(0.5)),
        faults.together(faults.no_length(), faults.cut(0.5)),
        faults.empty(),
        faults.not_http(),
        faults.early_hints(),
        faults.chunked(),
        faults.no_length(),
        faults.unasked_part(),
        faults.status(500),
        faults.status(502),
        faults.status(504),
        faults.status(408),
        faults.status(425),
    ],
    ids=lambda fault: fault.name,
)
def test_a_passing_fault_passes(scene, fault: Fault):
    scene.hub.fail("/model.bin", fault)
    scene.check_published(scene.fetch())


@pytest.mark.parametrize("fault", [faults.chunked(), faults.early_hints()])
def test_an_unusual_but_right_reply_is_taken_at_once(scene, fault: Fault):
    scene.hub.fail("/model.bin", fault)
    scene.check_published(scene.fetch())
    assert scene.gets == 1


@pytest.mark.parametrize("fault", [faults.stall(0.5), faults.silence()])
def test_a_stalled_connection_is_left_after_the_idle_timeout(large_scene, fault: Fault):
    large_scene.hub.fail("/model.bin", fault)
    large_scene.check_published(large_scene.fetch(idle_timeout=0.3))
    assert large_scene.sent <= 1.01 * len(large_scene.content)


def test_a_transfer_below_the_least_speed_is_given_up(scene):
    scene.hub.fail("/model.bin", faults.trickle(30).always())
    error = scene.refused(min_speed=1024, min_speed_time=0.3, idle_timeout=20)
    assert error.exit_code == 4
    assert "1024 bytes per second" in str(error)
    assert scene.pauses == []


def test_a_server_that_never_answers_is_given_up_within_the_budget(scene):
    scene.hub.fail("/model.bin", faults.vanish().always())
    assert scene.refused(retries=3).exit_code == 4
    assert scene.gets == 3
    assert scene.partials() == []


@pytest.mark.parametrize("fault", [faults.cut(0.5), faults.reset(0.5), faults.stall(0.5)])
def test_a_second_call_continues_what_the_first_left(large_scene, fault: Fault):
    large_scene.hub.fail("/model.bin", fault)
    assert large_scene.refused(retries=1, idle_timeout=0.3).exit_code == 4
    assert large_scene.partials() != []
    large_scene.check_published(large_scene.fetch())
    assert large_scene.sent <= 1.1 * len(large_scene.content)


# STATUS


def test_an_unavailable_server_is_asked_again_after_growing_jittered_pauses(scene):
    scene.hub.fail("/model.bin", faults.status(503).repeat(3))
    scene.check_published(scene.fetch())
    first, second, third = scene.pauses
    assert 0.25 <= first <= 0.5 <= second <= 1.0 <= third <= 2.0
    assert len({first, second / 2, third / 4}) == 3


def test_the_server_says_how_long_to_wait(scene):
    in_nine = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
    scene.hub.fail(
        "/model.bin", faults.status(429, Retry_After="2"), faults.status(503, Retry_After=in_nine)
    )
    scene.check_published(scene.fetch())
    assert scene.pauses[0] == 2
    assert 5 <= scene.pauses[1] <= 9


@pytest.mark.parametrize(
    "wish",
    [
        "999999999",
        "9" * 400,
        "-5",
        "soon",
        "",
        "1e9",
        "nan",
        "²",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 1900 00:00:00 GMT",
        "Fri, 99 Foo 99999 99:99:99 XXX",
    ],
)
def test_an_absurd_wish_to_wait_is_capped_or_ignored(scene, wish: str):
    scene.hub.fail("/model.bin", faults.status(429, Retry_After=wish))
    scene.check_published(scene.fetch())
    assert 0 < scene.pauses[0] <= 60


def test_a_bad_gateway_in_the_middle_costs_no_bytes(large_scene):
    large_scene.hub.fail("/model.bin", faults.cut(0.5), faults.status(502))
    large_scene.check_published(large_scene.fetch())
    assert large_scene.sent <= 1.01 * len(large_scene.content)


@pytest.mark.parametrize(
    ("code", "exit_code"), [(404, 3), (410, 3), (401, 4), (403, 4), (400, 4), (451, 4), (304, 4)]
)
def test_a_final_no_is_not_asked_again(scene, code: int, exit_code: int):
    scene.hub.fail("/model.bin", faults.status(code).always())
    assert scene.refused().exit_code == exit_code
    assert scene.gets == 1
    assert scene.partials() == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_lasting_failure_ends_after_the_retries(scene, code: int):
    scene.hub.fail("/model.bin", faults.status(code).always())
    error = scene.refused(retries=4)
    assert (error.exit_code, scene.gets) == (4, 4)
    assert str(code) in str(error)


# REDIRECTS


def test_a_redirect_loop_ends_soon(scene):
    scene.hub.redirect("/model.bin", "/model.bin")
    assert scene.refused().exit_code == 4
    assert scene.gets <= 11


def test_a_chain_of_more_than_ten_redirects_is_not_followed(scene):
    for number in range(12):
        scene.hub.redirect(f"/hop{number}", f"/hop{number + 1}")
    scene.hub.redirect("/hop12", "/model.bin")
    assert scene.refused(scene.hub.url("/hop0")).exit_code == 4


def test_a_few_redirects_of_any_kind_are_followed(scene):
    for number, status in enumerate((301, 302, 303, 307, 308)):
        scene.hub.redirect(f"/hop{number}", f"hop{number + 1}", status=status)
    scene.hub.redirect("/hop5", "/model.bin")
    scene.check_published(scene.fetch(scene.hub.url("/hop0")))


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "unix:/x"])
def test_a_redirect_to_what_is_no_http_is_refused(scene, to: str):
    scene.hub.redirect("/model.bin", to)
    assert scene.refused(retries=2).exit_code in (4, 7)


@pytest.mark.parametrize("to", ["http://", "http://[", "//:99999/", "http://127.0.0.1:0/"])
def test_a_redirect_to_nowhere_is_an_error_like_any_other(scene, to: str):
    scene.hub.redirect("/model.bin", to)
    assert scene.refused(retries=2).exit_code in (4, 7)


# LENGTH


@pytest.mark.parametrize("more", [-1000, 1000])
def test_a_length_that_contradicts_the_published_size_is_refused(scene, more: int):
    scene.hub.fail("/model.bin", faults.claim_length(more).always())
    assert scene.refused().exit_code == 5
    assert scene.partials() == []


@pytest.mark.parametrize("more", [-1000, 1000])
def test_a_wrong_length_is_found_out_by_the_digest_alone(large_scene, more: int):
    large_scene.hub.fail("/model.bin", faults.claim_length(more).always())
    assert large_scene.refused(size=None).exit_code in (4, 5)


@pytest.mark.parametrize("more", [-1000, 1000])
def test_a_wrong_length_once_is_survived(large_scene, more: int):
    large_scene.hub.fail("/model.bin", faults.claim_length(more))
    large_scene.check_published(large_scene.fetch(size=None))


def test_a_body_without_length_closed_early_is_refused_where_anything_is_known(scene):
    scene.hub.fail("/model.bin", faults.together(faults.no_length(), faults.cut(0.5)).always())
    for known in ({}, {"sha256": None}, {"size": None}):
        assert scene.refused(**known).exit_code == 5
    assert scene.partials() == []


def test_a_body_without_length_of_which_nothing_is_known_needs_permission(large_scene):
    large_scene.hub.fail("/model.bin", faults.no_length().always())
    error = large_scene.refused(size=None, sha256=None)
    assert error.exit_code == 5
    assert "--allow-unverified" in error.hint
    fetched = large_scene.fetch(size=None, sha256=None, allow_unverified=True)
    large_scene.check_published(fetched)
    assert fetched.verified == "none"


def test_an_empty_body_is_not_a_model(scene):
    scene.hub.fail("/model.bin", faults.empty().always())
    for known in ({}, {"size": None, "sha256": None}):
        assert scene.refused(**known, retries=2).exit_code in (5, 8)
    assert scene.partials() == []


def test_an_empty_file_that_is_meant_to_be_empty_is_fetched(scene):
    scene.content, scene.sha256 = b"", None
    scene.hub.add("/model.bin", b"")
    scene.check_published(scene.fetch())
