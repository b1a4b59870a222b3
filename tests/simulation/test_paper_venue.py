"""The paper venue: the backtest's exchange on a live clock, answering after the configured time and never before."""

from decimal import Decimal

import pytest
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import TimeInForce

from amm500_nautilus.margin.funding import HOUR_NS
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.paper_client import adopt_position
from amm500_nautilus.simulation.paper_state import PaperState
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.paper_scene import IID
from tests.simulation.paper_scene import MS
from tests.simulation.paper_scene import STRATEGY
from tests.simulation.paper_scene import TRADER
from tests.simulation.paper_scene import Scene


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.begin()
    return made


def test_the_account_is_reported_with_its_equity_before_anything_is_traded(scene: Scene) -> None:
    account = scene.cache.account_for_venue(IID.venue)
    assert account.last_event.info["equity"] == "1000.000000"
    assert account.id.value == "HYPERLIQUID-001"


def test_an_order_is_answered_after_its_latency_and_not_before(scene: Scene) -> None:
    order = scene.order(1, 69_000)
    scene.submit(order)
    scene.pass_(199 * MS)
    assert order.status == OrderStatus.SUBMITTED
    scene.pass_(2 * MS)
    assert order.status == OrderStatus.ACCEPTED
    # the venue's own time of it is exact, whenever the clock was looked at
    assert order.ts_last - T0 == 200 * MS


def test_orders_of_one_instant_are_one_action_and_share_one_latency() -> None:
    scene = Scene(latency=LatencyConfig(p50_ms=200.0, sigma=0.5))
    scene.begin()
    orders = [scene.order(1, 69_000 - n) for n in range(30)]
    scene.submit(*orders)
    scene.pass_(3 * SECOND)
    assert len({order.ts_last for order in orders}) == 1
    assert scene.paper.venue.client.actions == 1


def test_a_trade_at_our_price_fills_us_only_behind_what_stood_there(scene: Scene) -> None:
    order = scene.order(1, 69_000)
    scene.submit(order)
    scene.pass_(250 * MS)
    scene.trade(69_000, 400, -1)
    assert order.filled_qty == 0
    scene.trade(69_000, 150, -1)
    # 500 lots stood ahead, 550 have traded
    assert float(order.filled_qty) == 0.05
    fill = scene.records.fills[-1]
    assert (fill.queue_ahead, fill.maker, fill.by_trade) == (500, True, True)
    assert scene.paper.ledger.position == Decimal("0.05")


def test_the_node_has_heard_of_a_fill_before_the_venue_judges_the_next_command(scene: Scene) -> None:
    """A change that arrives in the same look at the clock as a fill keeps what was filled, so that nothing is bought twice."""
    order = scene.order(1, 69_000, 100)
    scene.submit(order)
    scene.pass_(250 * MS)
    scene.modify(order, lots=100, ticks=68_999)
    scene.trade(69_000, 550, -1)
    scene.pass_(250 * MS)
    assert float(order.filled_qty) == 0.05
    assert float(order.leaves_qty) == 0.05
    assert scene.paper.ledger.resting_tick_lots == (68_999 * 50, 0)


def test_a_post_only_order_that_would_take_is_refused_in_the_venue_s_words(scene: Scene) -> None:
    order = scene.order(1, 69_002)
    scene.submit(order)
    scene.pass_(250 * MS)
    rejected = scene.of("OrderRejected")[0]
    assert rejected.due_post_only
    assert rejected.reason == (
        "Post only order would have immediately matched, bbo was 690@690.02. asset=150000"
    )


def test_an_order_meets_the_market_as_it_is_heard_when_it_arrives(scene: Scene) -> None:
    """The exchange's own times are older by the way here, and its clock may be another: only the time of receipt counts."""
    order = scene.order(1, 69_002, time_in_force=TimeInForce.IOC)
    scene.submit(order)
    scene.pass_(100 * MS)
    # heard before the order arrives, by the exchange's clock an hour later or earlier
    scene.market(69_010, 69_012, late_ns=-HOUR_NS)
    scene.pass_(50 * MS)
    scene.market(69_000, 69_004, late_ns=HOUR_NS)
    scene.pass_(100 * MS)
    assert order.status == OrderStatus.REJECTED
    assert "could not immediately match" in scene.of("OrderRejected")[0].reason


