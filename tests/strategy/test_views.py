"""What the strategy sees of a book that shows its own orders."""

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from nautilus_trader.model.data import NULL_ORDER
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide

from amm500_nautilus.own_levels import OwnLevels
from amm500_nautilus.views import BookReader
from tests.simulation.market import depth
from tests.simulation.market import price
from tests.simulation.market import quote
from tests.simulation.market import size
from tests.strategy.scene import IID
from tests.strategy.scene import INSTRUMENT


BUY, SELL = 1, -1
MS = 1_000_000
BIDS = [(69_000 - k, 100) for k in range(10)]
ASKS = [(69_001 + k, 100) for k in range(10)]

# what the venue said of one order: at a time in ms it rests with so many lots at this price, 0 when it is gone
Story = tuple[tuple[float, int, int, int], ...]


def own(*orders: Story) -> OwnLevels:
    """What rested where; each order a list of (ms, side, ticks, lots left)."""
    levels = OwnLevels()
    events = [(ms, f"O-{n}", *rest) for n, order in enumerate(orders) for ms, *rest in order]
    for ms, key, side, ticks, lots in sorted(events):
        levels.note(key, side, ticks, lots, round(ms * MS))
    return levels


def table(*orders: tuple[int, int, int]) -> OwnLevels:
    """Orders resting all along, as (side, ticks, lots)."""
    return own(*(((0, *order),) for order in orders))


def reader(levels: OwnLevels | None) -> BookReader:
    tick, lot = INSTRUMENT.price_increment, INSTRUMENT.size_increment
    return BookReader(tick_raw=tick.raw, lot_raw=lot.raw, tick=float(tick), lot=float(lot), own=levels)


def touch(
    books: BookReader, bid: int, bid_lots: int, ask: int, ask_lots: int, *args: object, ms: float = 1
) -> tuple[int, float, int, float]:
    return books.touch(quote(IID, round(ms * MS), bid, bid_lots, ask, ask_lots), *args)  # type: ignore[arg-type]


def batch(
    bids: list[tuple[int, int, float]], asks: list[tuple[int, int, float]], *, is_best_first: bool = False
) -> OrderBookDeltas:
    """A merged book, each level as (ticks, lots, ms when it was last seen), best first; it comes worst first."""
    rows = [(OrderSide.BUY, row) for row in bids[::-1]] + [(OrderSide.SELL, row) for row in asks[::-1]]
    newest = round(max(ms for _, _, ms in (*bids, *asks)) * MS)
    if is_best_first:
        rows = [(OrderSide.BUY, row) for row in bids] + [(OrderSide.SELL, row) for row in asks]
    deltas = [OrderBookDelta(IID, BookAction.CLEAR, NULL_ORDER, 32, 0, newest, newest)]
    for side, (ticks, lots, ms) in rows:
        order = BookOrder(side, price(ticks), size(lots), 0)
        deltas.append(OrderBookDelta(IID, BookAction.ADD, order, 32, 0, round(ms * MS), newest))
    return OrderBookDeltas(IID, deltas)


def test_our_own_size_is_taken_out_of_the_book_and_a_level_that_is_ours_alone_goes() -> None:
    books = reader(table((BUY, 69_000, 40), (SELL, 69_001, 100)))
    view = books.read(depth(IID, MS, BIDS, ASKS))
    assert (view.bid_ticks[0], view.bid_lots[0]) == (69_000, 60)
    assert (view.ask_ticks[0], view.ask_lots[0]) == (69_002, 100)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        pytest.param((), (69_000, 100, 69_001, 100), id="nothing of ours"),
        pytest.param(((BUY, 69_000, 30),), (69_000, 70, 69_001, 100), id="a part of the bid is ours"),
        pytest.param(((BUY, 69_000, 100),), (68_999, 100, 69_001, 100), id="the bid is ours alone"),
        pytest.param(((SELL, 69_001, 150),), (69_000, 100, 69_002, 100), id="ours is more than is shown"),
        pytest.param(((BUY, 68_990, 30),), (69_000, 100, 69_001, 100), id="ours rests elsewhere"),
    ],
)
def test_the_touch_is_the_market_s_and_not_ours(
    orders: tuple[tuple[int, int, int], ...], expected: tuple[int, int, int, int]
) -> None:
    books = reader(table(*orders))
    books.read(depth(IID, MS, BIDS, ASKS))
    assert touch(books, 69_000, 100, 69_001, 100) == expected


def test_behind_a_touch_of_ours_alone_stands_the_newest_book_and_not_the_last_one_read() -> None:
    books = reader(table((BUY, 69_000, 100)))
    books.read(depth(IID, MS, BIDS, ASKS))
    newer = [(69_000, 100), *((68_996 - k, 50) for k in range(9))]
    seen = touch(books, 69_000, 100, 69_001, 100, depth(IID, 2 * MS, newer, ASKS))
    assert seen == (68_996, 50, 69_001, 100)


