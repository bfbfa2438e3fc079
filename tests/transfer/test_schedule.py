"""The arithmetic of who fetches what: nothing twice, nothing never."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.transfer.schedule import Schedule, Span

BLOCK = 16


@given(
    total=st.integers(0, 2000),
    done=st.sets(st.integers(0, 130)),
    steps=st.lists(st.tuples(st.sampled_from("trgcfs"), st.integers(0, 200)), max_size=80),
)
def test_every_byte_is_handed_out_exactly_once(
    total: int, done: set[int], steps: list[tuple[str, int]]
) -> None:
    blocks = -(-total // BLOCK)
    states = bytearray(1 if index in done else 0 for index in range(blocks))
    schedule = Schedule(total, BLOCK, states)
    received = bytearray(total)
    for index in range(blocks):
        if states[index]:
            received[index * BLOCK : (index + 1) * BLOCK] = b"\1" * len(
                received[index * BLOCK : (index + 1) * BLOCK]
            )
    spans: list[Span] = []

    def receive(span: Span, count: int) -> None:
        # A worker never reads beyond the block it is in, as it fills one buffer at a time.
        count = min(count, span.end - span.pos, BLOCK - span.pos % BLOCK)
        for offset in range(span.pos, span.pos + count):
            assert received[offset] == 0, "a byte was fetched twice"
            received[offset] = 1
        span.pos += count
        if span.pos == span.end:
            schedule.finish(span)
            spans.remove(span)

    for action, number in steps:
        if action == "t" and (span := schedule.take(number % 5 + 1)) is not None:
            spans.append(span)
        elif action == "c":
            schedule.cut(number % 5 + 1)
        elif spans:
            span = spans[number % len(spans)]
            if action == "g":
                schedule.give_back(span)
                spans.remove(span)
                start = span.pos // BLOCK * BLOCK
                for offset in range(start, span.pos):
                    received[offset] = 0  # the begun block is dropped with its buffer
            else:
                receive(span, number)
        assert schedule.left() >= received.count(0)
    while spans or (span := schedule.take(1)) is not None:
        if not spans:
            spans.append(span)
        while spans:
            receive(spans[0], BLOCK)
    assert received.count(0) == 0
    assert schedule.left() == 0


def test_a_single_connection_gets_all_up_to_the_next_hole_in_one_request() -> None:
    schedule = Schedule(100, 10, bytearray([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    first, second = schedule.take(1), schedule.take(1)
    assert first is not None
    assert second is not None
    assert (first.pos, first.end) == (0, 30)
    assert (second.pos, second.end) == (40, 100)


def test_an_idle_connection_takes_half_of_the_longest_rest() -> None:
    schedule = Schedule(100, 10)
    slow = schedule.take(1)
    assert slow is not None
    idle = schedule.take(2)
    assert idle is not None
    assert (idle.pos, idle.end) == (50, 100)
    assert slow.end == 50


def test_a_rest_of_a_few_blocks_is_left_to_its_connection() -> None:
    schedule = Schedule(70, 10)
    assert schedule.take(1) is not None
    assert schedule.take(2) is None
