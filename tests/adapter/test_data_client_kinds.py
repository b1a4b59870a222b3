"""The data client in the real engine: quotes, trades, bars, the derivative's figures, and the status."""

from decimal import Decimal

import pandas as pd
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.data.messages import RequestFundingRates
from nautilus_trader.data.messages import RequestTradeTicks
from nautilus_trader.data.messages import SubscribeBars
from nautilus_trader.data.messages import SubscribeFundingRates
from nautilus_trader.data.messages import SubscribeIndexPrices
from nautilus_trader.data.messages import SubscribeInstrumentClose
from nautilus_trader.data.messages import SubscribeInstrumentStatus
from nautilus_trader.data.messages import SubscribeMarkPrices
from nautilus_trader.data.messages import SubscribeQuoteTicks
from nautilus_trader.data.messages import SubscribeTradeTicks
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import InstrumentCloseType
from nautilus_trader.model.enums import MarketStatusAction

from hyperliquid_hip3.parsing import parse_candle
from hyperliquid_hip3.parsing import parse_funding_history
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.status import MarketCondition
from hyperliquid_hip3.status import MarketWatch
from tests.adapter.data_client_scene import play
from tests.adapter.data_client_scene import scene
from tests.adapter.data_fakes import SP500
from tests.adapter.data_fakes import US500
from tests.adapter.data_fakes import bbo_data
from tests.adapter.data_fakes import book_data
from tests.adapter.data_fakes import candle_data
from tests.adapter.data_fakes import context
from tests.adapter.data_fakes import context_data
from tests.adapter.data_fakes import entry
from tests.adapter.data_fakes import snapshot
from tests.adapter.data_fakes import trade_data
from tests.adapter.data_scene import IID
from tests.adapter.data_scene import MINUTE
from tests.adapter.data_scene import eventually
from tests.adapter.data_scene import now_ms


# -- quotes, trades, bars --------------------------------------------------------------------------------------------


def test_d20_quotes_come_from_every_change_of_the_touch():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeQuoteTicks, IID)
            assert s.market.subscribed == [{"type": "bbo", "coin": US500}]
            s.market.send("bbo", bbo_data(1_000, "752.44", "752.46"), 1_050_000_000)
            quote = s.last("QuoteTick")
            assert (str(quote.bid_price), str(quote.ask_price)) == ("752.44", "752.46")
            assert (quote.ts_event, quote.ts_init) == (1_000_000_000, 1_050_000_000)
            # a quote cannot say that a side is empty
            s.market.send("bbo", bbo_data(2_000, None, "752.46"))
            s.market.send("bbo", bbo_data(2_000, "1", "2", coin=SP500))
            assert len(s.of("QuoteTick")) == 1

    play(story)


def test_d30_trades_are_news_and_the_replayed_ones_of_the_first_message_are_not():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeTradeTicks, IID)
            past, future = now_ms() - 60_000, now_ms() + 5_000
            s.market.send("trades", [trade_data(1, past), trade_data(2, past + 1), trade_data(3, future)])
            assert [str(t.trade_id) for t in s.of("TradeTick")] == ["3"]
            # only the first message is a replay: a late stamp is still news
            s.market.send("trades", [trade_data(4, past), trade_data(3, future)])
            assert [str(t.trade_id) for t in s.of("TradeTick")] == ["3", "4"]
            trade = s.last("TradeTick")
            assert trade.aggressor_side == AggressorSide.BUYER
            assert str(trade.size) == "0.500"
            assert s.client.feed.feeds[US500].missed_trades == 2

    play(story)


def test_after_a_reconnect_the_replay_is_no_news_either():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeTradeTicks, IID)
            s.market.send("trades", [trade_data(1, now_ms() + 1_000)])
            s.market.drop()
            while_down = now_ms() - 1
            s.market.come_back([("trades", [trade_data(1, while_down), trade_data(2, while_down)])])
            s.market.send("trades", [trade_data(3, now_ms())])
            assert [str(t.trade_id) for t in s.of("TradeTick")] == ["1", "3"]
            assert s.client.feed.feeds[US500].missed_trades == 1

    play(story)


