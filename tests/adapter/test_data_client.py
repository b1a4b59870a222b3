"""The data client in the real engine: instruments, books, and what goes wrong."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.data.messages import RequestInstrument
from nautilus_trader.data.messages import RequestInstruments
from nautilus_trader.data.messages import RequestOrderBookDeltas
from nautilus_trader.data.messages import RequestOrderBookSnapshot
from nautilus_trader.data.messages import RequestQuoteTicks
from nautilus_trader.data.messages import RequestTradeTicks
from nautilus_trader.data.messages import SubscribeBars
from nautilus_trader.data.messages import SubscribeMarkPrices
from nautilus_trader.data.messages import SubscribeOrderBook
from nautilus_trader.data.messages import SubscribeQuoteTicks
from nautilus_trader.data.messages import SubscribeTradeTicks
from nautilus_trader.data.messages import UnsubscribeBars
from nautilus_trader.data.messages import UnsubscribeMarkPrices
from nautilus_trader.data.messages import UnsubscribeOrderBook
from nautilus_trader.data.messages import UnsubscribeQuoteTicks
from nautilus_trader.data.messages import UnsubscribeTradeTicks
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OrderSide

from hyperliquid_hip3.book_merge import BookSource
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.instruments import instrument_id
from tests.adapter.data_client_scene import Scene
from tests.adapter.data_client_scene import play
from tests.adapter.data_client_scene import scene
from tests.adapter.data_fakes import SP500
from tests.adapter.data_fakes import US500
from tests.adapter.data_fakes import bbo_data
from tests.adapter.data_fakes import book_data
from tests.adapter.data_fakes import candle_data
from tests.adapter.data_fakes import context
from tests.adapter.data_fakes import context_data
from tests.adapter.data_fakes import snapshot
from tests.adapter.data_fakes import trade_data
from tests.adapter.data_scene import IID
from tests.adapter.data_scene import MINUTE
from tests.adapter.data_scene import adds_of
from tests.adapter.data_scene import book_prices
from tests.adapter.data_scene import eventually
from tests.adapter.data_scene import flags
from tests.adapter.data_scene import now_ms
from tests.adapter.data_scene import settle


# -- instruments -----------------------------------------------------------------------------------------------------


def test_d01_connecting_publishes_every_instrument_and_its_currency():
    async def story():
        async with scene() as s:
            assert {i.id for i in s.cache.instruments()} == {IID, instrument_id(SP500)}
            assert s.cache.instrument(IID).quote_currency.code == "USDH"
            assert s.market.is_open
            assert s.deep.is_open
        assert not s.market.is_open
        assert not s.deep.is_open

    play(story)


def test_d02_and_d03_instruments_are_answered_and_an_unknown_coin_is_loaded_on_request():
    async def story():
        async with scene(coins=(US500,)) as s:
            await s.request(RequestInstruments, None, None)
            await s.request(RequestInstrument, instrument_id(SP500), None, None)
            await eventually(lambda: len(s.answers) == 2)
            assert s.cache.instrument(instrument_id(SP500)) is not None
            # and data can be had of it
            await s.subscribe(SubscribeQuoteTicks, instrument_id(SP500))
            assert {"type": "bbo", "coin": SP500} in s.market.subscribed

    play(story)


def test_a_coin_that_is_not_loaded_never_reaches_a_socket():
    async def story():
        async with scene(coins=(US500,)) as s:
            await s.subscribe(SubscribeQuoteTicks, instrument_id("km:NOPE"))
            await s.subscribe(
                SubscribeBars, BarType.from_str("km:NOPE-USD-PERP.HYPERLIQUID-1-MINUTE-LAST-EXTERNAL")
            )
            assert s.market.subscribed == []

    play(story)


# -- order book ------------------------------------------------------------------------------------------------------


def test_d10_a_book_goes_out_whole_and_only_its_last_delta_ends_it():
    async def story():
        async with scene() as s:
            await s.book()
            assert s.market.subscribed == [
                {"type": "bbo", "coin": US500},
                {"type": "l2Book", "coin": US500, "fast": True},
            ]
            assert s.deep.subscribed == [{"type": "l2Book", "coin": US500}]
            s.market.send(
                "l2Book", book_data(1_000, ["752.44", "752.43"], ["752.46"], fast=True), 1_100_000_000
            )
            deltas = s.last("OrderBookDeltas")
            assert flags(deltas) == [32, 32, 32, 160]
            assert [d.action for d in deltas.deltas] == [BookAction.CLEAR] + [BookAction.ADD] * 3
            assert book_prices(deltas) == ["752.44", "752.43", "752.46"]
            assert deltas.ts_event == 1_000_000_000
            assert deltas.ts_init == 1_100_000_000

    play(story)


def test_an_empty_book_is_a_clear_with_both_flags():
    async def story():
        async with scene() as s:
            await s.book()
            s.market.send("l2Book", book_data(1_000, [], [], fast=True))
            deltas = s.last("OrderBookDeltas")
            assert flags(deltas) == [160]
            assert deltas.deltas[0].action == BookAction.CLEAR

    play(story)


def test_the_three_streams_make_one_book_with_the_age_of_each_level():
    async def story():
        async with scene() as s:
            s.msgbus.subscribe("amm500.book_ages", s.ages.append)
            await s.book()
            bids = [f"{752.44 - i / 100:.2f}" for i in range(20)]
            asks = [f"{752.46 + i / 100:.2f}" for i in range(20)]
            s.deep.send("l2Book", book_data(1_000, bids, asks))
            s.market.send("l2Book", book_data(2_000, bids[:5], asks[:5], fast=True))
            s.market.send("bbo", bbo_data(3_000, "752.45", "752.46"))
            assert book_prices(s.last("OrderBookDeltas")) == ["752.45", *bids, *asks]
            ages = s.ages[-1]
            assert ages.instrument_id == IID
            assert not ages.is_stale
            assert ages.bid_sources[:2] == (BookSource.BBO, BookSource.FAST)
            assert ages.bid_sources[6:] == (BookSource.DEFAULT,) * 15
            assert len(ages.bid_ages_ns) == 21
            assert ages.bid_ages_ns[0] <= ages.bid_ages_ns[1] <= ages.bid_ages_ns[6]

    play(story)


def test_each_level_of_a_batch_has_the_time_at_which_it_was_last_seen_and_the_batch_that_of_the_newest():
    async def story():
        async with scene() as s:
            await s.book(managed=True)
            bids = [f"{752.44 - i / 100:.2f}" for i in range(20)]
            asks = [f"{752.46 + i / 100:.2f}" for i in range(20)]
            s.deep.send("l2Book", book_data(1_000, bids, asks))
            s.market.send("l2Book", book_data(2_000, bids[:5], asks[:5], fast=True))
            s.market.send("bbo", bbo_data(3_000, "752.45", "752.46"))
            batch = s.last("OrderBookDeltas")
            second = 1_000_000_000
            assert [add.ts_event for add in adds_of(batch, OrderSide.BUY)] == [
                *[3 * second, *[2 * second] * 5, *[second] * 15]
            ]
            assert [add.ts_event for add in adds_of(batch, OrderSide.SELL)] == [
                *[3 * second, *[2 * second] * 4, *[second] * 15]
            ]
            assert {delta.ts_init for delta in batch.deltas} == {batch.ts_init}
            assert batch.ts_event == batch.deltas[0].ts_event == 3 * second
            # the engine's own book is none the worse for levels that come with earlier times
            book = s.cache.order_book(IID)
            assert [str(level.price) for level in (*book.bids(), *book.asks())] == ["752.45", *bids, *asks]
            assert book.ts_last == 3 * second
            # one time for all has to do for a message of ten levels
            await s.book(OrderBookDepth10)
            s.market.send("bbo", bbo_data(4_000, "752.45", "752.46"))
            assert s.last("OrderBookDepth10").ts_event == 4 * second

    play(story)


def test_d12_depth_has_ten_levels_and_pads_what_is_missing():
    async def story():
        async with scene() as s:
            await s.book(OrderBookDepth10)
            s.market.send("l2Book", book_data(1_000, ["752.44"], ["752.46", "752.47"], fast=True))
            depth = s.last("OrderBookDepth10")
            assert [str(o.price) for o in depth.bids[:2]] == ["752.44", "0"]
            assert [o.size.as_double() for o in depth.asks[:3]] == [1.0, 1.0, 0.0]
            assert depth.flags == 160
            assert list(depth.bid_counts)[:2] == [1, 0]

    play(story)


def test_d14_a_managed_book_in_the_cache_follows():
    async def story():
        async with scene() as s:
            await s.book(managed=True)
            s.market.send("l2Book", book_data(1_000, ["752.44", "752.43"], ["752.46"], fast=True))
            s.market.send("bbo", bbo_data(2_000, "752.43", "752.45"))
            book = s.cache.order_book(IID)
            assert str(book.best_bid_price()) == "752.43"
            assert str(book.best_ask_price()) == "752.45"
            assert len(book.asks()) == 2

    play(story)


def test_d11_a_book_at_an_interval_is_the_same_subscription():
    async def story():
        async with scene() as s:
            await s.book(interval_ms=1_000, managed=True)
            assert len(s.market.subscribed) == 2

    play(story)


def test_levels_finer_than_the_tick_are_rounded_away_from_the_middle_and_added_up():
    async def story():
        async with scene() as s:
            s.venue.contexts["km"] = (context(US500, "1000.0"), s.venue.contexts["km"][1])
            await s.provider.refresh()
            await s.book()
            s.market.send(
                "l2Book", book_data(1_000, ["999.91", "999.9"], ["999.92", "999.98", "1000.1"], fast=True)
            )
            deltas = s.last("OrderBookDeltas").deltas
            assert [(str(d.order.price), str(d.order.size)) for d in deltas[1:]] == [
                ("999.9", "2.000"),
                ("1000.1", "1.000"),
                ("1000.0", "2.000"),
            ]

    play(story)


def test_when_the_fast_stream_is_silent_the_book_comes_by_rest_until_it_is_back():
    async def story():
        async with scene(book_stale_ms=200, rest_poll_ms=100) as s:
            s.msgbus.subscribe("amm500.book_ages", s.ages.append)
            await s.book()
            await s.subscribe(SubscribeQuoteTicks, IID)
            s.venue.books[US500] = snapshot(2_000_000_000, ["752.40"], ["752.50"])
            s.market.send("l2Book", book_data(1_000, ["752.44"], ["752.46"], fast=True))
            # a touch alone does not end the silence of the depth
            await eventually(
                lambda: (
                    s.of("OrderBookDeltas") and book_prices(s.last("OrderBookDeltas")) == ["752.40", "752.50"]
                )
            )
            assert s.ages[-1].is_stale
            assert s.ages[-1].bid_sources == (BookSource.REST,)
            assert str(s.last("QuoteTick").bid_price) == "752.40"
            polls = s.venue.asked.count(f"book {US500}")
            await eventually(lambda: s.venue.asked.count(f"book {US500}") > polls)
            s.market.send("l2Book", book_data(3_000, ["752.41"], ["752.47"], fast=True))
            assert not s.ages[-1].is_stale
            assert book_prices(s.last("OrderBookDeltas")) == ["752.41", "752.47"]
            assert not s.client.feed.feeds[US500].is_stale

    play(story)


def test_once_the_streams_are_back_what_came_by_rest_is_depth_only_until_the_default_book_comes():
    async def story():
        async with scene(book_stale_ms=200, rest_poll_ms=100) as s:
            top = [f"752.{n}" for n in (44, 43, 42, 41, 40)], [f"752.{n}" for n in (46, 47, 48, 49, 50)]
            rest = [f"751.{n}" for n in range(50, 30, -1)], [f"753.{n}" for n in range(30, 50)]
            await s.book()
            s.venue.books[US500] = snapshot(2_000_000_000, *rest)
            await eventually(lambda: s.of("OrderBookDeltas"))
            s.market.send("l2Book", book_data(3_000, *top, fast=True))
            assert len(book_prices(s.last("OrderBookDeltas"))) == 50
            s.deep.send(
                "l2Book",
                book_data(
                    3_100, [f"752.{n}" for n in range(44, 24, -1)], [f"752.{n}" for n in range(46, 66)]
                ),
            )
            assert len(book_prices(s.last("OrderBookDeltas"))) == 40
            s.deep.drop()
            s.market.send("l2Book", book_data(3_200, *top, fast=True))
            assert len(book_prices(s.last("OrderBookDeltas"))) == 10

    play(story)


def test_without_the_default_book_nothing_of_rest_stays_when_the_streams_are_back():
    async def story():
        async with scene(book_stale_ms=200, rest_poll_ms=100) as s:
            await s.book(params={"streams": ["bbo", "fast"]})
            rest = [f"751.{n}" for n in range(50, 30, -1)], [f"753.{n}" for n in range(30, 50)]
            s.venue.books[US500] = snapshot(2_000_000_000, *rest)
            await eventually(lambda: s.of("OrderBookDeltas"))
            top = [f"752.{n}" for n in (44, 43, 42, 41, 40)], [f"752.{n}" for n in (46, 47, 48, 49, 50)]
            s.market.send("l2Book", book_data(3_000, *top, fast=True))
            assert len(book_prices(s.last("OrderBookDeltas"))) == 10

    play(story)


def test_a_rest_request_that_fails_empties_no_book_and_is_tried_again():
    async def story():
        async with scene(book_stale_ms=200, rest_poll_ms=100) as s:
            await s.book()
            s.market.send("l2Book", book_data(1_000, ["752.44"], ["752.46"], fast=True))
            s.venue.is_down = True
            await eventually(lambda: s.venue.asked.count(f"book {US500}") >= 2)
            assert book_prices(s.last("OrderBookDeltas")) == ["752.44", "752.46"]
            s.venue.is_down = False
            s.venue.books[US500] = snapshot(2_000_000_000, ["752.40"], ["752.50"])
            await eventually(lambda: book_prices(s.last("OrderBookDeltas")) == ["752.40", "752.50"])

    play(story)


def test_after_a_lost_connection_the_book_is_stale_at_once_and_nothing_of_before_comes_back():
    async def story():
        async with scene(rest_poll_ms=100) as s:
            s.msgbus.subscribe("amm500.book_ages", s.ages.append)
            await s.book()
            s.deep.send("l2Book", book_data(900, ["752.44", "752.30"], ["752.46", "752.60"]))
            s.market.send("l2Book", book_data(1_000, ["752.44"], ["752.46"], fast=True))
            s.venue.books[US500] = snapshot(5_000_000_000, ["752.20"], ["752.70"])
            s.market.drop()
            assert s.ages[-1].is_stale
            assert s.ages[-1].bid_ages_ns == ()
            await eventually(lambda: book_prices(s.last("OrderBookDeltas")) == ["752.20", "752.70"])
            s.market.come_back([("bbo", bbo_data(6_000, "752.10", "752.80"))])
            s.market.send("l2Book", book_data(6_100, ["752.10"], ["752.80"], fast=True))
            assert book_prices(s.last("OrderBookDeltas")) == ["752.10", "752.80"]
            assert not s.ages[-1].is_stale

    play(story)


def test_losing_the_second_socket_costs_only_the_deep_levels():
    async def story():
        async with scene() as s:
            await s.book()
            s.deep.send(
                "l2Book",
                book_data(900, [f"752.{n}" for n in range(44, 24, -1)], [f"752.{n}" for n in range(46, 66)]),
            )
            top = [f"752.{n}" for n in (44, 43, 42, 41, 40)], [f"752.{n}" for n in (46, 47, 48, 49, 50)]
            s.market.send("l2Book", book_data(1_000, *top, fast=True))
            assert len(book_prices(s.last("OrderBookDeltas"))) == 40
            s.deep.drop()
            s.market.send("l2Book", book_data(1_500, *top, fast=True))
            assert len(book_prices(s.last("OrderBookDeltas"))) == 10
            assert not s.client.feed.feeds[US500].is_stale

    play(story)


def test_d71_a_subscriber_may_choose_the_streams_of_its_book_and_a_wrong_name_subscribes_nothing():
    async def story():
        async with scene() as s:
            await s.book(params={"streams": ["bbo", "fast"]})
            assert len(s.market.subscribed) == 2
            assert s.deep.subscribed == []
            await s.subscribe(
                SubscribeOrderBook,
                instrument_id(SP500),
                OrderBookDelta,
                BookType.L2_MBP,
                params={"streams": ["best"]},
            )
            assert len(s.market.subscribed) == 2

    play(story)


# -- lifecycle and bad weather ---------------------------------------------------------------------------------------


def test_d70_each_stream_is_left_with_its_last_subscriber():
    async def story():
        async with scene() as s:
            await s.book()
            await s.subscribe(SubscribeQuoteTicks, IID)
            await s.subscribe(SubscribeTradeTicks, IID)
            await s.subscribe(SubscribeMarkPrices, IID)
            await s.subscribe(SubscribeBars, MINUTE)
            assert len(s.market.subscribed) == 5
            await s.subscribe(UnsubscribeOrderBook, IID, OrderBookDelta)
            # quotes still need the touch
            assert {"type": "bbo", "coin": US500} in s.market.subscribed
            assert {"type": "l2Book", "coin": US500, "fast": True} not in s.market.subscribed
            assert s.deep.subscribed == []
            await s.subscribe(UnsubscribeQuoteTicks, IID)
            await s.subscribe(UnsubscribeTradeTicks, IID)
            await s.subscribe(UnsubscribeMarkPrices, IID)
            await s.subscribe(UnsubscribeBars, MINUTE)
            assert s.market.subscribed == []
            s.heard.clear()
            s.market.send("bbo", bbo_data(1_000, "752.44", "752.46"))
            s.market.send("trades", [trade_data(9, now_ms() + 10_000)])
            assert s.heard == []

    play(story)


def test_a_frame_that_cannot_be_read_is_dropped_and_counted_and_the_next_one_is_used():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeQuoteTicks, IID)
            s.market.send_raw(b"{")
            s.market.send_raw(b'{"channel":"bbo","data":{"coin":"km:US500"}}')
            s.market.send_raw(json.dumps({"channel": "bbo", "data": bbo_data(1_000, "nan", "1")}).encode())
            s.market.send("error", "Already subscribed: {}")
            s.market.send("pong", None)
            s.market.send("newThing", {"what": 1})
            s.market.send("bbo", bbo_data(1_000, "752.44", "752.46"))
            assert s.client.bad_frames == 3
            assert len(s.of("QuoteTick")) == 1

    play(story)


# the engine floors the start of the deltas to a day in the old spelling
@pytest.mark.filterwarnings("ignore:'d' is deprecated")
def test_past_quotes_and_deltas_are_answered_with_nothing_and_a_failed_query_is_not_answered():
    async def story():
        async with scene() as s:
            start = pd.Timestamp.now(tz="UTC") - pd.Timedelta(hours=1)
            await s.request(RequestQuoteTicks, IID, start, None, 0)
            await s.request(RequestOrderBookDeltas, IID, start, None, 0)
            await eventually(lambda: len(s.answers) == 2)
            assert s.of("QuoteTick") == []
            s.venue.is_down = True
            await s.request(RequestTradeTicks, IID, None, None, 0)
            await s.request(RequestBars, MINUTE, None, None, 0)
            await settle()
            assert len(s.answers) == 2

    play(story)


def test_d13_a_snapshot_of_the_book_is_answered_to_the_depth_asked_for():
    async def story():
        async with scene() as s:
            s.venue.books[US500] = snapshot(5_000_000, ["752.44", "752.43"], ["752.46", "752.47"])
            await s.request(RequestOrderBookSnapshot, IID, 1)
            await eventually(lambda: s.answers)
            deltas = s.last("OrderBookDeltas")
            assert book_prices(deltas) == ["752.44", "752.46"]
            assert flags(deltas) == [32, 32, 160]

    play(story)


def test_a_client_that_was_stopped_can_be_started_again_and_reads_its_instruments_again():
    async def story():
        async with scene() as s:
            await s.subscribe(SubscribeQuoteTicks, IID)
            asked = s.venue.asked.count("meta km")
            s.client.disconnect()
            await eventually(lambda: not s.client.is_connected)
            s.client.connect()
            await eventually(lambda: s.client.is_connected)
            assert s.venue.asked.count("meta km") > asked
            s.market.send("bbo", bbo_data(1_000, "752.44", "752.46"))
            assert len(s.of("QuoteTick")) == 1

    play(story)


def test_a_venue_that_cannot_be_reached_leaves_the_client_disconnected():
    async def story():
        made = Scene()
        made.venue.is_down = True
        made.client.connect()
        await eventually(lambda: made.venue.asked)
        await settle()
        assert not made.client.is_connected
        assert made.sockets["market"].is_open is False

    play(story)


@pytest.mark.parametrize("bad", [{"streams": []}, {"streams": ["bbo", "slow"]}])
def test_d72_parameters_that_mean_nothing_are_refused(bad):
    async def story():
        async with scene() as s:
            await s.book(OrderBookDepth10, params=bad)
            assert s.market.subscribed == []

    play(story)


def test_a_second_socket_that_cannot_connect_closes_the_first_again():
    async def story():
        made = Scene()

        async def refuse():
            raise TransportError("the venue cannot be reached")

        made.deep.connect = refuse
        made.client.connect()
        await eventually(lambda: made.market.was_closed)
        await settle()
        assert not made.client.is_connected
        assert not made.client._background

    play(story)


HUGE = st.sampled_from(
    ["1e30", "9e999999", "1E-400", "17014118346046923173", "0.0000000000000001", "-1", "NaN", "", "1_0"]
)
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), HUGE, st.just([]), st.just({})
)


def mutated(draw, value):
    """Return the value with some part of it replaced by junk."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: mutated(draw, value[key])}
    if isinstance(value, list) and value and draw(st.booleans()):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], mutated(draw, value[index]), *value[index + 1 :]]
    return draw(HUGE if isinstance(value, str) else JUNK)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_a_frame_holds_it_is_used_or_counted_and_the_next_good_one_works(data):
    """Forty broken frames a session: nothing escapes, and no number that does not fit poisons the book."""
    good = [
        ("l2Book", book_data(1_000, ["752.44"], ["752.46"], fast=True)),
        ("bbo", bbo_data(1_000, "752.44", "752.46")),
        ("trades", [trade_data(1, 1_000)]),
        ("candle", candle_data(60_000, "752.10")),
        ("activeAssetCtx", context_data("752.44")),
        ("subscriptionResponse", {"method": "subscribe", "subscription": {"type": "trades", "coin": US500}}),
        ("error", "Already subscribed"),
    ]
    frames = [
        (channel, mutated(data.draw, body))
        for channel, body in data.draw(st.lists(st.sampled_from(good), min_size=1, max_size=40))
    ]

    async def story():
        async with scene() as s:
            await s.book()
            await s.book(OrderBookDepth10)
            for kind in (SubscribeQuoteTicks, SubscribeTradeTicks, SubscribeMarkPrices):
                await s.subscribe(kind, IID)
            await s.subscribe(SubscribeBars, MINUTE)
            for channel, body in frames:
                s.market.send(channel, body)
            s.market.drop()
            s.market.come_back()
            s.market.send("l2Book", book_data(2_000, ["752.40"], ["752.50"], fast=True))
            assert book_prices(s.last("OrderBookDeltas")) == ["752.40", "752.50"]

    play(story)


def test_a_size_that_no_quantity_can_hold_is_dropped_and_forgotten():
    async def story():
        async with scene() as s:
            await s.book()
            huge = book_data(1_000, ["752.44"], ["752.46"], fast=True)
            huge["levels"][0][0]["sz"] = "34028236692094"
            s.market.send("l2Book", huge)
            assert s.client.bad_frames == 1
            s.market.send("bbo", bbo_data(2_000, "752.45", "752.46"))
            assert book_prices(s.last("OrderBookDeltas")) == ["752.45", "752.46"]

    play(story)
