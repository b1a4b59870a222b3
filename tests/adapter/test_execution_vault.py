"""The execution client for a vault or a sub-account: whose agent it is, whose fills it books, whom it asks about."""

import asyncio
import time
from decimal import Decimal

import pytest
from nautilus_trader.model.enums import OrderStatus

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.startup import check_vault
from hyperliquid_hip3.user_records import Role
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.config import Cadences
from tests.adapter.exec_scene import AGENT_KEY
from tests.adapter.exec_scene import BUY
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import exec_side
from tests.adapter.exec_scene import venue_config
from tests.adapter.test_execution_faults import play


pytestmark = pytest.mark.live_node

VAULT = "0x" + "7a" * 20
OTHER = "0x" + "0d" * 20
DAY_MS = 86_400_000
REFUSED = "Vault may not perform this action."


def vault_venue(name, end_ms):
    agent = AgentSpec(address=SecretKey(AGENT_KEY).address, name=name, valid_until_ms=end_ms)
    accounts = (
        AccountSpec(address=USER, equity=Decimal(77), agents=(agent,)),
        AccountSpec(address=VAULT, equity=Decimal(5_000), leader=USER),
    )
    return venue_config(accounts=accounts, cadences=Cadences(user_state_ms=100))


@pytest.mark.parametrize("name", ["mm", ""])
def test_orders_fills_and_money_are_the_vault_s_and_the_agent_its_leader_s(tmp_path, name):
    async def story():
        end = time.time_ns() // 1_000_000 + 20 * DAY_MS
        async with exec_side(tmp_path, venue=vault_venue(name, end), vault=VAULT, leverage=10) as side:
            session = side.client.session
            # the leader's agent, also where it has no name and only the leader's stream tells its end
            assert session.agent_valid_until_ns == end * 1_000_000
            assert not [notice for notice in side.notices if notice.kind is NoticeKind.AGENT_EXPIRES]
            resting, taking = side.limit(BUY, "600.00"), side.market(BUY, "0.200")
            side.submit(resting, taking)
            await eventually(lambda: taking.status is OrderStatus.FILLED, what="filled")
            await eventually(lambda: resting.status is OrderStatus.ACCEPTED, what="resting")
            accounts = side.venue.accounts
            position = side.ex(lambda _: [accounts.position(each, COIN) for each in (VAULT, USER)])
            assert position == [Decimal("0.2"), 0]
            assert side.ex(lambda _: accounts.user_fills(USER)) == []
            rows = side.ex(lambda e: e.frontend_open_orders(VAULT, "km"))
            assert [row["limitPx"] for row in rows] == ["600.0"]
            # leverage too is the vault's own
            asked = side.ex(lambda _: accounts.active_asset_data(VAULT, COIN))
            assert asked["leverage"] == {"type": "cross", "value": 10}
            sent = [request["vaultAddress"] for request in side.venue.requests if "action" in request]
            assert set(sent) == {VAULT}

    play(story)


def test_the_venue_s_words_for_a_vault_that_is_no_longer_led_reach_whoever_trades(tmp_path):
    async def story():
        async with exec_side(tmp_path, venue=vault_venue("mm", None), vault=VAULT) as side:
            side.ex(lambda _: setattr(side.venue.accounts.holder(VAULT), "leader", OTHER))
            order = side.limit(BUY, "600.00")
            side.submit(order)
            await eventually(lambda: order.status is OrderStatus.REJECTED, what="rejected")
            assert REFUSED in order.last_event.reason
            (told,) = [notice for notice in side.notices if notice.kind is NoticeKind.AGENT_REFUSED]
            assert REFUSED in told.text

    play(story)


def test_a_vault_that_the_account_does_not_lead_is_told_from_the_venue_s_replies(tmp_path):
    async def story():
        accounts = (
            AccountSpec(address=USER, agents=(AgentSpec(address=SecretKey(AGENT_KEY).address, name="mm"),)),
            AccountSpec(address=VAULT, leader=OTHER),
        )
        venue = venue_config(accounts=accounts)
        async with exec_side(tmp_path, venue=venue) as side:
            with pytest.raises(HyperliquidError, match=f"{VAULT} is a vault that {OTHER} leads"):
                await check_vault(side.rest, VAULT, USER)
            await check_vault(side.rest, None, USER)

    play(story)


class Reader:
    """What a venue says of one address."""

    def __init__(self, role, leader=None):
        self.role, self.leader = role, leader

    async def user_role(self, address):
        return self.role

    async def vault_leader(self, vault):
        return self.leader


@pytest.mark.parametrize(
    ("role", "leader", "is_ours"),
    [
        (Role("vault", None), USER, True),
        (Role("vault", None), USER.upper().replace("0X", "0x"), True),
        (Role("vault", None), OTHER, False),
        (Role("vault", None), None, False),
        (Role("subAccount", USER), None, True),
        (Role("subAccount", OTHER), None, False),
        (Role("user", None), None, False),
        (Role("agent", USER), None, False),
        (Role("missing", None), None, False),
    ],
)
def test_whose_a_vault_or_sub_account_is(role, leader, is_ours):
    async def ask():
        await check_vault(Reader(role, leader), VAULT, USER)

    if is_ours:
        asyncio.run(ask())
        return
    with pytest.raises(HyperliquidError, match="must be"):
        asyncio.run(ask())
