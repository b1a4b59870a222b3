"""Nautilus's execution tests 1, 2 and 7 of a live node: market orders, limit orders and flags, asserted at the venue and in the cache."""

from decimal import Decimal

import pytest
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.enums import TimeInForce

from tests.live.exec_session import ASK
from tests.live.exec_session import BID
from tests.live.exec_session import BUY
from tests.live.exec_session import EQUITY
from tests.live.exec_session import IOC
from tests.live.exec_session import LOT
from tests.live.exec_session import SELL
from tests.live.exec_session import names
from tests.live.exec_session import quiet_venue
from tests.live.exec_session import session_with_desk
from tests.live.exec_session import trade_key
from tests.live.node import IID


pytestmark = pytest.mark.live_node
FILLED = ["Initialized", "Submitted", "Accepted", "Filled"]
ACCEPTED = ["Initialized", "Submitted", "Accepted"]
OFFSET = Decimal(5)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with (
        quiet_venue() as venue,
        session_with_desk(venue, 0, tmp_path_factory.mktemp("state")) as (session, desk),
    ):
        yield session, desk


@pytest.fixture
def session(live):
    session, desk = live
    session.tidy(desk)
    yield session
    # each test leaves the account as it found it
    session.wait(session.is_even, "flat, and nothing rests")


@pytest.fixture
def desk(live):
    return live[1]


def opened(session, **options):
    """A tester that opened a position, and its filled order."""
    tester = session.tester(enable_limit_buys=False, enable_limit_sells=False, **options)
    (order,) = session.orders_of(tester)
    session.wait(lambda: order.is_closed, "the opening order is closed")
    return tester, order


@pytest.mark.parametrize(
    ("sign", "side", "price"),
    [
        pytest.param(1, PositionSide.LONG, ASK, id="e01_buy"),
        pytest.param(-1, PositionSide.SHORT, BID, id="e02_sell"),
    ],
)
def test_e01_e02_a_market_order_opens_the_position_that_the_venue_holds(session, sign, side, price):
    states = len(session.account.events)
    tester, order = opened(session, open_position_on_start_qty=sign * LOT)
    assert names(order) == FILLED
    (position,) = session.cache.positions_open(strategy_id=tester.id)
    assert (position.side, position.quantity.as_decimal()) == (side, LOT)
    assert Decimal(str(position.avg_px_open)) == price
    assert session.trading.position() == sign * LOT
    assert session.trading.entry_price() == price
    fill = session.trading.fills()[-1]
    assert fill["oid"] == int(order.venue_order_id.value)
    assert order.commissions()[0].as_decimal() == Decimal(fill["fee"])
    session.wait(lambda: len(session.account.events) > states, "the account is told after the fill")
    session.stop(tester)


def test_e03_a_market_order_with_immediate_or_cancel_fills(session):
    tester, order = opened(session, open_position_on_start_qty=LOT, open_position_time_in_force=IOC)
    assert order.time_in_force == IOC
    assert names(order) == FILLED
    assert session.trading.position() == LOT
    assert session.trading.order(int(order.venue_order_id.value))["order"]["tif"] == "Ioc"
    session.stop(tester)


def test_e03_a_market_order_takes_no_worse_a_price_than_the_configured_bound(session, desk):
    before = session.trading.mark()
    order = session.do(lambda: desk.market(BUY, LOT))
    session.wait(lambda: order.is_closed, "filled")
    (action,) = session.trading.actions(before)
    # 50 basis points past 690.01, rounded towards it
    assert action["orders"][0]["p"] == "693.46"
    assert action["orders"][0]["t"] == {"limit": {"tif": "Ioc"}}
    session.do(lambda: desk.market(SELL, LOT, reduce_only=True))


