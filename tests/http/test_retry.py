"""How long to wait: growing, jittered, capped, and never for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.network import retry


@given(attempt=st.integers(1, 10_000), wish=st.none() | st.floats(-1e12, 1e12))
def test_no_pause_is_negative_or_longer_than_a_minute(attempt: int, wish: float | None) -> None:
    assert 0 <= retry.pause_before(attempt, wish) <= retry.LONGEST_RETRY_AFTER


def test_pauses_grow_until_the_longest() -> None:
    longest = [max(retry.pause_before(n) for _ in range(200)) for n in (1, 3, 20)]
    assert longest[0] <= retry.FIRST_PAUSE < longest[1] < longest[2] <= retry.LONGEST_PAUSE


@given(text=st.none() | st.text() | st.integers().map(str))
def test_any_retry_after_is_none_or_a_non_negative_time(text: str | None) -> None:
    seconds = retry.parse_retry_after(text)
    assert seconds is None or seconds >= 0


def test_both_forms_of_retry_after_are_understood() -> None:
    assert retry.parse_retry_after("2") == 2.0
    now = 1_700_000_000.0
    assert retry.parse_retry_after("Tue, 14 Nov 2023 22:13:25 GMT", now) == 5.0


def test_a_date_in_the_past_counts_as_not_asked_for() -> None:
    assert retry.parse_retry_after("Tue, 14 Nov 2023 22:13:25 GMT", 1_800_000_000.0) is None
