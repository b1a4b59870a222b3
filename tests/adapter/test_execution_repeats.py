"""Cancels that are lost, through the execution client: repeated, told once, and never a storm."""

import asyncio

import pytest

from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import SELL
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side
from tests.adapter.exec_scene import venue_config


pytestmark = pytest.mark.live_node
FOREVER = -1


def cancels(side):
    """How many orders each cancel that the venue read was of."""
    return [len(a["cancels"]) for a in side.actions() if a["type"] == "cancelByCloid"]


def ladder(side, count=12):
    return [
        side.limit(*((BUY, f"68{n % 10}.50") if n % 2 else (SELL, f"69{n % 8 + 2}.50"))) for n in range(count)
    ]


def told_once(side, order):
    return side.of(order) == ["OrderSubmitted", "OrderAccepted", "OrderCanceled"]


def failures(side):
    return sum(notice.kind is NoticeKind.UNKNOWN_OUTCOME for notice in side.notices)


# actions that carry an expiry and such that do not; both would settle by themselves much later
@pytest.mark.parametrize("expires_ms", [600_000, None])
def test_a_cancel_of_all_that_is_cut_off_is_done_as_soon_as_the_venue_is_back(tmp_path, expires_ms):
    async def story():
        async with exec_side(tmp_path, expires_after_ms=expires_ms) as side:
            orders = ladder(side)
            await side.resting(*orders)
            side.venue.faults.set("drop", times=FOREVER, only="exchange")
            side.cancel_all()
            # whole repeats, and then one order that asks for all
            await eventually(lambda: side.venue.faults.struck["drop"] >= 6)
            assert len(side.venue_orders()) == len(orders)
            side.venue.faults.clear()

            await eventually(lambda: all(order.is_closed for order in orders), what="canceled")
            assert side.venue_orders() == []
            assert all(told_once(side, order) for order in orders)
            assert failures(side) == 1
            nonces = [r["nonce"] for r in side.venue.requests if "action" in r]
            assert len(nonces) == len(set(nonces))

    asyncio.run(story())


def test_cancels_that_were_done_and_not_answered_are_told_once_and_hardly_repeated(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            orders = ladder(side)
            await side.resting(*orders)
            side.venue.faults.set("drop_after", times=FOREVER, only="exchange")
            side.venue.faults.set("ws_drop", times=FOREVER)
            side.cancel_all()
            await eventually(lambda: all(order.is_closed for order in orders), what="found canceled")
            side.venue.faults.clear()
            assert all(told_once(side, order) for order in orders)
            count = len(cancels(side))

            # and with the orders over nothing goes again
            assert not any(
                order.client_order_id.value in side.client.session.desk._repeats for order in orders
            )
            order = side.limit(BUY, "689.00")
            await side.resting(order)
            side.cancel(order)
            await eventually(lambda: order.is_closed)
            assert len(cancels(side)) == count + 1

    asyncio.run(story())


def test_a_fill_that_is_faster_than_the_repeat_ends_the_order_as_filled(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00")
            await side.resting(order)
            side.venue.faults.set("drop", times=FOREVER, only="exchange")
            side.cancel(order)
            await eventually(lambda: side.venue.faults.struck["drop"] >= 1)
            side.take(-1, "0.1", "690.00")
            await eventually(lambda: order.is_closed, what="filled")
            side.venue.faults.clear()
            assert side.of(order) == ["OrderSubmitted", "OrderAccepted", "OrderFilled"]
            assert side.net() == side.venue_position()
            assert order.client_order_id.value not in side.client.session.desk._repeats

    asyncio.run(story())


def test_a_client_that_stops_while_its_cancels_are_lost_repeats_them_before_it_is_gone(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            side = ExecSide(venue, tmp_path / "state", expires_after_ms=600_000)
            await side.start()
            orders = ladder(side)
            await side.resting(*orders)
            venue.faults.set("drop", times=3, only="exchange")
            side.cancel_all()
            await side.stop()
            assert side.venue_orders() == []

    asyncio.run(story())


@pytest.mark.parametrize("stops", [False, True])
def test_a_cancel_that_overtakes_its_order_on_the_way_goes_again_once_the_order_is_there(tmp_path, stops):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            side = ExecSide(venue, tmp_path / "state")
            await side.start()
            # the connection that carries it loses packets, the next one does not
            venue.faults.set("delay", only="order", value=700)
            order = side.limit(BUY, "689.50")
            side.submit(order)
            await eventually(lambda: venue.faults.struck["delay"] == 1)
            side.cancel(order)
            await eventually(lambda: len(cancels(side)) == 1)
            assert side.venue_orders() == []
            if not stops:
                await eventually(lambda: order.is_closed, what="canceled")
            await side.stop()

            assert side.venue_orders() == []
            assert len(cancels(side)) == 2
            if not stops:
                assert told_once(side, order)

    asyncio.run(story())
