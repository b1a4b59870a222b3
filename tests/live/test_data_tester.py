"""
Nautilus's data testing spec, groups 1 to 6, through a real node: DataTester drives, the tests compare with the venue.

Instrument status and close (group 7) and lifecycle (group 9) are in ``test_data_lifecycle``. Group 8 is for options, which the venue's
dexes do not have. D15 and D21 ask for books and quotes of the past, which the venue does not keep: the test is that the request is
answered with nothing and the streams go on.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from tests.live.data_scene import LEVELS
from tests.live.data_scene import MINUTE
from tests.live.data_scene import Level
from tests.live.data_scene import Listener
from tests.live.data_scene import ask
from tests.live.data_scene import data_client
from tests.live.data_scene import is_sound
from tests.live.data_scene import quiet
from tests.live.data_scene import run_data
from tests.live.data_scene import sides_of_book
from tests.live.data_scene import sides_of_deltas
from tests.live.data_scene import streams_at
from tests.live.data_scene import venue_of
from tests.live.data_scene import wire_book
from tests.live.node import COIN
from tests.live.node import IID
from tests.live.node import until


pytestmark = [
    pytest.mark.live_node,
    # the engine's own call, in its request of past book deltas; an error there would end the process
    pytest.mark.filterwarnings("ignore:'d' is deprecated"),
]

MINUTE_MS = 60_000
MINUTE_NS = MINUTE_MS * 1_000_000
SP500 = InstrumentId.from_str("xyz:SP500-USD-PERP.HYPERLIQUID")
INTERVAL_MS = 200
STREAMS = [
    ("activeAssetCtx", "", False),
    ("bbo", "", False),
    ("candle", "1m", False),
    ("l2Book", "", False),
    ("l2Book", "", True),
    ("trades", "", False),
]


@dataclass
class Life:
    """What one life of a node left behind: the testers with what they heard, and both sides' state at its end."""

    tester: Listener
    asker: Listener
    streams: list[Any]
    first_trades: list[Any]
    fundings: list[Any]
    candles: list[Any]
    venue_book: tuple[list[Level], list[Level]]
    first_book: tuple[list[Level], list[Level]]
    engine_book: tuple[list[Level], list[Level]]
    local_book: tuple[list[Level], list[Level]]
    best: Any
    context: Any
    mark: Any
    index: Any
    quote: Any
    trades: list[Any]
    cached: dict[InstrumentId, Any]
    bad_frames: int


def curious() -> Listener:
    """A tester with every subscription and every request there is."""
    return Listener(
        component_id="TESTER",
        bar_types=[MINUTE],
        book_depth=10,
        book_interval_ms=INTERVAL_MS,
        manage_book=True,
        subscribe_book_deltas=True,
        subscribe_book_at_interval=True,
        subscribe_quotes=True,
        subscribe_trades=True,
        subscribe_bars=True,
        subscribe_mark_prices=True,
        subscribe_index_prices=True,
        subscribe_funding_rates=True,
        subscribe_instrument=True,
        request_book_snapshot=True,
        request_book_deltas=True,
        request_quotes=True,
        request_trades=True,
        request_bars=True,
        request_funding_rates=True,
    )


@pytest.fixture(scope="module")
def life() -> Life:
    """One node's life with every subscription and every request of the tester."""
    tester = curious()
    asker = Listener(component_id="ASKER", request_instruments=True)
    with venue_of(quiet()) as venue:
        began = {
            "first_trades": ask(venue, type="recentTrades", coin=COIN),
            "fundings": ask(venue, type="fundingHistory", coin=COIN, startTime=0),
            "first_book": wire_book(venue),
        }

        async def scenario(node: Any) -> Life:
            flow = venue.flow
            await until(lambda: tester.heard["quote"] and tester.heard["deltas"], "the first book and quote")
            await until(lambda: not tester.has_pending_requests(), "every request is answered")
            flow.move(Decimal("691.37"))
            for number, side in enumerate((1, -1), start=1):
                flow.take(side, Decimal(number) + Decimal("0.5"))
                await until(lambda number=number: len(tester.heard["trade"]) >= number, "the trade is told")
            asker.request_instrument(SP500)
            await until(lambda: node.cache.instrument(SP500), "the other dex's coin is loaded")
            await until(lambda: len(tester.heard["book"]) >= 5, "books at an interval")
            await until(lambda: node.cache.index_price(IID).value == Price(691.37, 2), "the oracle moved")
            await until(lambda: level_now(node, venue), "the marks agree")
            await until(
                lambda: sides_of_book(node.cache.order_book(IID)) == wire_book(venue), "the books agree"
            )
            state = {
                "venue_book": wire_book(venue),
                "engine_book": sides_of_book(node.cache.order_book(IID)),
                "local_book": sides_of_book(tester.local_book),
                "best": venue.call(lambda exchange: exchange.bbo(COIN)),
                "context": venue.call(lambda exchange: exchange.ctx(COIN)),
                "mark": node.cache.mark_price(IID),
                "index": node.cache.index_price(IID),
                "quote": node.cache.quote_tick(IID),
                "streams": streams_at(venue),
            }
            # the rest of the minute passes at once
            venue.clock.offset_ms += MINUTE_MS
            flow.take(1, Decimal("4.5"))
            # bar and trade come on streams of their own, in either order
            await until(
                lambda: tester.heard["bar"] and len(tester.heard["trade"]) >= 3,
                "the minute's bar and the trade",
            )
            return Life(
                tester=tester,
                asker=asker,
                trades=ask(venue, type="recentTrades", coin=COIN),
                candles=candles_of(venue),
                cached={iid: node.cache.instrument(iid) for iid in (IID, SP500)},
                bad_frames=data_client(node).bad_frames,
                **began,
                **state,
            )

        return run_data(venue, [tester, asker], scenario)


