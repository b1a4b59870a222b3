"""The data client as a node makes it, on real sockets, against the loopback venue."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import pandas as pd
import pytest
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.data.messages import RequestFundingRates
from nautilus_trader.data.messages import RequestOrderBookSnapshot
from nautilus_trader.data.messages import RequestTradeTicks
from nautilus_trader.data.messages import SubscribeBars
from nautilus_trader.data.messages import SubscribeFundingRates
from nautilus_trader.data.messages import SubscribeIndexPrices
from nautilus_trader.data.messages import SubscribeInstrumentStatus
from nautilus_trader.data.messages import SubscribeMarkPrices
from nautilus_trader.data.messages import SubscribeQuoteTicks
from nautilus_trader.data.messages import SubscribeTradeTicks
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.enums import MarketStatusAction
from nautilus_trader.model.enums import OrderSide

from hyperliquid_hip3.book_merge import BookSource
from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.recorder import read_frames
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.data_fakes import US500
from tests.adapter.data_scene import DEADLINE_S
from tests.adapter.data_scene import IID
from tests.adapter.data_scene import MINUTE
from tests.adapter.data_scene import DataSide
from tests.adapter.data_scene import adds_of
from tests.adapter.data_scene import book_prices
from tests.adapter.data_scene import eventually


pytestmark = pytest.mark.live_node


class Live(DataSide):
    """The data side with the client that the factory makes."""

    def __init__(self, venue, **changes) -> None:
        super().__init__()
        self.venue = venue
        given = {
            "url": venue.url,
            "coins": (US500,),
            "book_stale_ms": 500,
            "rest_poll_ms": 200,
            "status_check_secs": 0.2,
            "halt_after_secs": 0.3,
            **changes,
        }
        client = HyperliquidLiveDataClientFactory.create(
            loop=self.loop,
            name="HYPERLIQUID",
            config=HyperliquidDataClientConfig(**given),
            msgbus=self.msgbus,
            cache=self.cache,
            clock=self.clock,
        )
        self.register(client)
        self.msgbus.subscribe("amm500.book_ages", self.ages.append)

    async def do(self, fn):
        """Run a function with the venue's exchange, on its own thread."""
        return await asyncio.to_thread(self.venue.call, fn)


@asynccontextmanager
async def live(*, cadence=0.1, venue_changes=None, **changes):
    config = {
        "block_ms": 20,
        "cadences": Cadences().scaled(cadence),
        "history_candles": 200,
        "history_hours": 60,
        **(venue_changes or {}),
    }
    with LoopbackVenue(VenueConfig(**config)) as venue:
        side = Live(venue, **changes)
        await side.start()
        try:
            yield side
        finally:
            await side.stop()


def play(story) -> None:
    asyncio.run(story())


def sides(deltas):
    return tuple(
        [add.order.price for add in adds_of(deltas, side)] for side in (OrderSide.BUY, OrderSide.SELL)
    )


def test_every_kind_of_data_arrives_from_a_market_that_moves():
    async def story():
        async with live() as s:
            flow = s.venue.flow
            # the first message of a subscription is judged by the clocks; this trade is in it, so all later ones are news
            flow.take(1, Decimal("2.5"))
            await eventually_async(lambda: s.client._client.recent_trades(US500), traded("2.5"))
            await s.book()
            await s.book(OrderBookDepth10)
            for kind in (SubscribeQuoteTicks, SubscribeTradeTicks, SubscribeMarkPrices):
                await s.subscribe(kind, IID)
            await s.subscribe(SubscribeIndexPrices, IID)
            await s.subscribe(SubscribeFundingRates, IID)
            await s.subscribe(SubscribeBars, MINUTE)
            await eventually(lambda: s.of("OrderBookDeltas"))
            feed = s.client.feed.feeds[US500]
            await eventually(lambda: feed.missed_trades or s.of("TradeTick"))
            known = len(s.of("TradeTick"))
            for step in range(5):
                flow.move(Decimal("690.10") + step)
                flow.take(1, Decimal(2))
                await asyncio.sleep(0)
                await eventually(lambda step=step: len(s.of("TradeTick")) > known + step)
            for kind in (
                "OrderBookDepth10",
                "QuoteTick",
                "MarkPriceUpdate",
                "IndexPriceUpdate",
                "FundingRateUpdate",
            ):
                await eventually(lambda kind=kind: s.of(kind))
            await eventually(lambda: float(s.last("QuoteTick").bid_price) > 693)
            # a later message of another stream may have shown the same touch since
            await eventually(lambda: any(BookSource.BBO in age.bid_sources for age in s.ages))
            instrument = s.cache.instrument(IID)
            assert (str(instrument.price_increment), instrument.quote_currency.code) == ("0.01", "USDH")
            assert instrument.info["asset_id"] == 150_000
            assert s.client.bad_frames == 0
            trades = [trade.trade_id for trade in s.of("TradeTick")]
            assert len(trades) == len(set(trades))

    play(story)