def test_a_simulated_book_does_not_show_our_orders_and_is_left_as_it_is() -> None:
    books = reader(None)
    assert books.read(depth(IID, MS, BIDS, ASKS)).bid_lots[0] == 100
    assert touch(books, 69_000, 100, 69_001, 100) == (69_000, 100, 69_001, 100)


# -- levels seen at different times --------------------------------------------------------------------------------

# at 5,000 ms the touch was seen, at 4,600 five levels, at 1,000 the rest
AGED_BIDS = [
    *[(69_000, 100, 5_000.0)],
    *[(69_000 - k, 100, 4_600.0) for k in range(1, 5)],
    *[(69_000 - k, 100, 1_000.0) for k in range(5, 10)],
]
AGED_ASKS = [(ticks + 1 + 2 * (69_000 - ticks), lots, ms) for ticks, lots, ms in AGED_BIDS]
WHOLE = [100.0] * 10


def netted(level: int, lots: float) -> list[float]:
    """All levels whole but one; without any left the level is gone."""
    sizes = [*WHOLE[:level], lots, *WHOLE[level + 1 :]]
    return [left for left in sizes if left]


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        pytest.param((), WHOLE, id="nothing of ours"),
        pytest.param((((900, BUY, 68_994, 40),),), netted(6, 60), id="deep: rested when it was seen"),
        pytest.param((((1_000, BUY, 68_994, 40),),), netted(6, 60), id="deep: came in the very block"),
        pytest.param((((1_001, BUY, 68_994, 40),),), WHOLE, id="deep: came after it was seen"),
        pytest.param(
            (((900, BUY, 68_994, 40), (3_000, BUY, 68_994, 0)),),
            netted(6, 60),
            id="deep: gone after it was seen",
        ),
        pytest.param(
            (((500, BUY, 68_994, 40), (1_000, BUY, 68_994, 0)),), WHOLE, id="deep: gone in the very block"
        ),
        pytest.param(
            (((900, BUY, 68_994, 40), (3_000, BUY, 69_000, 40)),),
            [60.0, *netted(6, 60)[1:]],
            id="moved from a level seen before to one seen after",
        ),
        pytest.param(
            (((900, BUY, 68_994, 40), (4_700, BUY, 68_998, 40)),),
            netted(6, 60),
            id="moved to a level that was seen before it came",
        ),
        pytest.param(
            (((900, BUY, 68_994, 40), (2_000, BUY, 68_994, 15)),),
            netted(6, 60),
            id="filled in part after it was seen",
        ),
        pytest.param(
            (((900, BUY, 68_998, 40), (2_000, BUY, 68_998, 15)),),
            netted(2, 85),
            id="filled in part before it was seen",
        ),
        pytest.param(
            (((900, BUY, 68_998, 40),), ((950, BUY, 68_998, 60), (4_800, BUY, 68_998, 0))),
            netted(2, 0),
            id="two of ours made the whole level",
        ),
        pytest.param((((900, SELL, 68_994, 40),),), WHOLE, id="ours is on the other side"),
    ],
)
def test_of_each_level_only_what_rested_when_it_was_seen_is_taken_out(
    orders: tuple[Story, ...], expected: list[float]
) -> None:
    view = reader(own(*orders)).read(batch(AGED_BIDS, AGED_ASKS))
    assert list(view.bid_lots) == expected
    assert list(view.ask_lots) == WHOLE


def test_a_moved_order_is_in_the_deep_level_it_has_left_and_not_yet_in_the_one_it_went_to() -> None:
    story = ((900, BUY, 68_994, 40), (3_000, BUY, 68_993, 40))
    view = reader(own(story)).read(batch(AGED_BIDS, AGED_ASKS))
    assert [view.bid_lots[6], view.bid_lots[7]] == [60, 100]


def test_the_touch_holds_only_what_rested_at_its_own_time() -> None:
    books = reader(own(((2_000, BUY, 69_000, 40), (4_000, BUY, 69_000, 0))))
    seen = [touch(books, 69_000, 100, 69_001, 100, ms=ms)[1] for ms in (1_999, 2_000, 3_999, 4_000)]
    assert seen == [100, 60, 60, 100]


@pytest.mark.parametrize("is_best_first", [False, True])
def test_either_order_of_a_batch_gives_the_same_view(is_best_first: bool) -> None:
    for levels in (None, own(((900, BUY, 68_994, 40),))):
        view = reader(levels).read(batch(AGED_BIDS, AGED_ASKS, is_best_first=is_best_first))
        assert list(view.bid_ticks) == [69_000 - k for k in range(10)]
        assert list(view.ask_ticks) == [69_001 + k for k in range(10)]