def level_now(node: Any, venue: Any) -> bool:
    """Whether the cache's mark is the venue's."""
    mark = venue.call(lambda exchange: exchange.mark(COIN))
    return node.cache.mark_price(IID).value.as_decimal() == mark


def candles_of(venue: Any) -> list[Any]:
    request = {"coin": COIN, "interval": "1m", "startTime": 0, "endTime": venue.now_ms}
    return ask(venue, type="candleSnapshot", req=request)


def test_d01_all_instruments_are_answered_with_their_precisions(life):
    instruments = [each for each in life.asker.heard["instrument"] if each.id == IID]
    assert instruments
    assert (instruments[0].price_precision, str(instruments[0].size_increment)) == (2, "0.001")
    assert instruments[0].raw_symbol.value == COIN


def test_d02_a_subscribed_instrument_is_the_venues(life):
    instrument = life.tester.last("instrument")
    assert instrument.id == IID
    assert (str(instrument.price_increment), instrument.quote_currency.code) == ("0.01", "USDH")
    assert instrument.info["asset_id"] == 150_000
    assert life.cached[IID] == instrument


def test_d03_one_instrument_is_loaded_by_its_id_from_another_dex(life):
    instrument = life.cached[SP500]
    assert (instrument.quote_currency.code, instrument.price_precision) == ("USDC", 1)
    assert instrument.size_increment == Quantity.from_str("0.001")
    assert (instrument.info["asset_id"], instrument.info["max_leverage"]) == (110_000, 50)
    assert [each.id for each in life.asker.heard["instrument"]].count(SP500) == 1


def test_d10_the_engines_book_is_the_venues_level_by_level(life):
    assert life.engine_book == life.venue_book
    assert [len(side) for side in life.venue_book] == [LEVELS, LEVELS]
    assert life.tester.heard["deltas"]
    assert all(deltas.instrument_id == IID for deltas in life.tester.heard["deltas"])
    assert all(is_sound(sides_of_deltas(deltas)) for deltas in life.tester.heard["deltas"])


def test_d10_every_batch_is_a_snapshot_whose_last_delta_alone_ends_it(life):
    for batch in life.tester.heard["deltas"]:
        clear, *adds = batch.deltas
        assert clear.action == BookAction.CLEAR
        assert {delta.action for delta in adds} == {BookAction.ADD}
        assert [delta.flags for delta in batch.deltas] == [32] * len(adds) + [160]


