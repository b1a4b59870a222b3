"""Where a scenario plays: the execution side alone in a loop, or a whole trading node; both on a loopback venue."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.live.config import LiveRiskEngineConfig
from nautilus_trader.live.risk_engine import LiveRiskEngine
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy

from hyperliquid_hip3.notices import NOTICE_TOPIC
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.limits import IpLimits
from hyperliquid_loopback.types import Json
from tests.adapter.exec_scene import AGENT_KEY
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import IID
from tests.adapter.exec_scene import STRATEGY
from tests.adapter.exec_scene import TRADER
from tests.adapter.exec_scene import USER
from tests.adapter.exec_scene import ExecSide
from tests.adapter.exec_scene import modify_command
from tests.adapter.exec_scene import venue_config
from tests.live.node import exec_config


# the engine's own looks at orders and positions run throughout: what they find must be what events have told
CHECKS: dict[str, Any] = {
    "inflight_check_interval_ms": 500,
    "inflight_check_threshold_ms": 1_500,
    "open_check_interval_secs": 2.0,
    "open_check_threshold_ms": 1_000,
    "position_check_interval_secs": 2.0,
    "position_check_threshold_ms": 1_000,
}
# short, so that what is unknown is soon known
CLIENT: dict[str, Any] = {
    "deadman_secs": 0,
    "http_timeout_secs": 1.0,
    "expires_after_ms": 1_000,
    "query_after_ms": 200,
    "account_spacing_ms": 50,
}
AGENT: dict[str, str] = {"address": USER, "key": "0x" + AGENT_KEY.hex()}


class CountedLimits(IpLimits):
    """The venue's limits on an address, and how often each was met."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: Counter[str] = Counter()
        self.most = 0

    def take(self, now_ms: int, weight: int) -> bool:
        """Count a request."""
        taken = super().take(now_ms, weight)
        self.refused["weight"] += not taken
        self.most = max(self.most, self.weight_used(now_ms))
        return taken

    def connect(self, now_ms: int) -> int | None:
        """Count a socket."""
        number = super().connect(now_ms)
        self.refused["sockets"] += number is None
        return number

    def message(self, now_ms: int) -> bool:
        """Count a message."""
        taken = super().message(now_ms)
        self.refused["messages"] += not taken
        return taken

    def subscribe(self, socket: int, key: str, user: str | None = None) -> str | None:
        """Count a subscription."""
        refused = super().subscribe(socket, key, user)
        self.refused["subscriptions"] += refused is not None
        return refused


def scene_config(seed: int, **changes: Any) -> VenueConfig:
    """A venue of fast blocks with the venue's own limits."""
    given = {"seed": seed, "limits": True, "cadences": Cadences().scaled(0.2)}
    return venue_config(**(given | changes))


class Stage:
    """What a scenario and its audit need, wherever it plays."""

    venue: Any
    cache: Any
    client: Any
    events: list[Any]
    notices: list[Any]
    states: list[Any]
    factory: Any
    # whether somebody else trades with the account
    has_strangers = False
    # orders sent that would have traded with one of our own
    own_crossed = 0

    def submit(self, *orders: Any) -> None:
        """Send new orders as a strategy does."""
        raise NotImplementedError

    def modify(self, order: Any, *, price: str | None = None, size: str | None = None) -> None:
        """Change a resting order."""
        raise NotImplementedError

    def cancel(self, order: Any) -> None:
        """Cancel an order."""
        raise NotImplementedError

    def limit(
        self,
        side: OrderSide,
        price: str,
        size: str,
        *,
        post_only: bool = True,
        ioc: bool = False,
        reduce_only: bool = False,
    ) -> Any:
        """Make a limit order."""
        return self.factory.limit(
            IID,
            side,
            Quantity.from_str(size),
            Price.from_str(price),
            time_in_force=TimeInForce.IOC if ioc else TimeInForce.GTC,
            post_only=post_only and not ioc,
            reduce_only=reduce_only,
        )

    def ex[T](self, fn: Callable[[Exchange], T]) -> T:
        """Run a function on the venue's thread."""
        result: T = self.venue.call(fn)
        return result

    def net(self) -> Decimal:
        """The engine's position."""
        return sum(
            (each.signed_decimal_qty() for each in self.cache.positions_open(instrument_id=IID)), Decimal(0)
        )

    def venue_position(self) -> Decimal:
        """The venue's position."""
        return self.ex(lambda _: self.venue.accounts.position(USER, COIN))

    def venue_orders(self) -> list[Json]:
        """The venue's open orders of the account."""
        return self.ex(lambda exchange: exchange.frontend_open_orders(USER, "km"))

    def by_hand(self, price: str, size: str, *, is_buy: bool, tif: str) -> None:
        """Somebody else trades with the same account, without a client order id."""
        self.has_strangers = True
        row = {"a": 150000, "b": is_buy, "p": price, "s": size, "r": False, "t": {"limit": {"tif": tif}}}
        action = {"type": "order", "orders": [row], "grouping": "na"}
        self.ex(
            lambda exchange: exchange.submit(
                action, user=USER, now_ms=self.venue.now_ms, expires_after=None, reply=lambda _: None
            )
        )


