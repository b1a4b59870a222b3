"""Adverse selection: realised spread, markouts, losing closes, modes."""

import pytest

from amm500_nautilus.quoting.adaptive import ModeKeeper
from amm500_nautilus.quoting.adaptive import mode_for
from amm500_nautilus.quoting.config import AdaptiveConfig
from amm500_nautilus.quoting.config import FadingConfig
from amm500_nautilus.quoting.fills import FillTracker


S = 1_000_000_000


def tracker(**settings: float) -> FillTracker:
    return FillTracker(FadingConfig(**settings))  # type: ignore[arg-type]


def test_realised_spread_weighs_by_size() -> None:
    fills = tracker()
    for second, (side, price, lots) in enumerate(
        [(1, 1_000, 10), (1, 1_000, 10), (1, 1_004, 20), (-1, 1_001, 5), (-1, 1_001, 5), (-1, 1_001, 5)],
        start=1,
    ):
        fills.on_fill(second * S, side, price, lots)
    # buys (1000 * 20 + 1004 * 20) / 40 = 1002, sells 1001: -1 / 1001.5 = -9.985 bp
    assert fills.realised_spread_bps(7 * S) == pytest.approx(-9.985, abs=1e-3)
    # 1 + 9.985 / 10
    assert fills.fading(7 * S) == pytest.approx(1.9985, abs=1e-4)


def test_three_fills_of_each_side_are_needed() -> None:
    fills = tracker()
    for second in range(1, 4):
        fills.on_fill(second * S, 1, 1_000, 1)
    fills.on_fill(4 * S, -1, 990, 1)
    assert fills.realised_spread_bps(5 * S) is None
    assert fills.fading(5 * S) == 1.0


def test_fills_older_than_five_minutes_are_forgotten() -> None:
    fills = tracker()
    for side in (1, -1):
        for second in range(1, 4):
            fills.on_fill(second * S, side, 1_000 - side, 1)
    assert fills.realised_spread_bps(300 * S) is not None
    assert fills.realised_spread_bps(302 * S) is None


def test_a_small_loss_does_not_fade() -> None:
    fills = tracker()
    for second in range(1, 4):
        fills.on_fill(second * S, 1, 100_000, 1)
        fills.on_fill(second * S, -1, 99_981, 1)  # -1.9 bp
    assert fills.fading(4 * S) == 1.0


