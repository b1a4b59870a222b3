"""A strategy's cycle of a live node: at most one action per class in the venue's order, and every handler on the loop's thread."""

import threading
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import BookType

from amm500_nautilus import topics
from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.strategy import MarketMaker
from tests.live.exec_session import ASK
from tests.live.exec_session import BID
from tests.live.exec_session import BUY
from tests.live.exec_session import IOC
from tests.live.exec_session import LOT
from tests.live.exec_session import MID
from tests.live.exec_session import SELL
from tests.live.exec_session import Desk
from tests.live.exec_session import DeskConfig
from tests.live.exec_session import names
from tests.live.exec_session import quiet_venue
from tests.live.exec_session import session_with_desk
from tests.live.node import IID


pytestmark = pytest.mark.live_node
MAX_ACTIONS = 4
CYCLES = 8
MINUTE = BarType.from_str(f"{IID}-1-MINUTE-LAST-EXTERNAL")
# the client waits so long without a cycle's end that a test would notice
PATIENT = {"quiet_ms": 900.0, "flush_ms": 1_000.0}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with (
        quiet_venue() as venue,
        session_with_desk(venue, 0, tmp_path_factory.mktemp("state"), execution=PATIENT) as (session, desk),
    ):
        yield session, desk


@pytest.fixture
def session(live):
    session, desk = live
    session.tidy(desk)
    yield session
    session.tidy(desk)


@pytest.fixture
def desk(live):
    return live[1]


def signed(session, since):
    """The signed requests since a mark, in the order in which they were signed."""
    rows = [r for r in session.trading.venue.requests[since:] if "nonce" in r]
    return [row["action"] for row in sorted(rows, key=lambda row: row["nonce"])]


def end_cycle(desk, submits, modifies, cancels):
    """Say how many commands the cycle had."""
    desk.msgbus.publish(topics.CYCLE_END, (submits, modifies, cancels))


def test_a_mixed_cycle_is_four_actions_in_the_order_of_the_venue_s_block(session, desk):
    def ladder():
        orders = [desk.place(BUY, BID - 5 - n, post_only=True) for n in range(6)]
        end_cycle(desk, 6, 0, 0)
        return orders

    orders = session.do(ladder)
    session.wait(lambda: all(order.is_open for order in orders), "the ladder rests")
    since = session.trading.mark()

    def cycle():
        taker = desk.place(SELL, BID, time_in_force=IOC)
        new = [desk.place(SELL, ASK + 5 + n, post_only=True) for n in range(3)]
        for order in orders[:2]:
            desk.change(order, price=order.price.as_decimal() - Decimal("0.5"))
        for order in orders[2:4]:
            desk.cancel_order(order)
        end_cycle(desk, 4, 2, 2)
        return taker, new

    taker, new = session.do(cycle)
    session.wait(lambda: taker.is_closed and all(order.is_open for order in new), "all is done")
    session.wait(lambda: all(order.is_closed for order in orders[2:4]), "the canceled are gone")
    session.wait(lambda: all("Updated" in names(order) for order in orders[:2]), "the changed are moved")
    actions = signed(session, since)
    assert len(actions) == MAX_ACTIONS
    cancel, change, place, take = actions
    assert (cancel["type"], len(cancel["cancels"])) == ("cancelByCloid", 2)
    assert (change["type"], len(change["modifies"])) == ("batchModify", 2)
    assert {row["order"]["t"]["limit"]["tif"] for row in change["modifies"]} == {"Alo"}
    assert [row["t"]["limit"]["tif"] for row in place["orders"]] == ["Alo"] * 3
    assert [row["t"]["limit"]["tif"] for row in take["orders"]] == ["Ioc"]
    assert len(session.trading.open_orders()) == 7
    assert session.trading.position() == -LOT


def test_thirty_orders_of_one_handler_are_one_action(session, desk):
    since = session.trading.mark()

    def ladder():
        orders = [desk.place(BUY, BID - 5 - n * Decimal("0.1"), post_only=True) for n in range(30)]
        end_cycle(desk, 30, 0, 0)
        return orders

    orders = session.do(ladder)
    session.wait(lambda: all(order.is_open for order in orders), "thirty rest")
    (action,) = signed(session, since)
    assert len(action["orders"]) == 30
    assert len(session.trading.open_orders()) == 30


def test_without_a_cycle_s_end_commands_go_together_after_a_moment(session, desk):
    since = session.trading.mark()
    orders = session.do(lambda: [desk.place(BUY, BID - 5 - n, post_only=True) for n in range(3)])
    session.wait(lambda: all(order.is_open for order in orders), "they rest")
    (action,) = signed(session, since)
    assert len(action["orders"]) == 3


def test_a_cancel_overtakes_a_queued_order_which_is_never_sent(session, desk):
    since = session.trading.mark()
    order = session.do(lambda: desk.place(BUY, BID - 5, post_only=True))
    session.wait(lambda: order.is_inflight, "it waits in the client")
    session.do(lambda: desk.cancel_order(order))
    session.wait(lambda: order.is_closed, "it is over")
    assert order.filled_qty == 0
    # the next action of all is the next order's
    other = session.do(lambda: desk.place(BUY, BID - 6, post_only=True))
    session.wait(lambda: other.is_open, "another order rests")
    (action,) = signed(session, since)
    assert [row["p"] for row in action["orders"]] == ["683.99"]


