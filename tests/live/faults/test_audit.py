"""The audit finds what is wrong: adapters broken on purpose end with differences."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderStatus

from hyperliquid_hip3 import account_reporter
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.doubts import Doubts
from hyperliquid_loopback.venue import LoopbackVenue
from tests.adapter.exec_scene import USER
from tests.live.faults import trading
from tests.live.faults.audit import differences
from tests.live.faults.catalogue import FOREVER
from tests.live.faults.catalogue import Scenario
from tests.live.faults.catalogue import find
from tests.live.faults.lives import life
from tests.live.faults.play import play
from tests.live.faults.stages import CountedLimits
from tests.live.faults.stages import scene_config
from tests.live.faults.strikes import Strike
from tests.live.node import until


pytestmark = pytest.mark.live_node


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    # what is broken never settles
    monkeypatch.setattr(trading, "SETTLED_S", 3.0)


async def nothing(*_, **__):
    return None


def found_in(name, seed=1):
    return " / ".join(play(find(name), seed).differences)


def lost_fill():
    """Every frame is lost until something has filled, whenever that is."""
    before = []

    def fills(stage):
        return len(stage.ex(lambda _: stage.venue.accounts.user_fills(USER)))

    def begin(stage):
        before.append(fills(stage))
        stage.venue.faults.set("ws_drop", times=FOREVER)

    return Strike(
        "every frame lost until something filled",
        begin,
        lambda stage: stage.venue.faults.clear("ws_drop"),
        lambda stage: fills(stage) > before[0],
        "fill",
    )


def test_lost_fills_that_nobody_asks_for_are_missing(monkeypatch):
    async def none(*_, **__):
        return ()

    monkeypatch.setattr(VenueClient, "user_fills_by_time", none)

    found = " / ".join(play(Scenario("lost_frames", lambda _: [lost_fill()]), 1).differences)

    assert "is missing" in found
    assert "position: venue" in found


def test_an_order_that_no_query_asks_about_stays_in_doubt(monkeypatch):
    monkeypatch.setattr(Doubts, "_ask", nothing)

    assert "is SUBMITTED" in found_in("drop_before_place")


def test_a_balance_that_is_off_is_found(monkeypatch):
    figures = account_reporter.account_figures

    def more(*given, **named):
        exact = figures(*given, **named)
        return replace(exact, total=exact.total + Decimal("0.01"))

    monkeypatch.setattr(account_reporter, "account_figures", more)

    assert "balance (standard): venue" in found_in("slow_frames")


def test_requests_above_the_limits_are_found(monkeypatch):
    trade = trading.trade

    async def with_nothing_left(stage, *given, **named):
        limits = stage.venue.limits
        limits.weight_limit, whole = limits.weight_used(stage.venue.now_ms), limits.weight_limit
        missed = await trade(stage, *given, **named)
        limits.weight_limit = whole
        return missed

    monkeypatch.setattr(trading, "trade", with_nothing_left)

    assert "above the limit of weight" in found_in("slow_frames")


NAMELESS = ("which is not ours", "while this process did not run")


def second_life(folder, meanwhile):
    """What the audit finds in a second life that begins without the names of its orders, when the first left a buy resting."""
    scenario = find("node_restarted")

    async def first(stage):
        order = stage.limit(OrderSide.BUY, "689.90", "0.200")
        stage.submit(order)
        await until(lambda: order.status is OrderStatus.ACCEPTED, "the order rests")

    async def second(stage):
        return " / ".join(differences(stage))

    with LoopbackVenue(scene_config(1), limits=CountedLimits()) as venue:
        life(venue, folder, first, scenario)
        assert [row["limitPx"] for row in left_resting(venue)] == ["689.9"]
        meanwhile(venue)
        return life(venue, folder, second, scenario)


def left_resting(venue):
    return venue.call(lambda exchange: exchange.frontend_open_orders(USER, "km"))


def fill_it(venue):
    venue.call(lambda _: venue.flow.move(Decimal("689.50")))
    asyncio.run(until(lambda: not left_resting(venue), "it was filled"))
    venue.call(lambda _: venue.flow.move(Decimal(690)))


def test_a_second_life_without_the_name_of_an_order_that_rests_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(CloidBook, "_load", lambda *_: None)

    said = second_life(tmp_path / "state", lambda _: None)

    assert [words in said for words in NAMELESS] == [True, False], said
    assert "rests, which is not ours" in said


def test_a_second_life_without_the_name_of_an_order_that_filled_before_it_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(CloidBook, "_load", lambda *_: None)

    said = second_life(tmp_path / "state", fill_it)

    assert [words in said for words in NAMELESS] == [False, True], said
    assert "while this process did not run: 0.2 at 689.9" in said


@pytest.mark.soak
def test_a_second_life_that_remembers_is_not_found(tmp_path):
    assert second_life(tmp_path / "state", lambda _: None) == ""
