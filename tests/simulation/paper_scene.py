"""A paper venue on a clock that the test moves: a sync engine around it, or the client on a loop whose time leaps."""

import asyncio
import selectors
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import MessageBus
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.engine import ExecutionEngine
from nautilus_trader.execution.messages import BatchCancelOrders
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.execution.messages import ModifyOrder
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.portfolio.portfolio import Portfolio

from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.paper import PaperVenue
from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import Recorder
from tests.simulation.market import make_instrument
from tests.simulation.market import price
from tests.simulation.market import quote
from tests.simulation.market import size
from tests.simulation.market import trade


MS = 1_000_000
INSTRUMENT = make_instrument()
IID = INSTRUMENT.id
TRADER = TraderId("PAPER-001")
STRATEGY = StrategyId("Maker-000")
CONSTANT = LatencyConfig(kind="constant", p50_ms=200.0)


class Scene:
    """A node's parts with a synchronous engine, and a paper venue over them."""

    def __init__(self, *, equity: str = "1000", start_ns: int = T0, **options: Any) -> None:
        options.setdefault("latency", CONSTANT)
        self.config = VenueConfig(starting_equity=Decimal(equity), **options)
        self.now = start_ns
        self.clock = TestClock()
        self.clock.set_time(start_ns)
        self.bus = MessageBus(trader_id=TRADER, clock=self.clock)
        self.cache = Cache(database=None)
        self.cache.add_instrument(INSTRUMENT)
        self.portfolio = Portfolio(msgbus=self.bus, cache=self.cache, clock=self.clock)
        self.engine = ExecutionEngine(msgbus=self.bus, cache=self.cache, clock=self.clock)
        self.trader = SimpleNamespace(id=TRADER, is_stopped=False)
        self.factory = OrderFactory(trader_id=TRADER, strategy_id=STRATEGY, clock=self.clock)
        self.heard: list[tuple[int, Any]] = []
        self.records = Recorder()
        self.paper = PaperVenue(
            instrument=INSTRUMENT,
            config=self.config,
            seed=7,
            cache=self.cache,
            portfolio=self.portfolio,
            trader=self.trader,
            on_event=self.hear,
            on_account=self.portfolio.update_account,
            now_ns=start_ns,
            listener=self.records,
        )

    def hear(self, event: Any) -> None:
        self.heard.append((self.now, event))
        self.engine.process(event)

    def begin(self, bid: int = 69_000, ask: int = 69_002) -> None:
        self.paper.begin(self.now, (bid, ask))
        self.market(bid, ask)

    def of(self, kind: str) -> list[Any]:
        return [event for _, event in self.heard if type(event).__name__ == kind]

    # -- time and market ------------------------------------------------------------------------------------------

    def pass_(self, ns: int, *, step: int = 20 * MS) -> None:
        """Let time pass, with a look at the clock every 20 ms as the client has it."""
        end = self.now + ns
        while self.now < end:
            self.now = min(self.now + step, end)
            self.clock.set_time(self.now)
            self.paper.process(self.now)

    def market(self, bid: int, ask: int, lots: int = 500, *, late_ns: int = 0) -> None:
        """A book and its quote, which were so ``late_ns`` before they are heard."""
        ts = self.now - late_ns
        self.paper.on_data(book(bid, ask, lots, ts, self.now))
        made = quote(IID, ts, bid, lots, ask, lots)
        self.paper.on_data(
            type(made)(IID, made.bid_price, made.ask_price, made.bid_size, made.ask_size, ts, self.now)
        )

    def trade(self, ticks: int, lots: int, aggressor: int) -> None:
        self.paper.on_data(trade(IID, self.now, ticks, lots, aggressor))

    def oracle(self, value: str) -> None:
        self.paper.on_data(IndexPriceUpdate(IID, price(round(float(value) * 100)), self.now, self.now))

    def rate(self, value: str) -> None:
        self.paper.on_data(FundingRateUpdate(IID, Decimal(value), self.now, self.now))

    # -- orders ---------------------------------------------------------------------------------------------------

    def order(self, side: int, ticks: int, lots: int = 100, **options: Any) -> Any:
        tif = options.pop("time_in_force", TimeInForce.GTC)
        options.setdefault("post_only", tif == TimeInForce.GTC)
        order = self.factory.limit(
            IID, OrderSide.BUY if side > 0 else OrderSide.SELL, size(lots), price(ticks), tif, **options
        )
        self.cache.add_order(order)
        return order

    def submit(self, *orders: Any) -> None:
        self.paper.send([submit_of(order, self.now) for order in orders], self.now)

    def modify(self, order: Any, *, lots: int, ticks: int) -> None:
        self.paper.send([modify_of(order, lots, ticks, self.now)], self.now)

    def cancel(self, *orders: Any) -> None:
        self.paper.send([cancel_of(order, self.now) for order in orders], self.now)


def book(bid: int, ask: int, lots: int, ts_event: int, ts_init: int, depth: int = 10) -> OrderBookDeltas:
    rows = [(OrderSide.BUY, bid - k) for k in range(depth)] + [
        (OrderSide.SELL, ask + k) for k in range(depth)
    ]
    deltas = [OrderBookDelta.clear(IID, 0, ts_event, ts_init)]
    deltas += [
        OrderBookDelta(
            IID,
            BookAction.ADD,
            BookOrder(side, price(ticks), size(lots), 0),
            32 | (128 if n == len(rows) - 1 else 0),
            0,
            ts_event,
            ts_init,
        )
        for n, (side, ticks) in enumerate(rows)
    ]
    return OrderBookDeltas(IID, deltas)


def submit_of(order: Any, now: int) -> SubmitOrder:
    return SubmitOrder(TRADER, STRATEGY, order, UUID4(), now)


def modify_of(order: Any, lots: int, ticks: int, now: int) -> ModifyOrder:
    return ModifyOrder(
        TRADER,
        STRATEGY,
        IID,
        order.client_order_id,
        order.venue_order_id,
        size(lots),
        price(ticks),
        None,
        UUID4(),
        now,
    )


def cancel_of(order: Any, now: int) -> CancelOrder:
    return CancelOrder(TRADER, STRATEGY, IID, order.client_order_id, order.venue_order_id, UUID4(), now)


def batch_cancel_of(orders: list[Any], now: int) -> BatchCancelOrders:
    return BatchCancelOrders(TRADER, STRATEGY, IID, [cancel_of(order, now) for order in orders], UUID4(), now)


class _Leaping(selectors.DefaultSelector):
    """A selector that never waits: what the loop would have slept is added to its time."""

    leap: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.leap(timeout)
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock moves only when there is nothing to do; ``clock`` moves with it."""

    def __init__(self, clock: TestClock) -> None:
        selector = _Leaping()
        selector.leap = self.leap
        self._now = 0.0
        self._start = clock.timestamp_ns()
        self._clock = clock
        super().__init__(selector)

    def follow(self, clock: TestClock) -> None:
        """Move this clock too; it shows the time of the loop's start."""
        self._clock = clock

    def time(self) -> float:
        return self._now

    def leap(self, seconds: float) -> None:
        """Let time pass."""
        # a hair more than asked for: a float's last digit must not make a timer due twice
        self._now += seconds + 1e-9
        self._clock.set_time(self._start + int(self._now * SECOND))
