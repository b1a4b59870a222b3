"""The dead-man's switch kept armed, with a venue that can be told what to say."""

import asyncio
from decimal import Decimal

import pytest

from hyperliquid_hip3.deadman import DeadmanState
from hyperliquid_hip3.deadman_keeper import DeadmanKeeper
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.replies import Accepted
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.sender import ActionResult
from hyperliquid_hip3.user_records import RateLimit
from tests.adapter.exec_scene import eventually


USER = "0x" + "5e" * 20
TAKEN = ActionResult(reply=Accepted("default", ()))


class Venue:
    """Volume, dexes, orders, and the actions that came."""

    def __init__(self, volume="2000000", orders=None):
        self.volume = Decimal(volume)
        self.orders = orders or {}
        self.sent = []
        self.results = []
        self.is_down = False

    async def rate_limit(self, user):
        assert user == USER
        if self.is_down:
            raise TransportError("no answer")
        return RateLimit(self.volume, 0, 10_000, 0)

    async def perp_dexs(self):
        if self.is_down:
            raise TransportError("no answer")
        return (PerpDex(1, "xyz", "", "0x1"), PerpDex(5, "km", "", "0x5"))

    async def open_orders(self, user, dex):
        assert dex != "km"
        return (None,) * self.orders.get(dex, 0)

    def venue_ms(self):
        return 1_000_000

    async def send(self, action):
        self.sent.append(action)
        result = self.results.pop(0) if self.results else TAKEN
        if isinstance(result, Exception):
            raise result
        return result


class Scene:
    def __init__(self, venue, ahead_s=60):
        self.notices = []
        self.now = 0
        self.keeper = DeadmanKeeper(
            venue,
            venue,
            account=USER,
            dex="km",
            ahead_s=ahead_s,
            notify=lambda kind, text, **more: self.notices.append((kind, text, more)),
            monotonic_ns=lambda: self.now,
            look_s=0.001,
            qualify_every_s=0.001,
        )

    @property
    def texts(self):
        assert all(kind is NoticeKind.DEADMAN for kind, _, _ in self.notices)
        return [text for _, text, _ in self.notices]

    def play(self, story):
        async def main():
            task = asyncio.create_task(self.keeper.run())
            try:
                await story()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())


def test_a_qualified_account_is_armed_and_again_after_half_the_time():
    venue = Venue()
    scene = Scene(venue)

    async def story():
        assert await scene.keeper.qualify()
        await eventually(lambda: len(venue.sent) == 1)
        scene.now = 30_000_000_000
        await eventually(lambda: len(venue.sent) == 2)

    scene.play(story)

    assert venue.sent == [{"type": "scheduleCancel", "time": 1_060_000}] * 2
    assert scene.notices == []


def test_an_account_that_comes_to_the_volume_is_armed_without_a_restart():
    venue = Venue("999999.99")
    scene = Scene(venue)

    async def story():
        assert not await scene.keeper.qualify()
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert venue.sent == []
        venue.volume = Decimal(1_000_000)
        await eventually(lambda: scene.keeper.switch.is_armed)

    scene.play(story)

    told = scene.texts
    assert len(told) == 2
    assert "the supervisor must cancel" in told[0]
    assert "is set" in told[1]


def test_a_volume_that_cannot_be_read_is_told_and_asked_for_again():
    venue = Venue("0")
    scene = Scene(venue)

    async def story():
        await scene.keeper.qualify()
        venue.is_down = True
        await eventually(lambda: len(scene.notices) > 1)
        venue.is_down, venue.volume = False, Decimal(10_000_000)
        await eventually(lambda: scene.keeper.switch.is_armed)

    scene.play(story)

    assert "could not be read" in scene.texts[1]


def test_a_refusal_for_want_of_volume_ends_it_until_the_volume_is_there():
    venue = Venue()
    text = "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $0.00."
    venue.results = [ActionResult(reply=Refused(text))]
    scene = Scene(venue)

    async def story():
        await scene.keeper.qualify()
        await eventually(lambda: len(venue.sent) == 2)

    scene.play(story)

    assert scene.texts[0] == f"not armed: {text}"


def test_orders_on_other_dexes_are_warned_of_once_at_arming():
    venue = Venue(orders={"": 2, "xyz": 1})
    scene = Scene(venue)

    async def story():
        await scene.keeper.qualify()
        await eventually(lambda: scene.notices)
        scene.now = 30_000_000_000
        await eventually(lambda: len(venue.sent) == 2)

    scene.play(story)

    assert scene.texts == [
        "the dead-man's switch would cancel orders elsewhere too: 2 on the main dex, 1 on xyz"
    ]
    assert scene.notices[0][2] == {"is_alarm": True}


def test_orders_elsewhere_that_cannot_be_read_are_told_and_the_switch_is_armed():
    venue = Venue()
    scene = Scene(venue)

    async def story():
        await scene.keeper.qualify()
        venue.is_down = True
        await eventually(lambda: scene.notices)

    scene.play(story)

    assert scene.keeper.switch.is_armed
    assert "could not be read" in scene.texts[0]


@pytest.mark.parametrize(
    "result",
    [ActionResult(unknown_until_ms=5), ActionResult(not_done="NOT_SENT: x"), SigningError("no nonce")],
)
def test_an_arming_that_failed_is_told_and_tried_again_after_five_seconds(result):
    venue = Venue()
    venue.results = [result]
    scene = Scene(venue)

    async def story():
        await scene.keeper.qualify()
        await eventually(lambda: scene.notices)
        assert not scene.keeper.switch.is_armed
        scene.now = 5_000_000_000
        await eventually(lambda: scene.keeper.switch.is_armed)

    scene.play(story)

    assert scene.texts[0].startswith("not armed")


def test_a_clean_stop_clears_it_and_says_when_it_could_not():
    venue = Venue()
    scene = Scene(venue)

    async def story():
        await scene.keeper.qualify()
        await scene.keeper.disarm()
        assert venue.sent == []
        await scene.keeper.arm()
        await scene.keeper.disarm()
        assert venue.sent[-1] == {"type": "scheduleCancel"}
        await scene.keeper.arm()
        venue.results = [ActionResult(not_done="NOT_SENT: x")]
        await scene.keeper.disarm()

    asyncio.run(story())

    (text,) = scene.texts
    assert "not disarmed" in text
    assert not scene.keeper.switch.is_armed


def test_zero_asks_nothing_and_sends_nothing():
    venue = Venue()
    venue.is_down = True
    scene = Scene(venue, ahead_s=0)

    async def story():
        assert not await scene.keeper.qualify()
        await scene.keeper.run()

    asyncio.run(story())

    assert scene.keeper.switch.state is DeadmanState.OFF
    assert venue.sent == []
    assert scene.notices == []


@pytest.mark.parametrize(
    ("result", "is_cleared"),
    [
        pytest.param(ActionResult(unknown_until_ms=1_001_000), True, id="no answer: it may be set"),
        pytest.param(ActionResult(not_done="NOT_SENT"), False, id="it never left"),
    ],
)
def test_a_clean_stop_clears_what_a_first_setting_without_an_answer_may_have_set(result, is_cleared):
    venue = Venue()
    venue.results = [result]
    scene = Scene(venue)

    async def story():
        assert await scene.keeper.qualify()
        await scene.keeper.arm()
        await scene.keeper.disarm()
        await scene.keeper.disarm()

    asyncio.run(story())

    assert venue.sent[1:] == [{"type": "scheduleCancel"}] * is_cleared
