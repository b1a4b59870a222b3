"""A reduce-only order never turns the position, whatever else the same event of the market reaches."""

from decimal import Decimal
from typing import Any

from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import TimeInForce

from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.latency import NO_LATENCY
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import depth
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import size
from tests.simulation.market import trade
from tests.simulation.script import ASKS
from tests.simulation.script import BIDS
from tests.simulation.script import IID
from tests.simulation.script import INSTRUMENT
from tests.simulation.script import Script
from tests.simulation.script import still


def run(steps: list[Any], data: list[Any]) -> tuple[Script, SimulatedVenue]:
    engine = make_engine()
    config = VenueConfig(starting_equity=Decimal(1_000), leverage=Decimal(10), latency=NO_LATENCY)
    venue = add_simulated_venue(engine, instrument=INSTRUMENT, config=config, seed=1)
    keep_engine_flat(engine, venue)
    load(engine, data)
    # a contract is held from the first second on
    script = Script(
        [lambda s: s.send("in", 1, 69_003, 1_000, time_in_force=TimeInForce.IOC), *steps],
    )
    engine.add_strategy(script)
    engine.run()
    venue.finish()
    engine.dispose()
    return script, venue


def swept(lots: int) -> list[Any]:
    """A still market in which a buyer takes so much through our asks after five seconds."""
    return [*still(8), trade(IID, T0 + 5 * SECOND + 1, 69_020, lots, 1)]


def test_of_two_that_one_trade_reaches_the_second_is_canceled_for_what_is_no_longer_held() -> None:
    steps = [
        lambda s: s.send("first", -1, 69_010, 700, reduce_only=True),
        lambda s: s.send("second", -1, 69_011, 1_000, reduce_only=True),
    ]
    script, venue = run(steps, swept(5_000))
    assert venue.ledger.position_lots == 0
    assert script.orders["first"].status == OrderStatus.FILLED
    assert script.orders["second"].filled_qty == size(300)
    assert script.orders["second"].status == OrderStatus.CANCELED
    assert not venue.module._fills.orders
    assert venue.ledger.resting_tick_lots == (0, 0)


def test_one_behind_an_ordinary_order_that_the_same_trade_fills_is_canceled_unfilled() -> None:
    steps = [
        lambda s: s.send("plain", -1, 69_010, 1_000),
        lambda s: s.send("out", -1, 69_011, 1_000, reduce_only=True),
    ]
    script, venue = run(steps, swept(5_000))
    assert venue.ledger.position_lots == 0
    assert script.orders["out"].filled_qty == 0
    assert script.orders["out"].status == OrderStatus.CANCELED
    assert len(script.of("OrderCanceled")) == 1


def test_one_that_a_trade_reaches_in_part_goes_as_well_once_nothing_is_held() -> None:
    steps = [
        lambda s: s.send("plain", -1, 69_010, 1_000),
        lambda s: s.send("out", -1, 69_011, 1_000, reduce_only=True),
    ]
    script, venue = run(steps, swept(1_400))
    assert venue.ledger.position_lots == 0
    assert script.orders["out"].status == OrderStatus.CANCELED
    assert len(script.of("OrderCanceled")) == 1


def test_one_filled_at_two_levels_of_a_book_at_once_is_counted_out_once() -> None:
    def crossing(at: int) -> Any:
        return depth(IID, at, [(69_012, 300), (69_011, 500)], [(69_013 + k, 500) for k in range(10)])

    data = [
        *(depth(IID, T0 + i * SECOND // 2, BIDS, ASKS) for i in range(6)),
        crossing(T0 + 3 * SECOND),
        *(depth(IID, T0 + 3 * SECOND + i * SECOND // 2, BIDS, ASKS) for i in range(1, 8)),
    ]
    steps = [
        lambda s: s.send("two", -1, 69_010, 600, reduce_only=True),
        lambda _: None,
        lambda s: s.send("later", -1, 69_030, 400, reduce_only=True),
        lambda s: s.send("flat", -1, 69_000, 400, time_in_force=TimeInForce.IOC),
    ]
    script, venue = run(steps, data)
    assert [event.last_qty for event in script.of("OrderFilled")][2:4] == [size(300), size(300)]
    assert venue.ledger.position_lots == 0
    # nothing is held any more: the venue cancels what could only open a position
    assert script.orders["later"].status == OrderStatus.CANCELED
