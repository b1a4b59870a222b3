"""
Nautilus's data testing spec, groups 2 (depth), 7 and 9, and what the streams do when something breaks, through a real node.

D62 and D63 (group 8) are for options, which the venue's dexes do not have. D72: the adapter has no parameters of requests; the test is
that given ones change no answer.
"""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import InstrumentCloseType
from nautilus_trader.model.enums import MarketStatusAction

from hyperliquid_hip3.book_merge import BookSource
from tests.live.data_scene import MINUTE
from tests.live.data_scene import Listener
from tests.live.data_scene import ask
from tests.live.data_scene import data_client
from tests.live.data_scene import is_sound
from tests.live.data_scene import quiet
from tests.live.data_scene import run_data
from tests.live.data_scene import sides_of_book
from tests.live.data_scene import sides_of_deltas
from tests.live.data_scene import sides_of_depth
from tests.live.data_scene import streams_at
from tests.live.data_scene import venue_of
from tests.live.data_scene import wire_book
from tests.live.node import COIN
from tests.live.node import IID
from tests.live.node import until


pytestmark = [
    pytest.mark.live_node,
    # the engine's own call, in its requests of the past; an error there would end the process
    pytest.mark.filterwarnings("ignore:'d' is deprecated"),
]

FAST = [("bbo", "", False), ("l2Book", "", True)]


async def moved(venue: Any, mid: str) -> None:
    """Move the market and wait for the block that did."""
    venue.flow.move(Decimal(mid))
    await until(lambda: venue.call(lambda exchange: exchange.mid(COIN)) == Decimal(mid), "the market moved")


def test_d12_depth_has_ten_levels_a_side_and_is_the_venues_top():
    tester = Listener(component_id="DEPTH", subscribe_book_depth=True, book_depth=10)
    with venue_of(quiet(levels=15)) as venue:

        async def scenario(_: Any) -> None:
            await until(lambda: tester.heard["depth"], "a first depth")
            await moved(venue, "702.25")
            await until(
                lambda: sides_of_depth(tester.last("depth")) == wire_book(venue, 10), "the venue's ten levels"
            )

        run_data(venue, [tester], scenario)
    assert all(is_sound(sides_of_depth(depth)) for depth in tester.heard["depth"])
    bids, asks = sides_of_depth(tester.last("depth"))
    assert (len(bids), len(asks)) == (10, 10)
    assert (bids[0][0], asks[0][0]) == (Decimal("702.24"), Decimal("702.26"))


def test_d70_d71_d72_parameters_reach_the_streams_and_stopping_the_tester_leaves_none():
    tester = Listener(
        component_id="PARAMS",
        bar_types=[MINUTE],
        subscribe_book_depth=True,
        subscribe_params={"streams": ["bbo", "fast"]},
        request_book_snapshot=True,
        request_bars=True,
        request_params={"anything": "kept"},
    )
    with venue_of(quiet()) as venue:

        async def scenario(node: Any) -> None:
            await until(lambda: tester.heard["depth"], "a first depth")
            # D71: the default book is left out
            await until(lambda: streams_at(venue) == FAST, "the two streams that were named")
            await moved(venue, "699.99")
            await until(
                lambda: sides_of_depth(tester.last("depth")) == wire_book(venue, 5), "the venue's five levels"
            )
            # D72
            await until(lambda: not tester.has_pending_requests(), "the requests are answered")
            (snapshot,) = tester.answered(OrderBookDeltas)
            assert is_sound(sides_of_deltas(snapshot))
            assert len(tester.answered(Bar)) >= 58
            # D70
            tester.stop()
            await until(lambda: streams_at(venue) == [], "no stream is left at the venue")
            heard, block = len(tester.heard["depth"]), venue.blocks
            venue.flow.move(Decimal("690.00"))
            await until(lambda: venue.blocks > block + 20, "the venue goes on")
            assert len(tester.heard["depth"]) == heard
            assert data_client(node).is_connected

        run_data(venue, [tester], scenario)


