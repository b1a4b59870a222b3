"""An account that is paid into and out of while it is traded, while its streams are away, and while no process runs."""

import asyncio
from decimal import Decimal

import pytest

from hyperliquid_loopback.market import USDH_IDENTITY
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side


pytestmark = pytest.mark.live_node
START = Decimal(100_000)


async def withdraw(venue, amount):
    """Move collateral out of the dex's pot, as a person does."""
    action = {
        "type": "sendAsset",
        "destination": USER,
        "sourceDex": "km",
        "destinationDex": "spot",
        "token": f"USDH:{USDH_IDENTITY}",
        "amount": str(amount),
        "fromSubAccount": "",
        "nonce": venue.now_ms,
    }
    replies = []
    venue.call(
        lambda e: e.submit(action, user=USER, now_ms=venue.now_ms, expires_after=None, reply=replies.append)
    )
    await eventually(lambda: replies, what="answered")
    assert replies[0]["status"] == "ok", replies


def net_of_transfers(side):
    """The equity of every report, what was moved taken out."""
    infos = [state.info for state in side.states if "equity" in state.info]
    return [Decimal(info["equity"]) - Decimal(info["net_transfers"]) for info in infos]


def told(side):
    return Decimal(side.states[-1].info["net_transfers"]) if side.states else None


def test_no_report_of_an_account_shows_a_withdrawal_as_a_loss_after_a_restart(tmp_path):
    async def story():
        async with exec_side(tmp_path) as side:
            await withdraw(side.venue, 100)
            await eventually(lambda: told(side) == -100, what="the stream has told it")
            # the streams are gone: the venue is asked before the account is reported
            await side.client.session._stream.close()
            await withdraw(side.venue, 10)
            since = len(side.states)
            await side.client.session.account.report()
            assert told(side) == -110
            assert net_of_transfers(side)[since:] == [START]
            await side.stop()
            await withdraw(side.venue, 1)

            again = ExecSide(side.venue, tmp_path / "state")
            await again.start()
            try:
                assert told(again) == -111
                # the first report knows it, and all others do
                assert set(net_of_transfers(again)) == {START}
            finally:
                await again.stop()
            # what the scene stops at its end
            await side.start(reconcile=False)

    asyncio.run(story())