def test_the_view_says_how_much_older_its_older_levels_are() -> None:
    view = reader(OwnLevels()).read(batch(AGED_BIDS[:6], AGED_ASKS[:2]))
    assert view.ages == {
        **{69_000 - k: 400 * MS for k in range(1, 5)},
        68_995: 4_000 * MS,
        69_002: 400 * MS,
    }


# -- answers without the venue's time --------------------------------------------------------------------------------


def heard(levels: OwnLevels, *delays_ms: float) -> OwnLevels:
    for delay in delays_ms:
        levels.delay.heard(round(delay * MS))
    return levels


def test_an_answer_without_the_venue_s_time_counts_from_the_earliest_block_it_can_be_of() -> None:
    levels = heard(OwnLevels(), 40, 60)
    # not a whole millisecond: stamped here, 40 to 60 ms and the venue's own 3 ms after its block
    levels.note("O-1", BUY, 69_000, 40, 1_000 * MS + 1)
    assert [levels.lots(BUY, 69_000, at * MS) for at in (936, 938, 2_000)] == [0, 40, 40]


def test_an_order_of_which_only_we_know_when_it_went_counts_to_the_latest_block_it_can_have_gone_in() -> None:
    levels = heard(OwnLevels(), 40, 60)
    levels.note("O-1", BUY, 69_000, 40, 500 * MS)
    levels.note("O-1", BUY, 69_000, 0, 1_000 * MS + 1)
    assert [levels.lots(BUY, 69_000, at * MS) for at in (499, 500, 960, 961)] == [0, 40, 40, 0]


def test_two_sizes_of_one_order_whose_times_overlap_count_once_with_the_larger() -> None:
    levels = heard(OwnLevels(), 40, 60)
    levels.note("O-1", BUY, 69_000, 40, 500 * MS)
    levels.note("O-1", BUY, 69_000, 70, 1_000 * MS + 1)
    assert [levels.lots(BUY, 69_000, at * MS) for at in (930, 950, 970)] == [40, 70, 70]


def test_delays_of_long_ago_are_forgotten_and_clocks_may_be_apart() -> None:
    levels = heard(OwnLevels(), 900, *[-50] * 64, *[-40] * 128)
    assert (levels.delay.low, levels.delay.high) == (-40 * MS, -40 * MS)
    levels.note("O-1", BUY, 69_000, 40, 1_000 * MS + 1)
    assert [levels.lots(BUY, 69_000, at * MS) for at in (1_037, 1_038)] == [0, 40]


def test_what_is_over_for_a_minute_is_forgotten_and_what_rests_is_not() -> None:
    levels = OwnLevels()
    levels.note("stays", BUY, 68_000, 5, MS)
    for second in range(1_000):
        levels.note(f"O-{second}", SELL, 69_001 + second % 7, 40, second * 1_000 * MS)
        levels.note(f"O-{second}", SELL, 69_001 + second % 7, 0, (second * 1_000 + 500) * MS)
    assert len(levels) <= 62
    assert levels.lots(BUY, 68_000, 999_000 * MS) == 5
    assert levels.lots(SELL, 69_001 + 990 % 7, 990_250 * MS) == 40
    assert not levels.rested(SELL, 69_001 + 7, 0)


# -- whatever rests, and whenever ---------------------------------------------------------------------------------------


STORIES = st.lists(
    st.tuples(
        st.integers(0, 6_000),
        st.integers(0, 3),
        st.sampled_from([BUY, SELL]),
        st.integers(68_988, 69_012),
        st.integers(0, 250),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(STORIES, st.booleans())
def test_a_netted_size_is_never_negative_and_never_above_the_shown_one(
    stories: list[tuple[int, int, int, int, int]], has_venue_time: bool
) -> None:
    levels = heard(OwnLevels(), 20, 90)
    sides: dict[int, int] = {}
    for ms, order, side, ticks, lots in sorted(stories):
        levels.note(
            f"O-{order}", sides.setdefault(order, side), ticks, lots, ms * MS + (0 if has_venue_time else 1)
        )
    book = batch(AGED_BIDS, AGED_ASKS)
    shown, view = reader(None).read(book), reader(levels).read(book)
    for prices, sizes, all_prices, all_sizes in (
        (view.bid_ticks, view.bid_lots, shown.bid_ticks, shown.bid_lots),
        (view.ask_ticks, view.ask_lots, shown.ask_ticks, shown.ask_lots),
    ):
        of_shown = dict(zip(all_prices, all_sizes, strict=True))
        assert all(0 < lots <= of_shown[ticks] for ticks, lots in zip(prices, sizes, strict=True))
    if not any(lots for *_, lots in stories):
        assert (view.bid_lots, view.ask_lots) == (shown.bid_lots, shown.ask_lots)
