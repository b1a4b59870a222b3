"""What the address has used, asked at the start and then once a minute, and told with the account."""

import asyncio
from decimal import Decimal

import pytest

from amm500_nautilus.risk.budget import ActionBudget
from amm500_nautilus.risk.budget import BudgetConfig
from hyperliquid_hip3.address_limit import ActionCount
from hyperliquid_hip3.address_limit import AddressLimit
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.user_records import RateLimit
from hyperliquid_hip3.weights import WeightBucket
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import eventually
from tests.adapter.exec_scene import venue_config


class Venue:
    """Answers with so many used actions, or not at all."""

    def __init__(self) -> None:
        self.asked = 0
        self.used, self.surplus = 100, 0
        self.is_down = False

    async def rate_limit(self, user):
        self.asked += 1
        if self.is_down:
            raise TransportError("no answer")
        return RateLimit(volume=Decimal(5), used=self.used, cap=10_005, surplus=self.surplus)


class Scene:
    def __init__(self) -> None:
        self.venue = Venue()
        self.now = 1_000.0
        self.notices: list[tuple[NoticeKind, str]] = []
        self.weights = WeightBucket(clock=lambda: self.now)
        self.limit = AddressLimit(
            self.venue,
            USER,
            notify=lambda kind, text: self.notices.append((kind, text)),
            now_ns=lambda: int(self.now) * 1_000_000_000,
            weights=self.weights,
            monotonic=lambda: self.now,
        )

    def ask(self) -> ActionCount:
        return asyncio.run(self.limit.refresh())


def test_the_count_is_read_once_a_minute():
    scene = Scene()
    assert scene.ask() == (100, 10_005, 1_000 * 1_000_000_000)
    scene.venue.used = 120
    scene.now += 59
    assert scene.ask().used == 100
    scene.now += 1
    assert scene.ask() == (120, 10_005, 1_060 * 1_000_000_000)
    assert scene.venue.asked == 2
    # after a purchase it is read at once
    scene.venue.used, scene.venue.surplus = 0, 880
    scene.limit.expire()
    assert scene.ask().used == -880


def test_without_a_first_count_nobody_trades():
    scene = Scene()
    scene.venue.is_down = True
    with pytest.raises(TransportError):
        scene.ask()


def test_a_count_that_cannot_be_read_is_told_once_and_the_last_one_stands():
    scene = Scene()
    first = scene.ask()
    scene.venue.is_down = True
    for _ in range(3):
        scene.now += 60
        assert scene.ask() == first
    assert [kind for kind, _ in scene.notices] == [NoticeKind.ADDRESS_LIMIT]
    assert "no answer" in scene.notices[0][1]
    scene.venue.is_down = False
    scene.now += 60
    assert scene.ask().ts_ns > first.ts_ns
    scene.venue.is_down = True
    scene.now += 60
    scene.ask()
    assert len(scene.notices) == 2


def test_the_count_waits_where_the_weight_is_short():
    scene = Scene()
    first = scene.ask()
    scene.now += 61
    scene.weights.charge(1_200)
    assert scene.ask() == first
    assert scene.venue.asked == 1
    scene.now += 61
    assert scene.ask().ts_ns > first.ts_ns


def test_a_strategy_that_starts_on_a_used_address_knows_what_is_left(tmp_path):
    async def story():
        async with LoopbackVenue(venue_config()) as venue:
            limits = venue.accounts.holders[USER].limits
            limits.sent = 9_990
            side = ExecSide(venue, tmp_path / "state")
            await side.start()
            try:
                await eventually(lambda: side.states)
                told = side.cache.account_for_venue(side.client.venue).last_event.info
                budget = ActionBudget(BudgetConfig())
                budget.on_report(told)
                assert (told["actions_used"], told["actions_limit"]) == (9_990, limits.cap)
                assert budget.remaining == limits.cap - 9_990
                assert budget.view(told["actions_ns"] + 1, resting=0).cancel_only
            finally:
                await side.stop()

    asyncio.run(story())
