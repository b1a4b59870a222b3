"""Nautilus's execution tests 80 to 87 of a live node: what a start and a stop do, and what a restart finds."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.test_kit.strategies.tester_exec import ExecTester
from nautilus_trader.test_kit.strategies.tester_exec import ExecTesterConfig

from tests.live.exec_session import ASK
from tests.live.exec_session import BID
from tests.live.exec_session import BUY
from tests.live.exec_session import LOT
from tests.live.exec_session import MID
from tests.live.exec_session import SELL
from tests.live.exec_session import claiming_desk
from tests.live.exec_session import names
from tests.live.exec_session import quiet_venue
from tests.live.exec_session import session_with_desk
from tests.live.exec_session import settle
from tests.live.exec_session import trade_key
from tests.live.node import IID


pytestmark = pytest.mark.live_node
TICK = Decimal("0.01")


@pytest.fixture(scope="module")
def venue():
    with quiet_venue() as venue:
        yield venue


@pytest.fixture(scope="module")
def live(venue, tmp_path_factory):
    with session_with_desk(venue, 0, tmp_path_factory.mktemp("state")) as (session, desk):
        yield session, desk


@pytest.fixture
def session(live):
    session, desk = live
    session.tidy(desk)
    yield session
    session.wait(session.is_even, "flat, and nothing rests")


def test_e80_e82_a_position_is_opened_on_start_ahead_of_every_limit_order_and_closed_on_stop(session):
    tester = session.tester(open_position_on_start_qty=LOT)
    session.wait(lambda: len(session.cache.orders_open(strategy_id=tester.id)) == 2, "two limit orders rest")
    opening, *limits = session.orders_of(tester)
    assert opening.order_type == OrderType.MARKET
    assert names(opening) == ["Initialized", "Submitted", "Accepted", "Filled"]
    assert opening.ts_submitted < min(order.ts_init for order in limits)
    assert session.trading.position() == LOT
    session.stop(tester)
    session.wait(session.is_even, "flat, and nothing rests, at the venue and in the cache")
    (position,) = session.cache.positions_closed(strategy_id=tester.id)
    assert position.signed_decimal_qty() == 0
    assert [fill["dir"] for fill in session.trading.fills()[-2:]] == ["Open Long", "Close Long"]


class CountingTester(ExecTester):
    """A tester that counts its quotes."""

    quotes = 0

    def on_quote_tick(self, quote):
        """Count it."""
        self.quotes += 1
        super().on_quote_tick(quote)


def test_e83_a_stopped_strategy_hears_no_more_quotes(session, live):
    _, desk = live
    tester = session.run_tester(
        CountingTester(ExecTesterConfig(IID, LOT, order_id_tag="COUNT", log_data=False, dry_run=True))
    )
    session.wait(lambda: tester.quotes, "a quote was heard")
    session.stop(tester)
    heard, others = tester.quotes, desk.quotes
    for _ in range(3):
        session.trading.nudge()
        session.wait(lambda others=others: desk.quotes > others, "quotes flow on for the others")
        others = desk.quotes
    assert tester.quotes == heard


# a prior session, then the next one of the same state folder


@pytest.fixture(scope="module", params=[1, -1], ids=["long", "short"])
def resumed(request, venue, live, tmp_path_factory):
    """A node that starts where another one stopped: a position in two steps, orders that rest, are half filled or filled meanwhile."""
    del live
    sign = request.param
    wallet = 1 if sign > 0 else 2
    with_side, against = (BUY, SELL) if sign > 0 else (SELL, BUY)
    touch = ASK if sign > 0 else BID
    state = tmp_path_factory.mktemp("state")
    placed = {}
    with session_with_desk(venue, wallet, state) as (session, desk):
        trading = session.trading

        def taken(size):
            order = session.do(lambda: desk.market(with_side, size))
            session.wait(lambda: order.is_closed, "filled")
            return order

        taken(LOT)
        trading.move(MID + sign * Decimal("0.37"))
        session.wait(lambda: session.touch(with_side) != touch, "the market moved")
        taken(3 * LOT)
        trading.move(MID)
        session.wait(lambda: session.touch(with_side) == touch, "and back")
        placed = {
            "rests": session.do(lambda: desk.place(with_side, touch - sign * 8)),
            "post_only": session.do(lambda: desk.place(against, touch + sign * 9, post_only=True)),
            "half": session.do(lambda: desk.place(with_side, touch - sign * 4, 3 * LOT)),
            "filled_meanwhile": session.do(lambda: desk.place(with_side, touch - sign * 2, 2 * LOT)),
        }
        session.wait(lambda: all(order.is_open for order in placed.values()), "all rest")
    # nobody looks: the market comes through one order whole and takes a third of the next
    for level, size in ((2, 2 * LOT), (4, LOT)):
        goal = touch - sign * level
        wanted = trading.position() + sign * size
        trading.graze(goal - sign * TICK, size)
        settle(lambda wanted=wanted: trading.position() == wanted)
        trading.move(MID)
        settle(lambda: trading.best(1) == BID)
    with session_with_desk(venue, wallet, state, desk=claiming_desk()) as (session, desk):
        yield SimpleNamespace(session=session, desk=desk, sign=sign, placed=placed, trading=session.trading)


def test_e84_every_resting_order_is_found_again_under_its_own_name(resumed):
    found = {order.client_order_id: order for order in resumed.session.cache.orders_open(instrument_id=IID)}
    rows = {row["oid"]: row for row in resumed.trading.open_orders()}
    assert len(found) == len(rows) == 3
    for name in ("rests", "post_only", "half"):
        before = resumed.placed[name]
        order = found[before.client_order_id]
        row = rows[int(order.venue_order_id.value)]
        assert order.venue_order_id == before.venue_order_id
        assert (order.side, order.order_type) == (before.side, OrderType.LIMIT)
        assert (order.price, order.quantity) == (before.price, before.quantity)
        assert order.is_post_only == before.is_post_only
        assert order.leaves_qty.as_decimal() == Decimal(row["sz"])
        assert order.strategy_id == resumed.desk.id
    half = found[resumed.placed["half"].client_order_id]
    assert (half.status, half.filled_qty.as_decimal()) == (OrderStatus.PARTIALLY_FILLED, LOT)
    assert found[resumed.placed["rests"].client_order_id].status == OrderStatus.ACCEPTED


def test_e85_what_filled_meanwhile_is_booked_as_the_venue_has_it(resumed):
    order = resumed.session.cache.order(resumed.placed["filled_meanwhile"].client_order_id)
    fills = [fill for fill in resumed.trading.fills() if fill["oid"] == int(order.venue_order_id.value)]
    events = [event for event in order.events if type(event).__name__ == "OrderFilled"]
    assert order.status == OrderStatus.FILLED
    assert order.venue_order_id == resumed.placed["filled_meanwhile"].venue_order_id
    assert [event.trade_id.value for event in events] == [trade_key(fill) for fill in fills]
    assert [event.last_px.as_decimal() for event in events] == [Decimal(fill["px"]) for fill in fills]
    assert [event.last_qty.as_decimal() for event in events] == [Decimal(fill["sz"]) for fill in fills]
    assert [event.commission.as_decimal() for event in events] == [Decimal(fill["fee"]) for fill in fills]


def test_e86_e87_the_position_is_found_with_its_exact_quantity_and_average_price(resumed):
    (position,) = resumed.session.cache.positions_open(instrument_id=IID)
    assert position.side == (PositionSide.LONG if resumed.sign > 0 else PositionSide.SHORT)
    assert position.signed_decimal_qty() == resumed.trading.position() == resumed.sign * 7 * LOT
    # the venue's average of four fills at three prices
    assert Decimal(str(position.avg_px_open)) == pytest.approx(
        resumed.trading.entry_price(), abs=Decimal("1e-6")
    )
    assert resumed.session.node.portfolio.net_position(IID) == resumed.trading.position()


def test_e86_e87_the_strategy_can_cancel_the_orders_and_close_the_position(resumed):
    session, desk = resumed.session, resumed.desk
    session.tidy(desk)
    session.wait(session.is_even, "flat, and nothing rests")
    assert resumed.trading.position() == 0
    assert resumed.trading.state()["assetPositions"] == []


def test_a_manual_order_is_neither_claimed_nor_canceled(resumed):
    action = {
        "type": "order",
        "orders": [
            {"a": 150_000, "b": True, "p": "655", "s": "0.1", "r": False, "t": {"limit": {"tif": "Gtc"}}}
        ],
        "grouping": "na",
    }
    session, desk = resumed.session, resumed.desk
    resumed.trading.submit(action)
    before = session.trading.mark()
    order = session.do(lambda: desk.place(BUY, BID - 5))
    session.wait(lambda: order.is_open, "ours rests")
    session.do(lambda: desk.cancel_all_orders(IID))
    session.wait(lambda: order.is_closed, "ours is canceled")
    (row,) = session.trading.open_orders()
    assert row["limitPx"] == "655.0"
    assert [action["type"] for action in session.trading.actions(before)] == ["order", "cancelByCloid"]
    assert not session.cache.orders_open()
    cancel = {"type": "cancel", "cancels": [{"a": 150_000, "o": row["oid"]}]}
    resumed.trading.submit(cancel)
