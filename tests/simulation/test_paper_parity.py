"""Paper and backtest are one exchange: the same market and the same commands give the same fills and the same account."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.trading.strategy import Strategy

from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.setup import add_simulated_venue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Recorder
from tests.simulation.market import generate
from tests.simulation.market import load
from tests.simulation.market import make_engine
from tests.simulation.market import price
from tests.simulation.market import size
from tests.simulation.paper_scene import IID
from tests.simulation.paper_scene import INSTRUMENT
from tests.simulation.paper_scene import MS
from tests.simulation.paper_scene import Scene
from tests.simulation.paper_scene import book


SECONDS = 240
LATENCY = LatencyConfig(p50_ms=200.0, sigma=0.4)
Step = tuple[int, str, int, int, int]


def market(seed: int) -> list[Any]:
    """The generated market with whole books as batches of changes, as the adapter gives them."""
    data: list[Any] = []
    for item in generate(IID, SECONDS, seed, trades_per_s=3.0):
        if isinstance(item, OrderBookDepth10):
            bid, ask = (round(float(side[0].price) * 100) for side in (item.bids, item.asks))
            lots = int(float(item.bids[0].size) * 1_000)
            data.append(book(bid, ask, lots, item.ts_event, item.ts_init))
        else:
            data.append(item)
    return data


def script(seed: int, data: list[Any]) -> list[Step]:
    """Orders near the touch of their time, changes and cancels of earlier ones; never at the time of a datum."""
    rng = np.random.default_rng(seed)
    touches = [
        (item.ts_event, round(float(item.bid_price) * 100)) for item in data if hasattr(item, "bid_price")
    ]
    steps: list[Step] = []
    for number in range(150):
        at = T0 + number * 1_500 * MS + 613 * MS + 7
        bid = next(bid for ts, bid in reversed(touches) if ts <= at)
        side = 1 if rng.random() < 0.5 else -1
        away = int(rng.integers(-1, 4))
        ticks = bid - away if side > 0 else bid + 1 + away
        kind = str(rng.choice(["place", "place", "place", "take", "cancel", "modify"]))
        steps.append((at, kind, side, ticks, int(rng.integers(20, 400))))
    return steps


class Hand:
    """Does a step through whatever sends commands."""

    def __init__(self, make: Callable[..., Any], submit: Any, modify: Any, cancel: Any) -> None:
        self.make, self.submit, self.modify, self.cancel = make, submit, modify, cancel
        self.orders: list[Any] = []

    def do(self, step: Step) -> None:
        _, kind, side, ticks, lots = step
        if kind in {"place", "take"}:
            tif = TimeInForce.GTC if kind == "place" else TimeInForce.IOC
            order = self.make(side, ticks, lots, time_in_force=tif)
            self.orders.append(order)
            self.submit(order)
            return
        ready = [o for o in self.orders if o.is_open and not o.is_pending_update and not o.is_pending_cancel]
        if ready and kind == "modify":
            self.modify(ready[lots % len(ready)], ticks, lots)
        elif ready:
            self.cancel(ready[lots % len(ready)])


class Player(Strategy):
    """The script in a backtest."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = steps

    def on_start(self) -> None:
        def make(side: int, ticks: int, lots: int, **options: Any) -> Any:
            post_only = options["time_in_force"] == TimeInForce.GTC
            return self.order_factory.limit(
                IID, 1 if side > 0 else 2, size(lots), price(ticks), post_only=post_only, **options
            )

        self.hand = Hand(
            make,
            self.submit_order,
            lambda order, ticks, lots: self.modify_order(order, size(lots), price(ticks)),
            self.cancel_order,
        )
        for number, step in enumerate(self.steps):
            self.clock.set_time_alert_ns(f"{number}", step[0], lambda _event, step=step: self.hand.do(step))


def config() -> dict[str, Any]:
    return {"latency": LATENCY, "initial_actions": 1}


def in_backtest(steps: list[Step], data: list[Any]) -> tuple[Recorder, Any]:
    engine, records = make_engine(), Recorder()
    venue = add_simulated_venue(
        engine,
        instrument=INSTRUMENT,
        config=VenueConfig(starting_equity=Decimal(1_000), **config()),
        seed=7,
        listener=records,
    )
    engine.add_strategy(Player(steps))
    load(engine, data)
    engine.run()
    venue.finish()
    engine.dispose()
    return records, venue


def in_paper(steps: list[Step], data: list[Any]) -> tuple[Recorder, Any]:
    scene = Scene(equity="1000", **config())
    hand = Hand(
        scene.order,
        scene.submit,
        lambda order, ticks, lots: scene.modify(order, lots=lots, ticks=ticks),
        scene.cancel,
    )
    waiting = list(steps)
    for item in data:
        while waiting and waiting[0][0] < item.ts_init:
            scene.pass_(waiting[0][0] - scene.now)
            hand.do(waiting.pop(0))
        scene.pass_(item.ts_init - scene.now)
        scene.paper.on_data(item)
    scene.paper.finish(scene.now)
    return scene.records, scene.paper.venue


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_backtest_and_a_paper_run_of_one_market_book_the_same(seed: int) -> None:
    data = market(seed)
    steps = script(seed, data)
    (tested, venue), (papered, paper) = in_backtest(steps, data), in_paper(steps, data)
    assert len(tested.fills) > 30
    assert any(fill.maker for fill in tested.fills)
    assert not all(fill.maker for fill in tested.fills)

    def rows(records: Recorder) -> list[Any]:
        return [
            (
                f.ts_ns,
                f.side,
                f.price_ticks,
                f.lots,
                f.maker,
                f.fee,
                f.closed_pnl,
                f.position_lots,
                f.queue_ahead,
            )
            for f in records.fills
        ]

    assert rows(papered) == rows(tested)
    assert papered.markouts == tested.markouts
    assert paper.ledger.equity == venue.ledger.equity
    assert paper.client.actions == venue.client.actions
    assert paper.client.gate.refused_actions == venue.client.gate.refused_actions > 0
    assert papered.minutes[1:] == tested.minutes[1:]
    assert tested.minutes[-1] - T0 < (SECONDS + 1) * SECOND
