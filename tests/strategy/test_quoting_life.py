"""Quoting from start to stop: both sides, inventory, stale data, the fast path, sessions, the account."""

from typing import Any

import pytest
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import RecordFlag

from amm500_nautilus.risk.budget import BudgetConfig
from amm500_nautilus.simulation.latency import LatencyConfig
from tests.simulation.market import price
from tests.simulation.market import quote
from tests.simulation.market import size
from tests.strategy.scene import APART
from tests.strategy.scene import IID
from tests.strategy.scene import LOTS
from tests.strategy.scene import Probe
from tests.strategy.scene import book
from tests.strategy.scene import ns
from tests.strategy.scene import play
from tests.strategy.scene import seconds
from tests.strategy.scene import still
from tests.strategy.scene import sweep


BUY, SELL = 1, -1
FAR_BELOW, FAR_ABOVE, HUGE = 68_900, 69_100, 100_000


def test_both_sides_are_quoted_within_three_seconds_of_the_start() -> None:
    scene = play(still(6))
    sample = scene.at(3)
    assert sample.state == "quoting"
    assert sample.reasons == ()
    assert sample.bid_ticks < 69_000
    assert sample.ask_ticks > 69_001
    assert sample.n_bids == sample.n_asks > 3


def test_the_account_is_known_at_the_first_decision() -> None:
    scene = play(still(4))
    assert "equity" not in scene.samples[0].reasons
    assert scene.sent("place")[0] == seconds(scene.samples[0].ts_ns)


def test_one_side_is_worth_its_share_of_the_exposure_limit() -> None:
    # equity 1,000 at leverage 10, 2 %: 200 a side; 200 / 690.005 = 0.289 = 289 lots
    resting = []
    play(still(6), [(5, lambda maker: resting.extend(maker.resting()))])
    for side in (BUY, SELL):
        assert sum(lots for mine, _, lots in resting if mine == side) == 289


@pytest.mark.parametrize(
    ("reached", "aggressor", "inventory"),
    [
        pytest.param(FAR_BELOW, SELL, BUY, id="a long position lowers the quotes"),
        pytest.param(FAR_ABOVE, BUY, SELL, id="a short position raises the quotes"),
    ],
)
def test_inventory_moves_both_quotes_to_its_own_relief(reached: int, aggressor: int, inventory: int) -> None:
    scene = play([*still(20), sweep(10.2, reached, HUGE, aggressor)])
    before, after = scene.at(9), scene.at(15)
    assert scene.maker.inventory.lots * inventory > 0
    assert (after.bid_ticks - before.bid_ticks) * inventory < 0
    assert (after.ask_ticks - before.ask_ticks) * inventory < 0
    assert after.delta * inventory > 0.015


def test_the_position_of_the_strategy_is_that_of_the_engine_and_of_the_ledger() -> None:
    scene = play([*still(30), sweep(10.2, FAR_BELOW, HUGE, SELL), sweep(20.2, 69_045, HUGE, BUY)])
    lots = scene.maker.inventory.lots
    assert lots != 0
    assert float(scene.maker.portfolio.net_position(IID)) == pytest.approx(lots * 0.001)
    assert float(scene.venue.ledger.position) == pytest.approx(lots * 0.001)


@pytest.mark.parametrize(
    ("reached", "aggressor", "stays"),
    [
        pytest.param(FAR_BELOW, SELL, SELL, id="long: only offers rest"),
        pytest.param(FAR_ABOVE, BUY, BUY, id="short: only bids rest"),
    ],
)
def test_beyond_the_one_sided_threshold_only_the_reducing_side_rests(
    reached: int, aggressor: int, stays: int
) -> None:
    resting = []
    scene = play(
        [*still(30), sweep(10.2, reached, HUGE, aggressor), sweep(20.2, reached, HUGE, aggressor)],
        [(25.5, lambda maker: resting.extend(maker.resting()))],
    )
    sample = scene.at(25)
    assert abs(sample.delta) > 0.025
    assert sample.state == "one_sided"
    assert sample.reasons == ("one_sided",)
    assert {side for side, _, _ in resting} == {stays}


