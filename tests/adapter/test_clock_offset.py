"""How far the venue's clock is from ours."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3.clock_offset import MAX_ROUND_TRIP_NS
from hyperliquid_hip3.clock_offset import NS_PER_MS
from hyperliquid_hip3.clock_offset import WINDOW
from hyperliquid_hip3.clock_offset import ClockOffset
from hyperliquid_hip3.clock_offset import ClockState


START_NS = 1_767_225_600_000_000_000
MONOTONIC_NS = 5_000_000_000


class Clocks:
    """Our two clocks and the venue's, which is ``ahead_ms`` ahead."""

    def __init__(self, ahead_ms: float) -> None:
        self.offset = ClockOffset()
        self.ahead_ns = int(ahead_ms * NS_PER_MS)
        self.wall_ns = START_NS
        self.monotonic_ns = MONOTONIC_NS

    def ask(self, *, round_trip_ms: float = 40.0, error_ms: float = 0.0) -> bool:
        """One reply; the venue stamps it in the middle of the round trip, give or take ``error_ms``."""
        round_trip_ns = int(round_trip_ms * NS_PER_MS)
        venue_ns = self.wall_ns + round_trip_ns // 2 + self.ahead_ns + int(error_ms * NS_PER_MS)
        counted = self.offset.observe(
            venue_ns,
            sent_ns=self.wall_ns,
            round_trip_ns=round_trip_ns,
            monotonic_ns=self.monotonic_ns,
        )
        self.wall_ns += 5_000_000_000
        self.monotonic_ns += 5_000_000_000
        return counted


def test_nothing_is_known_and_nothing_may_expire_before_the_first_answer() -> None:
    offset = ClockOffset()
    assert offset.offset_ns is None
    assert offset.state is ClockState.UNKNOWN
    assert not offset.may_expire
    assert offset.venue_ms(START_NS) == START_NS // NS_PER_MS


def test_half_the_round_trip_is_taken_out() -> None:
    clocks = Clocks(120.0)
    clocks.ask(round_trip_ms=300.0)
    assert clocks.offset.offset_ns == 120 * NS_PER_MS
    assert clocks.offset.venue_ms(START_NS) == START_NS // NS_PER_MS + 120


def test_a_venue_clock_behind_ours_is_a_negative_offset() -> None:
    clocks = Clocks(-80.0)
    clocks.ask()
    assert clocks.offset.offset_ns == -80 * NS_PER_MS


@pytest.mark.parametrize(
    ("ahead_ms", "state"),
    [
        (0.0, ClockState.GOOD),
        (500.0, ClockState.GOOD),
        (501.0, ClockState.WARN),
        (-501.0, ClockState.WARN),
        (2_000.0, ClockState.WARN),
        (2_001.0, ClockState.PAUSE),
        (-2_001.0, ClockState.PAUSE),
    ],
)
def test_half_a_second_warns_and_two_seconds_pause(ahead_ms: float, state: ClockState) -> None:
    clocks = Clocks(ahead_ms)
    for _ in range(3):
        clocks.ask()
    assert clocks.offset.state is state
    assert clocks.offset.may_expire == (state is not ClockState.PAUSE)


def test_three_answers_allow_actions_to_expire() -> None:
    clocks = Clocks(10.0)
    allowed = []
    for _ in range(4):
        clocks.ask()
        allowed.append(clocks.offset.may_expire)
    assert allowed == [False, False, True, True]


def test_a_few_wild_answers_do_not_move_the_median() -> None:
    clocks = Clocks(30.0)
    for number in range(WINDOW):
        clocks.ask(error_ms=9_000.0 if number % 3 == 0 else 0.0)
    assert clocks.offset.offset_ns == 30 * NS_PER_MS


def test_only_the_last_thirty_answers_count() -> None:
    clocks = Clocks(3_000.0)
    for _ in range(WINDOW):
        clocks.ask()
    clocks.ahead_ns = 0
    for _ in range(WINDOW // 2 + 1):
        clocks.ask()
    assert clocks.offset.samples == WINDOW
    assert clocks.offset.offset_ns == 0


def test_a_round_trip_of_more_than_a_second_says_too_little() -> None:
    clocks = Clocks(0.0)
    assert clocks.ask(round_trip_ms=MAX_ROUND_TRIP_NS / NS_PER_MS)
    assert not clocks.ask(round_trip_ms=MAX_ROUND_TRIP_NS / NS_PER_MS + 1)
    assert clocks.offset.samples == 1


def test_when_the_wall_clock_is_set_what_was_measured_before_counts_no_more() -> None:
    clocks = Clocks(0.0)
    for _ in range(WINDOW):
        clocks.ask()
    # someone sets our clock back by three seconds: the venue is three seconds ahead of it now
    clocks.wall_ns -= 3_000 * NS_PER_MS
    clocks.ahead_ns = 3_000 * NS_PER_MS
    clocks.ask()
    assert clocks.offset.samples == 1
    assert clocks.offset.state is ClockState.PAUSE
    assert not clocks.offset.may_expire


def test_a_step_of_the_wall_clock_with_a_useless_answer_leaves_no_old_median() -> None:
    clocks = Clocks(40.0)
    clocks.ask()
    clocks.wall_ns += 3_000 * NS_PER_MS

    assert not clocks.ask(round_trip_ms=MAX_ROUND_TRIP_NS / NS_PER_MS + 1)

    assert clocks.offset.offset_ns is None
    assert clocks.offset.state is ClockState.UNKNOWN


def test_a_clock_that_is_slewed_keeps_its_measurements() -> None:
    clocks = Clocks(0.0)
    for _ in range(20):
        clocks.ask()
        clocks.wall_ns += NS_PER_MS
        clocks.ahead_ns -= NS_PER_MS
    assert clocks.offset.samples == 20


@given(errors=st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=80))
def test_the_offset_kept_is_the_median_of_the_last_thirty(errors: list[int]) -> None:
    clocks = Clocks(0.0)
    for error in errors:
        clocks.ask(error_ms=float(error))
    last = [error * NS_PER_MS for error in errors[-WINDOW:]]
    assert clocks.offset.offset_ns == int(statistics.median(last))


@given(ahead_ms=st.integers(-5_000, 5_000), trips=st.lists(st.integers(0, 900), min_size=1, max_size=60))
def test_the_offset_is_exact_when_the_ways_there_and_back_are_equal(ahead_ms: int, trips: list[int]) -> None:
    clocks = Clocks(float(ahead_ms))
    for trip in trips:
        clocks.ask(round_trip_ms=2 * (trip // 2))
    assert clocks.offset.offset_ns == ahead_ms * NS_PER_MS