def test_markouts_use_the_mid_that_held_at_the_horizon() -> None:
    fills = tracker()
    fills.observe(10 * S, 1_000.0)
    fills.on_fill(10 * S, 1, 999, 4)
    fills.observe(10 * S + S // 2, 1_001.0)
    fills.observe(12 * S, 990.0)  # after the 1 s horizon: the mid at 11 s was still 1001
    fills.observe(16 * S, 980.0)  # after 5 s: at 15 s it was 990
    marks = fills.markouts()
    assert marks["1s"] == pytest.approx((1_001 - 999) / 999 * 1e4)
    assert marks["5s"] == pytest.approx((990 - 999) / 999 * 1e4)
    assert set(marks) == {"1s", "5s"}


def test_a_sell_before_a_rise_is_a_negative_markout() -> None:
    fills = tracker()
    fills.observe(S, 1_000.0)
    fills.on_fill(S, -1, 1_001, 1)
    fills.observe(S + 1, 1_005.0)
    fills.observe(3 * S, 1_005.0)
    assert fills.markouts()["1s"] < 0


@pytest.mark.parametrize(
    ("closes", "streak"),
    [
        pytest.param([(1, -1, -0.5), (10, 1, -0.5), (20, -1, -0.5)], 3, id="three losses"),
        pytest.param([(1, -1, -0.5), (10, 1, 0.5), (20, -1, -0.5)], 1, id="a win resets"),
        # one side within a second is one event: -0.5 + 0.7 wins
        pytest.param([(1, -1, -0.5), (1.5, -1, 0.7)], 0, id="one event, net"),
        pytest.param([(1, -1, -0.5), (1.5, -1, -0.5), (1.9, -1, -0.1)], 1, id="one event, one loss"),
        pytest.param([(1, -1, -0.5), (1.5, 1, -0.5)], 2, id="two sides are two events"),
        # 0.05 before a fee of 0.1 is a loss
        pytest.param([(1, -1, 0.05)], 1, id="net of fees"),
        # at the entry price: the fee is lost
        pytest.param([(1, -1, 0.0)], 1, id="at the entry price"),
    ],
)
def test_losing_streak(closes: list[tuple[float, int, float]], streak: int) -> None:
    fills = tracker()
    for second, side, pnl in closes:
        fills.on_fill(int(second * S), side, 1_000, 1, closed_pnl=pnl, fee=0.1, closed_lots=1)
    assert fills.streak(60 * S) == streak


def test_opening_fills_are_no_event() -> None:
    fills = tracker()
    fills.on_fill(S, 1, 1_000, 1, closed_pnl=-1.0, fee=0.0, closed_lots=1)
    fills.on_fill(10 * S, 1, 1_000, 1, closed_pnl=0.0, fee=0.1)
    assert fills.streak(11 * S) == 1


def test_a_fill_through_zero_bears_the_fee_of_what_it_closes() -> None:
    fills = tracker()
    # 1 of 10 lots closes with 0.02 and a tenth of the fee of 0.1: 0.01 won
    fills.on_fill(S, -1, 1_000, 10, closed_pnl=0.02, fee=0.1, closed_lots=1)
    assert fills.streak(2 * S) == 0
    # 3 of 10 bear 0.03: 0.01 lost
    fills.on_fill(20 * S, 1, 1_000, 10, closed_pnl=0.02, fee=0.1, closed_lots=3)
    assert fills.streak(21 * S) == 1


def test_three_losing_closes_widen_until_they_are_old() -> None:
    fills = tracker()
    for second in (1, 10, 20):
        fills.on_fill(second * S, 1, 1_000, 1, closed_pnl=-1.0, fee=0.0, closed_lots=1)
    assert fills.losing(21 * S) == (2.5, 2.0)
    assert fills.losing(330 * S) == (1.0, 1.0)


def test_state_survives_a_restart() -> None:
    fills = tracker()
    for second in range(1, 5):
        fills.on_fill(second * S, 1, 1_000, 1, closed_pnl=-1.0, fee=0.0, closed_lots=1)
        fills.on_fill(second * S, -1, 999, 1)
    again = tracker()
    again.load(fills.save())
    assert again.realised_spread_bps(6 * S) == fills.realised_spread_bps(6 * S)
    assert again.streak(6 * S) == fills.streak(6 * S)


@pytest.mark.parametrize(
    ("realised", "mode"),
    [
        (None, "NORMAL"),
        (-3.1, "DEFENSIVE"),
        (-3.0, "MODERATE"),
        (0.9, "MODERATE"),
        (1.0, "NORMAL"),
        (10.0, "AGGRESSIVE"),
        (15.0, "VERY_AGGRESSIVE"),
    ],
)
def test_mode_table(realised: float | None, mode: str) -> None:
    assert mode_for(realised, AdaptiveConfig()).name == mode


def test_losing_fills_make_the_mode_keep_further_away() -> None:
    config = AdaptiveConfig()
    assert mode_for(-5.0, config).distance_ticks > mode_for(20.0, config).distance_ticks


def test_a_mode_lasts_its_dwell_time() -> None:
    keeper = ModeKeeper(AdaptiveConfig(dwell_secs=60.0))
    assert keeper.update(100 * S, -5.0).name == "DEFENSIVE"
    assert keeper.update(150 * S, 20.0).name == "DEFENSIVE"
    assert keeper.update(160 * S, 20.0).name == "VERY_AGGRESSIVE"


def test_modes_can_be_off() -> None:
    keeper = ModeKeeper(AdaptiveConfig(enabled=False))
    assert keeper.update(100 * S, -5.0).name == "NORMAL"