def test_inventory_is_offered_at_the_touch_reduce_only_and_worked_off() -> None:
    resting = []
    scene = play(
        [*still(40), sweep(10.2, FAR_BELOW, HUGE, SELL), sweep(20.2, 69_001, HUGE, BUY)],
        [(15.5, lambda maker: resting.extend(maker.resting()))],
    )
    assert scene.at(15).state == "rebalancing"
    assert min(ticks for side, ticks, _ in resting if side == SELL) == 69_001
    assert scene.at(30).state == "quoting"
    assert abs(scene.at(30).delta) < 0.005


def test_two_seconds_without_any_market_data_cancel_everything_until_thirty_seconds_of_fresh_data() -> None:
    resting: dict[float, int] = {}
    steps = [
        (at, lambda maker, at=at: resting.update({at: len(maker.resting())})) for at in (11.3, 13.5, 14.9)
    ]
    # the last message before the silence comes at 9.5
    scene = play([*still(10), *still(50, start=15)], steps)
    assert resting[11.3] > 0
    assert resting[13.5] == resting[14.9] == 0
    assert scene.at(13).state == "paused"
    assert scene.at(13).reasons == ("book_stale",)
    assert scene.at(44).reasons == ("book_stale",)
    assert not scene.sent("place", 12, 45)
    assert scene.at(48).state == "quoting"
    assert scene.at(48).n_bids > 0


def test_a_move_of_the_touch_towards_our_bids_moves_them_before_the_next_cycle() -> None:
    # bids start 33 ticks under fair; half of that is the fast path's threshold, 20 is beyond it
    scene = play([*still(10.5), *book(10.3, 68_980), *still(14, bid=68_980, start=10.5)])
    moved = scene.sent("modify", 10.2, 10.99) + scene.sent("cancel", 10.2, 10.99)
    assert moved
    assert set(moved) == {10.3}
    assert scene.at(13).bid_ticks < scene.at(9).bid_ticks - 10


def test_a_small_move_of_the_touch_waits_for_the_cycle() -> None:
    scene = play([*still(10.5), *book(10.3, 68_995), *still(14, bid=68_995, start=10.5)])
    assert not [at for at, _, _ in scene.maker.commands if 10.0 < at < 11.0]


def test_an_exposed_order_goes_at_once_though_the_budget_pace_allows_nothing() -> None:
    # 18 orders use up the burst of 18 and a day's pace of 10,000 actions brings one each nine seconds
    budget = BudgetConfig(burst=18, initial_actions=10_000, horizon_hours=24_000.0)
    # 28 ticks down leave our best bids within a few ticks of fair; the others, and all offers, are a safe way off
    near: list[str] = []

    def look(maker: Probe) -> None:
        bids = [slot.resting for slot in maker._orders.slots.values() if slot.resting.side == BUY]
        near.extend(order.key for order in sorted(bids, key=lambda order: -order.price_ticks)[:4])

    data = [*still(10.5), *book(10.3, 68_972), *still(14, bid=68_972, start=10.5)]
    scene = play(data, [(9.9, look)], budget=budget)
    assert len(scene.sent("place", 0, 10)) == 18
    gone = {key for at, _, key in scene.maker.commands if at == 10.3}
    assert near[0] in gone
    assert gone <= set(near)


def test_nothing_rests_and_nothing_is_in_flight_after_the_stop() -> None:
    scene = play(still(10))
    assert scene.maker.resting() == []
    assert scene.venue.client.inflight == []
    assert all(order.is_closed for order in scene.maker.cache.orders(instrument_id=IID))


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(2.5, id="orders on their way when the strategy stops"),
        pytest.param(4.6, id="orders resting when the strategy stops"),
    ],
)
def test_a_stop_leaves_nothing_behind_however_slow_the_venue(last: float) -> None:
    scene = play(still(last), latency=LatencyConfig(kind="constant", p50_ms=1_000.0))
    assert scene.maker.commands
    assert scene.maker.resting() == []
    assert scene.maker.cache.orders_inflight() == []


