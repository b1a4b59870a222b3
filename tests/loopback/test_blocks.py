"""Blocks: the order of actions, replies, expiry, limits, and the scheduled cancel."""

from decimal import Decimal

import pytest

from hyperliquid_loopback import words
from hyperliquid_loopback.actions_in import BlockClass
from hyperliquid_loopback.actions_in import action_count
from hyperliquid_loopback.actions_in import block_class
from hyperliquid_loopback.actions_in import parse_action
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.schedule import CancelSchedule
from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import SELL
from hyperliquid_loopback.types import Traded
from hyperliquid_loopback.types import VenueCanceled
from hyperliquid_loopback.types import number
from tests.loopback.core_scene import ALICE
from tests.loopback.core_scene import BOB
from tests.loopback.core_scene import COIN
from tests.loopback.core_scene import START_MS
from tests.loopback.core_scene import Scene
from tests.loopback.core_scene import cancel_action
from tests.loopback.core_scene import modify_action
from tests.loopback.core_scene import order
from tests.loopback.core_scene import place_action


ALO = place_action(order("B", "689"))
IOC = place_action(order("B", "690.01", tif="Ioc"))
MIXED = place_action(order("B", "689"), order("B", "689", tif="Gtc"))
STOP = place_action(
    order("A", "600", trigger={"isMarket": True, "triggerPx": "680", "tpsl": "sl"}, reduce_only=True)
)


@pytest.mark.parametrize(
    ("action", "turn"),
    [
        (ALO, BlockClass.PASSIVE),
        (STOP, BlockClass.PASSIVE),
        ({"type": "noop"}, BlockClass.PASSIVE),
        ({"type": "scheduleCancel"}, BlockClass.PASSIVE),
        (modify_action(1, order("B", "689", tif="Gtc")), BlockClass.PASSIVE),
        (cancel_action(1), BlockClass.CANCEL),
        (IOC, BlockClass.AGGRESSIVE),
        (MIXED, BlockClass.AGGRESSIVE),
        (modify_action(1, order("B", "689", tif="Gtc"), a=True), BlockClass.AGGRESSIVE),
        (modify_action(1, order("B", "689"), a=True), BlockClass.PASSIVE),
    ],
)
def test_an_action_has_the_turn_of_what_it_sends(action, turn):
    assert block_class(parse_action(action)) is turn


def test_a_batch_counts_its_items():
    assert action_count(parse_action(MIXED)) == 2
    assert action_count(parse_action(cancel_action(1, 2, 3))) == 3
    assert action_count(parse_action({"type": "noop"})) == 1


def test_a_cancel_of_the_same_block_comes_before_a_taker_that_was_sent_first(scene):
    oid = scene.rest("A", "690", "1")
    taken = scene.submit(place_action(order("B", "690", tif="Ioc")), BOB)
    canceled = scene.submit(cancel_action(oid))
    scene.step(house=lambda _: scene.exchange.house_take(COIN, BUY, Decimal(1), Decimal(690)))
    assert canceled[0]["response"]["data"]["statuses"] == ["success"]
    assert "error" in taken[0]["response"]["data"]["statuses"][0]
    assert scene.of(Traded) == []


def test_a_post_only_order_of_the_same_block_comes_before_a_cancel_and_a_taker(scene):
    taken = scene.submit(place_action(order("B", "690", tif="Ioc")), BOB)
    scene.submit(place_action(order("A", "690")))
    scene.step()
    assert taken[0]["response"]["data"]["statuses"][0]["filled"]["totalSz"] == "1.0"
    assert scene.position() == -1


def test_the_market_moves_after_the_cancels_and_before_users_takers(scene):
    seen = []

    def house(now_ms):
        seen.append((now_ms, len(scene.exchange.open_orders(ALICE, "km"))))
        scene.exchange.house_level(COIN, SELL, Decimal("690.01"), Decimal(0))

    oid = scene.rest("B", "689")
    taken = scene.submit(place_action(order("B", "690.01", tif="Ioc")), BOB)
    scene.submit(cancel_action(oid))
    scene.step(house=house)
    assert seen == [(scene.now_ms, 0)]
    assert "error" in taken[0]["response"]["data"]["statuses"][0]


def test_no_reply_comes_before_its_block_and_all_come_at_its_end(scene):
    first, second = scene.submit(ALO), scene.submit(IOC)
    assert (first, second) == ([], [])
    before = scene.exchange.open_orders(ALICE, "km")
    scene.step()
    assert before == []
    assert (len(first), len(second)) == (1, 1)


