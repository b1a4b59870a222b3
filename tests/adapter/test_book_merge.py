"""One book from streams of different depth and age: never crossed, the newest wins, ages known."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_hip3.book_merge import DEPTH
from hyperliquid_hip3.book_merge import BookFrame
from hyperliquid_hip3.book_merge import BookMerge
from hyperliquid_hip3.book_merge import BookSource
from hyperliquid_hip3.book_merge import frame_of_bbo
from hyperliquid_hip3.book_merge import frame_of_book
from hyperliquid_hip3.book_merge import merge
from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import TopOfBook


BBO, FAST, DEFAULT, REST = BookSource.BBO, BookSource.FAST, BookSource.DEFAULT, BookSource.REST


def levels(*prices, size="1"):
    return tuple(BookLevel(Decimal(str(price)), Decimal(size), 1) for price in prices)


def frame(source, ts, bids, asks, *, recv=None, size="1"):
    return BookFrame(
        source, ts, ts + 5 if recv is None else recv, levels(*bids, size=size), levels(*asks, size=size)
    )


def prices(side):
    return [float(level.price) for level in side]


def sources(side):
    return [level.source for level in side]


def test_a_newer_touch_stands_in_front_of_the_deeper_older_book():
    book = merge(
        [
            frame(DEFAULT, 100, range(100, 80, -1), range(101, 121)),
            frame(FAST, 200, [100, 99, 98, 97, 96], [101, 102, 103, 104, 105], size="2"),
            frame(BBO, 300, [100.5], [101], size="3"),
        ]
    )

    assert prices(book.bids)[:7] == [100.5, 100, 99, 98, 97, 96, 95]
    assert sources(book.bids)[:7] == [BBO, FAST, FAST, FAST, FAST, FAST, DEFAULT]
    assert prices(book.asks)[:6] == [101, 102, 103, 104, 105, 106]
    assert sources(book.asks)[:6] == [BBO, FAST, FAST, FAST, FAST, DEFAULT]
    assert [str(level.size) for level in book.asks[:2]] == ["3", "2"]
    assert book.ts_ns == 300


def test_prices_that_the_newer_touch_has_passed_are_gone():
    book = merge(
        [frame(FAST, 200, [100, 99, 98, 97, 96], [101, 102, 103, 104, 105]), frame(BBO, 300, [97.5], [98])]
    )

    assert prices(book.bids) == [97.5, 97, 96]
    # the asks above the new touch are still as they were last seen
    assert prices(book.asks) == [98, 101, 102, 103, 104, 105]


def test_a_newer_deep_book_covers_an_older_touch():
    book = merge(
        [
            frame(BBO, 100, [100.7], [101]),
            frame(FAST, 200, [100, 99, 98, 97, 96], [100.5, 101, 102, 103, 104]),
        ]
    )

    assert prices(book.bids)[0] == 100
    assert BBO not in sources(book.bids)
    assert BBO not in sources(book.asks)


def test_a_book_read_where_the_market_was_is_not_taken_for_depth_behind_a_newer_one_as_deep():
    book = merge(
        [
            frame(REST, 100, range(80, 60, -1), range(121, 141)),
            frame(DEFAULT, 9_000, range(120, 100, -1), range(121, 141)),
            frame(FAST, 9_100, range(120, 115, -1), range(121, 126)),
        ]
    )

    assert prices(book.bids) == list(range(120, 100, -1))


def test_a_side_shorter_than_its_stream_can_be_is_the_whole_side():
    book = merge(
        [frame(DEFAULT, 100, range(100, 80, -1), range(101, 121)), frame(FAST, 200, [100, 99], [101, 102])]
    )

    assert prices(book.bids) == [100, 99]
    assert prices(book.asks) == [101, 102]


def test_an_empty_side_of_the_newest_message_empties_the_side():
    top = TopOfBook("km:US500", 300, None, BookLevel(Decimal(101), Decimal(1), 1))

    book = merge([frame(DEFAULT, 100, range(100, 80, -1), range(101, 121)), frame_of_bbo(top, 305)])

    assert book.bids == ()
    assert prices(book.asks)[:2] == [101, 102]
    assert not book.is_empty


def test_an_empty_side_between_two_books_ends_the_older_one():
    nothing = frame(BBO, 200, [], [101])
    fast = frame(FAST, 300, [100, 99, 98, 97, 96], [101, 102, 103, 104, 105])
    book = merge([frame(DEFAULT, 100, range(95, 75, -1), range(101, 121)), nothing, fast])

    assert prices(book.bids) == [100, 99, 98, 97, 96]
    # the other side was never empty
    assert len(book.asks) == 20


def test_a_touch_that_lies_behind_a_newer_book_is_newer_than_an_older_book():
    touch = frame(BBO, 200, [], [118], size="4")
    fast = frame(FAST, 300, [], [101, 102, 103, 104, 105])
    deep = frame(DEFAULT, 100, [], range(106, 126), size="2")
    asks = merge([deep, touch, fast]).asks

    # at 200 nothing was better than 118, and there were four of it
    assert [(float(level.price), str(level.size)) for level in asks[5:8]] == [
        (118, "4"),
        (119, "2"),
        (120, "2"),
    ]
    # alone it only says where the market was
    assert prices(merge([touch, fast]).asks) == [101, 102, 103, 104, 105]


def test_of_two_messages_of_one_block_the_one_received_later_wins():
    early = frame(FAST, 100, [100, 99, 98, 97, 96], [101, 102, 103, 104, 105], recv=110)
    late = frame(BBO, 100, [100], [101], recv=120, size="7")

    assert merge([early, late]).bids[0].source == BBO
    assert merge([late, early]).bids[0].source == BBO
    assert merge([late._replace(recv_ns=105), early]).bids[0].source == FAST


def test_the_age_of_each_level_is_that_of_the_message_that_showed_it():
    book = merge(
        [
            frame(DEFAULT, 100, [100, 99, 98], [101, 102, 103], recv=1_000),
            frame(BBO, 300, [100], [101], recv=4_000),
        ]
    )

    bids, asks = book.ages(5_000)

    assert bids == (1_000, 4_000, 4_000)
    assert asks == (1_000, 4_000, 4_000)
    assert book.ages(0) == ((0, 0, 0), (0, 0, 0))
    assert book.recv_ns == 4_000


def test_a_message_crossed_in_itself_is_not_taken():
    merged = BookMerge()
    merged.apply(frame(FAST, 100, [100], [101]))

    assert not merged.apply(frame(BBO, 200, [102], [101]))
    assert not merged.apply(frame(BBO, 200, [101], [101]))
    assert not merged.apply(frame(FAST, 200, [99, 100], [101, 102]))
    assert merged.refused == 3
    assert prices(merged.book().bids) == [100]


def test_a_message_older_than_the_streams_last_is_not_taken_and_a_repeated_one_is():
    merged = BookMerge()
    merged.apply(frame(FAST, 200, [100], [101]))

    assert not merged.apply(frame(FAST, 199, [99], [101]))
    assert merged.apply(frame(FAST, 200, [100], [101], recv=300))
    assert merged.book().bids[0].recv_ns == 300


def test_nothing_of_before_a_reset_comes_back():
    merged = BookMerge()
    merged.apply(frame(DEFAULT, 900, range(100, 80, -1), range(101, 121)))
    merged.reset()

    assert merged.book().is_empty
    assert merged.sources == ()
    # the venue's clock may stand elsewhere after a reconnect
    assert merged.apply(frame(BBO, 100, [50], [51]))
    assert prices(merged.book().bids) == [50]


def test_one_source_can_be_forgotten():
    merged = BookMerge()
    merged.apply(frame(DEFAULT, 100, range(100, 80, -1), range(101, 121)))
    merged.apply(frame(BBO, 200, [100], [101]))
    merged.forget(DEFAULT)

    assert merged.sources == (BBO,)
    assert prices(merged.book().bids) == [100]


def test_a_book_says_itself_whether_it_is_the_fast_one_and_rest_is_told():
    snapshot = BookSnapshot("km:US500", 5, levels(100), levels(101), is_fast=True)

    assert frame_of_book(snapshot, 9).source == FAST
    assert frame_of_book(snapshot, 9, REST).source == REST


def test_a_level_of_size_zero_is_no_level():
    snapshot = BookSnapshot("km:US500", 5, levels(100, size="0") + levels(99), levels(101))

    assert prices(merge([frame_of_book(snapshot, 9)]).bids) == [99]


def test_a_level_whose_size_was_taken_out_does_not_make_a_message_say_that_there_is_no_more():
    deep = frame(DEFAULT, 100, range(100, 80, -1), range(101, 121))
    emptied = levels(100, 99) + levels(98, size="0") + levels(97, 96)
    fast = BookFrame(FAST, 200, 205, emptied, levels(*range(101, 106)))
    assert prices(merge([deep, fast]).bids) == [100, 99, 97, 96, *range(95, 80, -1)]
    # one of four levels shows the whole side
    short = fast._replace(bids=emptied[:4])
    assert prices(merge([deep, short]).bids) == [100, 99, 97]


# a true book that moves, and what its streams show of it at some of its times
TICKS = st.integers(min_value=1, max_value=60)


@st.composite
def true_books(draw):
    """Return books of successive times: sorted bid and ask prices that do not cross."""
    books = []
    for ts in range(1, draw(st.integers(2, 8))):
        middle = draw(st.integers(10, 50))
        bids = sorted(draw(st.sets(st.integers(1, middle), max_size=26)), reverse=True)
        asks = sorted(draw(st.sets(st.integers(middle + 1, 90), max_size=26)))
        books.append((ts, bids, asks))
    return books


@st.composite
def seen_frames(draw):
    books = draw(true_books())
    frames = []
    for ts, bids, asks in books:
        for source in draw(st.lists(st.sampled_from(list(BookSource)), unique=True)):
            deep = DEPTH[source]
            recv = draw(st.integers(0, 50))
            frames.append(frame(source, ts, bids[:deep], asks[:deep], recv=recv, size=str(ts)))
    return books, draw(st.permutations(frames))


@settings(max_examples=300, deadline=None)
@given(seen_frames())
def test_whatever_arrives_in_whatever_order_the_book_is_sorted_and_never_crossed(seen):
    _, frames = seen
    merged = BookMerge()
    for one in frames:
        merged.apply(one)
        book = merged.book()
        bids, asks = prices(book.bids), prices(book.asks)
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert not bids or not asks or bids[0] < asks[0]


@settings(max_examples=300, deadline=None)
@given(seen_frames())
def test_every_level_is_what_the_newest_message_that_shows_its_price_says(seen):
    _, frames = seen
    merged = BookMerge()
    for one in frames:
        merged.apply(one)
    kept = merged._frames.values()
    book = merged.book()

    for side, worse in ((book.bids, lambda a, b: a < b), (book.asks, lambda a, b: a > b)):
        is_bid = side is book.bids
        for level in side:
            showing = [
                f
                for f in kept
                if (
                    (f.bids if is_bid else f.asks)
                    and not worse(level.price, (f.bids if is_bid else f.asks)[-1].price)
                )
                or len(f.bids if is_bid else f.asks) < DEPTH[f.source]
            ]
            newest = max(showing, key=lambda f: (f.ts_ns, f.recv_ns))
            assert (level.ts_ns, level.recv_ns) == (newest.ts_ns, newest.recv_ns)


@settings(max_examples=200, deadline=None)
@given(true_books())
def test_when_every_stream_shows_the_same_moment_the_book_is_the_true_one(books):
    ts, bids, asks = books[-1]

    book = merge([frame(source, ts, bids[: DEPTH[source]], asks[: DEPTH[source]]) for source in BookSource])

    assert prices(book.bids) == [float(price) for price in bids[:20]]
    assert prices(book.asks) == [float(price) for price in asks[:20]]


def test_no_message_makes_an_empty_book():
    assert merge([]).is_empty


@pytest.mark.parametrize("source", list(BookSource))
def test_one_message_alone_is_the_book(source):
    one = frame(source, 100, [100], [101])

    assert prices(merge([one]).bids) == [100]
    assert merge([one]).bids[0].source == source
