"""Losing closes in a row, and what chance alone would bring."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.streak import LosingStreak
from amm500_nautilus.risk.streak import chance_of_run
from amm500_nautilus.risk.streak import expected_runs


SECOND = 1_000_000_000


def close(streak: LosingStreak, at: float, pnl: float, *, side: int = -1, fee: float = 0.0, lots: int = 10):
    return streak.on_fill(
        round(at * SECOND),
        side,
        lots=lots,
        position_before=-side * 1_000,
        value=100.0,
        closed_pnl=pnl,
        fee=fee,
    )


def test_closing_fills_of_one_side_within_a_second_are_one_close() -> None:
    streak = LosingStreak(1.0)
    assert close(streak, 0.0, -3.0) is None
    assert close(streak, 1.0, 1.0) is None
    done = close(streak, 1.1, -1.0)
    assert done is not None
    # -3 + 1, worth two fills of 100
    assert (done.net, done.value, streak.losses, streak.lost) == (-2.0, 200.0, 1, 2.0)


def test_a_fill_of_the_other_side_ends_a_close() -> None:
    streak = LosingStreak(1.0)
    close(streak, 0.0, -3.0, side=-1)
    done = close(streak, 0.2, -1.0, side=1)
    assert done is not None
    assert done.net == -3.0


def test_fees_make_a_close_at_its_entry_price_a_losing_one() -> None:
    streak = LosingStreak(1.0)
    close(streak, 0.0, 0.0, fee=0.02)
    streak.advance(2 * SECOND)
    assert (streak.losses, streak.lost) == (1, 0.02)


def test_a_winning_close_ends_the_streak() -> None:
    streak = LosingStreak(1.0)
    for at in range(0, 20, 2):
        close(streak, at, -1.0)
    streak.advance(30 * SECOND)
    assert streak.losses == 10
    close(streak, 31, 0.5)
    streak.advance(33 * SECOND)
    assert (streak.losses, streak.lost) == (0, 0.0)


def test_a_close_is_judged_once_its_window_has_passed() -> None:
    streak = LosingStreak(1.0)
    close(streak, 0.0, -1.0)
    assert streak.advance(1 * SECOND) is None
    assert streak.advance(1 * SECOND + 1) is not None
    assert streak.advance(9 * SECOND) is None


def test_an_opening_fill_is_no_close() -> None:
    streak = LosingStreak(1.0)
    got = streak.on_fill(0, 1, lots=5, position_before=10, value=10.0, closed_pnl=0.0, fee=1.0)
    assert got is None
    assert streak.advance(10 * SECOND) is None


def test_a_fill_through_zero_bears_only_its_closing_part_of_the_fee() -> None:
    streak = LosingStreak(1.0)
    # 4 of 10 lots close
    streak.on_fill(0, 1, lots=10, position_before=-4, value=50.0, closed_pnl=0.5, fee=1.0)
    done = streak.advance(2 * SECOND)
    assert done is not None
    assert (done.net, done.value) == pytest.approx((0.1, 20.0))


def test_without_a_window_every_fill_counts_by_itself() -> None:
    streak = LosingStreak(0.0)
    for _ in range(3):
        assert close(streak, 0.0, -1.0) is not None
    assert streak.losses == 3


def test_a_streak_survives_a_restart() -> None:
    ours, other = LosingStreak(1.0), LosingStreak(1.0)
    close(ours, 0.0, -1.0)
    close(ours, 5.0, -2.0)
    other.load(ours.save())
    assert other.advance(9 * SECOND) == ours.advance(9 * SECOND)
    assert (other.losses, other.lost) == (ours.losses, ours.lost) == (2, 3.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(-10, 10), st.sampled_from([1, -1])), max_size=40))
def test_what_was_lost_is_never_negative_and_needs_losers(fills: list[tuple[float, float, int]]) -> None:
    streak, now = LosingStreak(1.0), 0.0
    for elapsed, pnl, side in fills:
        now += elapsed
        close(streak, now, pnl, side=side)
        assert streak.lost >= 0
        assert (streak.losses > 0) == (streak.lost > 0)


# -- chance ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("closes", "length", "share", "expected"),
    [
        pytest.param(3, 2, 0.5, 3 / 8, id="LLL, LLW, WLL of eight"),
        pytest.param(4, 2, 0.5, 8 / 16, id="eight of sixteen"),
        pytest.param(5, 5, 0.5, 1 / 32, id="all five"),
        pytest.param(9, 10, 0.5, 0.0, id="too few closes"),
        pytest.param(100, 10, 0.0, 0.0, id="nobody loses"),
        pytest.param(100, 10, 1.0, 1.0, id="everybody loses"),
    ],
)
def test_chance_table(closes: int, length: int, share: float, expected: float) -> None:
    assert chance_of_run(closes, length, share) == pytest.approx(expected)


def test_a_day_of_a_thousand_closes_brings_ten_losers_in_a_row_often() -> None:
    # the reason why a streak counts only when it lost something
    assert chance_of_run(1_000, 10, 0.5) == pytest.approx(0.385, abs=0.001)


def test_the_chance_agrees_with_draws() -> None:
    draw = random.Random(7)
    hits = 0
    for _ in range(4_000):
        run = 0
        for _ in range(100):
            run = run + 1 if draw.random() < 0.5 else 0
            if run == 6:
                hits += 1
                break
    # a standard error of 0.8 %
    assert hits / 4_000 == pytest.approx(chance_of_run(100, 6, 0.5), abs=0.03)


def test_expected_runs_agree_with_every_sequence_of_twelve() -> None:
    counts = [0.0] * 12
    for bits in range(1 << 12):
        for run in format(bits, "012b").split("0"):
            if run:
                counts[len(run) - 1] += 1 / (1 << 12)
    assert expected_runs(12, 0.5, 12) == pytest.approx(counts)


def test_nonsense_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="losing_share"):
        chance_of_run(10, 2, 1.5)
