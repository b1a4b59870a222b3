"""The account told again and again, whatever the venue says in between."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

import pytest

from amm500_nautilus.margin.tables import MarginTable
from hyperliquid_hip3.account_parsing import parse_clearinghouse_state
from hyperliquid_hip3.account_reporter import AccountReporter
from hyperliquid_hip3.account_state import AccountScope
from hyperliquid_hip3.account_state import AccountSums
from tests.adapter.exec_scene import eventually


POT = {"accountValue": "1000.0", "totalNtlPos": "0.0", "totalRawUsd": "1000.0", "totalMarginUsed": "0.0"}
FLAT = {
    "marginSummary": POT,
    "crossMarginSummary": POT,
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "1000.0",
    "assetPositions": [],
    "time": 1_754_467_216_357,
}


def holding(**changes):
    row = {
        "coin": "km:OTHER",
        "szi": "0.001",
        "leverage": {"type": "cross", "value": 10},
        "entryPx": "1.0",
        "positionValue": "0.001",
        "unrealizedPnl": "0.0",
        "liquidationPx": None,
        "marginUsed": "0.0",
        "maxLeverage": 10,
        "cumFunding": {"allTime": "0", "sinceOpen": "0", "sinceChange": "0"},
    }
    return {**FLAT, "assetPositions": [{"type": "oneWay", "position": {**row, **changes}}]}


class Venue:
    """Answers with one state after the other, and then with the last."""

    def __init__(self, *states):
        self.states = list(states)

    async def clearinghouse_state(self, user, dex):
        return parse_clearinghouse_state(self.states.pop(0) if len(self.states) > 1 else self.states[0])

    async def user_abstraction(self, user):
        return "disabled"

    async def active_asset(self, user, coin):
        return SimpleNamespace(leverage=10, mark_price=Decimal(690), is_cross=True)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(holding(positionValue="0.0"), id="a position worth nothing"),
        pytest.param(holding(entryPx="0.0"), id="a position that cost nothing"),
    ],
)
def test_a_state_that_makes_no_account_is_told_and_the_next_one_is_reported(odd):
    told, errors = [], []

    async def price():
        return Decimal(1)

    async def nothing_moved():
        return None

    async def life():
        reporter = AccountReporter(
            Venue(FLAT, odd, FLAT),
            "0x" + "5e" * 20,
            AccountScope("km", "USDH", 360, "km:US500", {"km:US500": MarginTable(25)}),
            AccountSums(),
            orders=list,
            tell=told.append,
            on_mode=lambda before, now: None,
            on_error=errors.append,
            collateral_price=price,
            read_transfers=nothing_moved,
            refresh_s=0.001,
            spacing_s=0.0,
        )
        task = asyncio.create_task(reporter.run())
        try:
            await eventually(lambda: len(told) >= 2)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(life())

    assert len(errors) == 1
    assert "km:OTHER" in errors[0]
