"""What the strategy sees of a book that shows its own orders."""

from types import SimpleNamespace

import pytest

from amm500_nautilus.orders import OrderTable
from amm500_nautilus.orders import Slot
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.views import BookReader
from tests.simulation.market import depth
from tests.strategy.scene import IID
from tests.strategy.scene import INSTRUMENT


BUY, SELL = 1, -1


def table(*orders: tuple[int, int, int]) -> OrderTable:
    """Accepted orders as (side, ticks, lots)."""
    found = OrderTable()
    for number, (side, ticks, lots) in enumerate(orders):
        order = SimpleNamespace(client_order_id=SimpleNamespace(value=f"O-{number}"))
        found.add(order, Place(side, ticks, lots, 0), 0)
    for slot in found.slots.values():
        assert isinstance(slot, Slot)
        slot.settle(0)
    return found


def reader(orders: OrderTable, *, net_own: bool = True) -> BookReader:
    tick, lot = INSTRUMENT.price_increment, INSTRUMENT.size_increment
    return BookReader(
        tick_raw=tick.raw, lot_raw=lot.raw, tick=float(tick), lot=float(lot), orders=orders, net_own=net_own
    )


BIDS = [(69_000 - k, 100) for k in range(10)]
ASKS = [(69_001 + k, 100) for k in range(10)]


def test_our_own_size_is_taken_out_of_the_book_and_a_level_that_is_ours_alone_goes() -> None:
    books = reader(table((BUY, 69_000, 40), (SELL, 69_001, 100)))
    view = books.read(depth(IID, 1, BIDS, ASKS))
    assert (view.bid_ticks[0], view.bid_lots[0]) == (69_000, 60)
    assert (view.ask_ticks[0], view.ask_lots[0]) == (69_002, 100)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param((), (69_000, 100, 69_001, 100), id="nothing of ours"),
        pytest.param(((BUY, 69_000, 30),), (69_000, 70, 69_001, 100), id="a part of the bid is ours"),
        pytest.param(((BUY, 69_000, 100),), (68_999, 100, 69_001, 100), id="the bid is ours alone"),
        pytest.param(((SELL, 69_001, 150),), (69_000, 100, 69_002, 100), id="ours is more than is shown"),
        pytest.param(((BUY, 68_990, 30),), (69_000, 100, 69_001, 100), id="ours rests elsewhere"),
    ],
)
def test_the_touch_is_the_market_s_and_not_ours(
    own: tuple[tuple[int, int, int], ...], expected: tuple[int, int, int, int]
) -> None:
    books = reader(table(*own))
    books.read(depth(IID, 1, BIDS, ASKS))
    assert books.touch(69_000, 100, 69_001, 100) == expected


def test_behind_a_touch_of_ours_alone_stands_the_newest_book_and_not_the_last_one_read() -> None:
    books = reader(table((BUY, 69_000, 100)))
    books.read(depth(IID, 1, BIDS, ASKS))
    newer = [(69_000, 100), *((68_996 - k, 50) for k in range(9))]
    assert books.touch(69_000, 100, 69_001, 100, depth(IID, 2, newer, ASKS)) == (68_996, 50, 69_001, 100)


def test_a_simulated_book_does_not_show_our_orders_and_is_left_as_it_is() -> None:
    books = reader(table((BUY, 69_000, 40)), net_own=False)
    assert books.read(depth(IID, 1, BIDS, ASKS)).bid_lots[0] == 100
    assert books.touch(69_000, 100, 69_001, 100) == (69_000, 100, 69_001, 100)


def test_an_order_in_flight_is_in_no_book_yet() -> None:
    orders = table()
    order = SimpleNamespace(client_order_id=SimpleNamespace(value="O-1"))
    orders.add(order, Place(BUY, 69_000, 40, 0), 0)
    assert reader(orders).touch(69_000, 100, 69_001, 100) == (69_000, 100, 69_001, 100)
