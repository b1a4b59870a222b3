"""Nautilus's execution tests 4, 5 and 8 of a live node: modify, cancel and reject, asserted at the venue and in the cache."""

from decimal import Decimal

import pytest
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import TimeInForce

from tests.live.exec_session import ASK
from tests.live.exec_session import BID
from tests.live.exec_session import BUY
from tests.live.exec_session import LOT
from tests.live.exec_session import MID
from tests.live.exec_session import SELL
from tests.live.exec_session import names
from tests.live.exec_session import quiet_venue
from tests.live.exec_session import session_with_desk
from tests.live.node import IID


pytestmark = pytest.mark.live_node
OFFSET = Decimal(5)
STEP = Decimal(1)


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
    session.trading.move(MID)
    session.tidy(desk)
    yield session
    session.trading.venue.faults.clear()
    session.trading.move(MID)
    session.wait(session.is_even, "flat, and nothing rests")


@pytest.fixture
def desk(live):
    return live[1]


def at_venue(session, order):
    """The venue's row of an order."""
    return session.trading.order(int(order.venue_order_id.value))


def rests_at(session, price):
    """Whether exactly one order rests at the venue, at a price."""
    return [Decimal(row["limitPx"]) for row in session.trading.open_orders()] == [price]


def one_side(session, side, **options):
    """A tester that keeps an order of one side, and that order, at rest."""
    tester = session.tester(enable_limit_buys=side == BUY, enable_limit_sells=side == SELL, **options)
    session.wait(lambda: session.cache.orders_open(strategy_id=tester.id), "the order rests")
    return tester, session.orders_of(tester)[0]


@pytest.mark.parametrize(
    ("side", "away"), [pytest.param(BUY, 1, id="e30_buy"), pytest.param(SELL, -1, id="e31_sell")]
)
def test_e30_e31_an_order_follows_the_market_by_modifies(session, side, away):
    tester, order = one_side(session, side, modify_orders_to_maintain_tob_offset=True)
    first = order.venue_order_id
    start = order.price.as_decimal()
    before = session.trading.mark()
    session.trading.move(MID + away * STEP)
    session.wait(lambda: rests_at(session, start + away * STEP), "the order was moved at the venue")
    session.wait(lambda: order.status == OrderStatus.ACCEPTED and order.price != start, "it was updated")
    assert order.price.as_decimal() == start + away * STEP
    assert names(order)[3:] == ["PendingUpdate", "Updated"]
    # the venue gives a modified order a new number
    assert order.venue_order_id != first
    assert at_venue(session, order)["status"] == "open"
    assert [action["type"] for action in session.trading.actions(before)] == ["batchModify"]
    session.stop(tester)
    session.wait(lambda: order.is_closed, "canceled")
    assert len(session.orders_of(tester)) == 1


@pytest.mark.parametrize(
    ("side", "away"), [pytest.param(BUY, 1, id="e32_buy"), pytest.param(SELL, -1, id="e33_sell")]
)
def test_e32_e33_an_order_follows_the_market_by_cancel_and_new_order(session, side, away):
    tester, order = one_side(session, side, cancel_replace_orders_to_maintain_tob_offset=True)
    start = order.price.as_decimal()
    session.trading.move(MID + away * STEP)
    session.wait(lambda: rests_at(session, start + away * STEP), "the new order rests alone")
    session.wait(lambda: order.is_closed, "the old one is canceled")
    assert names(order)[3:] == ["PendingCancel", "Canceled"]
    old, new = session.orders_of(tester)
    assert old is order
    session.wait(lambda: new.is_open, "the new one is accepted")
    assert new.price.as_decimal() == start + away * STEP
    assert at_venue(session, old)["status"] == "canceled"
    session.stop(tester)


