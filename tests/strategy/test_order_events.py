"""What the venue answers, and what the strategy makes of it: refusals, partial and late fills, silence, wear."""

from typing import Any

import pytest
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Money

from amm500_catalog import USDH
from amm500_nautilus import topics
from amm500_nautilus.risk.budget import BudgetConfig
from amm500_nautilus.simulation.latency import LatencyConfig
from tests.simulation.market import price
from tests.simulation.market import size
from tests.strategy.scene import IID
from tests.strategy.scene import Probe
from tests.strategy.scene import book
from tests.strategy.scene import play
from tests.strategy.scene import seconds
from tests.strategy.scene import still
from tests.strategy.scene import sweep


BUY, SELL = 1, -1
SLOW = LatencyConfig(kind="constant", p50_ms=400.0)


def best_bid(maker: Probe) -> Any:
    """Return the strategy's nearest bid as the engine's order."""
    slots = [slot for slot in maker._orders.slots.values() if slot.resting.side == BUY]
    return max(slots, key=lambda slot: slot.resting.price_ticks).order


def prices(maker: Probe) -> dict[str, int]:
    """Return the engine's price of each open order, in ticks."""
    return {
        order.client_order_id.value: order.price.raw // maker._tick_raw
        for order in maker.cache.orders_open(instrument_id=IID)
    }


