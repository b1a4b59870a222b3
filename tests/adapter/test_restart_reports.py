"""What a process without a memory is told of orders that an earlier one placed and modified."""

import asyncio
from decimal import Decimal

import pytest

from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side


pytestmark = pytest.mark.live_node


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
