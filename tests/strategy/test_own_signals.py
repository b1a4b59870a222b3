"""The strategy on a venue that shows its orders and trades: neither is a signal to it, and a stranger's is."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId

from amm500_nautilus.orders import OrderTable
from amm500_nautilus.orders import Slot
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.types import Place
from tests.simulation.market import price
from tests.simulation.market import size
from tests.strategy.scene import IID
from tests.strategy.scene import Probe
from tests.strategy.scene import Scene
from tests.strategy.scene import ns
from tests.strategy.scene import play
from tests.strategy.scene import still
from tests.strategy.test_order_events import best_bid
from tests.strategy.test_order_events import fill
from tests.strategy.test_views import own


BUY, SELL = 1, -1
MS = 1_000_000
GLFT = QuotingConfig(model="glft")
Step = tuple[float, Callable[[Probe], None]]


def hits(number: int, lots: int = 20, ticks: int | None = None) -> Callable[[Probe], None]:
    """Somebody sells at the price of our best bid, or at another."""

    def told(maker: Probe) -> None:
        at = best_bid(maker).price.raw // maker._tick_raw if ticks is None else ticks
        now = maker.clock.timestamp_ns()
        maker.on_trade_tick(
            TradeTick(IID, price(at), size(lots), AggressorSide.SELLER, TradeId(str(number)), now, now)
        )

    return told


def fills(number: int, lots: int = 20, ms: int = 3_100) -> Callable[[Probe], None]:
    """The venue tells us of a fill of our best bid; fills of one number at one time are the same fill."""

    def told(maker: Probe) -> None:
        fill(maker, best_bid(maker), lots, f"{ms}-{number}")

    return told


def run(*steps: Step, **settings: Any) -> tuple[Scene, list[tuple[int, int, float]]]:
    """Play a still market with things told to the strategy; what its model heard of trades comes with it."""
    heard: list[tuple[int, int, float]] = []

    def listen(maker: Any) -> None:
        maker.heard = heard
        model: Any = maker.engine.model
        before = model.on_trade

        def on_trade(ts_ns: int, side: int, distance: float) -> None:
            heard.append((ts_ns, side, distance))
            before(ts_ns, side, distance)

        model.on_trade = on_trade

    given: dict[str, Any] = {"quoting": GLFT, "net_own_orders": True, **settings}
    scene = play(still(7.5), [(0.5, listen), *steps], **given)
    return scene, heard


# a stranger's trade far from ours: the model closes its count of what it heard before
LAST: Step = (6.6, hits(99, ticks=68_900))
LAST_HEARD = (ns(6.6), SELL, 100.5)


@cache
def of_the_last_alone() -> dict[str, Any]:
    """What the model knows when nothing was told to it but the last trade."""
    scene, heard = run(LAST)
    assert heard == [LAST_HEARD]
    return scene.maker.engine.model.save()


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(((3.1, hits(7)), (3.2, fills(7))), id="trade first"),
        pytest.param(((3.1, fills(7)), (3.2, hits(7))), id="fill first"),
        pytest.param(((3.1, hits(7)), (3.2, fills(7)), (3.3, fills(7))), id="fill told twice"),
        pytest.param(
            ((3.1, fills(7, 5)), (3.2, hits(7)), (3.3, fills(7, 15, 3_170))), id="two fills of one trade"
        ),
        pytest.param(((3.1, hits(7)), (5.5, fills(7))), id="fill after two cycles"),
    ],
)
def test_our_own_fill_at_the_touch_changes_no_trade_signal(steps: tuple[Step, ...]) -> None:
    scene, heard = run(*steps, LAST)
    assert heard == [LAST_HEARD]
    assert scene.maker.engine.model.save() == of_the_last_alone()
    assert scene.maker.inventory.lots >= 20


def test_a_stranger_s_trade_at_the_price_of_ours_changes_it_after_the_grace_and_with_its_own_time() -> None:
    at: list[int] = []

    def count(maker: Any) -> None:
        at.append(len(maker.heard))

    # the cycles are at whole seconds, and the grace is two of them
    scene, heard = run((3.1, hits(8)), (5.05, count), (5.95, count), (6.05, count), LAST)
    best = next(sample for sample in scene.samples if sample.ts_ns == ns(3))
    assert at == [0, 0, 1]
    assert heard == [(ns(3.1), SELL, pytest.approx(69_000.5 - best.bid_ticks)), LAST_HEARD]
    assert scene.maker.engine.model.save() != of_the_last_alone()


def test_a_stranger_s_trade_elsewhere_changes_it_at_once() -> None:
    _, heard = run((3.1, hits(9, ticks=68_000)))
    assert heard == [(ns(3.1), SELL, 1_000.5)]


def test_of_a_trade_that_filled_us_in_part_the_rest_is_a_stranger_s() -> None:
    _, heard = run((3.1, hits(7, lots=30)), (3.2, fills(7, 20)))
    assert [each[0] for each in heard] == [ns(3.1)]


def test_where_the_stream_cannot_hold_our_trades_each_is_fed_at_once() -> None:
    _, heard = run((3.1, fills(7)), (3.2, hits(7)), net_own_orders=False)
    assert [each[0] for each in heard] == [ns(3.2)]


def test_a_decision_says_how_deep_and_how_old_the_book_was_that_it_used() -> None:
    scene, _ = run()
    signals = scene.at(3).signals
    assert (signals["depth_levels"], signals["deep_age_secs"]) == (10.0, 0.0)


# -- which trades may be ours ---------------------------------------------------------------------------------------------


class Order:
    """An order of the engine as far as the table looks at it."""

    is_pending_cancel = False

    def __init__(self, key: str) -> None:
        self.client_order_id = self
        self.value = key


def slot(table: OrderTable, key: str, change: Place) -> Slot:
    table.add(Order(key), change, 0)
    return table.slots[key]


def test_a_trade_may_be_ours_where_an_order_rests_was_sent_or_has_just_left() -> None:
    table = OrderTable(is_shown=True)
    in_flight = slot(table, "O-1", Place(BUY, 69_000, 40, 0))
    assert table.may_have_traded(SELL, 69_000, MS)
    assert not table.may_have_traded(BUY, 69_000, MS)
    assert not table.may_have_traded(SELL, 68_999, MS)
    table.confirm(in_flight, 10 * MS)
    # a modify in flight may fill at either price
    in_flight.next_ticks, in_flight.next_lots = 68_990, 40
    assert table.may_have_traded(SELL, 69_000, 20 * MS)
    assert table.may_have_traded(SELL, 68_990, 20 * MS)
    in_flight.resting.price_ticks = 68_990
    table.confirm(in_flight, 100 * MS)
    # moved away: a print of before may still come
    assert table.may_have_traded(SELL, 69_000, 100 * MS)
    assert table.may_have_traded(SELL, 69_000, 1_100 * MS)
    assert not table.may_have_traded(SELL, 69_000, 1_101 * MS)
    table.remove("O-1", 2_000 * MS)
    assert table.may_have_traded(SELL, 68_990, 2_000 * MS)
    assert not table.may_have_traded(SELL, 68_990, 3_001 * MS)


def test_a_trade_may_be_ours_where_we_take_up_to_our_limit() -> None:
    table = OrderTable(is_shown=True)
    taker = slot(table, "O-1", Place(BUY, 69_010, 40, 0, ioc=True))
    assert [table.may_have_traded(BUY, ticks, MS) for ticks in (69_001, 69_010, 69_011)] == [
        True,
        True,
        False,
    ]
    assert not table.may_have_traded(SELL, 69_010 + 1, MS)
    # what takes never rests, so nothing of it is in the book
    table.confirm(taker, 10 * MS)
    assert table.levels is not None
    assert table.levels.lots(BUY, 69_010, 10 * MS) == 0


def test_a_table_of_a_simulated_venue_keeps_no_history() -> None:
    table = OrderTable()
    table.confirm(slot(table, "O-1", Place(BUY, 69_000, 40, 0)), 10 * MS)
    table.remove("O-1", 20 * MS)
    assert table.levels is None
    assert table.slots == {}


def test_an_order_accepted_while_it_is_canceled_is_in_the_book_until_it_is_gone() -> None:
    table = OrderTable(is_shown=True)
    found = slot(table, "O-1", Place(BUY, 69_000, 40, 0))
    found.order.is_pending_cancel = True
    table.confirm(found, 10 * MS)
    assert (found.accepted, found.resting.pending) == (False, True)
    table.remove("O-1", 30 * MS)
    assert table.levels is not None
    same = own(((10, BUY, 69_000, 40), (30, BUY, 69_000, 0)))
    for ms in (9, 10, 29, 30):
        assert (
            table.levels.lots(BUY, 69_000, ms * MS) == same.lots(BUY, 69_000, ms * MS) == 40 * (10 <= ms < 30)
        )