HANDLERS = [name for name in dir(Desk) if name.startswith("on_") and name not in ("on_save", "on_load")]


def on_thread(base):
    """A subclass of a strategy whose handlers note the thread that they are called on."""
    seen = defaultdict(set)

    def noting(name):
        def handler(self, *arguments):
            seen[name].add(threading.get_ident())
            return getattr(super(watched, self), name)(*arguments)

        return handler

    named = [*HANDLERS, *(("_on_cycle", "_on_account_state") if base is MarketMaker else ())]
    watched = type(f"Watched{base.__name__}", (base,), {name: noting(name) for name in named})
    return watched, seen


class Listener(Desk):
    """Subscribes to everything there is."""

    def on_start(self):
        """Subscribe, and set a timer."""
        super().on_start()
        self.subscribe_trade_ticks(IID)
        self.subscribe_order_book_deltas(IID, BookType.L2_MBP)
        self.subscribe_mark_prices(IID)
        self.subscribe_index_prices(IID)
        self.subscribe_funding_rates(IID)
        self.subscribe_bars(MINUTE)
        self.subscribe_instrument_status(IID)


def test_every_handler_of_a_strategy_runs_on_the_thread_of_the_loop(tmp_path):
    kind, seen = on_thread(Listener)
    desk = kind(DeskConfig(order_id_tag="DESK"))
    with quiet_venue() as venue, session_with_desk(venue, 0, tmp_path, desk=desk) as (session, _):
        trading = session.trading
        order = session.do(lambda: desk.place(BUY, BID - 5, post_only=True))
        session.wait(lambda: order.is_open, "open")
        session.do(lambda: desk.change(order, price=BID - 6))
        session.wait(lambda: order.price.as_decimal() == BID - 6, "moved")
        session.do(lambda: desk.change(order, price=ASK + 1))
        session.wait(lambda: "on_order_modify_rejected" in seen, "a modify was rejected")
        session.do(lambda: desk.cancel_order(order))
        session.wait(lambda: order.is_closed, "canceled")
        session.do(lambda: desk.place(BUY, ASK + 1, post_only=True))
        session.do(lambda: desk.market(BUY, LOT))
        session.wait(lambda: trading.position() == LOT, "long")
        session.do(lambda: desk.market(BUY, LOT))
        session.wait(lambda: "on_position_changed" in seen, "longer")
        session.do(lambda: desk.market(SELL, 2 * LOT))
        # a bar ends once a minute, which is not waited for here
        wanted = {
            *("on_start", "on_event", "on_quote_tick", "on_trade_tick", "on_order_book_deltas"),
            *("on_mark_price", "on_index_price", "on_funding_rate", "on_instrument_status"),
            *("on_order_initialized", "on_order_submitted", "on_order_accepted", "on_order_pending_update"),
            *("on_order_updated", "on_order_modify_rejected", "on_order_pending_cancel", "on_order_canceled"),
            *("on_order_rejected", "on_order_filled", "on_position_opened", "on_position_changed"),
            "on_position_closed",
        }

        def all_heard():
            trading.nudge()
            trading.move(BID + len(seen) % 3)
            return wanted <= set(seen)

        try:
            session.wait(all_heard, "every handler was called")
        except AssertionError:
            raise AssertionError(f"never called: {sorted(wanted - set(seen))}") from None
    assert {thread for threads in seen.values() for thread in threads} == {threading.get_ident()}


def test_every_cycle_of_the_market_maker_is_at_most_four_actions_decided_on_the_thread_of_the_loop(tmp_path):
    kind, seen = on_thread(MarketMaker)
    config = MarketMakerConfig(
        instrument_id=IID,
        leverage=10.0,
        max_leverage=25.0,
        net_own_orders=True,
        order_id_tag="000",
        book_source="depth",
        cycle_ms=100,
    )
    maker = kind(config)
    sent = []
    with (
        quiet_venue() as venue,
        session_with_desk(venue, 0, tmp_path, strategies=[maker]) as (session, _),
    ):
        desk_of_client = session.client.session.desk

        def note(_):
            sent.append(desk_of_client.actions_sent)

        session.node.kernel.msgbus.subscribe(topic=topics.CYCLE_END, handler=note, priority=0)

        def enough():
            # a market that wanders, so that quotes are moved, canceled and placed anew
            session.trading.move(MID + Decimal("0.35") * (int(session.loop.time() * 2) % 7 - 3))
            return len(sent) > CYCLES

        session.wait(enough, "cycles sent something", seconds=45)
        actions = signed(session, 0)
        session.node.kernel.msgbus.unsubscribe(topic=topics.CYCLE_END, handler=note)
        maker.stop()
    per_cycle = [after - before for before, after in pairwise(sent)]
    assert max(per_cycle) <= MAX_ACTIONS
    assert len(actions) >= CYCLES
    assert {"order", "batchModify"} <= {action["type"] for action in actions}
    assert {
        "on_start",
        "on_order_book_depth",
        "on_quote_tick",
        "_on_cycle",
        "_on_account_state",
        "on_order_accepted",
    } <= set(seen)
    assert {thread for threads in seen.values() for thread in threads} == {threading.get_ident()}
