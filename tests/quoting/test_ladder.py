"""The ladder: weights, merging, distances, prices."""

from math import ceil
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.config import FixedGridConfig
from amm500_nautilus.quoting.config import LadderConfig
from amm500_nautilus.quoting.ladder import geometric_bps
from amm500_nautilus.quoting.ladder import level_weights
from amm500_nautilus.quoting.ladder import shape_of
from amm500_nautilus.quoting.ladder import side_ticks
from amm500_nautilus.quoting.models import FixedGridModel
from amm500_nautilus.quoting.models import ModelInputs
from amm500_nautilus.quoting.models import TieredModel


def thirds(weights: tuple[float, ...]) -> tuple[float, float, float]:
    return sum(weights[:5]), sum(weights[5:10]), sum(weights[10:])


def test_bucket_weights_give_each_third_its_promised_share() -> None:
    weights = level_weights(15, LadderConfig())
    assert thirds(weights) == pytest.approx((0.70, 0.20, 0.10))
    # inside a third each level is 0.85 of the one before
    assert weights[1] / weights[0] == pytest.approx(0.85)
    # 0.7 * 0.15 / (1 - 0.85^5) = 0.105 / 0.5562947
    assert weights[0] == pytest.approx(0.188749, abs=1e-6)


def test_size_decay_gives_61_27_12() -> None:
    weights = level_weights(15, LadderConfig(bucket_weights=()))
    # (1 - 0.85^5) / (1 - 0.85^15) = 0.5562947 / 0.9126458 and so on
    assert thirds(weights) == pytest.approx((0.6095, 0.2705, 0.1200), abs=1e-4)


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 7, 15, 16, 100])
def test_weights_sum_to_one_for_any_count(levels: int) -> None:
    weights = level_weights(levels, LadderConfig())
    assert len(weights) == levels
    assert sum(weights) == pytest.approx(1)


@pytest.mark.parametrize(
    ("total", "least", "indices", "lots"),
    [
        pytest.param(100, 1, (0, 1, 2, 3), (40, 30, 20, 10), id="nothing to merge"),
        # 40, 30, 20 stand; the last 10 is under 15 and joins the level before
        pytest.param(100, 15, (0, 1, 2), (40, 30, 30), id="the last joins its neighbour"),
        # 16 waits for 12: 28 at the second; 8 waits for 4: 12 is under 15 and joins it
        pytest.param(40, 18, (1,), (40,), id="two merge, the rest joins"),
        # half-up of 2.8, 4.9, 6.3: 3, 2, 1, 1
        pytest.param(7, 1, (0, 1, 2, 3), (3, 2, 1, 1), id="whole lots keep the total"),
        pytest.param(1, 1, (1,), (1,), id="one lot"),
        pytest.param(9, 10, (), (), id="under the minimum"),
        pytest.param(0, 1, (), (), id="nothing"),
    ],
)
def test_merging(total: int, least: int, indices: tuple[int, ...], lots: tuple[int, ...]) -> None:
    shape = shape_of((0.4, 0.3, 0.2, 0.1), total, least)
    assert (shape.indices, shape.lots) == (indices, lots)


def test_distances_are_geometric_with_both_ends_exact() -> None:
    # 1 * 5^(i/2): 1, 2.236, 5
    assert geometric_bps(1.0, 5.0, 3, (0, 1, 2)) == pytest.approx((1.0, 2.2360680, 5.0))
    assert geometric_bps(1.0, 5.0, 1, (0,)) == (1.0,)


def test_prices_round_away_from_fair_value() -> None:
    # 1000.4 - 2.1 = 998.3 -> 998; 1000.4 + 2.1 = 1002.5 -> 1003
    assert side_ticks(1, 1000.4, [2.1], limit_ticks=1_000) == [998]
    assert side_ticks(-1, 1000.4, [2.1], limit_ticks=1_001) == [1_003]


def test_equal_distances_never_repeat_a_price() -> None:
    assert side_ticks(1, 1000.0, [1.0, 1.2, 1.3], limit_ticks=1_000) == [999, 998, 997]


def test_quotes_stop_short_of_the_touch_across() -> None:
    assert side_ticks(1, 1010.0, [1.0, 2.0], limit_ticks=1_000) == [1_000, 999]
    assert side_ticks(-1, 990.0, [1.0, 2.0], limit_ticks=1_001) == [1_001, 1_002]


def test_bids_end_at_one_tick() -> None:
    assert side_ticks(1, 3.5, [1.0, 2.0, 3.0], limit_ticks=3) == [2, 1]


ladder_inputs = st.builds(
    ModelInputs,
    fair_ticks=st.floats(5_000, 200_000),
    bid_limit=st.integers(4_000, 200_000),
    ask_limit=st.integers(4_000, 200_000),
    min_bps=st.floats(0.1, 25),
    max_bps=st.floats(25, 50),
    total_lots=st.integers(0, 100_000),
    min_lots=st.integers(1, 500),
    bid_multiple=st.floats(0.5, 5),
    ask_multiple=st.floats(0.5, 5),
    level_share=st.sampled_from([0.1, 0.34, 0.67, 1.0]),
)


@given(
    inputs=ladder_inputs,
    model=st.sampled_from([TieredModel(LadderConfig()), FixedGridModel(FixedGridConfig())]),
)
def test_a_ladder_never_crosses_nor_repeats_a_price_and_keeps_its_size(
    inputs: ModelInputs, model: TieredModel | FixedGridModel
) -> None:
    quotes = model.quote(inputs)
    assert all(price <= inputs.bid_limit and price < inputs.fair_ticks for price in quotes.bid_ticks)
    assert all(price >= inputs.ask_limit and price > inputs.fair_ticks for price in quotes.ask_ticks)
    assert all(a > b for a, b in zip(quotes.bid_ticks, quotes.bid_ticks[1:], strict=False))
    assert all(a < b for a, b in zip(quotes.ask_ticks, quotes.ask_ticks[1:], strict=False))
    expected = inputs.total_lots if inputs.total_lots >= inputs.min_lots else 0
    assert sum(quotes.bid_lots) == sum(quotes.ask_lots) == expected
    assert all(lots >= inputs.min_lots for lots in quotes.bid_lots)


@given(inputs=ladder_inputs)
def test_rounding_never_tightens_the_spread(inputs: ModelInputs) -> None:
    quotes = TieredModel(LadderConfig()).quote(inputs)
    shape = shape_of(
        TieredModel(LadderConfig()).weights(inputs.level_share), inputs.total_lots, inputs.min_lots
    )
    distances = geometric_bps(inputs.min_bps, inputs.max_bps, shape.steps, shape.indices)
    unit = inputs.fair_ticks * 1e-4
    for price, bps in zip(quotes.bid_ticks, distances, strict=False):
        assert price <= floor(inputs.fair_ticks - bps * unit * inputs.bid_multiple)
    for price, bps in zip(quotes.ask_ticks, distances, strict=False):
        assert price >= ceil(inputs.fair_ticks + bps * unit * inputs.ask_multiple)


def test_the_fixed_grid_ignores_inventory_and_spread() -> None:
    model = FixedGridModel(FixedGridConfig(levels=3, spacing_ticks=10, offset_ticks=5))
    inputs = ModelInputs(1_000.0, 999, 1_001, 1.0, 5.0, 300, 1, bid_multiple=3.0)
    quotes = model.quote(inputs)
    assert list(quotes.bid_ticks) == [995, 985, 975]
    assert list(quotes.ask_ticks) == [1_005, 1_015, 1_025]
    assert tuple(quotes.bid_lots) == (100, 100, 100)