def test_the_merged_book_is_the_venues_own_when_the_market_rests():
    async def story():
        async with live() as s:
            await s.book()
            s.venue.flow.move(Decimal("701.00"))
            await eventually(
                lambda: s.of("OrderBookDeltas") and "700.99" in book_prices(s.last("OrderBookDeltas"))
            )
            snapshot = await s.client._client.l2_book(US500)
            expected = [f"{level.price:.2f}" for level in (*snapshot.bids, *snapshot.asks)]
            assert len(expected) == 10
            await eventually(lambda: book_prices(s.last("OrderBookDeltas")) == expected)

    play(story)


def test_books_of_a_wild_market_are_never_crossed_and_always_in_order():
    async def story():
        async with live(venue_changes={"flow": "simulated", "seed": 5}) as s:
            await s.book()
            await eventually(lambda: len(s.of("OrderBookDeltas")) >= 60)
            for deltas in s.of("OrderBookDeltas"):
                bids, asks = sides(deltas)
                assert bids == sorted(set(bids), reverse=True)
                assert asks == sorted(set(asks))
                assert not bids or not asks or bids[0] < asks[0]
                assert {delta.flags for delta in deltas.deltas[:-1]} <= {32}
                assert deltas.deltas[-1].flags == 160

    play(story)


def test_no_replayed_trade_is_traded_on_at_the_start_or_after_a_cut():
    async def story():
        async with live() as s:
            client = s.client._client
            s.venue.flow.take(1, Decimal("2.5"))
            await eventually_async(lambda: client.recent_trades(US500), traded("2.5"))
            await s.subscribe(SubscribeTradeTicks, IID)
            feed = s.client.feed.feeds[US500]
            await eventually(lambda: feed.missed_trades >= 1)
            assert s.of("TradeTick") == []
            s.venue.flow.take(1, Decimal("3.5"))
            await eventually(lambda: s.of("TradeTick"))
            missed = feed.missed_trades
            assert await asyncio.to_thread(s.venue.cut_sockets) == 2
            s.venue.flow.take(1, Decimal("4.5"))
            # what happened while the connection was down is known, and is no news
            await eventually(lambda: feed.missed_trades == missed + 1)
            s.venue.flow.take(1, Decimal("5.5"))
            await eventually(lambda: len(s.of("TradeTick")) == 2)
            assert [str(trade.size) for trade in s.of("TradeTick")] == ["3.500", "5.500"]

    play(story)


def test_after_a_cut_the_book_comes_by_rest_and_then_by_the_streams_again():
    async def story():
        async with live() as s:
            await s.book()
            await eventually(lambda: s.ages and not s.ages[-1].is_stale)
            await asyncio.to_thread(s.venue.cut_sockets)
            await eventually(lambda: s.ages[-1].is_stale)
            await eventually(lambda: any(a.bid_sources[:1] == (BookSource.REST,) for a in s.ages))
            await eventually(lambda: not s.ages[-1].is_stale)
            s.venue.flow.move(Decimal("712.00"))
            await eventually(lambda: book_prices(s.last("OrderBookDeltas"))[0] == "711.99")

    play(story)


def test_a_silent_book_stream_is_replaced_by_rest_until_it_speaks():
    async def story():
        async with live() as s:
            await s.book()
            await eventually(lambda: s.of("OrderBookDeltas"))
            s.venue.faults.set("ws_drop", times=-1, only="l2Book")
            await eventually(lambda: s.ages[-1].is_stale)
            s.venue.flow.move(Decimal("720.00"))
            await eventually(lambda: book_prices(s.last("OrderBookDeltas"))[0] == "719.99")
            await eventually(lambda: BookSource.REST in s.ages[-1].bid_sources)
            s.venue.faults.clear("ws_drop")
            await eventually(lambda: not s.ages[-1].is_stale)

    play(story)