DENIED = {
    "e04_market_fok": (
        {"open_position_on_start_qty": LOT, "open_position_time_in_force": TimeInForce.FOK},
        "UNSUPPORTED_TIME_IN_FORCE: FOK",
    ),
    "e05_market_quote_quantity": (
        {"open_position_on_start_qty": Decimal(100), "use_quote_quantity": True},
        "UNSUPPORTED_QUOTE_QUANTITY",
    ),
    "e15_limit_fok": ({"limit_time_in_force": TimeInForce.FOK}, "UNSUPPORTED_TIME_IN_FORCE: FOK"),
    "e17_limit_gtd": ({"order_expire_time_delta_mins": 60}, "UNSUPPORTED_TIME_IN_FORCE: GTD"),
    "e19_limit_day": ({"limit_time_in_force": TimeInForce.DAY}, "UNSUPPORTED_TIME_IN_FORCE: DAY"),
    "e62_display_quantity": ({"order_display_qty": Decimal("0.05")}, "UNSUPPORTED_DISPLAY_QUANTITY"),
}


@pytest.mark.parametrize("case", DENIED.values(), ids=DENIED)
def test_what_the_venue_does_not_have_is_denied_before_anything_is_sent(session, case):
    options, reason = case
    is_market = "open_position_on_start_qty" in options
    before = session.trading.mark()
    tester = session.tester(enable_limit_buys=not is_market, enable_limit_sells=False, **options)
    order = session.wait(lambda: next(iter(session.orders_of(tester)), None), "the order was made")
    session.wait(lambda: order.is_closed, "the order is denied")
    session.stop(tester)
    assert names(order) == ["Initialized", "Denied"]
    assert order.last_event.reason.startswith(reason)
    assert session.trading.actions(before) == []


@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
def test_e06_e61_the_position_is_closed_by_a_reduce_only_market_order_on_stop(session, sign):
    tester, opening = opened(session, open_position_on_start_qty=sign * LOT, reduce_only_on_stop=True)
    session.stop(tester)
    session.wait(lambda: session.trading.position() == 0, "flat at the venue")
    closing = session.orders_of(tester)[-1]
    session.wait(lambda: closing.is_closed, "the closing order is filled")
    assert closing.side != opening.side
    assert names(closing) == FILLED
    assert closing.is_reduce_only
    row = session.trading.order(int(closing.venue_order_id.value))
    assert row["order"]["reduceOnly"] is True
    assert row["status"] == "filled"
    session.wait(lambda: not session.cache.positions_open(strategy_id=tester.id), "flat in the cache")
    assert not session.cache.orders_open(strategy_id=tester.id)
    # net of what was lost on the spread, both fees
    (position,) = session.cache.positions_closed(strategy_id=tester.id)
    fees = sum(Decimal(fill["fee"]) for fill in session.trading.fills()[-2:])
    assert position.realized_pnl.as_decimal() == -(ASK - BID) * LOT - fees


def resting(session, **options):
    """A tester and its orders, once as many rest as it is to place."""
    tester = session.tester(**options)
    wanted = sum(options.get(name, True) for name in ("enable_limit_buys", "enable_limit_sells"))

    def at_rest():
        orders = session.cache.orders_open(strategy_id=tester.id)
        return len(orders) == wanted and len(session.trading.open_orders()) == wanted and orders

    return tester, session.wait(at_rest, f"{wanted} orders rest")


def assert_rests(session, order, side, price, tif):
    """The order is open in the cache and at the venue as it was sent."""
    assert names(order) == ACCEPTED
    assert order.status == OrderStatus.ACCEPTED
    assert (order.side, order.price.as_decimal(), order.quantity.as_decimal()) == (side, price, LOT)
    (row,) = [row for row in session.trading.open_orders() if row["oid"] == int(order.venue_order_id.value)]
    assert row["side"] == ("B" if side == BUY else "A")
    assert (Decimal(row["limitPx"]), Decimal(row["sz"]), row["tif"]) == (price, LOT, tif)


@pytest.mark.parametrize(
    ("side", "price"),
    [pytest.param(BUY, BID - OFFSET, id="e10_buy"), pytest.param(SELL, ASK + OFFSET, id="e11_sell")],
)
def test_e10_e11_a_limit_order_rests_until_it_is_canceled(session, side, price):
    tester, (order,) = resting(session, enable_limit_buys=side == BUY, enable_limit_sells=side == SELL)
    assert_rests(session, order, side, price, "Gtc")
    session.stop(tester)