def test_d31_recent_trades_are_answered_oldest_first_within_the_asked_time():
    async def story():
        async with scene() as s:
            base = now_ms() - 10_000
            rows = [
                trade_data(3, base + 3),
                trade_data(1, base + 1),
                trade_data(2, base + 2),
                trade_data(2, base + 2),
            ]
            s.venue.trades = parse_trades(rows)
            start = pd.Timestamp(base + 2, unit="ms", tz="UTC")
            await s.request(RequestTradeTicks, IID, start, None, 0)
            await eventually(lambda: s.answers)
            assert [str(t.trade_id) for t in s.of("TradeTick")] == ["2", "3"]
            s.heard.clear()
            await s.request(RequestTradeTicks, IID, None, None, 1)
            await eventually(lambda: len(s.answers) == 2)
            assert [str(t.trade_id) for t in s.of("TradeTick")] == ["3"]

    play(story)


def test_d40_a_bar_goes_out_when_its_candle_is_over():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeBars, MINUTE)
            assert s.market.subscribed == [{"type": "candle", "coin": US500, "interval": "1m"}]
            start = (now_ms() // 60_000 + 10) * 60_000
            s.market.send("candle", candle_data(start, "752.10"))
            s.market.send("candle", candle_data(start, "752.20"))
            assert s.of("Bar") == []
            s.market.send("candle", candle_data(start + 60_000, "752.30"))
            bar = s.last("Bar")
            assert str(bar.close) == "752.20"
            assert str(bar.volume) == "12.500"
            assert bar.ts_event == (start + 60_000) * 1_000_000
            # a late word about a bar that is out changes nothing
            s.market.send("candle", candle_data(start, "752.25"))
            assert len(s.of("Bar")) == 1

    play(story)


def test_a_bar_without_a_successor_goes_out_by_the_clock():
    async def story():
        async with scene(bar_grace_ms=0, book_stale_ms=200) as s:
            await s.subscribe(SubscribeBars, MINUTE)
            s.market.send("candle", candle_data(now_ms() - 70_000, "752.10"))
            await eventually(lambda: s.of("Bar"))
            assert str(s.last("Bar").close) == "752.10"

    play(story)


def test_a_candle_cut_by_a_lost_connection_is_read_again_before_it_goes_out():
    async def story():
        async with scene(book_stale_ms=200, rest_poll_ms=100) as s:
            await s.subscribe(SubscribeBars, MINUTE)
            minute = now_ms() // 60_000 * 60_000
            s.market.send("candle", candle_data(minute - 120_000, "752.10"))
            s.market.drop()
            # what comes before the gap is closed is not trusted, nor does the clock close a candle that was cut
            s.venue.is_down = True
            s.market.come_back([("candle", candle_data(minute, "752.90"))])
            await eventually(lambda: any(asked.startswith("candles") for asked in s.venue.asked))
            assert s.of("Bar") == []
            rows = [
                candle_data(minute - 120_000, "752.60"),
                candle_data(minute - 60_000, "752.70"),
                candle_data(minute, "752.80"),
            ]
            s.venue.candle_rows = tuple(parse_candle(row) for row in rows)
            s.venue.is_down = False
            await eventually(lambda: len(s.of("Bar")) >= 2)
            assert [str(bar.close) for bar in s.of("Bar")][:2] == ["752.60", "752.70"]
            s.market.send("candle", candle_data(minute + 60_000, "753.00"))
            assert str(s.last("Bar").close) == "752.80"
            assert len(s.of("Bar")) == 3
            asked = next(asked for asked in s.venue.asked if asked.startswith("candles"))
            assert asked.startswith(f"candles {US500} 1m {minute - 120_000} ")

    play(story)


def test_a_corrected_bar_is_told_as_a_revision_when_that_is_wanted():
    async def story():
        async with scene(handle_revised_bars=True) as s:
            await s.subscribe(SubscribeBars, MINUTE)
            start = (now_ms() // 60_000) * 60_000
            s.market.send("candle", candle_data(start, "752.20"))
            s.market.send("candle", candle_data(start + 60_000, "752.30"))
            s.market.send("candle", candle_data(start, "752.25"))
            assert [(str(b.close), b.is_revision) for b in s.of("Bar")] == [
                ("752.20", False),
                ("752.25", True),
            ]

    play(story)


def test_bars_the_venue_does_not_have_are_refused_in_words_and_subscribe_nothing():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeBars, BarType.from_str(f"{IID}-1-SECOND-LAST-EXTERNAL"))
            await s.subscribe(SubscribeBars, BarType.from_str(f"{IID}-1-MINUTE-BID-EXTERNAL"))
            assert s.market.subscribed == []

    play(story)


def test_d41_past_bars_are_answered_without_the_running_one():
    async def story():
        async with scene() as s:
            minute = now_ms() // 60_000 * 60_000
            rows = [
                candle_data(minute - 120_000, "752.1"),
                candle_data(minute - 60_000, "752.2"),
                candle_data(minute, "752.3"),
            ]
            s.venue.candle_rows = tuple(parse_candle(row) for row in rows)
            await s.request(RequestBars, MINUTE, pd.Timestamp(minute - 120_000, unit="ms", tz="UTC"), None, 0)
            await eventually(lambda: s.answers)
            assert [str(b.close) for b in s.of("Bar")] == ["752.10", "752.20"]
            asked = next(asked for asked in s.venue.asked if asked.startswith("candles"))
            assert asked.startswith(f"candles {US500} 1m {minute - 120_000} ")
            s.heard.clear()
            await s.request(RequestBars, MINUTE, None, None, 1)
            await eventually(lambda: len(s.answers) == 2)
            assert [str(b.close) for b in s.of("Bar")] == ["752.20"]

    play(story)


# -- derivatives and status ------------------------------------------------------------------------------------------


def test_d50_d51_d52_mark_oracle_and_funding_come_from_one_stream():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeMarkPrices, IID)
            await s.subscribe(SubscribeIndexPrices, IID)
            await s.subscribe(SubscribeFundingRates, IID)
            assert s.market.subscribed == [{"type": "activeAssetCtx", "coin": US500}]
            received = 1_800_000_000_123_000_000
            s.market.send("activeAssetCtx", context_data("752.44", oracle="752.51"), received)
            assert str(s.last("MarkPriceUpdate").value) == "752.44"
            assert str(s.last("IndexPriceUpdate").value) == "752.51"
            funding = s.last("FundingRateUpdate")
            assert funding.rate == Decimal("0.0000057078")
            assert funding.interval == 60
            assert funding.next_funding_ns == (received // 3_600_000_000_000 + 1) * 3_600_000_000_000
            assert s.last("IndexPriceUpdate").ts_init == received

    play(story)


def test_d53_paid_funding_is_answered():
    async def story():
        async with scene() as s:
            hour = now_ms() // 3_600_000 * 3_600_000
            rows = [
                {"coin": US500, "fundingRate": rate, "premium": "0.0", "time": hour - back * 3_600_000 + 7}
                for back, rate in ((2, "0.00001"), (1, "-0.00002"))
            ]
            s.venue.funding_rows = parse_funding_history(rows)
            await s.request(RequestFundingRates, IID, None, None, 2)
            await eventually(lambda: s.answers)
            assert [f.rate for f in s.of("FundingRateUpdate")] == [Decimal("0.00001"), Decimal("-0.00002")]
            _, _, start, end = next(a for a in s.venue.asked if a.startswith("funding")).split()
            assert 7_200_000 <= int(end) - int(start) <= 7_200_010

    play(story)


def test_d60_the_status_is_told_at_once_and_on_each_change():
    async def story():
        async with scene(halt_after_secs=0.1, book_stale_ms=200) as s:
            await s.subscribe(SubscribeInstrumentStatus, IID)
            await eventually(lambda: s.of("InstrumentStatus"))
            assert s.last("InstrumentStatus").action == MarketStatusAction.TRADING
            s.venue.at_cap = (US500,)
            await eventually(lambda: len(s.of("InstrumentStatus")) == 2)
            at_cap = s.last("InstrumentStatus")
            assert (at_cap.action, at_cap.trading_event, at_cap.is_trading) == (
                MarketStatusAction.TRADING,
                "AT_CAP",
                True,
            )
            assert "open-interest cap" in at_cap.reason
            s.venue.books[US500] = snapshot(now_ms() * 1_000_000, [], [])
            s.market.send("l2Book", book_data(now_ms(), [], [], fast=True))
            await eventually(lambda: len(s.of("InstrumentStatus")) == 3)
            assert s.last("InstrumentStatus").action == MarketStatusAction.HALT
            assert s.last("InstrumentStatus").is_trading is False
            s.venue.at_cap = ()
            s.market.send("l2Book", book_data(now_ms() + 1_000, ["752.44"], ["752.46"], fast=True))
            await eventually(lambda: s.last("InstrumentStatus").trading_event == "TRADING")

    play(story)


def test_d60_an_empty_book_is_a_halt_once_a_description_read_since_then_says_no_more():
    watch = MarketWatch(halt_after_ns=10)
    watch.on_book(is_empty=True, now_ns=100)
    watch.described_ns = 99
    # long enough, and the coin may still turn out to be delisted
    assert watch.condition(112) is MarketCondition.TRADING
    watch.described_ns = 101
    assert watch.condition(109) is MarketCondition.TRADING
    assert watch.condition(110) is MarketCondition.HALTED
    watch.is_delisted = True
    assert watch.condition(110) is MarketCondition.DELISTED


def test_d60_an_empty_book_is_a_halt_in_the_end_though_no_description_can_be_read():
    watch = MarketWatch(halt_after_ns=10)
    watch.on_book(is_empty=True, now_ns=100)
    assert watch.condition(139) is MarketCondition.TRADING
    assert watch.condition(140) is MarketCondition.HALTED


def test_d61_a_delisted_coin_is_reported_and_closes_at_its_last_mark():
    async def story():
        async with scene(meta_check_secs=0.1, book_stale_ms=200) as s:
            await s.subscribe(SubscribeInstrumentStatus, IID)
            await s.subscribe(SubscribeInstrumentClose, IID)
            s.market.send("activeAssetCtx", context_data("752.44"))
            old = s.venue.metas["km"].universe
            s.venue.metas["km"] = DexMeta((entry(0, US500, is_delisted=True), old[1]), 360, {})
            await eventually(lambda: s.of("InstrumentClose"))
            assert s.last("InstrumentStatus").action == MarketStatusAction.NOT_AVAILABLE_FOR_TRADING
            close = s.last("InstrumentClose")
            assert (str(close.close_price), close.close_type) == (
                "752.44",
                InstrumentCloseType.CONTRACT_EXPIRED,
            )
            assert s.cache.instrument(IID).info["is_delisted"] is True

    play(story)


def test_a_changed_instrument_is_published_and_its_new_tick_used():
    async def story():
        async with scene() as s:
            heard = []
            s.provider.on_change(heard.append)
            await s.subscribe(SubscribeMarkPrices, IID)
            s.venue.contexts["km"] = (context(US500, "1001.5"), s.venue.contexts["km"][1])
            # the price itself makes the client look, long before the five minutes
            s.market.send("activeAssetCtx", context_data("1001.5"))
            await eventually(lambda: heard)
            assert str(s.cache.instrument(IID).price_increment) == "0.1"
            s.market.send("activeAssetCtx", context_data("1001.5"))
            assert str(s.last("MarkPriceUpdate").value) == "1001.5"

    play(story)


def test_a_candle_that_no_bar_can_hold_does_not_end_the_watch_over_the_streams():
    async def story():
        async with scene(book_stale_ms=200, rest_poll_ms=100) as s:
            await s.book()
            await s.subscribe(SubscribeBars, MINUTE)
            s.market.send("candle", candle_data(60_000, "752.44") | {"l": "753.00", "h": "752.00"})
            await eventually(lambda: s.client.bad_frames == 1)
            s.venue.books[US500] = snapshot(2_000_000_000, ["752.40"], ["752.50"])
            await eventually(lambda: s.of("OrderBookDeltas"))

    play(story)
