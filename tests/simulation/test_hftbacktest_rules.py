"""The fill engine against an independent reference of hftbacktest's queue models and partial-fill exchange."""

import math

import numpy as np
import pytest

from amm500_nautilus.simulation.fill import FillEngine
from amm500_nautilus.simulation.fill import RestingOrder
from amm500_nautilus.simulation.queue import ProbQueueModel
from amm500_nautilus.simulation.queue import QueuePosition
from amm500_nautilus.simulation.queue import make_queue_model


@pytest.mark.parametrize(
    ("name", "n", "ahead", "traded", "before", "after", "expected"),
    [
        # trades only: a drop of 60 leaves 40 displayed, so at most 40 ahead
        pytest.param(
            "risk_adverse", 1.0, 70.0, 0.0, 100.0, 40.0, 40.0, id="risk averse is capped by the display"
        ),
        pytest.param(
            "risk_adverse", 1.0, 70.0, 0.0, 100.0, 80.0, 70.0, id="risk averse ignores cancellations"
        ),
        # front 50, back 50: p = 1/2; 50 - (1 - 1/2) x 20 = 40
        pytest.param("power_prob_queue_model", 2.0, 50.0, 0.0, 100.0, 80.0, 40.0, id="half way, half each"),
        # front 80, back 20, n 1: p = 20/100 = 0.2; 80 - 0.8 x 10 = 72
        pytest.param(
            "power_prob_queue_model", 1.0, 80.0, 0.0, 100.0, 90.0, 72.0, id="near the back, mostly ahead"
        ),
        # front 50, back 50, n 2: p = 2500 / 10000 = 0.25; 50 - 0.75 x 20 = 35
        pytest.param("power_prob_queue_model2", 2.0, 50.0, 0.0, 100.0, 80.0, 35.0, id="second function"),
        # front 50, back 50, n 3: p = 1 - 0.125 = 0.875; 50 - 0.125 x 20 = 47.5
        pytest.param("power_prob_queue_model3", 3.0, 50.0, 0.0, 100.0, 80.0, 47.5, id="third function"),
        # 20 went, all of it by trades already counted: nothing more moves
        pytest.param(
            "power_prob_queue_model3", 3.0, 30.0, 20.0, 100.0, 80.0, 30.0, id="trades are not counted twice"
        ),
        pytest.param(
            "power_prob_queue_model3", 3.0, 50.0, 0.0, 100.0, 150.0, 50.0, id="an increase joins behind"
        ),
        # front 90, back 10, n 3: p = 1 - 0.729 = 0.271; 90 - 0.729 x 60 = 46.26; back 10 - 16.26 = -6.26; 40 displayed
        pytest.param(
            "power_prob_queue_model3", 3.0, 90.0, 0.0, 100.0, 40.0, 40.0, id="no less room than displayed"
        ),
    ],
)
def test_the_place_moves_as_the_model_says(
    name: str, n: float, ahead: float, traded: float, before: float, after: float, expected: float
) -> None:
    place = QueuePosition(ahead)
    place.traded = traded
    make_queue_model(name, n).on_depth(place, before, after)
    assert place.ahead == pytest.approx(expected)


def test_a_trade_moves_the_place_by_its_size() -> None:
    place = QueuePosition(30.0)
    make_queue_model("power_prob_queue_model3").on_trade(place, 35.0)
    assert place.ahead == -5.0
    assert place.traded == 35.0


def test_an_empty_level_moves_nothing() -> None:
    place = QueuePosition(0.0)
    for name in ("power_prob_queue_model", "power_prob_queue_model2", "power_prob_queue_model3"):
        make_queue_model(name).on_depth(place, 0.0, 0.0)
        assert place.ahead == 0.0
        assert not math.isnan(place.ahead)


def test_an_unknown_model_names_those_allowed() -> None:
    with pytest.raises(ValueError, match="allowed: risk_adverse, power_prob_queue_model"):
        make_queue_model("fifo")
    with pytest.raises(ValueError, match="allowed: above 0"):
        make_queue_model("power_prob_queue_model3", 0.0)