def test_the_oi_cap_a_halt_and_a_delisting_are_reported():
    async def story():
        async with live(meta_check_secs=0.5) as s:
            await s.subscribe(SubscribeInstrumentStatus, IID)
            await eventually(lambda: s.of("InstrumentStatus"))
            assert s.last("InstrumentStatus").trading_event == "TRADING"
            await s.do(lambda exchange: exchange.set_oi_cap(US500, True))
            await eventually(lambda: s.last("InstrumentStatus").trading_event == "AT_CAP")
            await s.do(lambda exchange: exchange.set_oi_cap(US500, False))
            await s.do(lambda exchange: exchange.halt(US500))
            await eventually(lambda: s.last("InstrumentStatus").action == MarketStatusAction.HALT)
            await s.do(lambda exchange: exchange.resume(US500))
            await eventually(lambda: s.last("InstrumentStatus").trading_event == "TRADING")
            await s.do(lambda exchange: exchange.delist(US500))
            await eventually(
                lambda: s.last("InstrumentStatus").action == MarketStatusAction.NOT_AVAILABLE_FOR_TRADING
            )
            assert s.cache.instrument(IID).info["is_delisted"] is True

    play(story)


def test_a_price_over_the_power_of_ten_brings_the_new_tick():
    async def story():
        async with live() as s:
            await s.book()
            await s.subscribe(SubscribeMarkPrices, IID)
            s.venue.flow.move(Decimal("1200.00"))
            await eventually(lambda: str(s.cache.instrument(IID).price_increment) == "0.1")
            await eventually(lambda: book_prices(s.last("OrderBookDeltas"))[0] == "1199.9")

    play(story)


def test_the_past_is_answered():
    async def story():
        async with live() as s:
            client = s.client._client
            s.venue.flow.take(1, Decimal("2.5"))
            await eventually_async(lambda: client.recent_trades(US500), traded("2.5"))
            hours = pd.Timestamp.now(tz="UTC") - pd.Timedelta(hours=10)
            await s.request(RequestBars, MINUTE, None, None, 50)
            await s.request(RequestFundingRates, IID, hours, None, 0)
            await s.request(RequestTradeTicks, IID, None, None, 0)
            await s.request(RequestOrderBookSnapshot, IID, 3)
            await eventually(lambda: len(s.answers) == 4)
            bars = s.of("Bar")
            assert len(bars) == 50
            assert [bar.ts_event for bar in bars] == sorted(bar.ts_event for bar in bars)
            assert 9 <= len(s.of("FundingRateUpdate")) <= 11
            assert "2.500" in {str(trade.size) for trade in s.of("TradeTick")}
            assert len(book_prices(s.last("OrderBookDeltas"))) == 6

    play(story)


def test_a_recorded_session_is_readable_and_holds_every_channel(tmp_path):
    async def story():
        async with live(record_dir=str(tmp_path)) as s:
            await s.book()
            await s.subscribe(SubscribeMarkPrices, IID)
            await eventually(lambda: s.of("OrderBookDeltas") and s.of("MarkPriceUpdate"))

    play(story)
    frames = [frame for path in sorted(tmp_path.iterdir()) for frame in read_frames(path)]
    channels = {parse_frame(frame.raw).channel for frame in frames}
    assert {"subscriptionResponse", "l2Book", "bbo", "activeAssetCtx"} <= channels
    assert [frame.received_ns for frame in frames] == sorted(frame.received_ns for frame in frames)


def test_a_venue_that_is_not_there_is_told_within_seconds_and_leaves_nothing_running():
    async def story():
        with LoopbackVenue(VenueConfig(block_ms=20, history_candles=10, history_hours=5)) as venue:
            url = venue.url
        side = Live(type("Gone", (), {"url": url})())
        side.client.connect()
        await eventually(lambda: not side.client._tasks or all(task.done() for task in side.client._tasks))
        assert not side.client.is_connected

    play(story)


def traded(size):
    """Return whether a trade of this size is among the rows."""
    return lambda rows: any(row.size == Decimal(size) for row in rows)


async def eventually_async(ask, condition) -> None:
    """Wait until the answer of a coroutine satisfies the condition."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition(await ask()):
            await asyncio.sleep(0.02)