def test_e30_a_modify_changes_the_size_and_the_venue_rests_what_is_left_of_it(session, desk):
    order = session.do(lambda: desk.place(BUY, BID - OFFSET))
    session.wait(lambda: order.is_open, "open")
    session.do(lambda: desk.change(order, size=Decimal("0.3")))
    session.wait(lambda: order.quantity.as_decimal() == Decimal("0.3"), "updated")
    (row,) = session.trading.open_orders()
    assert Decimal(row["sz"]) == Decimal("0.3")
    # the market comes down to it and takes a third
    session.trading.graze(BID - OFFSET - Decimal("0.01"), Decimal("0.1"))
    session.wait(lambda: order.filled_qty.as_decimal() == Decimal("0.1"), "filled in part")
    assert order.status == OrderStatus.PARTIALLY_FILLED
    assert session.trading.position() == Decimal("0.1")
    session.trading.move(MID)
    before = session.trading.mark()
    session.do(lambda: desk.change(order, size=Decimal("0.5")))
    session.wait(lambda: order.quantity.as_decimal() == Decimal("0.5"), "updated again")
    # what goes out is the quantity less what is filled of it
    (action,) = session.trading.actions(before)
    assert Decimal(action["modifies"][0]["order"]["s"]) == Decimal("0.4")
    (row,) = session.trading.open_orders()
    assert Decimal(row["sz"]) == Decimal("0.4")
    assert order.leaves_qty.as_decimal() == Decimal("0.4")
    session.tidy(desk)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"price": ASK + 1}, id="would_cross"),
        pytest.param({"price": Decimal("1.23")}, id="too_far_from_the_reference"),
    ],
)
def test_e36_a_modify_that_the_venue_refuses_is_rejected_and_the_order_rests_on(session, desk, change):
    order = session.do(lambda: desk.place(BUY, BID - OFFSET, post_only=True))
    session.wait(lambda: order.is_open, "open")
    session.do(lambda: desk.change(order, **change))
    session.wait(lambda: "ModifyRejected" in names(order), "the modify is rejected")
    assert order.status == OrderStatus.ACCEPTED
    assert order.price.as_decimal() == BID - OFFSET
    assert rests_at(session, BID - OFFSET)
    assert at_venue(session, order)["status"] == "open"
    session.tidy(desk)


def test_e34_e35_a_stop_order_to_change_is_denied_in_the_first_place(session):
    before = session.trading.mark()
    tester = session.tester(
        enable_limit_buys=False,
        enable_limit_sells=False,
        enable_stop_buys=True,
        modify_stop_orders_to_maintain_offset=True,
    )
    order = session.wait(lambda: next(iter(session.orders_of(tester)), None), "the stop order was made")
    session.wait(lambda: order.is_closed, "it is denied")
    session.stop(tester)
    assert names(order) == ["Initialized", "Denied"]
    assert session.trading.actions(before) == []


def test_e40_stopping_cancels_the_one_order(session):
    tester, order = one_side(session, BUY)
    number = order.venue_order_id
    session.stop(tester)
    session.wait(lambda: order.is_closed, "canceled")
    assert names(order)[3:] == ["PendingCancel", "Canceled"]
    assert order.last_event.venue_order_id == number
    assert at_venue(session, order)["status"] == "canceled"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="e41_all"),
        pytest.param({"use_individual_cancels_on_stop": True}, id="e42_one_by_one"),
        pytest.param({"use_batch_cancel_on_stop": True}, id="e43_batch"),
    ],
)
def test_e41_e42_e43_e81_stopping_cancels_every_order_with_one_action(session, options):
    tester = session.tester(**options)
    session.wait(lambda: len(session.cache.orders_open(strategy_id=tester.id)) == 2, "two rest")
    orders = session.orders_of(tester)
    before = session.trading.mark()
    session.stop(tester)
    session.wait(lambda: all(order.is_closed for order in orders), "both are canceled")
    assert [names(order)[3:] for order in orders] == [["PendingCancel", "Canceled"]] * 2
    assert session.trading.open_orders() == []
    (action,) = session.trading.actions(before)
    assert action["type"] == "cancelByCloid"
    assert len(action["cancels"]) == 2


def test_e44_canceling_a_canceled_order_tells_nothing_twice(session, desk):
    order = session.do(lambda: desk.place(BUY, BID - OFFSET))
    session.wait(lambda: order.is_open, "open")
    session.do(lambda: desk.cancel_order(order))
    session.wait(lambda: order.is_closed, "canceled")
    before, told = session.trading.mark(), names(order)
    session.do(lambda: desk.cancel_order(order))
    # an order after it goes the same way, so the second cancel is done with
    other = session.do(lambda: desk.place(BUY, BID - OFFSET))
    session.wait(lambda: other.is_open, "open")
    assert names(order) == told
    assert [action["type"] for action in session.trading.actions(before)] == ["order"]
    session.tidy(desk)


def test_e44_a_cancel_that_comes_too_late_ends_in_the_fill(session, desk):
    order = session.do(lambda: desk.place(BUY, BID - OFFSET))
    session.wait(lambda: order.is_open, "open")
    session.trading.move(BID - OFFSET - STEP)
    session.wait(lambda: session.trading.position() == LOT, "the venue filled it")
    session.do(lambda: desk.cancel_order(order))
    session.wait(lambda: order.is_closed, "closed")
    assert order.status == OrderStatus.FILLED
    assert "CancelRejected" not in names(order)
    assert at_venue(session, order)["status"] == "filled"
    session.trading.move(MID)
    session.tidy(desk)