class Reference:
    """
    hftbacktest's partial-fill exchange in its own terms: one queue an order, nothing shared between orders.

    An order that the opposite best price reaches, or that a trade passes, is filled whole.
    """

    def __init__(self, model: str) -> None:
        self.prob = model != "risk_adverse"
        self.orders: dict[int, list[float]] = {}  # number: side, ticks, lots, ahead, traded
        self.depth: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.filled: dict[int, int] = {}

    def place(self, number: int, side: int, ticks: int, lots: int) -> bool:
        other = self.depth[-side]
        best = min(other) if side > 0 else max(other)
        if (ticks - best) * side >= 0:
            return False
        self.orders[number] = [side, ticks, lots, self.depth[side].get(ticks, 0), 0.0]
        return True

    def fill(self, number: int, lots: int) -> None:
        self.filled[number] = self.filled.get(number, 0) + lots
        self.orders[number][2] -= lots
        if self.orders[number][2] <= 0:
            del self.orders[number]

    def trade(self, ticks: int, lots: int, aggressor: int) -> None:
        for number, (side, at, left, _, _) in list(self.orders.items()):
            if side != -aggressor or (at - ticks) * side < 0:
                continue
            if at != ticks:
                self.fill(number, int(left))
                continue
            order = self.orders[number]
            order[3] -= lots
            order[4] += lots
            filled = int(min(-order[3], lots, left))
            if filled > 0:
                self.fill(number, filled)
                order[3] = 0.0

    def level(self, side: int, ticks: int, lots: int) -> None:
        before = self.depth[side].get(ticks, 0)
        if lots:
            self.depth[side][ticks] = lots
        else:
            self.depth[side].pop(ticks, None)
        for number, order in list(self.orders.items()):
            if order[0] == side and order[1] == ticks:
                self.moved(order, before, lots)
            elif order[0] == -side and lots and (ticks - order[1]) * side >= 0:
                self.fill(number, int(order[2]))

    def moved(self, order: list[float], before: int, after: int) -> None:
        front = order[3]
        if self.prob:
            change = before - after - order[4]
            order[4] = 0.0
            if change >= 0 and before:
                probability = 1.0 - (front / before) ** 3
                front += -(1.0 - probability) * change + min(before - front - probability * change, 0.0)
        order[3] = min(front, after)


def market(seed: int, steps: int) -> list[tuple[str, int, int, int]]:
    """A touch that walks by a tick, levels that change and trades at the touch; (kind, side, ticks, lots)."""
    rng = np.random.default_rng(seed)
    size = lambda: int(rng.lognormal(6.0, 0.8)) + 1  # noqa: E731
    bid = 1000
    depth = {1: {bid - k: size() for k in range(20)}, -1: {bid + 1 + k: size() for k in range(20)}}
    rows = [("level", side, ticks, lots) for side in (1, -1) for ticks, lots in depth[side].items()]
    for _ in range(steps):
        side = 1 if rng.random() < 0.5 else -1
        touch = bid if side > 0 else bid + 1
        if rng.random() < 0.2:
            lots = min(int(rng.lognormal(5.0, 1.0)) + 1, depth[side][touch] - 1)
            if lots > 0:
                depth[side][touch] -= lots
                rows += [("trade", -side, touch, lots), ("level", side, touch, depth[side][touch])]
        ticks = touch - side * int(rng.exponential(5.0))
        depth[side][ticks] = size()
        rows.append(("level", side, ticks, depth[side][ticks]))
        if rng.random() < 0.1:
            # the touch moves toward one side: the level there goes and the other side takes its price
            moved = bid + 1 if side > 0 else bid
            del depth[-side][moved]
            depth[side][moved] = size()
            rows += [("level", -side, moved, 0), ("level", side, moved, depth[side][moved])]
            bid += side
            edge = bid + 1 + 19 if side > 0 else bid - 19
            depth[-side].setdefault(edge, size())
            rows.append(("level", -side, edge, depth[-side][edge]))
    return rows


@pytest.mark.parametrize("model", ["risk_adverse", "power_prob_queue_model3"])
def test_an_open_loop_schedule_fills_as_hftbacktests_rules_do(model: str) -> None:
    rng = np.random.default_rng(11)
    ours, theirs = FillEngine(make_queue_model(model, 3.0)), Reference(model)
    filled: dict[int, int] = {}
    sides: dict[int, int] = {}
    for number, (kind, side, ticks, lots) in enumerate(market(5, 6_000)):
        if kind == "trade":
            fills = ours.on_trade(ticks, lots, side)
            theirs.trade(ticks, lots, side)
        else:
            fills = ours.on_level(side, ticks, lots)
            theirs.level(side, ticks, lots)
        for order, done in fills:
            filled[order.key] = filled.get(order.key, 0) + done
        if number > 60 and number % 7 == 0:
            mine = 1 if rng.random() < 0.5 else -1
            touch = max(theirs.depth[1]) if mine > 0 else min(theirs.depth[-1])
            at = touch - mine * int(rng.integers(0, 5))
            if theirs.place(number, mine, at, 100):
                order = RestingOrder(number, mine, at, 100, reduce_only=False, payload=None)
                ours.place(order, theirs.depth[mine].get(at, 0))
                sides[number] = mine
        expired = number - 400
        ours.cancel(expired)
        theirs.orders.pop(expired, None)
    assert len(theirs.filled) > 300
    both = filled.keys() & theirs.filled.keys()
    assert len(both) / len(filled.keys() | theirs.filled.keys()) >= 0.90
    for side in (1, -1):
        mine = sum(lots for key, lots in filled.items() if sides[key] == side)
        other = sum(lots for key, lots in theirs.filled.items() if sides[key] == side)
        assert abs(mine / other - 1.0) <= 0.05


def test_ignoring_the_queue_would_fill_far_more() -> None:
    """The directional case: the same orders in front of the queue fill earlier and more often."""

    def filled(displayed: int) -> int:
        engine = FillEngine(ProbQueueModel(lambda _front, _back: 1.0, "never ahead"))
        engine.place(RestingOrder("a", 1, 1000, 100, reduce_only=False, payload=None), displayed)
        return sum(lots for _ in range(5) for _, lots in engine.on_trade(1000, 15, -1))

    assert filled(0) == 75
    assert filled(60) == 15
    assert filled(500) == 0
