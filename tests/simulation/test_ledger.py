"""The ledger's money: worked examples, and the identity that must hold after any events."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.ledger import LedgerShape


SHAPE = LedgerShape(Decimal("0.01"), Decimal("0.001"))
FREE = FeeRates(maker=Decimal(0), taker=Decimal(0))


def make(rates: FeeRates = GROWTH_RATES, equity: int = 1000) -> Ledger:
    return Ledger(
        SHAPE, starting_equity=Decimal(equity), rates=rates, leverage=Decimal(10), table=MarginTable(25)
    )


def test_a_round_trip_keeps_the_spread_less_two_fees() -> None:
    ledger = make()
    # buy 0.5 at 690.00: value 345, fee 345 x 0.00003 = 0.01035
    ledger.apply_fill(1, 500, 69_000, maker=True)
    # sell 0.5 at 690.10: value 345.05, fee 0.0103515 cut to 0.010351; closed 0.5 x 0.10 = 0.05
    result = ledger.apply_fill(-1, 500, 69_010, maker=True)
    assert result.closed_pnl == int(Decimal("0.05") * NANO)
    assert ledger.fees == Decimal("0.020701")
    assert ledger.equity == ledger.balance == Decimal(1000) + Decimal("0.05") - Decimal("0.020701")
    assert ledger.crossings == 1


def test_closed_pnl_is_against_the_average_entry_price() -> None:
    ledger = make(FREE)
    ledger.apply_fill(1, 100, 69_000, maker=True)
    ledger.apply_fill(1, 300, 69_040, maker=True)
    assert ledger.entry_ticks == 69_030  # (100 x 69000 + 300 x 69040) / 400
    # 200 lots at 69050: 0.2 x 0.20 = 0.04
    assert ledger.apply_fill(-1, 200, 69_050, maker=True).closed_pnl == int(Decimal("0.04") * NANO)
    assert ledger.entry_ticks == 69_030


def test_a_fill_that_turns_the_position_closes_at_the_old_entry_and_opens_at_the_fill() -> None:
    ledger = make(FREE)
    ledger.apply_fill(-1, 100, 69_000, maker=True)
    result = ledger.apply_fill(1, 250, 68_900, maker=True)
    assert result.closed_pnl == int(Decimal("0.1") * NANO)  # 0.1 x 1.00, a short that bought back lower
    assert result.crossed_zero
    assert ledger.position_lots == 150
    assert ledger.entry_ticks == 68_900


def test_a_taker_pays_the_taker_rate() -> None:
    ledger = make()
    ledger.apply_fill(1, 1000, 69_000, maker=False)
    assert ledger.fees == Decimal("0.0621")  # 690 x 0.00009
    assert ledger.maker_volume_nano == 0
    assert ledger.taker_volume_nano == 690 * NANO


def test_a_loss_at_mark_lowers_equity_and_leaves_the_balance() -> None:
    ledger = make(FREE)
    ledger.apply_fill(1, 1000, 69_000, maker=True)
    ledger.mark(68_900 + 68_901)  # mid 689.005
    assert ledger.unrealized == Decimal("-0.995")
    assert ledger.equity == Decimal("999.005")
    assert ledger.balance == Decimal(1000)


def test_a_long_pays_funding_at_a_positive_rate_on_the_oracle_price() -> None:
    ledger = make(FREE)
    ledger.apply_fill(1, 2000, 69_000, maker=True)
    ledger.apply_funding(Decimal(700), Decimal("0.0001"))
    assert ledger.funding == Decimal("-0.14")  # 2 x 700 x 0.0001
    assert ledger.balance == Decimal("999.86")


def test_margins_and_ratios_of_a_long_with_orders() -> None:
    ledger = make(FREE)
    ledger.apply_fill(1, 2000, 69_000, maker=True)
    ledger.mark(2 * 69_000)
    ledger.order_added(1, 68_990, 500)  # a bid for 344.95
    ledger.order_added(-1, 69_010, 500)  # an offer that only closes
    ratios = ledger.ratios
    assert ratios.position_margin == pytest.approx(138.0)  # 1380 / 10
    assert ratios.order_margin == pytest.approx(34.495)
    assert ratios.maintenance == pytest.approx(27.6)  # 2 % of 1380
    assert ratios.margin_ratio == pytest.approx(0.172495)
    ledger.order_added(1, 68_990, -500)
    ledger.order_added(-1, 69_010, -500)
    assert ledger.resting_tick_lots == (0, 0)


@pytest.mark.parametrize(("side", "lots", "ticks"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (2, 1, 1)])
def test_an_impossible_fill_is_refused(side: int, lots: int, ticks: int) -> None:
    with pytest.raises(ValueError, match="a fill needs"):
        make().apply_fill(side, lots, ticks, maker=True)


def test_a_tick_and_lot_finer_than_the_venues_money_are_refused() -> None:
    with pytest.raises(ValueError, match="not a positive multiple"):
        LedgerShape(Decimal("0.001"), Decimal("0.0001"))


event = st.one_of(
    st.tuples(
        st.just("fill"),
        st.sampled_from([1, -1]),
        st.integers(1, 5_000),
        st.integers(50_000, 90_000),
        st.booleans(),
    ),
    st.tuples(
        st.just("funding"), st.decimals("400", "900", places=3), st.decimals("-0.001", "0.001", places=9)
    ),
    st.tuples(st.just("mark"), st.integers(100_000, 180_000)),
)


@given(st.lists(event, max_size=60))
def test_equity_is_start_plus_realized_plus_unrealized_less_fees_plus_funding(events: list[tuple]) -> None:
    ledger = make()
    cash = Decimal(1000)
    fees = funding = Decimal(0)
    position = 0
    for what, *values in events:
        if what == "fill":
            side, lots, ticks, maker = values
            ledger.apply_fill(side, lots, ticks, maker=maker)
            value = lots * ticks * Decimal("0.00001")
            fee = GROWTH_RATES.fee(value, maker=maker)
            cash -= side * value + fee
            fees += fee
            position += side * lots
        elif what == "funding":
            oracle, rate = values
            funding += Decimal(ledger.apply_funding(oracle, rate)) / NANO
        else:
            ledger.mark(values[0])
    assert ledger.equity_nano == (
        ledger.start_nano
        + ledger.realized_nano
        + ledger.unrealized_nano
        - ledger.fees_nano
        + ledger.funding_nano
    )
    # and against money counted with decimals, independently of the ledger's integers
    assert ledger.fees == fees
    assert ledger.position_lots == position
    if ledger.mid2_ticks:
        assert ledger.equity == cash + funding + position * ledger.mid2_ticks * Decimal("0.000005")