def test_a_stop_while_orders_are_being_moved_leaves_nothing_behind() -> None:
    data = [*still(8), *book(8.0, 69_050), *book(8.1, 69_050)]
    scene = play(data, latency=LatencyConfig(kind="constant", p50_ms=1_000.0))
    assert scene.sent("modify", 7.9)
    assert scene.maker.resting() == []


def test_no_order_rests_across_a_session_gap_and_the_timer_rests_with_it() -> None:
    sessions = ((ns(0), ns(60), "cash"), (ns(600), ns(660), "cash"))
    resting: dict[float, int] = {}
    steps = [
        (at, lambda maker, at=at: resting.update({at: len(maker.resting())})) for at in (20, 62, 300, 599)
    ]
    scene = play([*still(60), *still(640, start=600)], steps, sessions=sessions)
    assert resting[20] > 0
    assert resting[62] == resting[300] == resting[599] == 0
    in_gap = [sample for sample in scene.samples if 70 < seconds(sample.ts_ns) < 600]
    assert in_gap == []
    assert scene.at(500).state == "paused"
    assert "session" in scene.at(500).reasons
    assert scene.at(610).state == "quoting"
    assert scene.at(610).n_bids > 0
    # one decision a second again, no more
    assert len([sample for sample in scene.samples if 610 < seconds(sample.ts_ns) <= 620]) == 10


# the engine itself floors a day by pandas' old letter when deltas are subscribed to
@pytest.mark.filterwarnings("ignore:'d' is deprecated")
def test_a_snapshot_batch_of_deltas_gives_the_same_quotes_as_a_depth_message() -> None:
    def batch(second: float, bid: int) -> OrderBookDeltas:
        ts = ns(second)
        rows = [(BookAction.CLEAR, BookOrder(OrderSide.NO_ORDER_SIDE, price(0), size(0), 0))]
        for k in range(0, 10 * APART, APART):
            rows.append((BookAction.ADD, BookOrder(OrderSide.BUY, price(bid - k), size(LOTS), 0)))
            rows.append((BookAction.ADD, BookOrder(OrderSide.SELL, price(bid + 1 + k), size(LOTS), 0)))
        flags = [RecordFlag.F_SNAPSHOT] * (len(rows) - 1) + [RecordFlag.F_SNAPSHOT | RecordFlag.F_LAST]
        deltas = [
            OrderBookDelta(IID, action, order, flag, 0, ts, ts)
            for (action, order), flag in zip(rows, flags, strict=True)
        ]
        return OrderBookDeltas(IID, deltas)

    data: list[Any] = []
    for step in range(16):
        data.append(quote(IID, ns(step / 2), 69_000, LOTS, 69_001, LOTS))
        data.append(batch(step / 2, 69_000))
    from_deltas = play(data, book_source="deltas").at(6)
    from_depth = play(still(8)).at(6)
    assert (from_deltas.bid_ticks, from_deltas.ask_ticks) == (from_depth.bid_ticks, from_depth.ask_ticks)
    assert from_deltas.n_bids > 0


def test_every_command_is_counted_once_by_budget_and_record() -> None:
    data = [*still(10), *still(20, bid=69_040, start=10), *still(30, bid=68_990, start=20)]
    scene = play(data)
    assert sum(action.count for action in scene.actions) == len(scene.maker.commands)
    assert scene.maker.budget.sent == len(scene.maker.commands)
    assert {action.kind for action in scene.actions} == {"place", "modify", "cancel"}


def test_a_decision_is_published_each_second_of_quiet_market() -> None:
    scene = play(still(30))
    at = [seconds(sample.ts_ns) for sample in scene.samples]
    assert at == [float(second) for second in range(1, 30)]
