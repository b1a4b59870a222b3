"""How large an order may be, and the venue's words when it is larger."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import RestingOrders
from amm500_nautilus.margin.limits import max_limit_order_value
from amm500_nautilus.margin.limits import max_market_order_value
from amm500_nautilus.margin.limits import order_refusal
from amm500_nautilus.margin.limits import trade_limits
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier


LOT = Decimal("0.001")
COIN = "km:US500"
TABLE = MarginTable(25)


def account(size: str = "0", *, table: MarginTable = TABLE, leverage: int = 10) -> Account:
    start = Account(
        collateral="USDH",
        cash=Decimal(1000),
        positions=(
            Position(coin=COIN, table=table, leverage=leverage, mark=Decimal(700)),
            Position(coin="km:OTHER", table=table, leverage=leverage, mark=Decimal(100)),
        ),
    )
    amount = Decimal(size)
    if not amount:
        return start
    return start.filled(COIN, side=1 if amount > 0 else -1, size=abs(amount), price=Decimal(700))[0]


@pytest.mark.parametrize(
    ("max_leverage", "market"),
    [(40, 30_000_000), (25, 30_000_000), (24, 5_000_000), (20, 5_000_000), (10, 2_000_000), (3, 500_000)],
)
def test_the_largest_order_value_follows_the_markets_leverage(max_leverage: int, market: int) -> None:
    assert max_market_order_value(max_leverage) == market
    assert max_limit_order_value(max_leverage) == 10 * market


def test_a_flat_account_may_trade_its_collateral_times_the_leverage_each_way() -> None:
    limits = trade_limits(account(), COIN, LOT)
    # 1,000 x 10 / 700 = 14.2857..., cut to the lot
    assert limits.available == (Decimal(1000), Decimal(1000))
    assert limits.max_sizes == (Decimal("14.285"), Decimal("14.285"))


def test_the_side_that_closes_may_also_open_the_same_the_other_way() -> None:
    # long 5: margin 350, free 650; selling 10 ends short 5 with the same margin
    limits = trade_limits(account("5"), COIN, LOT)
    assert limits.available == (Decimal(650), Decimal(1350))
    assert limits.max_sizes == (Decimal("9.285"), Decimal("19.285"))
    assert trade_limits(account("-5"), COIN, LOT).max_sizes == (Decimal("19.285"), Decimal("9.285"))


def test_the_tier_of_the_leverage_limits_the_size() -> None:
    table = MarginTable(25, (MarginTier(Decimal(0), 25), MarginTier(Decimal(4_200), 5)))
    # at 10x no more than 4,200 / 700 = 6 either way: long 5 may buy 1 and sell 11
    assert trade_limits(account("5", table=table), COIN, LOT).max_sizes == (Decimal(1), Decimal(11))
    refusal = order_refusal(
        account("5", table=table), COIN, side=1, size=Decimal("1.001"), price=Decimal(700)
    )
    assert refusal is not None
    assert refusal.status == "perpMaxPositionRejected"
    assert refusal.words == "Order would cause position to exceed margin tier limit at current leverage"


def test_an_account_of_a_thousand_may_not_buy_sixty_eight_thousand() -> None:
    refusal = order_refusal(account(leverage=25), COIN, side=1, size=Decimal(100), price=Decimal(680))
    assert refusal is not None
    assert (refusal.status, refusal.words) == ("perpMarginRejected", "Insufficient margin to place order.")


@pytest.mark.parametrize(
    ("held", "resting", "side", "size", "words"),
    [
        pytest.param("0", (0, 0), 1, "14.285", None, id="all of it"),
        pytest.param("0", (0, 0), 1, "14.286", "Insufficient margin", id="a lot more"),
        # 7,000 of buys rest: 3,000 are left for buys, and sells are free of them
        pytest.param("0", (7000, 0), 1, "4.285", None, id="beside resting buys"),
        pytest.param("0", (7000, 0), 1, "4.286", "Insufficient margin", id="resting buys count"),
        pytest.param("0", (7000, 0), -1, "14.285", None, id="the other side is free of them"),
        pytest.param("14", (0, 0), -1, "28", None, id="turning a full position round"),
        pytest.param("14", (0, 0), 1, "0.3", "Insufficient margin", id="adding to a full position"),
        pytest.param("0", (0, 0), 1, "0.014", "minimum value of $10", id="9.80 is too small"),
        pytest.param("0", (0, 0), -1, "0.015", None, id="10.50 is not"),
    ],
)
def test_an_order_is_refused_where_margin_or_value_end(
    held: str, resting: tuple[int, int], side: int, size: str, words: str | None
) -> None:
    start = account(held).with_orders(RestingOrders(COIN, Decimal(resting[0]), Decimal(resting[1])))
    refusal = order_refusal(start, COIN, side=side, size=Decimal(size), price=Decimal(700))
    assert (refusal is None) == (words is None)
    if words is not None and refusal is not None:
        assert words in refusal.words


def test_margin_that_orders_of_another_coin_ask_for_is_not_there() -> None:
    busy = account().with_orders(RestingOrders("km:OTHER", Decimal(9000)))
    assert order_refusal(busy, COIN, side=1, size=Decimal("1.42"), price=Decimal(700)) is None
    assert order_refusal(busy, COIN, side=1, size=Decimal("1.43"), price=Decimal(700)) is not None


def test_a_reduce_only_order_needs_no_margin_and_a_closing_one_no_minimum() -> None:
    sunk = account("14").marked(COIN, Decimal(630))
    assert sunk.free == 0
    for size in ("14", "20", "1"):
        assert (
            order_refusal(sunk, COIN, side=-1, size=Decimal(size), price=Decimal(630), reduce_only=True)
            is None
        )
    dust = account("0.01")
    assert (
        order_refusal(dust, COIN, side=-1, size=Decimal("0.01"), price=Decimal(700), reduce_only=True) is None
    )
    part = order_refusal(dust, COIN, side=-1, size=Decimal("0.005"), price=Decimal(700), reduce_only=True)
    assert part is not None
    assert part.status == "minTradeNtlRejected"
    adding = order_refusal(dust, COIN, side=1, size=Decimal(1), price=Decimal(700), reduce_only=True)
    assert adding is not None
    assert adding.words == "Reduce only order would increase position."


def test_an_impossible_leverage_has_no_order_value() -> None:
    with pytest.raises(ValueError, match="max_leverage is 0"):
        max_market_order_value(0)


@given(
    st.integers(-14_000, 14_000).filter(lambda n: n != 0),
    st.sampled_from([1, -1]),
    st.integers(60_000, 80_000),
)
def test_the_largest_trade_keeps_margin_within_equity_and_one_lot_more_does_not(
    lots: int, side: int, cents: int
) -> None:
    mark = Decimal(cents) / 100
    start = account(str(Decimal(lots) / 1000)).marked(COIN, mark)
    limits = trade_limits(start, COIN, LOT)
    size = limits.max_sizes[0 if side > 0 else 1]

    def after(amount: Decimal) -> Account:
        return start.filled(COIN, side=side, size=amount, price=mark)[0]

    if size and start.free:
        summary = after(size).summary
        assert summary.total_margin_used <= summary.account_value
        # a lot is worth 0.07 of margin
        more = after(size + LOT).summary
        assert more.total_margin_used > more.account_value - Decimal("0.000002")


@given(st.integers(1, 30_000), st.sampled_from([1, -1]), st.integers(0, 10_000), st.integers(0, 10_000))
def test_an_accepted_order_never_takes_the_margin_ratio_past_one(
    lots: int, side: int, buys: int, sells: int
) -> None:
    start = account().with_orders(RestingOrders(COIN, Decimal(buys), Decimal(sells)))
    size = Decimal(lots) / 1000
    if (
        start.margin_ratio <= 1
        and order_refusal(start, COIN, side=side, size=size, price=Decimal(700)) is None
    ):
        value = size * 700
        more = RestingOrders(
            COIN, Decimal(buys) + (value if side > 0 else 0), Decimal(sells) + (value if side < 0 else 0)
        )
        assert replace(start, orders=(more,)).margin_ratio <= 1
