"""Book analysis: depth, imbalance, microprice, netting of our own size."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.quoting.book import BookKeeper
from amm500_nautilus.quoting.book import microprice_of
from amm500_nautilus.quoting.book import net_own
from amm500_nautilus.quoting.book import queue_position
from amm500_nautilus.quoting.config import BookConfig
from amm500_nautilus.quoting.types import BookView
from amm500_nautilus.quoting.types import MarketShape


SHAPE = MarketShape(tick=0.01, lot=0.001)


def keeper(**settings: float) -> BookKeeper:
    return BookKeeper(BookConfig(**settings), SHAPE)  # type: ignore[arg-type]


def view(ts_ns: int = 1, *, levels: int = 10, bid_lots: float = 1_000, ask_lots: float = 1_000) -> BookView:
    return BookView(
        ts_ns,
        [69_000 - i for i in range(levels)],
        [bid_lots] * levels,
        [69_001 + i for i in range(levels)],
        [ask_lots] * levels,
    )


def test_depth_is_price_times_size_in_collateral_units() -> None:
    book = keeper()
    book.on_book(BookView(1, [69_000, 68_999], [1_000, 2_000], [69_001], [500]))
    reading = book.analyze(1)
    assert reading is not None
    # 690.00 * 1.000 + 689.99 * 2.000 = 690 + 1379.98
    assert reading.bid_depth == pytest.approx(2_069.98)
    assert reading.ask_depth == pytest.approx(345.005)  # 690.01 * 0.5
    # (2069.98 - 345.005) / 2414.985
    assert reading.imbalance == pytest.approx(0.714279, abs=1e-6)
    # pressure: imbalance * 2414.985 / 100000
    assert reading.pressure == pytest.approx(0.714279 * 0.02414985, rel=1e-5)
    assert not reading.is_liquid  # under 5,000 a side


@pytest.mark.parametrize(
    ("bid_lots", "ask_lots", "expected"),
    [
        pytest.param(10.0, 10.0, 100.5, id="even sizes give mid"),
        # (100 * 10 + 101 * 30) / 40 = 4030 / 40
        pytest.param(30.0, 10.0, 100.75, id="heavy bids push it to the ask"),
        pytest.param(10.0, 30.0, 100.25, id="heavy asks push it to the bid"),
        pytest.param(0.0, 0.0, 100.5, id="no sizes give mid"),
    ],
)
def test_microprice(bid_lots: float, ask_lots: float, expected: float) -> None:
    assert microprice_of(100, bid_lots, 101, ask_lots) == pytest.approx(expected)


def test_ten_levels_count_as_depth_and_five_as_top() -> None:
    book = keeper()
    book.on_book(view(levels=20))
    reading = book.analyze(1)
    assert reading is not None
    assert reading.levels == 10
    # 690 - 0.01 * (0 + ... + 9) / 10 = 689.955 on average, one contract each
    assert reading.bid_depth == pytest.approx(6_899.55)
    assert reading.bid_depth_top == pytest.approx(5 * 689.98)
    assert reading.is_liquid


@pytest.mark.parametrize(
    ("price", "side", "expected"),
    [(69_000, 1, 1), (69_003, 1, 1), (68_998, 1, 3), (68_000, 1, 11), (69_001, -1, 1), (69_004, -1, 4)],
)
def test_queue_position_counts_better_levels(price: int, side: int, expected: int) -> None:
    book = view()
    assert queue_position(price, side, book.bid_ticks if side > 0 else book.ask_ticks) == expected


def test_own_size_at_the_touch_changes_no_signal() -> None:
    market = view()
    ours = BookView(1, market.bid_ticks, [1_400, *market.bid_lots[1:]], market.ask_ticks, market.ask_lots)
    clean, seen = keeper(), keeper()
    clean.on_book(market)
    seen.on_book(net_own(ours, {69_000: 400}, {}))
    assert clean.analyze(1) == seen.analyze(1)


def test_a_level_of_our_own_alone_disappears() -> None:
    market = view()
    ours = BookView(
        1, [69_000, *market.bid_ticks[1:]], [250, *market.bid_lots[1:]], market.ask_ticks, market.ask_lots
    )
    netted = net_own(ours, {69_000: 250}, {})
    assert netted.bid_ticks[0] == 68_999


def test_the_newer_touch_replaces_the_top_of_the_older_book() -> None:
    book = keeper()
    book.on_book(view(1))
    book.on_touch(2, 68_998, 7.0, 69_001, 1_000.0)
    ticks, lots = book.side(1)
    # levels 69000 and 68999 are gone, 68998 has its new size, the rest stays
    assert list(ticks[:2]) == [68_998, 68_997]
    assert lots[0] == 7.0


def test_deep_levels_keep_their_age_while_fast_ones_are_replaced() -> None:
    book = keeper()
    book.on_book(view(1_000_000_000, levels=20))
    book.on_book(view(3_000_000_000, levels=5))
    reading = book.analyze(3_000_000_000)
    assert reading is not None
    assert reading.levels == 10
    assert reading.deep_age_secs == pytest.approx(2.0)
    late = book.analyze(20_000_000_000)  # 19 s after the deep message: left out
    assert late is not None
    assert late.levels == 5


def test_the_age_of_a_reading_is_that_of_the_oldest_level_it_used() -> None:
    second = 1_000_000_000
    whole = view(second)
    # five levels came a while ago, and all behind them four seconds ago; of the bids only two
    aged = dict.fromkeys([*whole.ask_ticks[1:5], whole.bid_ticks[1]], second // 2)
    aged |= dict.fromkeys(whole.ask_ticks[5:], 4 * second)
    short = replace(whole, bid_ticks=whole.bid_ticks[:2], bid_lots=whole.bid_lots[:2])
    ages = []
    for levels in (10, 6, 5, 2, 1):
        book = keeper(levels=levels)
        book.on_book(replace(short, ages=aged))
        reading = book.analyze(second)
        assert reading is not None
        ages.append(reading.deep_age_secs)
    assert ages == [4.0, 4.0, 0.5, 0.5, 0.0]


def test_no_reading_before_a_touch_or_while_crossed() -> None:
    book = keeper()
    assert book.analyze(1) is None
    book.on_touch(1, 69_002, 1.0, 69_001, 1.0)
    assert book.analyze(1) is None


def test_an_older_depth_message_does_not_move_the_touch() -> None:
    book = keeper()
    book.on_touch(5, 69_010, 1.0, 69_011, 1.0)
    assert not book.on_book(view(4))
    assert book.bid_ticks == 69_010


@given(
    bids=st.lists(st.floats(0.1, 1e6), min_size=1, max_size=20),
    asks=st.lists(st.floats(0.1, 1e6), min_size=1, max_size=20),
)
def test_signals_stay_in_their_ranges(bids: list[float], asks: list[float]) -> None:
    book = keeper()
    book.on_book(
        BookView(
            1, [69_000 - i for i in range(len(bids))], bids, [69_003 + i for i in range(len(asks))], asks
        )
    )
    reading = book.analyze(1)
    assert reading is not None
    assert -1 <= reading.imbalance <= 1
    assert -1 <= reading.pressure <= 1
    assert 69_000 <= reading.microprice_ticks <= 69_003
    assert reading.bid_depth_top <= reading.bid_depth * (1 + 1e-12)
