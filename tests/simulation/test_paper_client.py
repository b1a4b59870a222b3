"""The paper client on a loop whose time leaps: when commands go, when answers come, and what a failure does."""

import asyncio
import math
from collections.abc import Awaitable
from collections.abc import Callable
from decimal import Decimal
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.instruments import PerpetualContract
from nautilus_trader.model.objects import Price

from amm500_nautilus import topics
from amm500_nautilus.simulation.latency import HOME_LINE
from amm500_nautilus.simulation.latency import NEAR_VALIDATORS
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.paper_client import MarketChangedError
from amm500_nautilus.simulation.paper_client import PaperExecutionClient
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import make_instrument
from tests.simulation.paper_scene import IID
from tests.simulation.paper_scene import MS
from tests.simulation.paper_scene import LeapingLoop
from tests.simulation.paper_scene import Scene
from tests.simulation.paper_scene import batch_cancel_of
from tests.simulation.paper_scene import book
from tests.simulation.paper_scene import cancel_of
from tests.simulation.paper_scene import modify_of
from tests.simulation.paper_scene import submit_of


ACKS = 1_500
FACTS = (
    "raw_symbol",
    "underlying",
    "asset_class",
    "quote_currency",
    "settlement_currency",
    "is_inverse",
    "price_precision",
    "size_precision",
    "price_increment",
    "size_increment",
    "margin_init",
    "margin_maint",
    "maker_fee",
    "taker_fee",
    "ts_event",
    "ts_init",
)
# the Kolmogorov-Smirnov distance that a right sample exceeds once in a thousand
ALPHA = 0.001


class ClientScene(Scene):
    """The scene with the client before the venue; what the node hears is stamped with the loop's clock."""

    def __init__(self, loop: LeapingLoop, **options: Any) -> None:
        super().__init__(**options)
        self.loop = loop
        self.client = PaperExecutionClient(
            loop,
            venue=self.paper,
            touch=(69_000, 69_002),
            msgbus=self.bus,
            cache=self.cache,
            clock=self.clock,
        )
        self.engine.register_client(self.client)

    def hear(self, event: Any) -> None:
        self.heard.append((self.clock.timestamp_ns(), event))
        self.engine.process(event)

    @property
    def time(self) -> int:
        return self.clock.timestamp_ns() - T0

    def tell_market(self, bid: int = 69_000, ask: int = 69_002, lots: int = 10**6) -> None:
        now = self.clock.timestamp_ns()
        self.bus.publish("data.book.deltas.HYPERLIQUID.km:US500-USD-PERP", book(bid, ask, lots, now, now))


def play(act: Callable[[ClientScene], Awaitable[None]], **options: Any) -> ClientScene:
    """Run an act against a connected client, without any real waiting."""
    from nautilus_trader.common.component import TestClock  # noqa: PLC0415

    clock = TestClock()
    clock.set_time(T0)
    loop = LeapingLoop(clock)
    asyncio.set_event_loop(loop)
    try:
        scene = ClientScene(loop, **options)
        loop.follow(scene.clock)

        async def life() -> None:
            scene.client.connect()
            while not scene.client.is_connected:
                await asyncio.sleep(0.001)
            scene.tell_market()
            await act(scene)
            await scene.client._disconnect()
            await scene.client.cancel_pending_tasks(timeout_secs=1.0)

        loop.run_until_complete(life())
        return scene
    finally:
        loop.close()
        asyncio.set_event_loop(None)


def distance(sample: list[float], cdf: Callable[[float], float]) -> float:
    """The Kolmogorov-Smirnov statistic of a sample against a distribution."""
    ordered = sorted(sample)
    n = len(ordered)
    shares = [cdf(value) for value in ordered]
    return max(
        max((i + 1) / n - share for i, share in enumerate(shares)),
        max(share - i / n for i, share in enumerate(shares)),
    )


def lognormal(value: float) -> float:
    config = NEAR_VALIDATORS
    return NormalDist().cdf(math.log(value / config.p50_ms) / config.sigma)


def home_line(value: float) -> float:
    shares, points = zip(*HOME_LINE.quantiles, strict=True)
    return float(np.interp(value, points, shares))


async def acknowledge(scene: ClientScene) -> None:
    for n in range(ACKS):
        # far apart, and never at the same phase of the pump
        await asyncio.sleep(1.7031)
        order = scene.order(1, 68_000 + n % 900, 20)
        scene.client.submit_order(submit_of(order, scene.clock.timestamp_ns()))
        if n % 5 == 4:
            scene.tell_market()
    await asyncio.sleep(3.0)


def delays(scene: ClientScene) -> list[float]:
    """Milliseconds from sending to hearing of the acceptance, as the node saw them."""
    sent = {
        event.client_order_id: at for at, event in scene.heard if type(event).__name__ == "OrderSubmitted"
    }
    return [
        (at - sent[event.client_order_id]) / MS
        for at, event in scene.heard
        if type(event).__name__ == "OrderAccepted"
    ]


@pytest.mark.parametrize(
    ("latency", "cdf"),
    [(NEAR_VALIDATORS, lognormal), pytest.param(HOME_LINE, home_line, marks=pytest.mark.soak)],
)
def test_acknowledgements_come_after_delays_of_the_configured_distribution(
    latency: LatencyConfig, cdf: Callable[[float], float]
) -> None:
    scene = play(acknowledge, equity="10000000", latency=latency, action_limits=False, rules=many_orders())
    found = delays(scene)
    assert len(found) == ACKS
    critical = math.sqrt(-math.log(ALPHA / 2) / 2 / ACKS)
    assert distance(found, cdf) < critical
    # the ruler sees a twentieth: near the validators that is the half of the pump's 20 ms that answers without a wake-up of their own wait
    assert distance([value * 1.05 for value in found], cdf) > critical


