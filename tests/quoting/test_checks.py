"""Start-up refusals name what would fit, and what they name does fit."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.config import RebalanceConfig
from amm500_nautilus.quoting.engine import QuoteEngine
from amm500_nautilus.quoting.types import MarketShape


FINE = MarketShape(tick=0.01, lot=0.001)
COARSE = MarketShape(tick=0.01, lot=0.1)


def check(
    equity: float, *, shape: MarketShape = FINE, config: QuotingConfig | None = None, leverage: float = 10.0
) -> list[str]:
    return QuoteEngine(shape, config or QuotingConfig()).check(equity, leverage, 690.0)


def test_a_thousand_at_ten_times_may_start() -> None:
    # limit 10,000, a side of 200, the largest level about 1 % after merging
    assert check(1_000.0) == []


def test_an_empty_ladder_names_the_equity_that_works() -> None:
    # 30 * 10 * 0.02 = 6 is under one order of 10.35 (15 lots of 0.69)
    (message,) = check(30.0)
    assert "the ladder is empty: a side of 6.00" in message
    match = re.search(r"equity of at least ([\d,]+)", message)
    assert match is not None
    least = float(match.group(1).replace(",", ""))
    assert check(least) == []
    assert check(least * 0.9) != []


def test_the_earlier_bots_lot_breaks_the_delta_rules() -> None:
    # a lot of 0.1 is 69 at 690: on 1,000 without leverage one lot is 6.9 % against 1.5 %
    config = QuotingConfig(basis="equity", ladder=LadderConfig(size_fraction=0.1))
    messages = check(1_000.0, shape=COARSE, config=config)
    # 1 lot of 69 is 6.9 %, a side of 100 rounds down to it
    assert "the largest of 1 levels (69.00) moves delta by 6.90%" in messages[0]
    assert "a full side (69.00) moves delta by 6.90%" in messages[1]
    match = re.search(r"equity of at least ([\d,]+) with size_fraction 0.02", messages[0])
    assert match is not None
    fitting = replace(config, ladder=LadderConfig(size_fraction=0.02))
    assert check(float(match.group(1).replace(",", "")), shape=COARSE, config=fitting) == []


def test_a_full_side_over_the_one_sided_threshold_names_a_size_that_fits() -> None:
    config = QuotingConfig(ladder=LadderConfig(size_fraction=0.03))
    (message,) = check(10_000.0, config=config)
    assert "a full side" in message
    match = re.search(r"size_fraction ([\d.]+) \((\d+) levels", message)
    assert match is not None
    fitting = replace(config, ladder=replace(config.ladder, size_fraction=float(match.group(1))))
    assert check(10_000.0, config=fitting) == []
    assert len(QuoteEngine(FINE, fitting).first_ladder(10_000.0, 10.0, 69_000, 69_001).bids) == int(
        match.group(2)
    )


def test_one_level_that_moves_delta_too_far_is_refused() -> None:
    (message,) = check(10_000.0, config=QuotingConfig(ladder=LadderConfig(levels=1)))
    assert "the largest of 1 levels (1,999.62) moves delta by 2.00%" in message


@pytest.mark.parametrize(
    ("equity", "leverage"), [(0.0, 10.0), (-5.0, 10.0), (1_000.0, 0.0), (float("nan"), 10.0)]
)
def test_nonsense_is_named(equity: float, leverage: float) -> None:
    (message,) = check(equity, leverage=leverage)
    assert "must be more than zero" in message


def test_impossible_rules_say_so() -> None:
    config = QuotingConfig(
        max_exposure=1_000.0,
        rebalance=RebalanceConfig(threshold=0.001, stop=0.0, one_sided=0.002, one_sided_stop=0.001),
    )
    (message, *_) = check(1_000.0, config=config)
    assert "no equity or size fits" in message


@settings(max_examples=40, deadline=None)
@given(equity=st.floats(1, 1e6), leverage=st.floats(1, 25))
def test_what_is_accepted_has_a_ladder_whose_largest_level_fits(equity: float, leverage: float) -> None:
    engine = QuoteEngine(FINE, QuotingConfig())
    if engine.check(equity, leverage, 690.005):
        return
    plan = engine.first_ladder(equity, leverage, 69_000, 69_001)
    limit = equity * leverage
    assert plan.bids
    assert max(level.lots for level in plan.bids) * 0.690005 < 0.015 * limit
    assert sum(level.lots for level in plan.bids) * 0.690005 < 0.025 * limit