@pytest.mark.parametrize("tif", ["Gtc", "Alo"], ids=["e12_pair", "e60_post_only"])
def test_e12_e60_a_pair_of_limit_orders_rests_outside_the_touch(session, tif):
    tester, orders = resting(session, use_post_only=tif == "Alo")
    buy, sell = sorted(orders, key=lambda order: order.price)
    assert buy.price.as_decimal() < BID
    assert sell.price.as_decimal() > ASK
    assert_rests(session, buy, BUY, BID - OFFSET, tif)
    assert_rests(session, sell, SELL, ASK + OFFSET, tif)
    session.stop(tester)


def test_e13_an_aggressive_immediate_order_fills(session, desk):
    order = session.do(lambda: desk.place(BUY, ASK + 1, time_in_force=IOC))
    session.wait(lambda: order.is_closed, "filled")
    assert names(order) == FILLED
    assert Decimal(str(order.avg_px)) == ASK
    assert session.trading.position() == LOT
    assert session.trading.fills()[-1]["crossed"] is True
    session.do(lambda: desk.place(SELL, BID - 1, time_in_force=IOC, reduce_only=True))


def test_e13_what_an_immediate_order_does_not_fill_is_canceled(session, desk):
    # ten contracts at each of five levels a side, and the limit reaches two of them
    order = session.do(lambda: desk.place(BUY, ASK + Decimal("0.01"), 25, time_in_force=IOC))
    session.wait(lambda: order.is_closed, "the rest is canceled")
    assert order.status == OrderStatus.CANCELED
    assert order.filled_qty.as_decimal() == 20 == session.trading.position()
    assert [row["px"] for row in session.trading.fills()[-2:]] == ["690.01", "690.02"]
    closing = session.do(lambda: desk.place(SELL, BID - 1, 20, time_in_force=IOC, reduce_only=True))
    session.wait(lambda: closing.status == OrderStatus.FILLED, "closed")


def test_e14_a_passive_immediate_order_is_canceled_without_a_fill(session, desk):
    fills = len(session.trading.fills())
    order = session.do(lambda: desk.place(BUY, BID - OFFSET, time_in_force=IOC))
    session.wait(lambda: order.is_closed, "canceled")
    assert names(order)[-1] == "Canceled"
    assert order.filled_qty == 0
    assert len(session.trading.fills()) == fills


def test_e63_custom_parameters_are_accepted_and_none_reaches_the_wire(session):
    before = session.trading.mark()
    tester, (order,) = resting(session, enable_limit_sells=False, order_params={"grouping": "normalTpsl"})
    (action,) = session.trading.actions(before)
    assert action["grouping"] == "na"
    assert set(action["orders"][0]) == {"a", "b", "p", "s", "r", "t", "c"}
    assert_rests(session, order, BUY, BID - OFFSET, "Gtc")
    session.stop(tester)


def test_an_opening_and_its_close_in_one_block_are_booked_in_their_order(session, desk):
    for turn in range(6):
        side, against = (BUY, SELL) if turn % 2 else (SELL, BUY)
        fills = len(session.trading.fills())

        def both(side=side, against=against):
            return desk.market(side, LOT), desk.market(against, LOT, reduce_only=True)

        orders = session.do(both)
        session.wait(lambda orders=orders: all(order.is_closed for order in orders), "both are filled")
        rows = session.trading.fills()[fills:]
        assert rows[0]["time"] == rows[1]["time"]
        # a close that was booked first would have reduced nothing and be lost to the position
        session.wait(session.is_even, "flat at the venue and in the cache")


def test_the_cache_and_the_venue_agree_on_the_whole_account(session):
    fills = session.trading.fills()
    ours = {
        event.trade_id.value: event
        for order in session.cache.orders(instrument_id=IID)
        for event in order.events
        if type(event).__name__ == "OrderFilled"
    }
    assert len(ours) == len(fills) > 10
    total = sum(Decimal(row["closedPnl"]) - Decimal(row["fee"]) for row in fills)
    for row in fills:
        event = ours[trade_key(row)]
        assert (event.last_px.as_decimal(), event.last_qty.as_decimal()) == (
            Decimal(row["px"]),
            Decimal(row["sz"]),
        )
        assert event.commission.as_decimal() == Decimal(row["fee"])
    session.wait(lambda: session.balance() == EQUITY + total, "the balance is the sum of the fills")
    assert Decimal(session.trading.state()["marginSummary"]["accountValue"]) == EQUITY + total