def many_orders() -> Any:
    from amm500_nautilus.simulation.rules import VenueRules  # noqa: PLC0415

    return VenueRules(open_order_base=10_000, open_order_max=10_000)


def test_the_commands_of_a_cycle_travel_as_one_action_of_each_kind() -> None:
    counts: list[int] = []

    async def act(scene: ClientScene) -> None:
        first = [scene.order(1, 69_000 - n) for n in range(20)]
        scene.bus.publish(topics.CYCLE_END, (20, 0, 0))
        for order in first:
            scene.client.submit_order(submit_of(order, 0))
            # one turn of the loop, which takes longer than the longest wait
            scene.loop.leap(0.0004)
        await asyncio.sleep(1.0)
        counts.append(scene.paper.venue.client.actions)
        scene.bus.publish(topics.CYCLE_END, (5, 10, 5))
        for order in first[:5]:
            scene.client.cancel_order(cancel_of(order, 0))
        await asyncio.sleep(0.0005)
        for order in first[5:15]:
            scene.client.modify_order(modify_of(order, 100, 68_950, 0))
        for n in range(5):
            scene.client.submit_order(submit_of(scene.order(-1, 69_010 + n), 0))
        await asyncio.sleep(1.0)
        counts.append(scene.paper.venue.client.actions)

    scene = play(act)
    assert counts == [1, 4]
    assert len(scene.of("OrderAccepted")) == 25
    assert len(scene.of("OrderUpdated")) == 10
    assert len(scene.of("OrderCanceled")) == 5


def test_a_batch_of_cancels_is_one_action() -> None:
    async def act(scene: ClientScene) -> None:
        orders = [scene.order(1, 69_000 - n) for n in range(8)]
        for order in orders:
            scene.client.submit_order(submit_of(order, 0))
        await asyncio.sleep(1.0)
        scene.client.batch_cancel_orders(batch_cancel_of(orders, 0))
        await asyncio.sleep(1.0)

    scene = play(act)
    assert len(scene.of("OrderCanceled")) == 8
    assert scene.paper.venue.client.actions == 2
    assert scene.paper.ledger.resting_tick_lots == (0, 0)


def test_a_venue_that_fails_answers_nothing_more_and_says_so() -> None:
    async def act(scene: ClientScene) -> None:
        order = scene.order(1, 69_000)
        scene.client.submit_order(submit_of(order, 0))
        await asyncio.sleep(0.1)
        # an unknown kind of command reaches the venue
        scene.client.submit_order(object())
        await asyncio.sleep(1.0)
        scene.tell_market()
        assert order.status == OrderStatus.SUBMITTED

    scene = play(act)
    assert isinstance(scene.client.failure, KeyError)


def test_reports_say_what_rests_and_what_is_held() -> None:
    found: list[Any] = []

    async def act(scene: ClientScene) -> None:
        resting, gone = scene.order(1, 68_990), scene.order(1, 68_991)
        scene.client.submit_order(submit_of(resting, 0))
        scene.client.submit_order(submit_of(gone, 0))
        scene.client.submit_order(submit_of(scene.order(-1, 69_000, 100, time_in_force=TimeInForce.IOC), 0))
        await asyncio.sleep(1.0)
        scene.client.cancel_order(cancel_of(gone, 0))
        await asyncio.sleep(1.0)
        found.extend(await scene.client.generate_order_status_reports(None))
        found.extend(await scene.client.generate_position_status_reports(None))
        assert await scene.client.generate_fill_reports(None) == []

    play(act)
    order, position = found
    assert (order.instrument_id, float(order.price), float(order.quantity)) == (IID, 689.9, 0.1)
    assert float(position.signed_decimal_qty) == -0.1


def test_weight_is_bought_and_leverage_set_by_the_strategy_s_messages() -> None:
    async def act(scene: ClientScene) -> None:
        scene.bus.publish("amm500.reserve_weight", 1_000)
        scene.bus.publish("amm500.leverage", 5)
        scene.bus.publish("amm500.leverage", 99)
        await asyncio.sleep(2.0)

    scene = play(act)
    assert float(scene.paper.ledger.weight_cost) == 0.5
    assert scene.paper.ledger.leverage == 5
    assert len(scene.paper.venue.refused_leverage) == 1
    assert scene.time >= 2 * SECOND


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price_precision": 1, "price_increment": Price(0.1, 1)}, "tick from 0.01 to 0.1"),
        ({"maker_fee": Decimal("0.0001")}, "maker fee from 0.00003 to 0.0001"),
        ({"info": {"is_delisted": True}}, "is_delisted from None to True"),
    ],
)
def test_a_market_that_is_no_longer_what_the_venue_was_made_for_ends_the_run(
    change: dict[str, Any], words: str
) -> None:
    async def act(scene: ClientScene) -> None:
        topic = "data.instrument.HYPERLIQUID.km:US500-USD-PERP"
        scene.bus.publish(topic, make_instrument())
        await asyncio.sleep(0.1)
        assert scene.client.failure is None
        made = make_instrument()
        facts = {"instrument_id": made.id} | {name: getattr(made, name) for name in FACTS}
        scene.bus.publish(topic, PerpetualContract(**{**facts, **change}))
        await asyncio.sleep(0.1)

    scene = play(act)
    assert isinstance(scene.client.failure, MarketChangedError)
    assert words in str(scene.client.failure)