def test_e70_a_post_only_order_that_would_cross_is_rejected_as_such(session):
    before = len(session.trading.fills())
    tester = session.tester(enable_limit_sells=False, use_post_only=True, test_reject_post_only=True)
    order = session.wait(lambda: next(iter(session.orders_of(tester)), None), "the order was made")
    session.wait(lambda: order.is_closed, "rejected")
    session.stop(tester)
    assert names(order) == ["Initialized", "Submitted", "Rejected"]
    assert order.last_event.due_post_only is True
    assert "Post only" in order.last_event.reason
    assert len(session.trading.fills()) == before
    session.wait(lambda: not session.cache.orders_inflight(), "nothing is in flight")


def test_e71_a_reduce_only_order_without_a_position_is_rejected(session):
    tester = session.tester(
        enable_limit_buys=False,
        enable_limit_sells=False,
        open_position_on_start_qty=LOT,
        test_reject_reduce_only=True,
    )
    (order,) = session.orders_of(tester)
    session.wait(lambda: order.is_closed, "rejected")
    session.stop(tester)
    assert names(order) == ["Initialized", "Submitted", "Rejected"]
    assert "educe only" in order.last_event.reason
    assert order.last_event.due_post_only is False
    assert session.trading.position() == 0


UNSUPPORTED = {
    "e20_stop_market": ("stop_market", {"trigger_price": 700}),
    "e22_stop_limit": ("stop_limit", {"trigger_price": 700, "price": 701}),
    "e24_market_if_touched": ("market_if_touched", {"trigger_price": 680}),
    "e26_limit_if_touched": ("limit_if_touched", {"trigger_price": 680, "price": 681}),
    "trailing_stop_market": (
        "trailing_stop_market",
        {"trailing_offset": Decimal(5), "activation_price": 700},
    ),
    "market_to_limit": ("market_to_limit", {}),
}


@pytest.mark.parametrize("case", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_e72_an_unsupported_order_type_is_denied(session, desk, case):
    kind, given = case
    instrument = session.cache.instrument(IID)
    prices = {
        name: instrument.make_price(value) if isinstance(value, int) else value
        for name, value in given.items()
    }
    order = getattr(desk.order_factory, kind)(IID, BUY, instrument.make_qty(LOT), **prices)
    before = session.trading.mark()
    session.do(lambda: desk.submit_order(order))
    session.wait(lambda: order.is_closed, "denied")
    assert names(order) == ["Initialized", "Denied"]
    assert order.last_event.reason.startswith("UNSUPPORTED_ORDER_TYPE")
    assert OrderType[kind.upper()].name in order.last_event.reason
    assert session.trading.actions(before) == []


def test_e50_the_orders_of_a_bracket_are_denied(session):
    before = session.trading.mark()
    tester = session.tester(enable_limit_sells=False, enable_brackets=True)
    orders = session.wait(lambda: session.orders_of(tester), "the bracket was made")
    session.wait(lambda: all(order.is_closed for order in orders), "all are denied")
    session.stop(tester)
    assert len(orders) == 3
    assert {order.status for order in orders} == {OrderStatus.DENIED}
    assert session.trading.actions(before) == []


@pytest.mark.parametrize(
    "tif", [TimeInForce.FOK, TimeInForce.DAY, TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE]
)
def test_e73_an_unsupported_time_in_force_is_denied(session, desk, tif):
    before = session.trading.mark()
    order = session.do(lambda: desk.place(BUY, BID - OFFSET, time_in_force=tif))
    session.wait(lambda: order.is_closed, "denied")
    assert names(order) == ["Initialized", "Denied"]
    assert order.last_event.reason.startswith("UNSUPPORTED_TIME_IN_FORCE")
    assert session.trading.actions(before) == []


def test_e78_of_a_batch_only_the_orders_that_the_venue_rejects_are_rejected(session, desk):
    prices = [BID - OFFSET, ASK + OFFSET, BID - OFFSET - STEP]
    before = session.trading.mark()

    def place():
        orders = [desk.limit(BUY, price, post_only=True) for price in prices]
        desk.submit_order_list(desk.order_factory.create_list(orders))
        return orders

    orders = session.do(place)
    session.wait(lambda: all(order.is_open or order.is_closed for order in orders), "all are answered")
    assert [order.status for order in orders] == [
        OrderStatus.ACCEPTED,
        OrderStatus.REJECTED,
        OrderStatus.ACCEPTED,
    ]
    assert orders[1].last_event.due_post_only is True
    (action,) = session.trading.actions(before)
    assert [len(action["orders"]), action["type"]] == [3, "order"]
    assert sorted(Decimal(row["limitPx"]) for row in session.trading.open_orders()) == sorted(
        [prices[0], prices[2]]
    )
    session.tidy(desk)
