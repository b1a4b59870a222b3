"""What a stop leaves behind it where the account has a dead-man's switch."""

import asyncio
from decimal import Decimal

from nautilus_trader.model.enums import OrderSide

from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import venue_config


def settings(side):
    """The times that the switch was set to; None where it was cleared."""
    return [action.get("time") for action in side.actions() if action["type"] == "scheduleCancel"]


def test_a_stop_that_leaves_an_order_resting_leaves_the_switch_set_for_it(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            venue.accounts.holders[USER].limits.on_volume(Decimal(20_000_000), growth=False)
            side = ExecSide(venue, tmp_path / "state", deadman_secs=10)
            await side.start()
            order = side.limit(OrderSide.BUY, "689.00")
            await side.resting(order)
            await eventually(lambda: side.client.session.deadman.is_armed)
            # whoever stops could not cancel it: the venue refused, or was not heard
            await side.stop()

            assert len(side.venue_orders()) == 1
            assert settings(side)[-1] is not None
            said = [notice for notice in side.notices if notice.kind is NoticeKind.DEADMAN]
            assert any("1 orders may rest" in notice.text for notice in said)

    asyncio.run(story())
