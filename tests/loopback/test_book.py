"""The book: queues, the house's ladder, aggregation and impact prices."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperliquid_loopback.book import Book
from hyperliquid_loopback.book import HouseChunk
from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import SELL
from hyperliquid_loopback.types import Order


HOUSE = "0x" + "0" * 40


def resting(oid, side, price, size, user="0xu"):
    return Order(
        oid=oid,
        user=user,
        coin="km:US500",
        side=side,
        price=Decimal(price),
        size=Decimal(size),
        orig_size=Decimal(size),
        tif="Alo",
        reduce_only=False,
        cloid=None,
        ts_ms=0,
    )


def house(book, side, price, size, oid=1):
    book.house_add(side, Decimal(price), HouseChunk(oid, HOUSE, Decimal(size)))


def test_the_oldest_order_of_the_best_price_is_first():
    book = Book("km:US500")
    for oid, price in ((1, "690"), (2, "690.01"), (3, "690.01")):
        book.rest(resting(oid, BUY, price, "1"))
    assert book.bids.best == Decimal("690.01")
    assert book.bids.levels[Decimal("690.01")].first.oid == 2


def test_a_price_written_with_zeros_is_the_same_level():
    book = Book("km:US500")
    book.rest(resting(1, BUY, "690.10", "1"))
    book.rest(resting(2, BUY, "690.1", "2"))
    assert book.snapshot() == [[{"px": "690.1", "sz": "3.0", "n": 2}], []]


def test_a_partly_matched_order_keeps_its_place_and_a_finished_one_goes():
    book = Book("km:US500")
    first, second = resting(1, SELL, "691", "5"), resting(2, SELL, "691", "5")
    book.rest(first)
    book.rest(second)
    book.reduce(SELL, first.price, first, Decimal(2))
    assert book.size_ahead(second) == 3
    book.reduce(SELL, first.price, first, Decimal(3))
    assert book.asks.levels[Decimal(691)].first is second
    book.remove(second)
    assert book.is_empty
    assert book.asks.best is None


def test_a_raise_of_the_house_joins_the_back_and_a_cut_takes_the_newest_first():
    book = Book("km:US500")
    house(book, BUY, "690", "4", oid=1)
    mine = resting(2, BUY, "690", "1")
    book.rest(mine)
    house(book, BUY, "690", "3", oid=3)
    assert book.size_ahead(mine) == 4
    book.house_cut(BUY, Decimal(690), Decimal(3))
    assert book.size_ahead(mine) == 4
    book.house_cut(BUY, Decimal(690), Decimal(1))
    assert book.size_ahead(mine) == 3
    assert book.house_size(BUY, Decimal(690)) == 3


def test_clearing_the_house_leaves_the_users_orders():
    book = Book("km:US500")
    house(book, BUY, "690", "4")
    house(book, SELL, "691", "4", oid=5)
    book.rest(resting(2, BUY, "690", "1"))
    book.clear_house()
    assert book.snapshot() == [[{"px": "690.0", "sz": "1.0", "n": 1}], []]


@pytest.mark.parametrize(
    ("figures", "mantissa", "bids", "asks"),
    [
        (5, None, ["690.12", "690.11"], ["690.21"]),
        (5, 2, ["690.12", "690.1"], ["690.22"]),
        (5, 5, ["690.1"], ["690.25"]),
        (4, None, ["690.1"], ["690.3"]),
        (2, None, ["690.0"], ["700.0"]),
    ],
)
def test_a_grouped_book_rounds_away_from_the_middle(figures, mantissa, bids, asks):
    book = Book("km:US500")
    for oid, price in enumerate(("690.12", "690.11"), start=1):
        book.rest(resting(oid, BUY, price, "1"))
    book.rest(resting(9, SELL, "690.21", "1"))
    found = book.snapshot(20, figures, mantissa)
    assert [[row["px"] for row in side] for side in found] == [bids, asks]


def test_the_impact_price_averages_over_the_levels_it_uses():
    book = Book("km:US500")
    house(book, SELL, "100", "30", oid=1)
    house(book, SELL, "150", "100", oid=2)
    # 3,000 at 100, the other 3,000 at 150: 30 + 20 contracts
    assert book.impact_price(SELL, Decimal(6_000)) == Decimal(6_000) / 50
    assert book.impact_price(SELL, Decimal(100_000)) is None
    assert book.impact_price(BUY, Decimal(1)) is None


def test_a_snapshot_has_no_more_levels_than_asked_for():
    book = Book("km:US500")
    for i in range(30):
        house(book, BUY, Decimal(690) - i, "1", oid=i)
    assert len(book.snapshot(20)[0]) == 20
    assert len(book.snapshot(5, 5)[0]) == 5
    assert book.touch(BUY) == {"px": "690.0", "sz": "1.0", "n": 1}
    assert book.touch(SELL) is None


steps = st.lists(
    st.tuples(
        st.sampled_from(("rest", "house", "cut", "reduce", "remove")),
        st.sampled_from((BUY, SELL)),
        st.integers(1, 6),
        st.integers(1, 20),
    ),
    max_size=60,
)


@given(steps)
def test_every_level_holds_the_sum_of_its_queue_and_the_prices_stay_sorted(actions):
    book = Book("km:US500")
    orders = {}
    for oid, (what, side, step, size) in enumerate(actions, start=1):
        price = Decimal(690) - side * step
        level = book.side(side).levels.get(price)
        if what == "rest":
            orders[oid] = resting(oid, side, price, size)
            book.rest(orders[oid])
        elif what == "house":
            house(book, side, price, size, oid=oid)
        elif what == "cut" and level is not None and level.house > 0:
            book.house_cut(side, price, min(level.house, Decimal(size)))
        elif what == "reduce" and level is not None:
            entry = level.first
            book.reduce(side, price, entry, min(entry.size, Decimal(size)))
            if entry.size == 0:
                orders.pop(entry.oid, None)
        elif what == "remove" and orders:
            book.remove(orders.pop(next(iter(orders))))
    for half in (book.bids, book.asks):
        assert half.prices == sorted(half.levels)
        for level in half.levels.values():
            assert level.queue
            assert level.total == sum(entry.size for entry in level.queue.values())
            assert level.house == sum(e.size for e in level.queue.values() if isinstance(e, HouseChunk))
            assert all(entry.size > 0 for entry in level.queue.values())