class EngineStage(Stage, ExecSide):
    """Bus, cache, portfolio, risk and execution engine in the running loop."""

    def __init__(self, venue: Any, state_dir: Path, *, cache: Any = None, **changes: Any) -> None:
        ExecSide.__init__(self, venue, state_dir, cache=cache, engine=CHECKS, **(CLIENT | changes))
        self.risk = LiveRiskEngine(
            loop=self.loop,
            portfolio=self.portfolio,
            msgbus=self.msgbus,
            cache=self.cache,
            clock=self.clock,
            config=LiveRiskEngineConfig(
                max_order_submit_rate="1000/00:00:01", max_order_modify_rate="1000/00:00:01"
            ),
        )

    async def start(self, *, reconcile: bool = True) -> None:
        """Connect and reconcile."""
        await ExecSide.start(self, reconcile=reconcile)
        self.risk.start()

    async def stop(self) -> None:
        """Disconnect and end the engines' tasks."""
        tasks = [self.risk.get_cmd_queue_task(), self.risk.get_evt_queue_task()]
        self.risk.stop()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
        await ExecSide.stop(self)

    def submit(self, *orders: Any) -> None:
        """Send new orders by way of the risk engine."""
        for order in orders:
            self.cache.add_order(order)
            self.risk.execute(SubmitOrder(TRADER, STRATEGY, order, UUID4(), 0))

    def modify(self, order: Any, *, price: str | None = None, size: str | None = None) -> None:
        """Change an order by way of the risk engine."""
        self.risk.execute(modify_command(order, price=price, size=size))

    def cancel(self, order: Any) -> None:
        """Cancel an order; the engine takes cancels directly."""
        ExecSide.cancel(self, order)


class Hands(Strategy):
    """A strategy that does what it is told."""

    def __init__(self) -> None:
        # the ids of two lives of one account must differ, and orders of an earlier one are its own
        super().__init__(
            StrategyConfig(order_id_tag="000", use_uuid_client_order_ids=True, external_order_claims=[IID])
        )
        self.events: list[Any] = []
        self.states: list[Any] = []
        self.notices: list[Any] = []

    def register(self, *parts: Any, **more: Any) -> None:
        """Listen from the first moment: reconciliation comes before the start."""
        super().register(*parts, **more)
        self.msgbus.subscribe("events.order.*", self.events.append)
        self.msgbus.subscribe("events.account.*", self.states.append)
        self.msgbus.subscribe(NOTICE_TOPIC, self.notices.append)

    def on_start(self) -> None:
        """Follow the market, so that orders are checked against a quote."""
        self.subscribe_quote_ticks(IID)


class NodeStage(Stage):
    """A whole node that runs already."""

    def __init__(self, node: Any, hands: Hands, venue: Any) -> None:
        self.hands = hands
        self.venue = venue
        self.cache = node.cache
        self.factory = hands.order_factory
        self.events, self.states, self.notices = hands.events, hands.states, hands.notices
        probe = self.limit(OrderSide.BUY, "690.00", "0.100")
        (self.client,) = node.kernel.exec_engine.get_clients_for_orders([probe])

    def submit(self, *orders: Any) -> None:
        """Send new orders as the strategy."""
        for order in orders:
            self.hands.submit_order(order)

    def modify(self, order: Any, *, price: str | None = None, size: str | None = None) -> None:
        """Change an order as the strategy."""
        self.hands.modify_order(
            order,
            quantity=None if size is None else Quantity.from_str(size),
            price=None if price is None else Price.from_str(price),
        )

    def cancel(self, order: Any) -> None:
        """Cancel an order as the strategy."""
        self.hands.cancel_order(order)


def agent_config(venue: Any, state_dir: Path, **changes: Any) -> Any:
    """The execution client's configuration for the account's agent."""
    return exec_config(venue, AGENT, state_dir, **({"require_agent": True} | CLIENT | changes))


def dice(name: str, seed: int) -> random.Random:
    """The scenario's own random numbers."""
    return random.Random(f"{name} {seed}")
