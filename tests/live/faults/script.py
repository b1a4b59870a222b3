"""A random trader and a market that moves through its orders, both from one seed."""

import asyncio
import random
from decimal import Decimal
from typing import Any

from nautilus_trader.model.enums import OrderSide

from tests.live.faults.stages import Stage


TICK = Decimal("0.01")
CENTER = Decimal(690)
# the market stays within this distance, so that a scenario's orders stay near it
REACH = 12
# a position above this is brought down first
MOST_HELD = Decimal(3)
MOST_OPEN = 14
# what a step does, and how often
CHANCES = {"ladder": 5, "modify": 6, "cancel": 4, "ioc": 2, "reduce": 1, "race": 3, "move": 6, "take": 4}
# what a strike waits for, and the steps that bring it about
WANTED = {
    "order": ("ladder", "ioc"),
    "alo": ("ladder",),
    "ioc": ("ioc",),
    "batchModify": ("ladder", "modify", "modify"),
    "cancelByCloid": ("ladder", "cancel", "cancel"),
    "fill": ("ladder", "take", "move"),
    "race": ("ladder", "race", "race"),
    "own": ("ladder", "own", "own"),
    "": ("ladder", "modify", "cancel", "move"),
}


class Market:
    """The house's market, moved by the scenario."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ticks = 0

    @property
    def mid(self) -> Decimal:
        """The mid that the house quotes around."""
        return CENTER + self._ticks * TICK

    def move(self, ticks: int) -> None:
        """Move the mid; what is in the way trades."""
        self._ticks = max(-REACH, min(REACH, self._ticks + ticks))
        mid = self.mid
        self._stage.ex(lambda _: self._stage.venue.flow.move(mid))

    def take(self, side: int, size: Decimal) -> None:
        """Send a taker of the house."""
        self._stage.ex(lambda _: self._stage.venue.flow.take(side, size))


class StillMarket:
    """A market that somebody else moves."""

    mid = CENTER

    def move(self, ticks: int) -> None:
        """Leave it to the other."""

    def take(self, side: int, size: Decimal) -> None:
        """Leave it to the other."""


class Script:
    """
    Trades at random.

    Parameters
    ----------
    stage : Stage
        Where.
    rng : random.Random
        The scenario's numbers.
    market : Market or StillMarket
        What moves beside it.
    """

    def __init__(self, stage: Any, rng: random.Random, market: Market | StillMarket) -> None:
        self._stage = stage
        self._rng = rng
        self.market = market
        self.orders: list[Any] = []

    async def step(self, wants: str | None = None) -> None:
        """Do one thing, towards what a strike waits for where one is named, and let a moment pass."""
        if wants is not None:
            kind = self._rng.choice(WANTED[wants])
        else:
            kind = self._rng.choices(list(CHANCES), list(CHANCES.values()))[0]
        if abs(self._stage.net()) > MOST_HELD:
            kind = "reduce"
        elif len(self._working()) > MOST_OPEN:
            kind = "cancel"
        getattr(self, f"_{kind}")()
        # the load's own pace, from several within a block to one in two
        await asyncio.sleep(self._rng.choice((0.0, 0.002, 0.01, 0.03, 0.05)))

    def cancel_all(self) -> None:
        """Cancel whatever the engine holds open."""
        for order in self._stage.cache.orders_open():
            self._stage.cancel(order)

    def ladder(self, side: OrderSide, count: int, *, away: int = 1) -> None:
        """Rest so many orders on a side, a tick apart."""
        sign = 1 if side == OrderSide.BUY else -1
        made = [
            self._stage.limit(side, f"{self.market.mid - sign * (away + each) * TICK:.2f}", self._size())
            for each in range(count)
        ]
        self.orders += made
        self._stage.submit(*made)

    def _ladder(self) -> None:
        side = self._rng.choice((OrderSide.BUY, OrderSide.SELL))
        self.ladder(side, self._rng.randint(1, 4), away=self._rng.randint(0, 2))

    def _modify(self) -> None:
        order = self._any()
        if order is None:
            return self._ladder()
        sign = 1 if order.is_buy else -1
        price = self.market.mid - sign * self._rng.randint(0, 4) * TICK
        size = None
        if self._rng.random() < 0.5:
            size = f"{order.filled_qty.as_decimal() + self._rng.randrange(30, 300) / Decimal(1000):.3f}"
        if size is None and price == order.price.as_decimal():
            price -= sign * TICK
        self._stage.modify(order, price=f"{price:.2f}", size=size)
        return None

    def _cancel(self) -> None:
        order = self._any()
        if order is not None:
            self._stage.cancel(order)

    def _ioc(self) -> None:
        side = self._rng.choice((OrderSide.BUY, OrderSide.SELL))
        self._cross(side, self._size(), reduce_only=False)

    def _reduce(self) -> None:
        held = self._stage.net()
        if held:
            side = OrderSide.SELL if held > 0 else OrderSide.BUY
            self._cross(side, f"{min(abs(held), MOST_HELD):.3f}", reduce_only=True)

    def _race(self) -> None:
        # a taker and a modify or cancel in the same block: fills and commands meet
        order = self._any()
        if order is None:
            return self._ladder()
        side = -1 if order.is_buy else 1
        self.market.take(side, self._rng.randrange(20, 200) / Decimal(1000))
        if self._rng.random() < 0.6:
            self._modify()
        else:
            self._stage.cancel(order)
        return None

    def _own(self) -> None:
        # an order that takes, with one of our own in its way
        order = self._any()
        if order is None:
            self._ladder()
            return
        self._stage.own_crossed += 1
        self._cross(OrderSide.SELL if order.is_buy else OrderSide.BUY, self._size(), reduce_only=False)

    def _move(self) -> None:
        self.market.move(self._rng.choice((-3, -2, -1, 1, 2, 3)))

    def _take(self) -> None:
        self.market.take(self._rng.choice((1, -1)), self._rng.randrange(20, 400) / Decimal(1000))

    def _cross(self, side: OrderSide, size: str, *, reduce_only: bool) -> None:
        sign = 1 if side == OrderSide.BUY else -1
        price = f"{self.market.mid + sign * 4 * TICK:.2f}"
        order = self._stage.limit(side, price, size, ioc=True, reduce_only=reduce_only)
        self.orders.append(order)
        self._stage.submit(order)

    def _size(self) -> str:
        return f"{self._rng.randrange(50, 300) / Decimal(1000):.3f}"

    def _any(self) -> Any:
        working = self._working()
        return self._rng.choice(working) if working else None

    def _working(self) -> list[Any]:
        orders = [order for order in self._stage.cache.orders_open() if not order.is_pending_cancel]
        return sorted(orders, key=lambda order: order.init_id.value)