def fill(maker: Probe, order: Any, lots: int, trade: str) -> None:
    """Let the venue report a fill, whatever it thinks of the order."""
    assert maker.venue is not None
    maker.venue.client.generate_order_filled(
        order.strategy_id,
        order.instrument_id,
        order.client_order_id,
        order.venue_order_id,
        None,
        TradeId(trade),
        order.side,
        order.order_type,
        size(lots),
        price(order.price.raw // maker._tick_raw),
        USDH,
        Money(0, USDH),
        LiquiditySide.MAKER,
        maker.clock.timestamp_ns(),
    )


def test_a_post_only_rejection_is_followed_by_a_quote_from_the_fresh_book() -> None:
    # sent at 1.0 around 69,000.5, they arrive at 1.4; at 1.2 the market has fallen through our bids
    scene = play([*still(1.2), *still(8, bid=68_940, start=1.2)], latency=SLOW)
    refused = scene.maker.of("OrderRejected")
    assert refused
    assert all(event.due_post_only for event in refused)
    assert {seconds(event.ts_event) for event in refused} == {1.4}
    again = scene.at(5)
    assert again.state == "quoting"
    assert again.bid_ticks < 68_940
    assert again.n_bids > 3
    assert not [event for event in scene.maker.of("OrderRejected") if seconds(event.ts_event) > 1.5]


def test_a_rejected_modify_leaves_the_order_and_is_tried_again() -> None:
    # up 30 twice: at 13.0 the best bid is to move from 68,998 to 69,028; at 13.2 the market is back at 69,020, so that the move
    # would cross when it arrives at 13.4, and what the plan wants then is 68,988
    data = [
        *still(10),
        *still(13, bid=69_030, start=10),
        *book(13, 69_060),
        *still(18, bid=69_020, start=13.2),
    ]
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    steps = [
        (12.9, lambda maker: before.update(prices(maker))),
        (13.7, lambda maker: after.update(prices(maker))),
    ]
    scene = play(data, steps, latency=SLOW)
    refused = scene.maker.of("OrderModifyRejected")
    assert refused
    assert {seconds(event.ts_event) for event in refused} == {13.4}
    keys = {event.client_order_id.value for event in refused}
    assert {key: after[key] for key in keys} == {key: before[key] for key in keys}
    again = [
        (at, key) for at, kind, key in scene.maker.commands if kind == "modify" and key in keys and at > 13.4
    ]
    # one of them may have come to fit another level of the plan where it rests
    assert again
    assert min(at for at, _ in again) <= 15.0
    assert not [event for event in scene.maker.of("OrderModifyRejected") if seconds(event.ts_event) > 13.5]


def test_a_modify_after_a_partial_fill_asks_for_filled_and_left_together() -> None:
    seen: dict[str, Any] = {}

    def look(maker: Probe) -> None:
        order = seen["order"]
        slot = maker._orders.slots[order.client_order_id.value]
        venue = maker.venue.module._fills.orders[order.client_order_id]
        seen["filled"] = order.filled_qty.raw // maker._lot_raw
        seen["total"] = order.quantity.raw // maker._lot_raw
        seen["left"] = (order.leaves_qty.raw // maker._lot_raw, slot.resting.lots, venue.lots)
        seen["moved"] = slot.resting.price_ticks

    # 20 lots are sold through our best bid at 68,967
    data = [*still(14), sweep(10.2, 68_966, 20, SELL), *still(20, bid=69_040, start=14)]
    play(data, [(9.9, lambda maker: seen.update(order=best_bid(maker))), (18.5, look)])
    assert seen["filled"] == 20
    assert seen["moved"] > 68_967
    left = seen["left"][0]
    assert seen["left"] == (left, left, left)
    # the nearest level is worth 55 lots before and after the move: 20 filled and 55 left make 75
    assert left == 55
    assert seen["total"] == 75


def test_a_fill_after_the_cancel_is_booked_exactly_once() -> None:
    seen: dict[str, Any] = {}

    def cancel(maker: Probe) -> None:
        seen["order"] = best_bid(maker)
        maker._cancel(maker.clock.timestamp_ns(), seen["order"].client_order_id.value)

    def late(maker: Probe) -> None:
        assert seen["order"].is_closed
        assert seen["order"].client_order_id.value not in maker._orders.slots
        fill(maker, seen["order"], 10, "late-1")

    def again(maker: Probe) -> None:
        event = next(event for event in maker.of("OrderFilled") if event.trade_id.value == "late-1")
        maker.handle_event(event)
        fill(maker, seen["order"], 10, "late-1")

    scene = play(still(20), [(10.3, cancel), (11.3, late), (12.3, again)])
    assert scene.at(11).delta == 0
    assert scene.maker.inventory.lots == 10
    assert float(scene.maker.portfolio.net_position(IID)) == pytest.approx(0.010)
    # 10 lots of 0.001 at 689.68
    assert scene.maker.budget.volume == pytest.approx(6.8968)


def test_a_fill_of_a_purged_order_still_counts_for_the_strategy() -> None:
    seen: dict[str, Any] = {}

    def hold(maker: Probe) -> None:
        seen["order"] = best_bid(maker)

    def late(maker: Probe) -> None:
        # the engine has forgotten the order: the event can only come from the strategy's own endpoint
        event = next(event for event in maker.of("OrderFilled"))
        values = OrderFilled.to_dict(event) | {"trade_id": "very-late"}
        maker.handle_event(OrderFilled.from_dict(values))

    scene = play(
        [*still(20), sweep(10.2, 68_966, 20, SELL)], [(9.9, hold), (15.3, late)], purge_after_ms=1_000
    )
    assert scene.maker.inventory.lots == 40


def test_an_order_without_an_answer_is_asked_about_and_not_changed_meanwhile() -> None:
    never = LatencyConfig(kind="constant", p50_ms=12_000.0)
    # the market moves while the first orders are on their way
    data = [*still(5), *still(12.8, bid=69_050, start=5)]
    scene = play(data, latency=never, inflight_timeout_ms=5_000, end=False)
    sent = {key for _, kind, key in scene.maker.commands if kind == "place"}
    # sent at 1.0: five seconds have passed without an answer at 6.0, more than five at 7.0; again more than five at 13.0
    assert {key for _, key in scene.maker.asked} == sent
    assert {at for at, _ in scene.maker.asked} == {7.0}
    assert {kind for _, kind, _ in scene.maker.commands} == {"place"}
    assert {at for at, kind, _ in scene.maker.commands if kind == "place"} == {1.0}


def test_an_order_on_its_way_is_not_changed_before_it_is_answered() -> None:
    data = [*still(2.5), *still(8, bid=69_050, start=2.5)]
    scene = play(data, latency=LatencyConfig(kind="constant", p50_ms=3_000.0))
    answered = {
        event.client_order_id.value: seconds(event.ts_event) for event in scene.maker.of("OrderAccepted")
    }
    changed = [(at, key) for at, kind, key in scene.maker.commands if kind != "place" and at < 7.5]
    assert changed
    assert all(at >= answered[key] for at, key in changed)


def test_an_order_with_a_long_history_is_replaced() -> None:
    data: list[Any] = []
    for step in range(40):
        data.extend(still(step * 3 + 3, bid=69_000 + (step % 2) * 40, start=step * 3))
    longest: list[int] = []
    steps = [
        (
            at + 0.9,
            lambda maker: longest.append(max(s.order.event_count for s in maker._orders.slots.values())),
        )
        for at in range(10, 118)
    ]
    worn = play(data, steps, max_order_events=12)
    # one more move may be decided before the limit is looked at: two events, then the pending cancel
    assert max(longest) <= 12 + 4
    longest.clear()
    play(data, steps, max_order_events=1_000)
    assert max(longest) > 30
    assert worn.at(118).state == "quoting"
    assert worn.at(118).n_bids > 3


def test_closed_orders_leave_the_cache_so_that_memory_stays_flat() -> None:
    data: list[Any] = still(600)
    for second in range(5, 600, 5):
        buys = (second // 5) % 2
        data.append(sweep(second + 0.2, 69_100 if buys else 68_900, 100_000, BUY if buys else SELL))
    counts: list[tuple[int, int]] = []
    steps = [
        (at, lambda maker: counts.append((maker.cache.orders_total_count(), len(maker._closed))))
        for at in range(60, 600, 30)
    ]
    scene = play(data, steps, purge_after_ms=20_000)
    placed = len(scene.sent("place"))
    assert placed > 500
    # at most what rests (20) and what closed within 21 s: at most 30 orders a sweep
    assert max(total for total, _ in counts) < 200
    early, late = counts[2], counts[-1]
    assert late[0] <= early[0] * 1.5
    assert max(closed for _, closed in counts) < 200


def test_only_cancels_leave_when_the_budget_is_down_to_its_reserve() -> None:
    # 40 actions, 20 in reserve, one kept for each resting order: ten orders use up all that may be spent
    budget = BudgetConfig(initial_actions=40, reserve=20, credit_per_usd=0.0)
    data = [*still(10), *still(20, bid=69_050, start=10), *still(30, bid=68_960, start=20)]
    scene = play(data, budget=budget)
    first = scene.maker.commands[0][0]
    later = {kind for at, kind, _ in scene.maker.commands if at > first + 3}
    assert later == {"cancel"}
    assert "budget" in scene.at(29).reasons
    assert scene.maker.budget.sent <= 40


def test_what_the_client_sends_by_itself_is_taken_off_the_budget() -> None:
    def client_sends(maker: Any) -> None:
        for kind in ("scheduleCancel", "updateLeverage", "cancelByCloid"):
            maker.msgbus.publish(topics.CLIENT_ACTION, kind)

    alone = play(still(10), budget=BudgetConfig())
    scene = play(still(10), [(5.0, client_sends)], budget=BudgetConfig())
    assert scene.maker.budget.sent == alone.maker.budget.sent + 3
    # also where actions are counted for the report
    assert [(a.kind, a.count) for a in scene.actions if a.kind not in ("place", "modify", "cancel")] == [
        ("scheduleCancel", 1),
        ("updateLeverage", 1),
        ("cancelByCloid", 1),
    ]


def test_no_order_is_sent_at_once_on_an_empty_budget() -> None:
    scene = play(still(30), budget=BudgetConfig(initial_actions=0, credit_per_usd=0.0))
    assert scene.maker.commands == []
    assert scene.at(20).reasons == ("budget",)


def test_models_and_budget_survive_a_restart() -> None:
    data = [*still(40), sweep(10.2, 68_900, 100_000, SELL), sweep(20.2, 69_050, 100_000, BUY)]
    first = play(data, budget=BudgetConfig())
    saved = first.maker.save()
    assert saved
    second = play(still(1), before=lambda maker: maker.load(saved), budget=BudgetConfig())
    assert second.maker.at_start["engine"] == first.maker.engine.save()
    assert second.maker.at_start["budget"] == first.maker.budget.save()
    assert second.maker.at_start["budget"]["sent"] > 0
    fresh = play(still(1), budget=BudgetConfig())
    assert fresh.maker.at_start["engine"] != second.maker.at_start["engine"]


def test_the_simulated_venue_takes_a_question_about_an_order() -> None:
    def ask(maker: Probe) -> None:
        super(Probe, maker).query_order(best_bid(maker))

    scene = play(still(8), [(5.5, ask)])
    assert scene.at(7).state == "quoting"
