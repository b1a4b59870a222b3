"""What a process without a memory is told of orders that an earlier one placed and modified."""

import asyncio
from decimal import Decimal

import pytest

from hyperliquid_hip3.fill_ledger import OVERLAP_MS
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import SELL
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side


pytestmark = pytest.mark.live_node

OVERLAP_NS = OVERLAP_MS * 1_000_000


async def killed_after_a_fill_and_a_modify(side):
    order = side.limit(BUY, "690.00", "0.500")
    await side.resting(order)
    number = order.venue_order_id
    side.take(-1, "0.1", "690.00")
    await eventually(lambda: order.filled_qty.as_decimal() == Decimal("0.1"))
    side.modify(order, price="689.98")
    await eventually(lambda: order.venue_order_id != number)
    await side.client.session._stream.close()
    side.client.session._nonces.close()
    return order


def fills_of(side):
    return [e for o in side.cache.orders() for e in o.events if type(e).__name__ == "OrderFilled"]


@pytest.mark.parametrize("was_booked", [True, False])
def test_an_order_that_was_modified_after_a_fill_keeps_the_fill_over_a_restart(tmp_path, was_booked):
    async def story():
        async with exec_side(tmp_path) as side:
            order = await killed_after_a_fill_and_a_modify(side)
            if not was_booked:
                for ledger in (tmp_path / "state").glob("fills-*"):
                    ledger.write_text("")

            again = ExecSide(side.venue, tmp_path / "state")
            await again.start()

            (found,) = again.cache.orders()
            assert found.client_order_id == order.client_order_id
            assert found.venue_order_id == order.venue_order_id
            assert (str(found.quantity), str(found.filled_qty)) == ("0.500", "0.100")
            (fill,) = fills_of(again)
            assert fill.trade_id == fills_of(side)[0].trade_id
            assert again.net() == again.venue_position() == Decimal("0.1")
            await again.stop()

    asyncio.run(story())


def test_an_order_that_was_modified_and_then_filled_while_nobody_looked_is_told_whole(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = await killed_after_a_fill_and_a_modify(side)
            side.venue.flow.move(Decimal("689.90"))
            await eventually(lambda: side.venue_position() == Decimal("0.5"))

            again = ExecSide(side.venue, tmp_path / "state")
            await again.start()

            (found,) = again.cache.orders()
            assert found.client_order_id == order.client_order_id
            assert found.is_closed
            assert (str(found.quantity), str(found.filled_qty)) == ("0.500", "0.500")
            assert len(fills_of(again)) == 2
            assert again.net() == Decimal("0.5")
            await again.stop()

    asyncio.run(story())


async def killed(side):
    await side.client.session._stream.close()
    side.client.session._nonces.close()


@pytest.mark.parametrize("is_cache_kept", [False, True])
def test_an_order_that_ends_after_a_long_pause_of_its_fills_is_not_left_open(tmp_path, is_cache_kept):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00", "0.500")
            await side.resting(order)
            side.take(-1, "0.1", "690.00")
            await eventually(lambda: order.filled_qty.as_decimal() == Decimal("0.1"))
            await killed(side)
            # another order traded a minute later, so the first fill is beyond what a start reads
            (ledger,) = (tmp_path / "state").glob("fills-*")
            first_ns = fills_of(side)[0].ts_event
            with ledger.open("a") as file:
                file.write(f"{first_ns + OVERLAP_NS + 100_000_000} 5 km:US500\n")
            await eventually(lambda: side.venue.now_ms > first_ns // 1_000_000 + 200)
            side.take(-1, "0.4", "690.00")
            await eventually(lambda: side.venue_position() == Decimal("0.5"))

            again = ExecSide(side.venue, tmp_path / "state", cache=side.cache if is_cache_kept else None)
            await again.start()

            assert all(found.is_closed for found in again.cache.orders())
            # the older one may be found by itself, after the newer
            assert sorted(str(fill.last_qty) for fill in fills_of(again)) == ["0.100", "0.400"]
            assert again.net() == Decimal("0.5")
            await again.stop()

    asyncio.run(story())


def test_an_order_that_closed_a_position_before_the_start_opens_none_beside_a_kept_cache(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            side.submit(side.market(BUY, "0.500"))
            await eventually(lambda: side.net() == Decimal("0.5"))
            order = side.limit(SELL, "690.00", "1.000")
            await side.resting(order)
            side.take(1, "0.5", "690.00")
            await eventually(lambda: side.net() == 0)
            await killed(side)

            again = ExecSide(side.venue, tmp_path / "state", cache=side.cache)
            await again.start()

            assert (again.net(), again.venue_position()) == (0, 0)
            assert len(fills_of(again)) == 2
            await again.stop()

    asyncio.run(story())
