"""The venue's price and size grid."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_hip3.precision import is_valid_price
from hyperliquid_hip3.precision import is_valid_size
from hyperliquid_hip3.precision import price_decimals
from hyperliquid_hip3.precision import round_price_away
from hyperliquid_hip3.precision import round_size_down
from hyperliquid_hip3.precision import tick_at
from hyperliquid_hip3.precision import tick_range


prices = st.decimals(
    min_value="0.000001", max_value="999999", places=6, allow_nan=False, allow_infinity=False
)
decimals = st.integers(0, 6)


@pytest.mark.parametrize(
    ("price", "sz_decimals", "tick"),
    [
        pytest.param(
            "690.00", 3, "0.01", id="km:US500: 690.00 has five figures, 3 decimals would be allowed"
        ),
        pytest.param("752.51", 3, "0.01", id="km:US500 in May 2026"),
        pytest.param("7673.3", 3, "0.1", id="xyz:SP500: four figures before the point leave one"),
        pytest.param("29858", 4, "1", id="xyz:XYZ100: five figures before the point leave none"),
        pytest.param("84143", 5, "1", id="BTC: 6 - 5 = 1 decimal, five figures leave none"),
        pytest.param("0.5", 0, "0.00001", id="half a dollar: five figures after the point"),
        pytest.param(
            "0.001604", 0, "0.000001", id="kPEPE: 6 - 0 decimals bind before five figures (7 decimals)"
        ),
        pytest.param("123456", 3, "1", id="whole numbers are always accepted, six figures or not"),
        pytest.param("50", 3, "0.001", id="6 - 3 decimals bind below 100"),
    ],
)
def test_the_tick_follows_five_figures_and_the_decimals_left_by_the_size(price, sz_decimals, tick):
    assert tick_at(Decimal(price), sz_decimals) == Decimal(tick)


@pytest.mark.parametrize(
    ("price", "sz_decimals", "low", "high"),
    [
        ("690", 3, "100", "1000"),
        ("999.99", 3, "100", "1000"),
        ("1000", 3, "1000", "10000"),
        ("99.999", 3, "0", "100"),
        ("10000", 3, "10000", None),
        ("5", 6, "0", None),
    ],
)
def test_the_tick_changes_at_powers_of_ten(price, sz_decimals, low, high):
    found = tick_range(Decimal(price), sz_decimals)
    assert found == (Decimal(low), None if high is None else Decimal(high))


@given(prices, decimals)
def test_the_tick_is_the_same_at_both_ends_of_its_range(price, sz_decimals):
    low, high = tick_range(price, sz_decimals)
    tick = tick_at(price, sz_decimals)
    assert low <= price
    if low > 0:
        assert tick_at(low, sz_decimals) == tick
        assert tick_at(low - Decimal("0.000001"), sz_decimals) < tick
    if high is not None:
        assert price < high
        assert tick_at(high - Decimal("0.000001"), sz_decimals) == tick
        assert tick_at(high, sz_decimals) > tick


@pytest.mark.parametrize(
    ("price", "is_accepted"),
    [
        ("690.01", True),
        ("690.010", True),
        ("690.015", False),
        ("1000.1", True),
        ("1000.05", False),
        ("0", False),
        ("-1", False),
        ("NaN", False),
        ("123457", True),
    ],
)
def test_a_price_off_the_grid_is_not_accepted(price, is_accepted):
    assert is_valid_price(Decimal(price), 3) is is_accepted


def test_a_buy_rounds_down_and_a_sell_rounds_up():
    assert round_price_away(Decimal("690.014"), side=1, sz_decimals=3) == Decimal("690.01")
    assert round_price_away(Decimal("690.014"), side=-1, sz_decimals=3) == Decimal("690.02")


def test_a_sell_that_rounds_up_to_a_power_of_ten_lands_on_the_coarser_grid():
    rounded = round_price_away(Decimal("999.996"), side=-1, sz_decimals=3)
    assert rounded == Decimal(1000)
    assert is_valid_price(rounded, 3)


@given(st.decimals(min_value="1", max_value="999999", places=6), decimals, st.sampled_from([1, -1]))
def test_rounding_away_gives_an_accepted_price_within_one_tick_on_the_passive_side(price, sz_decimals, side):
    rounded = round_price_away(price, side=side, sz_decimals=sz_decimals)
    assert is_valid_price(rounded, sz_decimals)
    assert 0 <= side * (price - rounded) < tick_at(price, sz_decimals)


def test_a_buy_below_one_tick_is_refused():
    with pytest.raises(ValueError, match="at least one tick"):
        round_price_away(Decimal("0.0000001"), side=1, sz_decimals=0)


@pytest.mark.parametrize("bad", [-1, 7])
def test_impossible_size_decimals_are_refused(bad):
    with pytest.raises(ValueError, match="sz_decimals"):
        price_decimals(Decimal(1), bad)


@pytest.mark.parametrize("bad", ["0", "-1", "NaN", "Infinity"])
def test_a_price_that_is_no_positive_number_has_no_tick(bad):
    with pytest.raises(ValueError, match="positive"):
        tick_at(Decimal(bad), 3)


def test_a_side_is_plus_or_minus_one():
    with pytest.raises(ValueError, match="side"):
        round_price_away(Decimal(1), side=0, sz_decimals=3)


@pytest.mark.parametrize(
    ("size", "is_lots"), [("0.001", True), ("0.0015", False), ("0", False), ("-1", False), ("12.345", True)]
)
def test_a_size_is_a_positive_number_of_lots(size, is_lots):
    assert is_valid_size(Decimal(size), 3) is is_lots


@pytest.mark.parametrize(("size", "cut"), [("0.0019", "0.001"), ("0.0009", "0"), ("-0.0019", "-0.001")])
def test_a_size_is_cut_towards_zero(size, cut):
    assert round_size_down(Decimal(size), 3) == Decimal(cut)