def test_d11_books_come_at_their_interval(life):
    times, books = zip(*life.tester.heard["book"], strict=True)
    assert all(is_sound(book) and all(book) for book in books)
    gaps = sorted(after - before for before, after in pairwise(times))
    # a busy machine delays some, never all
    assert INTERVAL_MS / 2 <= gaps[len(gaps) // 2] / 1e6 <= 3 * INTERVAL_MS


def test_d13_a_requested_snapshot_is_the_venues_top_of_book(life):
    (snapshot,) = life.tester.answered(OrderBookDeltas)
    assert sides_of_deltas(snapshot) == tuple(side[:10] for side in life.first_book)
    assert [delta.flags for delta in snapshot.deltas] == [32] * 20 + [160]


def test_d14_a_book_that_the_tester_builds_is_the_venues(life):
    assert life.local_book == life.venue_book
    assert is_sound(life.local_book)


def test_d15_past_book_deltas_are_answered_with_nothing(life):
    # the venue keeps none; the one batch among the answers is the requested snapshot
    assert len(life.tester.answered(OrderBookDeltas)) == 1
    assert not life.tester.has_pending_requests()


def test_d20_quotes_are_the_venues_touch(life):
    bid, ask_ = life.best["bbo"]
    quote = life.quote
    assert (quote.bid_price, quote.ask_price) == (Price.from_str(bid["px"]), Price.from_str(ask_["px"]))
    assert (quote.bid_size.as_decimal(), quote.ask_size.as_decimal()) == (
        Decimal(bid["sz"]),
        Decimal(ask_["sz"]),
    )
    assert all(each.bid_price < each.ask_price for each in life.tester.heard["quote"])
    # the venue's block time, in ns
    assert 0 <= life.best["time"] * 1_000_000 - quote.ts_event < MINUTE_NS


def test_d21_past_quotes_are_answered_with_nothing(life):
    assert life.tester.answered(QuoteTick) == []
    assert not life.tester.has_pending_requests()


def test_d30_trades_after_the_start_are_told_once_with_side_and_number(life):
    told = life.tester.heard["trade"]
    rows = {str(row["tid"]): row for row in life.trades}
    assert len({trade.trade_id for trade in told}) == len(told) == 3
    for trade in told:
        row = rows[trade.trade_id.value]
        side = AggressorSide.BUYER if row["side"] == "B" else AggressorSide.SELLER
        assert trade.aggressor_side == side
        assert trade.price.as_decimal() == Decimal(row["px"])
        assert trade.size.as_decimal() == Decimal(row["sz"])
        assert trade.ts_event == row["time"] * 1_000_000
    assert [str(trade.size) for trade in told] == ["1.500", "2.500", "4.500"]


def test_d30_the_replayed_first_frame_is_not_told_as_trades(life):
    replayed = {str(row["tid"]) for row in life.first_trades}
    assert replayed
    assert replayed.isdisjoint(trade.trade_id.value for trade in life.tester.heard["trade"])


def test_d31_past_trades_are_those_that_the_venue_keeps(life):
    asked = life.tester.answered(TradeTick)
    assert {trade.trade_id.value for trade in asked} == {str(row["tid"]) for row in life.first_trades}
    assert [trade.ts_event for trade in asked] == sorted(trade.ts_event for trade in asked)


def test_d40_a_minutes_bar_is_the_venues_candle(life):
    bar = life.tester.heard["bar"][0]
    row = next(row for row in life.candles if (row["t"] + MINUTE_MS) * 1_000_000 == bar.ts_event)
    prices = [bar.open, bar.high, bar.low, bar.close]
    assert [price.as_decimal() for price in prices] == [Decimal(row[key]) for key in "ohlc"]
    assert bar.volume.as_decimal() == Decimal(row["v"])
    assert bar.high >= max(bar.open, bar.close)
    assert bar.low <= min(bar.open, bar.close)


def test_d41_past_bars_are_the_venues_candles_and_over(life):
    bars = life.tester.answered(Bar)
    rows = {(row["t"] + MINUTE_MS) * 1_000_000: row for row in life.candles}
    assert len(bars) >= 58
    assert {after.ts_event - before.ts_event for before, after in pairwise(bars)} == {MINUTE_NS}
    for bar in bars:
        row = rows[bar.ts_event]
        prices = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert [price.as_decimal() for price in prices] == [Decimal(row[key]) for key in "ohlcv"]


def test_d50_the_mark_price_is_the_venues(life):
    assert life.mark.value.as_decimal() == Decimal(life.context["markPx"])
    assert len(life.tester.heard["mark"]) > 1


def test_d51_the_index_price_is_the_venues_oracle(life):
    assert life.index.value.as_decimal() == Decimal(life.context["oraclePx"]) == Decimal("691.37")


def test_d52_the_funding_rate_is_the_venues_hourly_one(life):
    update = life.tester.last("funding")
    assert update.instrument_id == IID
    # the rate of a rising market moves a little until the end
    assert abs(update.rate - Decimal(life.context["funding"])) < Decimal("0.0005")
    assert life.tester.heard["funding"][0].rate == Decimal("0.0000057078")
    assert update.interval == 60
    assert update.next_funding_ns % (3_600 * 10**9) == 0


def test_d53_past_funding_rates_are_the_venues(life):
    rates = life.tester.answered(FundingRateUpdate)
    rows = {row["time"] * 1_000_000: Decimal(row["fundingRate"]) for row in life.fundings}
    assert 166 <= len(rates) <= 169
    assert all(rows[rate.ts_event] == rate.rate for rate in rates)


def test_each_stream_is_subscribed_once_and_no_frame_was_dropped(life):
    assert life.streams == STREAMS
    assert life.bad_frames == 0