def test_d60_d61_cap_halt_and_delisting_are_told_as_status_and_close():
    tester = Listener(
        component_id="STATUS", subscribe_instrument_status=True, subscribe_instrument_close=True
    )
    with venue_of(quiet()) as venue:

        async def scenario(node: Any) -> None:
            def told(name: str) -> bool:
                last = tester.last("status")
                return last is not None and last.trading_event == name

            await until(lambda: told("TRADING"), "trading")
            venue.call(lambda exchange: exchange.set_oi_cap(COIN, True))
            await until(lambda: told("AT_CAP"), "at its open-interest cap")
            venue.call(lambda exchange: exchange.set_oi_cap(COIN, False))
            await until(lambda: told("TRADING"), "trading again")
            venue.call(lambda exchange: exchange.halt(COIN))
            await until(lambda: told("HALTED"), "halted")
            venue.call(lambda exchange: exchange.resume(COIN))
            await until(lambda: told("TRADING"), "trading after the halt")
            assert tester.heard["close"] == []
            mark = venue.call(lambda exchange: exchange.mark(COIN))
            venue.call(lambda exchange: exchange.delist(COIN))
            await until(lambda: told("DELISTED"), "delisted")
            await until(lambda: tester.heard["close"], "closed")
            assert node.cache.instrument(IID).info["is_delisted"] is True
            assert abs(tester.last("close").close_price.as_decimal() - mark) < 1

        run_data(venue, [tester], scenario)
    actions = [(each.trading_event, each.action) for each in tester.heard["status"]]
    assert actions == [
        ("TRADING", MarketStatusAction.TRADING),
        ("AT_CAP", MarketStatusAction.TRADING),
        ("TRADING", MarketStatusAction.TRADING),
        ("HALTED", MarketStatusAction.HALT),
        ("TRADING", MarketStatusAction.TRADING),
        ("DELISTED", MarketStatusAction.NOT_AVAILABLE_FOR_TRADING),
    ]
    assert [each.close_type for each in tester.heard["close"]] == [InstrumentCloseType.CONTRACT_EXPIRED]


def test_after_a_cut_every_stream_is_there_again_once_and_no_trade_comes_twice():
    tester = Listener(
        component_id="CUT",
        subscribe_book_deltas=True,
        subscribe_quotes=True,
        subscribe_trades=True,
        subscribe_index_prices=True,
    )
    with venue_of(quiet()) as venue:

        async def scenario(node: Any) -> None:
            feed = data_client(node).feed.feeds[COIN]
            await until(lambda: tester.heard["quote"] and tester.heard["index"], "the streams speak")
            await until(lambda: feed.missed_trades, "the replay of before the start")
            streams = streams_at(venue)
            assert len(streams) == len(set(streams)) == 5
            for number in range(1, 4):
                size = Decimal(number)
                venue.flow.take(1, size)
                await until(lambda number=number: len(tester.heard["trade"]) == 2 * number - 1, "a trade")
                missed = feed.missed_trades
                assert await asyncio.to_thread(venue.cut_sockets) == 2
                venue.flow.take(-1, size)
                # it happened while nobody listened: known, and no news
                await until(lambda missed=missed: feed.missed_trades == missed + 1, "the missed trade")
                await until(lambda: streams_at(venue) == streams, "the same streams again")
                await moved(venue, f"{700 + number}.00")
                venue.flow.take(1, size + Decimal("0.5"))
                await until(
                    lambda number=number: len(tester.heard["trade"]) == 2 * number, "a trade after it"
                )
                await until(
                    lambda: sides_of_book(node.cache.order_book(IID)) == wire_book(venue), "the venue's book"
                )
                quote, (bids, asks) = node.cache.quote_tick(IID), wire_book(venue)
                assert (quote.bid_price.as_decimal(), quote.ask_price.as_decimal()) == (
                    bids[0][0],
                    asks[0][0],
                )

        run_data(venue, [tester], scenario)
        rows = {str(row["tid"]) for row in ask(venue, type="recentTrades", coin=COIN)}
    told = [trade.trade_id.value for trade in tester.heard["trade"]]
    assert len(told) == len(set(told)) == 6
    assert set(told) <= rows
    assert [str(trade.size) for trade in tester.heard["trade"]] == [
        "1.000",
        "1.500",
        "2.000",
        "2.500",
        "3.000",
        "3.500",
    ]


def test_a_silent_book_comes_by_rest_until_its_stream_speaks_again():
    tester = Listener(component_id="SILENT", subscribe_book_deltas=True)
    with venue_of(quiet()) as venue:

        async def scenario(node: Any) -> None:
            def book() -> Any:
                return sides_of_book(node.cache.order_book(IID))

            await until(lambda: tester.ages and not tester.ages[-1].is_stale, "a fresh book")
            asked = sum(request.get("type") == "l2Book" for request in venue.requests)
            venue.faults.set("ws_drop", times=-1, only="l2Book")
            await moved(venue, "720.00")
            await until(lambda: tester.ages[-1].is_stale, "stale without the stream")
            await until(lambda: book() == wire_book(venue), "the venue's book by REST")
            assert BookSource.REST in tester.ages[-1].bid_sources
            venue.faults.clear("ws_drop")
            await until(lambda: not tester.ages[-1].is_stale, "the stream is back")
            polled = sum(request.get("type") == "l2Book" for request in venue.requests)
            assert polled > asked
            await moved(venue, "730.00")
            await until(lambda: book() == wire_book(venue), "the venue's book by the streams")
            assert not tester.ages[-1].is_stale
            assert BookSource.REST not in tester.ages[-1].bid_sources
            block = venue.blocks
            await until(lambda: venue.blocks > block + 30, "the venue goes on")
            # no more than one that was under way when the stream came back
            late = sum(request.get("type") == "l2Book" for request in venue.requests) - polled
            assert late <= 1

        run_data(venue, [tester], scenario)
