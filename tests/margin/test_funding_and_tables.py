"""Funding payments, margin requirements and ratios."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.funding import HOUR_NS
from amm500_nautilus.margin.funding import funding_payment
from amm500_nautilus.margin.funding import hour_of
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import margin_ratios
from amm500_nautilus.margin.tables import order_notional_after_netting


def test_a_short_receives_what_the_venues_own_example_paid() -> None:
    # 15 x 25369.0 x 0.00000625 = 2.37834375, cut to six decimals
    assert funding_payment(Decimal(-15), Decimal("25369.0"), Decimal("0.00000625")) == Decimal("2.378343")


def test_a_long_pays_at_a_positive_rate_and_receives_at_a_negative_one() -> None:
    assert funding_payment(Decimal(2), Decimal(700), Decimal("0.0001")) == Decimal("-0.14")
    assert funding_payment(Decimal(2), Decimal(700), Decimal("-0.0001")) == Decimal("0.14")


def test_a_record_stamped_just_after_the_hour_belongs_to_that_hour() -> None:
    hour = 490_000
    assert hour_of(hour * HOUR_NS + 118_000_000) == hour
    assert hour_of(hour * HOUR_NS - 118_000_000) == hour


@pytest.mark.parametrize(("max_leverage", "rate"), [(25, "0.02"), (20, "0.025"), (10, "0.05"), (50, "0.01")])
def test_maintenance_is_half_the_initial_margin_at_the_largest_leverage(max_leverage: int, rate: str) -> None:
    table = MarginTable(max_leverage)
    assert table.maintenance(Decimal(1000)) == Decimal(1000) * Decimal(rate)
    assert table.maintenance(Decimal(1000)) == table.initial(Decimal(1000), Decimal(max_leverage)) / 2


def test_initial_margin_is_notional_over_leverage() -> None:
    assert MarginTable(25).initial(Decimal(7000), Decimal(10)) == Decimal(700)


def test_a_leverage_above_the_markets_largest_is_refused() -> None:
    with pytest.raises(ValueError, match="leverage is 26; allowed: 1 to 25"):
        MarginTable(25).initial(Decimal(1), Decimal(26))


@pytest.mark.parametrize(
    ("position", "buys", "sells", "expected"),
    [
        pytest.param(0.0, 300.0, 200.0, 300.0, id="flat: the larger side, not the sum"),
        # long 250: sells of 200 only close, buys of 300 all add
        pytest.param(250.0, 300.0, 200.0, 300.0, id="long: closing sells are free"),
        # long 250: sells of 600 turn the position round by 350
        pytest.param(250.0, 300.0, 600.0, 350.0, id="long: sells beyond the position"),
        pytest.param(-400.0, 300.0, 200.0, 200.0, id="short: closing buys are free"),
        pytest.param(-400.0, 300.0, 0.0, 0.0, id="short: nothing adds"),
    ],
)
def test_order_margin_counts_the_larger_side_after_netting(
    position: float, buys: float, sells: float, expected: float
) -> None:
    got = order_notional_after_netting(position_notional=position, buy_notional=buys, sell_notional=sells)
    assert got == expected


def test_the_three_ratios_of_a_worked_account() -> None:
    # notional 6,900 at 10x: 690; orders 1,000 at 10x: 100; maintenance 2 % of 6,900: 138; equity 1,000
    ratios = margin_ratios(
        equity=1000.0, position_notional=-6900.0, order_notional=1000.0, leverage=10.0, maintenance_rate=0.02
    )
    assert ratios.position_margin_ratio == pytest.approx(0.69)
    assert ratios.margin_ratio == pytest.approx(0.79)
    assert ratios.maintenance_ratio == pytest.approx(0.138)


def test_ratios_are_infinite_when_equity_is_gone_and_zero_when_flat() -> None:
    gone = margin_ratios(
        equity=-1.0, position_notional=10.0, order_notional=0.0, leverage=10.0, maintenance_rate=0.02
    )
    assert gone.margin_ratio == gone.maintenance_ratio == float("inf")
    flat = margin_ratios(
        equity=-1.0, position_notional=0.0, order_notional=0.0, leverage=10.0, maintenance_rate=0.02
    )
    assert flat.margin_ratio == 0.0


@given(position=st.floats(-1e6, 1e6), buys=st.floats(0, 1e6), sells=st.floats(0, 1e6), more=st.floats(0, 1e5))
def test_more_orders_never_lower_order_margin(
    position: float, buys: float, sells: float, more: float
) -> None:
    before = order_notional_after_netting(position_notional=position, buy_notional=buys, sell_notional=sells)
    after = order_notional_after_netting(
        position_notional=position, buy_notional=buys + more, sell_notional=sells
    )
    assert 0.0 <= before <= after
