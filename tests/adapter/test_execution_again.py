"""A connection lost once more while everything is being asked for is asked for once more."""

import asyncio

from hyperliquid_hip3.notices import NoticeKind
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side


def test_what_was_read_before_a_second_cut_does_not_count_as_all_there_is(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            doubts, said = side.client.session.desk.doubts, []
            reconcile, gate = doubts.reconcile, asyncio.Event()

            async def slow(since_ms):
                await reconcile(since_ms)
                said.append(NoticeKind.RECONCILED in side.kinds())
                await gate.wait()

            doubts.reconcile = slow
            side.client.on_reconnected()
            await eventually(lambda: len(said) == 1)
            side.client.on_reconnected()
            # the second has begun by now, and left it to the first
            await asyncio.sleep(0)
            gate.set()
            await eventually(lambda: NoticeKind.RECONCILED in side.kinds(), what="reconciled")

            assert said == [False, False]

    asyncio.run(story())
