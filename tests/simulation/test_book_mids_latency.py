"""What is in view, the path of the mid, latencies, minutes, and recorded snapshots as batches of deltas."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.simulation.book import DisplayedBook
from amm500_nautilus.simulation.clockwork import MINUTE_NS
from amm500_nautilus.simulation.clockwork import Clockwork
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.latency import HOME_LINE
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.latency import LatencySampler
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.ledger import LedgerShape
from amm500_nautilus.simulation.mids import MidTracker
from amm500_nautilus.simulation.rules import VenueRules
from amm500_nautilus.simulation.rules import is_on_tick
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Recorder
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import make_instrument
from tests.simulation.market import price
from tests.simulation.market import size
from tests.simulation.market import trade
from tests.simulation.test_venue import Script


def snapshot(book: DisplayedBook, ts: int) -> None:
    sides = {1: ([1000, 998], [5, 7]), -1: ([1002, 1003], [6, 8])}
    book.replace(ts, sides.__getitem__)


@pytest.mark.parametrize(
    ("side", "ticks", "lots"),
    [(1, 1000, 5), (1, 999, 0), (1, 998, 7), (1, 997, None), (1, 1001, 0), (-1, 1003, 8), (-1, 1004, None)],
)
def test_a_snapshot_is_blind_beyond_its_last_level_only(side: int, ticks: int, lots: int | None) -> None:
    book = DisplayedBook()
    snapshot(book, 10)
    assert book.displayed(side, ticks) == lots


def test_a_newer_quote_stands_for_the_top_of_the_book() -> None:
    book = DisplayedBook()
    snapshot(book, 10)
    book.take_quote(11, lambda: (999, 3, 1001, 4))
    assert (book.best(1), book.best(-1)) == (999, 1001)
    assert book.displayed(1, 1000) == 0
    assert book.displayed(1, 999) == 3
    assert list(book.levels(1)) == [(999, 3), (998, 7)]
    assert list(book.levels(-1)) == [(1001, 4), (1002, 6), (1003, 8)]
    snapshot(book, 12)
    assert book.best(1) == 1000


def test_incremental_changes_make_a_book_that_is_wholly_in_view() -> None:
    book = DisplayedBook()
    snapshot(book, 10)
    book.change(11, 1, 1000, 0)
    book.change(11, 1, 990, 4)
    assert book.best(1) == 998
    assert book.displayed(1, 990) == 4
    assert book.displayed(1, 980) == 0


def test_markouts_use_no_quote_later_than_the_horizon() -> None:
    got = Recorder()
    mids = MidTracker(0.01, got)
    mids.on_touch(0, 100, 102, quote=True)
    mids.add_fill(0, 0)
    mids.on_touch(SECOND, 110, 112, quote=True)  # at the horizon: counts
    mids.on_touch(SECOND + 1, 120, 122, quote=True)  # later: does not
    assert got.markouts == [(0, 0, pytest.approx(1.01)), (0, 1, pytest.approx(1.11))]
    mids.finish(60 * SECOND)
    assert [(h, mid) for _, h, mid in got.markouts[2:]] == [(h, pytest.approx(1.21)) for h in (5, 30, 60)]


def test_the_mid_at_a_fill_is_of_the_last_quote_of_its_instant() -> None:
    got = Recorder()
    mids = MidTracker(0.01, got)
    mids.on_touch(0, 100, 102, quote=True)
    mids.on_touch(SECOND, 104, 106, quote=True)
    mids.add_fill(0, SECOND)
    # a second quote of the fill's instant counts, one of a nanosecond later does not
    mids.on_touch(SECOND, 110, 112, quote=True)
    assert got.markouts == []
    mids.on_touch(SECOND + 1, 120, 122, quote=True)
    assert got.markouts == [(0, 0, pytest.approx(1.11))]


def test_a_fill_at_the_end_of_the_data_has_its_mid_and_no_later_one() -> None:
    got = Recorder()
    mids = MidTracker(0.01, got)
    mids.on_touch(0, 100, 102, quote=True)
    mids.add_fill(0, 5)
    mids.add_fill(1, 5)
    mids.finish(5)
    assert got.markouts == [(0, 0, pytest.approx(1.01)), (1, 0, pytest.approx(1.01))]


def test_the_book_gives_the_mid_only_until_quotes_are_seen() -> None:
    mids = MidTracker(0.01)
    mids.on_touch(0, 100, 102, quote=False)
    assert mids.mid == pytest.approx(1.01)
    mids.on_touch(1, 104, 106, quote=True)
    mids.on_touch(2, 90, 92, quote=False)
    assert mids.mid == pytest.approx(1.05)


def test_the_home_line_has_the_observed_quantiles() -> None:
    sampler = LatencySampler(HOME_LINE, np.random.default_rng(1))
    draws = np.array([sampler.draw() for _ in range(20_000)]) / 1e6
    assert np.quantile(draws, [0.5, 0.9, 0.99]) == pytest.approx([656.0, 843.0, 1178.0], rel=0.02)


def test_the_default_latency_has_a_median_of_200_ms_and_repeats_by_seed() -> None:
    first, again = (LatencySampler(LatencyConfig(), np.random.default_rng(9)) for _ in range(2))
    draws = [first.draw() for _ in range(10_000)]
    assert np.median(draws) / 1e6 == pytest.approx(200.0, rel=0.02)
    assert draws == [again.draw() for _ in range(10_000)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "gamma"}, "latency kind is 'gamma'"),
        ({"p50_ms": -1.0}, "p50_ms is -1.0"),
        ({"kind": "empirical", "quantiles": ((0.0, 5.0), (0.9, 3.0))}, "rising pairs"),
    ],
)
def test_an_impossible_latency_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LatencyConfig(**options)


@pytest.mark.parametrize(
    ("mantissa", "exponent", "allowed"),
    [
        (69_001, -2, True),
        (690_010, -3, True),
        (100_001, -2, False),
        (100_010, -2, True),
        (1_234_567, 0, True),
    ],
)
def test_prices_have_five_significant_figures_or_are_whole(
    mantissa: int, exponent: int, allowed: bool
) -> None:
    assert is_on_tick(mantissa, exponent) is allowed


def test_the_open_order_cap_grows_with_volume() -> None:
    rules = VenueRules()
    assert rules.open_order_cap(Decimal(0)) == 1000
    assert rules.open_order_cap(Decimal(12_000_000)) == 1002
    assert rules.open_order_cap(Decimal(10**12)) == 5000


def test_minutes_are_told_inside_sessions_and_at_both_ends() -> None:
    recorder = Recorder()
    shape = LedgerShape(Decimal("0.01"), Decimal("0.001"))
    ledger = Ledger(
        shape, starting_equity=Decimal(1), rates=GROWTH_RATES, leverage=Decimal(1), table=MarginTable(25)
    )
    config = VenueConfig(sessions=((T0, T0 + 3 * MINUTE_NS), (T0 + 600 * MINUTE_NS, T0 + 602 * MINUTE_NS)))
    clockwork = Clockwork(config, ledger, shape.tick, recorder)
    clockwork.wake(T0 + SECOND)
    clockwork.wake(T0 + 2 * MINUTE_NS + 1)
    clockwork.wake(T0 + 601 * MINUTE_NS)
    clockwork.finish(T0 + 601 * MINUTE_NS + SECOND)
    minutes = [(ts - T0) / MINUTE_NS for ts in recorder.minutes]
    assert minutes == pytest.approx([1 / 60, 1, 2, 3, 600, 601, 601 + 1 / 60])


def deltas(iid: Any, ts: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> OrderBookDeltas:
    """A recorded snapshot: CLEAR and ADDs, snapshot flags on all and the last flag on the last."""
    rows = [(OrderSide.BUY, *row) for row in bids] + [(OrderSide.SELL, *row) for row in asks]
    batch = [OrderBookDelta.clear(iid, 0, ts, ts)]
    for number, (side, ticks, lots) in enumerate(rows):
        flags = 32 + (128 if number == len(rows) - 1 else 0)
        order = BookOrder(side, price(ticks), size(lots), ticks)
        batch.append(OrderBookDelta(iid, BookAction.ADD, order, flags, 0, ts, ts))
    return OrderBookDeltas(iid, batch)


def test_recorded_snapshots_neither_reset_the_queue_nor_fill_twice() -> None:
    instrument = make_instrument()
    iid = instrument.id
    bids = [(69_000 - k, 500) for k in range(20)]
    asks = [(69_002 + k, 500) for k in range(20)]
    data: list[Any] = [deltas(iid, T0 + i * SECOND // 2, bids, asks) for i in range(12)]
    # 500 ahead at the fifteenth level; 300 and then 250 trade there, 50 are beyond the queue
    data += [trade(iid, T0 + 2 * SECOND, 68_986, 300, -1), trade(iid, T0 + 4 * SECOND, 68_986, 250, -1)]
    engine = make_engine()
    venue = add_simulated_venue(
        engine, instrument=instrument, config=VenueConfig(latency=LatencyConfig(kind="constant")), seed=1
    )
    load(engine, data)
    engine.add_strategy(Script([lambda s: s.send("a", 1, 68_986, 100)]))
    engine.run()
    assert venue.ledger.position_lots == 50
    assert not venue.fill_context("1").unseen
    assert venue.fill_context("1").queue_ahead_at_placement == 500.0
    engine.dispose()