def test_an_action_that_its_block_comes_too_late_for_is_refused_and_costs_five(scene):
    used = scene.accounts.rate_limit(ALICE)["nRequestsUsed"]
    late = scene.submit(ALO, expires_after=scene.now_ms + 10)
    fine = scene.submit(ALO, expires_after=scene.now_ms + 1_000)
    scene.step()
    assert late == [{"status": "err", "response": "Action already expired"}]
    assert fine[0]["status"] == "ok"
    assert scene.accounts.rate_limit(ALICE)["nRequestsUsed"] == used + 6


def test_an_address_above_its_limit_is_told_and_background_flow_is_not_counted(scene):
    limits = scene.accounts.holder(ALICE).limits
    limits.sent = limits.cap
    assert scene.act(ALO)["status"] == "ok"
    refused = scene.act(ALO)
    assert refused["status"] == "err"
    assert refused["response"].startswith("Too many cumulative requests sent (10002 > 10000)")
    assert scene.act(ALO, house=True)["status"] == "ok"


def test_a_clock_set_back_stands_until_it_is_caught_up_with(scene):
    before = scene.exchange.now_ms
    scene.exchange.run_block(before - 1_000)
    assert scene.exchange.now_ms == before
    scene.exchange.run_block(before + 5)
    assert scene.exchange.now_ms == before + 5


def test_after_an_upgrade_only_post_only_orders_are_taken_for_a_while():
    scene = Scene(options=VenueOptions(post_only_until_ms=START_MS + 1_000))
    assert scene.act(IOC) == {"status": "err", "response": words.POST_ONLY_PHASE}
    assert scene.act(ALO)["status"] == "ok"
    scene.step(2_000)
    assert scene.act(IOC)["status"] == "ok"


def qualified(scene, user=ALICE):
    scene.accounts.holder(user).limits.traded = Decimal(1_000_000)


def schedule(scene, time_ms):
    return scene.act({"type": "scheduleCancel"} | ({} if time_ms is None else {"time": time_ms}))


def test_a_scheduled_cancel_needs_a_million_of_volume_to_set_and_to_clear(scene):
    scene.accounts.holder(ALICE).limits.traded = Decimal("999999.994")
    expected = (
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $999999.99."
    )
    assert schedule(scene, scene.now_ms + 60_000) == {"status": "err", "response": expected}
    assert schedule(scene, None) == {"status": "err", "response": expected}


def test_a_scheduled_cancel_takes_the_users_orders_of_all_dexes_and_nobody_elses(scene):
    qualified(scene)
    scene.accounts.open_account(ALICE, deposits={"xyz": Decimal(1_000)})
    on_km, other = scene.rest("B", "689"), scene.rest("B", "689", user=BOB)
    asset = scene.universe.asset_of("xyz:SP500")
    price = scene.exchange.mark("xyz:SP500").to_integral_value() - 50
    (status,) = scene.place(order("B", price, "0.1", asset=asset))
    on_xyz = status["resting"]["oid"]
    due = scene.now_ms + 60_000
    assert schedule(scene, due)["status"] == "ok"
    scene.step(59_000)
    assert scene.status(on_km) == "open"
    scene.step(2_000)
    assert (scene.status(on_km), scene.status(on_xyz)) == ("scheduledCancel", "scheduledCancel")
    assert scene.status(other, BOB) == "open"
    assert {event.oid for event in scene.of(VenueCanceled)} == {on_km, on_xyz}
    # it went off once
    later = scene.rest("B", "689")
    scene.step(60_000)
    assert scene.status(later) == "open"


def test_a_scheduled_cancel_can_be_moved_and_cleared_and_not_be_too_near(scene):
    qualified(scene)
    oid = scene.rest("B", "689")
    assert schedule(scene, scene.now_ms + 4_000)["response"] == words.SCHEDULE_EARLY
    schedule(scene, scene.now_ms + 10_000)
    schedule(scene, scene.now_ms + 30_000)
    scene.step(20_000)
    assert scene.status(oid) == "open"
    schedule(scene, None)
    scene.step(30_000)
    assert scene.status(oid) == "open"


def test_a_cancel_goes_off_ten_times_a_day_until_midnight_utc(scene):
    qualified(scene)
    plan = CancelSchedule(scene.accounts)
    now = START_MS - START_MS % 86_400_000
    for _ in range(10):
        assert plan.set(ALICE, now + 5_000, now) is None
        now += 5_000
        assert plan.due(now) == [ALICE]
        assert plan.due(now) == []
    assert plan.set(ALICE, now + 5_000, now) == words.SCHEDULE_TRIGGERS
    tomorrow = now - now % 86_400_000 + 86_400_000
    assert plan.set(ALICE, tomorrow + 5_000, tomorrow) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("690", "690.0"),
        ("690.10", "690.1"),
        ("0.000", "0.0"),
        ("-0", "0.0"),
        ("1E+3", "1000.0"),
        ("-1.50", "-1.5"),
    ],
)
def test_a_number_is_written_as_the_venue_writes_it(value, text):
    assert number(Decimal(value)) == text
