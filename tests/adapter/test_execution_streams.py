"""The account's streams: without each of them fills are not heard of, so a venue that does not give them is not taken for a quiet one."""

import asyncio
from decimal import Decimal

import pytest

from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side
from tests.adapter.exec_scene import venue_config


pytestmark = pytest.mark.live_node


def told(side):
    return [notice for notice in side.notices if "Cannot track" in notice.text]


def test_a_start_without_the_accounts_streams_is_refused_with_the_venues_words(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            # as where other processes of the address hear of ten users already
            venue.limits.max_users = 0
            side = ExecSide(venue, tmp_path / "state")
            session = side.client.session
            await side.client._provider.initialize()
            with pytest.raises(TransportError, match=r"userFills.*Cannot track more than 10 total users"):
                await session.open()
            await session.close()
            side.clock.cancel_timers()

    asyncio.run(story())


def test_streams_that_do_not_come_back_are_told_and_asked_for_until_they_do(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            order = side.limit(BUY, "690.00", "0.500")
            await side.resting(order)
            side.venue.limits.max_users = 0
            side.venue.cut_sockets()
            await eventually(lambda: told(side), what="told")
            assert [(notice.kind, notice.is_alarm) for notice in told(side)] == [
                (NoticeKind.STREAM_DOWN, True)
            ]
            assert NoticeKind.STREAM_UP not in side.kinds()

            side.venue.limits.max_users = 10
            side.client.session._stream.ask_again()
            await eventually(lambda: NoticeKind.STREAM_UP in side.kinds(), what="back")
            side.take(-1, "0.2", "690.00")
            await eventually(lambda: order.filled_qty.as_decimal() == Decimal("0.2"), what="heard of")

    asyncio.run(story())
