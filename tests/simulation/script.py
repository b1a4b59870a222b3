"""A strategy that follows a script, and the market it is tried in."""

from collections.abc import Callable
from typing import Any

from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.trading.strategy import Strategy

from tests.simulation.market import SECOND
from tests.simulation.market import T0
from tests.simulation.market import depth
from tests.simulation.market import make_instrument
from tests.simulation.market import price
from tests.simulation.market import size


INSTRUMENT = make_instrument()
IID = INSTRUMENT.id
BIDS = [(69_000 - k, 500) for k in range(10)]
ASKS = [(69_002 + k, 500) for k in range(10)]
MS = 1_000_000


class Script(Strategy):
    """Does one thing a second, each a function of the strategy, and keeps every order event."""

    def __init__(self, steps: list[Callable[["Script"], None]]) -> None:
        super().__init__()
        self.steps = steps
        self.events: list[Any] = []
        self.orders: dict[str, Any] = {}

    def on_start(self) -> None:
        for number, step in enumerate(self.steps, start=1):
            self.clock.set_time_alert_ns(
                f"step-{number}", T0 + number * SECOND, lambda _event, step=step: step(self)
            )

    def on_order_event(self, event: Any) -> None:
        self.events.append(event)

    def send(self, name: str, side: int, ticks: int, lots: int, **options: Any) -> None:
        tif = options.pop("time_in_force", TimeInForce.GTC)
        options.setdefault("post_only", tif == TimeInForce.GTC)
        order = self.order_factory.limit(
            IID, OrderSide.BUY if side > 0 else OrderSide.SELL, size(lots), price(ticks), tif, **options
        )
        self.orders[name] = order
        self.submit_order(order)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if type(event).__name__ == kind]


def still(seconds: int) -> list[Any]:
    """A market that does not move."""
    return [depth(IID, T0 + i * SECOND // 2, BIDS, ASKS) for i in range(seconds * 2)]