def test_funding_is_paid_at_the_hour_at_the_rate_that_stood_before_it() -> None:
    scene = Scene(start_ns=T0 + HOUR_NS - 10 * SECOND)
    scene.begin()
    scene.oracle("690")
    scene.rate("0.0001")
    order = scene.order(1, 69_002, 1_000, time_in_force=TimeInForce.IOC)
    scene.submit(order)
    scene.pass_(9 * SECOND)
    # half the hour has gone by for whoever rounds: nothing may be paid early
    assert scene.records.funding == []
    scene.pass_(2 * SECOND)
    # the first rate of the new hour is the next one's estimate
    scene.rate("0.0009")
    assert scene.records.funding == [(T0 + HOUR_NS, Decimal("-0.0345"), Decimal("0.0001"), Decimal("690.00"))]
    scene.pass_(10 * SECOND)
    assert len(scene.records.funding) == 1


def test_the_first_rate_of_an_hour_is_not_the_one_that_is_paid_even_if_it_comes_before_the_clock_is_looked_at() -> (
    None
):
    scene = Scene(start_ns=T0 + HOUR_NS - 2 * SECOND)
    scene.begin()
    scene.oracle("690")
    scene.rate("0.0001")
    scene.submit(scene.order(1, 69_002, 1_000, time_in_force=TimeInForce.IOC))
    scene.pass_(SECOND)
    scene.now = T0 + HOUR_NS + 5 * MS
    scene.rate("0.0009")
    assert [row[2] for row in scene.records.funding] == [Decimal("0.0001")]


def test_without_a_rate_the_default_is_paid_and_counted() -> None:
    scene = Scene(start_ns=T0 + HOUR_NS - 2 * SECOND)
    scene.begin()
    scene.submit(scene.order(1, 69_002, 100, time_in_force=TimeInForce.IOC))
    scene.pass_(10 * SECOND)
    assert len(scene.records.funding) == 1
    assert any("default" in words for words in scene.paper.venue.assumptions())


def test_action_limits_hold_and_cancels_pass_longer() -> None:
    scene = Scene(initial_actions=3)
    scene.begin()
    orders = [scene.order(1, 69_000 - n) for n in range(3)]
    scene.submit(*orders)
    scene.pass_(SECOND)
    late = [scene.order(1, 68_900 - n) for n in range(2)]
    scene.submit(*late)
    scene.pass_(SECOND)
    assert [event.reason[:37] for event in scene.of("OrderRejected")] == [
        "Too many cumulative requests sent (5 "
    ] * 2
    scene.cancel(*orders)
    scene.pass_(SECOND)
    assert len(scene.of("OrderCanceled")) == 3


def test_a_position_below_maintenance_is_liquidated_on_the_live_market() -> None:
    scene = Scene(equity="200", leverage=Decimal(20))
    scene.begin()
    order = scene.order(1, 69_002, 500, time_in_force=TimeInForce.IOC)
    for _ in range(10):
        scene.submit(order)
        scene.pass_(SECOND)
        scene.market(69_000, 69_002, 10_000)
        order = scene.order(1, 69_002, 500, time_in_force=TimeInForce.IOC)
    held = scene.paper.ledger.position
    assert held > 4
    scene.market(65_500, 65_502, 100_000)
    scene.pass_(SECOND)
    assert scene.records.liquidations
    assert scene.paper.ledger.position == 0


def test_a_clock_that_is_set_back_does_not_turn_the_venue_s_time_back(scene: Scene) -> None:
    scene.paper.process(T0 + 100 * MS)
    scene.now = T0 - 3_600 * SECOND
    scene.paper.process(scene.now)
    order = scene.order(1, 69_000)
    scene.submit(order)
    assert scene.of("OrderSubmitted")[0].ts_event == T0 + 100 * MS
    scene.paper.process(T0 + 301 * MS)
    assert order.ts_last == T0 + 300 * MS


def test_what_is_on_its_way_when_trading_stops_never_trades_and_nothing_is_left_resting(scene: Scene) -> None:
    resting, late = scene.order(1, 69_000), scene.order(-1, 69_003)
    scene.submit(resting)
    scene.pass_(SECOND)
    scene.submit(late)
    scene.cancel(resting)
    scene.trader.is_stopped = True
    scene.pass_(20 * MS)
    assert resting.status == OrderStatus.CANCELED
    assert late.status == OrderStatus.CANCELED
    assert scene.paper.ledger.resting_tick_lots == (0, 0)


