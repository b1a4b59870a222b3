"""The venue's limits on actions, and a connection that is down, inside the engine."""

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce

from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.gate import OVER_IP_WEIGHT
from amm500_nautilus.simulation.gate import ActionGate
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.outage import Outages
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Recorder
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import price
from tests.simulation.market import size
from tests.simulation.market import trade
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT
from tests.simulation.script import MS
from tests.simulation.script import Script
from tests.simulation.script import still


class Requoter(Script):
    """Places so many bids in the first second and moves all of them in every second after."""

    def __init__(self, orders: int, stop_at: int | None = None) -> None:
        super().__init__([])
        self.count = orders
        self.stop_at = stop_at
        self.second = 0

    def on_start(self) -> None:
        self.clock.set_timer_ns("cycle", SECOND, T0, 0, self.cycle)

    def cycle(self, _event: Any) -> None:
        self.second += 1
        if self.second == 1:
            for n in range(self.count):
                self.send(str(n), 1, 68_900 - n, 20)
        elif self.second == self.stop_at:
            self.cancel_all_orders(IID)
        elif self.stop_at is None or self.second < self.stop_at:
            for n, order in enumerate(self.orders.values()):
                self.modify_order(order, order.quantity, price(68_900 - n - self.second % 7))


def run(script: Script, data: list[Any], **config: Any) -> SimulatedVenue:
    engine = make_engine()
    settings = {"latency": NO_LATENCY, **config}
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=VenueConfig(**settings), seed=1)
    load(engine, data)
    engine.add_strategy(script)
    engine.run()
    engine.dispose()
    return venue


def test_requoting_everything_each_second_is_cut_off_when_the_ten_thousand_are_sent() -> None:
    script = Requoter(50)
    venue = run(script, still(204))
    refused = script.of("OrderModifyRejected")
    # 50 placed in second 1 and 50 moved in each of the seconds 2 to 200 are 10,000; second 201 is refused whole
    assert (refused[0].ts_event - T0) // SECOND == 201
    assert len([event for event in refused if event.ts_event == refused[0].ts_event]) == 50
    assert refused[0].reason == (
        "Too many cumulative requests sent (10050 > 10000) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    assert len(script.of("OrderUpdated")) == 199 * 50
    assert venue.client.gate is not None
    assert venue.client.gate.address.used == 10_000
    assert venue.client.gate.refused_actions == len(refused) // 50


def test_without_limits_nothing_is_cut_off() -> None:
    script = Requoter(50)
    venue = run(script, still(204), action_limits=False)
    assert script.of("OrderModifyRejected") == []
    assert venue.client.gate is None


def test_an_address_over_its_limit_may_still_cancel() -> None:
    script = Requoter(3, stop_at=12)
    # 3 placed and 3 moved in seconds 2 and 3 are 9 of 10
    run(script, still(20), initial_actions=10)
    assert {(e.ts_event - T0) // SECOND for e in script.of("OrderUpdated")} == {2, 3}
    assert len(script.of("OrderCanceled")) == 3
    assert script.of("OrderCancelRejected") == []


@pytest.mark.parametrize(("growth", "credit"), [(True, 3), (False, 34)])
def test_traded_volume_earns_actions_a_tenth_of_them_in_growth_mode(*, growth: bool, credit: int) -> None:
    def buy(script: Script) -> None:
        # 0.05 x 690.02 = 34.501
        script.send("in", 1, 69_002, 50, time_in_force=TimeInForce.IOC)

    venue = run(Script([buy]), still(4), growth_mode=growth)
    assert venue.client.gate is not None
    assert venue.client.gate.address.limit == 10_000 + credit


def test_an_exhausted_address_gets_one_action_in_ten_seconds() -> None:
    script = Requoter(1)
    run(script, still(40), initial_actions=5)
    moved = [(e.ts_event - T0) // SECOND for e in script.of("OrderUpdated")]
    # 1 placed and 4 moved are 5; then the first beyond the limit, and one each ten seconds
    assert moved == [2, 3, 4, 5, 6, 16, 26, 36]


def test_refused_orders_never_rest_and_the_strategy_hears_why() -> None:
    script = Requoter(3)
    venue = run(script, still(4), initial_actions=2)
    assert len(script.of("OrderRejected")) == 3
    assert venue.ledger.resting_tick_lots == (0, 0)


def test_the_ip_address_may_use_1200_of_weight_a_minute() -> None:
    gate = ActionGate(growth_mode=False, initial_actions=10**6)
    said = [gate.judge(T0, "modify", 1) for _ in range(1_201)]
    assert said[:1_200] == [None] * 1_200
    assert said[1_200] == OVER_IP_WEIGHT
    assert gate.judge(T0 + 62 * SECOND, "modify", 1) is None
    # 80 items weigh 1 + 80 // 40
    heavy = ActionGate(growth_mode=False, initial_actions=10**6)
    assert [heavy.judge(T0, "cancel", 80) for _ in range(401)].count(None) == 400


# -- outages --------------------------------------------------------------------------------------------


def test_in_an_outage_commands_wait_and_answers_are_heard_at_its_end_while_the_market_fills() -> None:
    begin, end = T0 + 2 * SECOND, T0 + 6 * SECOND
    heard: list[tuple[str, int]] = []

    class Listening(Script):
        def on_order_event(self, event: Any) -> None:
            super().on_order_event(event)
            heard.append((type(event).__name__, self.clock.timestamp_ns()))

    def late(script: Script) -> None:
        script.send("late", 1, 68_990, 100)

    script = Listening([lambda s: s.send("a", 1, 69_001, 100), lambda _s: None, late])
    data = [*still(10), trade(IID, T0 + 4 * SECOND, 69_001, 100, -1)]
    recorder = Recorder()
    engine = make_engine()
    config = VenueConfig(
        latency=LatencyConfig(kind="constant", p50_ms=100.0, min_ms=0.0), outages=((begin, end),)
    )
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=config, seed=1, listener=recorder)
    load(engine, data)
    engine.add_strategy(script)
    engine.run()
    engine.dispose()
    # the venue filled us in the middle of it
    assert [fill.ts_ns for fill in recorder.fills] == [T0 + 4 * SECOND]
    [fill] = script.of("OrderFilled")
    assert fill.ts_event == T0 + 4 * SECOND
    [(_, at)] = [row for row in heard if row[0] == "OrderFilled"]
    assert end <= at <= end + SECOND
    # sent at 3 s, at the venue when the line is back
    accepted = script.of("OrderAccepted")[-1]
    assert accepted.client_order_id == script.orders["late"].client_order_id
    assert end <= accepted.ts_event <= end + 100 * MS
    assert venue.client.held == []
    assert venue.ledger.position == Decimal("0.1")
    assert script.orders["a"].side == OrderSide.BUY
    assert script.orders["a"].filled_qty == size(100)


@pytest.mark.parametrize("spans", [((5, 5),), ((5, 4),), ((1, 9), (8, 12))])
def test_outages_that_overlap_or_never_end_are_refused(spans: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="outages are"):
        Outages(spans)


def test_an_outage_begins_at_its_first_nanosecond_and_is_over_at_its_end() -> None:
    outages = Outages(((10, 20), (30, 40)))
    assert [outages.end_of(ts) for ts in (9, 10, 19, 20, 35)] == [None, 20, 20, None, 40]
