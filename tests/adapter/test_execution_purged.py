"""A fill of an order that the engine has forgotten is booked all the same."""

import asyncio
from dataclasses import replace
from decimal import Decimal

from nautilus_trader.model.enums import OrderSide

from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side


def test_a_late_fill_of_an_order_that_was_purged_moves_the_position(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(OrderSide.BUY, "690.00", "0.500")
            await side.resting(order)
            side.take(-1, "0.2", "690.00")
            await eventually(lambda: order.filled_qty.as_decimal() == Decimal("0.2"))
            side.cancel(order)
            await eventually(lambda: order.is_closed)
            desk = side.client.session.desk
            oid = desk.shelf.track(order.client_order_id.value).oid
            fills = await side.rest.user_fills_by_time(side.config.user, 1)
            (fill,) = [each for each in fills if each.oid == oid]
            # as the strategy does with what closed a minute ago
            side.cache.purge_order(order.client_order_id)

            late = replace(
                fill, trade_id=fill.trade_id + 1, size=Decimal("0.1"), ts_ns=fill.ts_ns + 1_000_000
            )
            desk.on_fills([late, late])

            await eventually(lambda: side.net() == Decimal("0.3"), what="the late fill is booked")
            assert side.cache.order(order.client_order_id) is None
            (booked,) = [o for o in side.cache.orders() if o.client_order_id.value.startswith("LATE-")]
            assert booked.filled_qty.as_decimal() == Decimal("0.1")

    asyncio.run(story())