# -- from run to run --------------------------------------------------------------------------------------------------


def traded() -> Scene:
    scene = Scene()
    scene.begin()
    scene.oracle("690")
    scene.rate("0.0001")
    scene.submit(scene.order(1, 69_002, 300, time_in_force=TimeInForce.IOC), scene.order(1, 68_990))
    scene.pass_(SECOND)
    return scene


def test_a_second_run_has_the_equity_the_position_and_the_limits_of_the_first() -> None:
    first = traded()
    state = PaperState.from_json(first.paper.state().to_json())
    second = Scene(start_ns=first.now + SECOND)
    assert second.paper.restore(state, mark=Decimal("690.01")) == 0
    second.begin()
    before, after = first.paper.ledger, second.paper.ledger
    assert (after.position, after.equity, after.balance) == (before.position, before.equity, before.balance)
    assert after.entry_ticks == before.entry_ticks
    # the books of the run begin at nothing, what the account has traded does not
    assert (after.fills, after.fees, after.volume) == (0, 0, before.volume)
    gates = [scene.paper.venue.client.gate for scene in (first, second)]
    assert gates[0].address.save() == gates[1].address.save()
    # orders are not restored
    assert after.resting_tick_lots == (0, 0)
    assert second.cache.account_for_venue(IID.venue).last_event.info["equity"] == f"{before.equity:.6f}"


def test_the_hours_between_two_runs_are_paid_at_the_last_rate_seen() -> None:
    first = traded()
    state = first.paper.state()
    second = Scene(start_ns=T0 + 3 * HOUR_NS + SECOND)
    paid = second.paper.restore(state, mark=Decimal(700))
    assert paid == 3 * Decimal("-0.0207")
    assert [row[0] for row in second.records.funding] == [T0 + n * HOUR_NS for n in (1, 2, 3)]
    second.begin()
    second.pass_(SECOND)
    assert second.paper.ledger.funding == paid


def test_a_restored_position_is_the_strategy_s_and_closes_as_its_own() -> None:
    first = traded()
    second = Scene(start_ns=first.now + SECOND)
    second.paper.restore(first.paper.state(), mark=Decimal("690.01"))
    adopted = adopt_position(second.cache, second.paper, STRATEGY, TRADER, second.now)
    second.begin()
    held = second.cache.positions_open(instrument_id=IID)
    assert held == [adopted]
    assert (float(adopted.quantity), adopted.strategy_id) == (0.3, STRATEGY)
    # no event told of it: the records begin with the position
    assert second.of("OrderFilled") == []
    second.submit(second.order(-1, 69_000, 300, time_in_force=TimeInForce.IOC, reduce_only=True))
    second.pass_(SECOND)
    assert second.paper.ledger.position == 0
    assert second.cache.positions_open(instrument_id=IID) == []


def test_a_restored_position_is_still_liquidated() -> None:
    first = Scene(equity="200", leverage=Decimal(20))
    first.begin()
    first.market(69_000, 69_002, 10_000)
    first.submit(first.order(1, 69_002, 5_000, time_in_force=TimeInForce.IOC))
    first.pass_(SECOND)
    assert first.paper.ledger.position == 5
    second = Scene(equity="200", leverage=Decimal(20), start_ns=first.now + SECOND)
    second.paper.restore(first.paper.state(), mark=Decimal(690))
    adopt_position(second.cache, second.paper, STRATEGY, TRADER, second.now)
    second.begin()
    second.market(65_500, 65_502, 100_000)
    second.pass_(SECOND)
    assert second.records.liquidations
    assert second.paper.ledger.position == 0


def test_another_lot_than_the_one_a_position_was_counted_in_is_refused() -> None:
    state = traded().paper.state()
    text = state.to_json().replace('"lot": "0.001"', '"lot": "0.01"')
    with pytest.raises(ValueError, match=r"lots of 0\.01, the venue in 0\.001"):
        Scene().paper.restore(PaperState.from_json(text), mark=Decimal(690))
