"""A node's execution side without the node, against the loopback venue: bus, cache, portfolio and the live execution engine."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelAllOrders
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.execution.messages import ModifyOrder
from nautilus_trader.execution.messages import QueryOrder
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.execution.messages import SubmitOrderList
from nautilus_trader.live.config import LiveExecEngineConfig
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.events import OrderPendingCancel
from nautilus_trader.model.events import OrderPendingUpdate
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.portfolio.portfolio import Portfolio

from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.execution import HyperliquidExecutionClient
from hyperliquid_hip3.instruments import instrument_id
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.notices import NOTICE_TOPIC
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from hyperliquid_hip3.signing import Signer
from hyperliquid_hip3.weights import WeightBucket
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue


COIN = "km:US500"
IID = instrument_id(COIN)
TRADER = TraderId("T-1")
STRATEGY = StrategyId("MM-1")
USER = "0x" + "5e" * 20
AGENT_KEY = bytes([7]) * 32
DEADLINE_S = 15.0
BUY, SELL = OrderSide.BUY, OrderSide.SELL


async def eventually(condition, *, seconds: float = DEADLINE_S, what: str = "") -> None:
    """Wait until the condition holds."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"did not come about: {what or condition}") from None


def venue_config(**changes) -> VenueConfig:
    """A fast venue with one account and its agent."""
    agent = AgentSpec(address=SecretKey(AGENT_KEY).address, name=changes.pop("agent_name", "mm"))
    account = AccountSpec(
        address=USER,
        equity=changes.pop("equity", Decimal(100_000)),
        mode=changes.pop("mode", None),
        agents=changes.pop("agents", (agent,)),
    )
    given = {
        "accounts": (account,),
        "generated_accounts": 1,
        "equity": Decimal(1_000_000),
        "block_ms": 20,
        "limits": False,
        "history_candles": 2,
        "history_hours": 2,
    }
    return VenueConfig(**{**given, **changes})


def client_config(venue, state_dir: Path, **changes) -> HyperliquidExecClientConfig:
    """A client that soon gives up waiting, and asks soon."""
    given = {
        "url": venue.url,
        "user": USER,
        "coins": (COIN,),
        "key_source": "environment",
        "state_dir": str(state_dir),
        "deadman_secs": 0,
        "http_timeout_secs": 1.0,
        "expires_after_ms": 1_000,
        "query_after_ms": 200,
        "account_refresh_secs": 5.0,
        "account_spacing_ms": 20,
    }
    return HyperliquidExecClientConfig(**given | changes)


def modify_command(order, *, price: str | None = None, size: str | None = None) -> ModifyOrder:
    """A strategy's command to change a resting order; what is left out stays."""
    return ModifyOrder(
        TRADER,
        STRATEGY,
        order.instrument_id,
        order.client_order_id,
        order.venue_order_id,
        None if size is None else Quantity.from_str(size),
        None if price is None else Price.from_str(price),
        None,
        UUID4(),
        0,
    )


class ExecSide:
    """The engine's execution side and the client, on one venue."""

    def __init__(
        self, venue, state_dir: Path, *, cache: Cache | None = None, engine=None, weight=None, **changes
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.venue = venue
        self.clock = LiveClock()
        self.msgbus = MessageBus(trader_id=TRADER, clock=self.clock)
        self.cache = Cache() if cache is None else cache
        self.portfolio = Portfolio(self.msgbus, self.cache, self.clock)
        self.events: list = []
        self.notices: list = []
        self.states: list = []
        self.msgbus.subscribe("events.order.*", self.events.append)
        self.msgbus.subscribe("events.account.*", self.states.append)
        self.msgbus.subscribe(NOTICE_TOPIC, self.notices.append)
        settings = {
            "reconciliation": True,
            "inflight_check_interval_ms": 0,
            "snapshot_positions": False,
            **(engine or {}),
        }
        self.engine = LiveExecutionEngine(
            loop=self.loop,
            msgbus=self.msgbus,
            cache=self.cache,
            clock=self.clock,
            config=LiveExecEngineConfig(**settings),
        )
        self.config = client_config(venue, state_dir, **changes)
        weights = None if weight is None else WeightBucket(weight)
        self.rest = VenueClient(venue.url, timeout_s=self.config.http_timeout_secs, weights=weights)
        provider = HyperliquidInstrumentProvider(self.rest)
        provider.want("km", (COIN,))
        self.client = HyperliquidExecutionClient(
            self.loop,
            client=self.rest,
            msgbus=self.msgbus,
            cache=self.cache,
            clock=self.clock,
            instrument_provider=provider,
            config=self.config,
            signer=Signer(SecretKey(AGENT_KEY), venue.url, self.config.vault),
        )
        self.engine.register_client(self.client)
        self.factory = OrderFactory(
            trader_id=TRADER, strategy_id=STRATEGY, clock=TestClock(), use_uuid_client_order_ids=True
        )

    async def start(self, *, reconcile: bool = True) -> None:
        self.engine.start()
        self.client.connect()
        await eventually(lambda: self.client.is_connected, what="connected")
        if reconcile:
            assert await self.engine.reconcile_execution_state(timeout_secs=10.0)
        self.quote("689.99", "690.01")

    async def stop(self) -> None:
        self.client.disconnect()
        await eventually(lambda: not self.client.is_connected, what="disconnected")
        self.engine.stop()
        await asyncio.gather(
            *(
                t
                for t in (self.engine.get_cmd_queue_task(), self.engine.get_evt_queue_task())
                if t is not None
            ),
            return_exceptions=True,
        )
        self.clock.cancel_timers()

    # -- what a strategy does --------------------------------------------------------------------------

    def quote(self, bid: str, ask: str) -> None:
        size = Quantity.from_str("1.000")
        self.cache.add_quote_tick(QuoteTick(IID, Price.from_str(bid), Price.from_str(ask), size, size, 0, 0))

    def limit(self, side, price: str, size: str = "0.100", *, post_only=True, ioc=False, reduce_only=False):
        return self.factory.limit(
            IID,
            side,
            Quantity.from_str(size),
            Price.from_str(price),
            time_in_force=TimeInForce.IOC if ioc else TimeInForce.GTC,
            post_only=post_only and not ioc,
            reduce_only=reduce_only,
        )

    def market(self, side, size: str = "0.100", *, reduce_only=False):
        return self.factory.market(IID, side, Quantity.from_str(size), reduce_only=reduce_only)

    def submit(self, *orders) -> None:
        for order in orders:
            self.cache.add_order(order)
            self.engine.execute(SubmitOrder(TRADER, STRATEGY, order, UUID4(), 0))

    def submit_list(self, orders) -> None:
        made = self.factory.create_list(orders)
        for order in orders:
            self.cache.add_order(order)
        self.engine.execute(SubmitOrderList(TRADER, STRATEGY, made, UUID4(), 0))

    def _pending(self, kind, order) -> None:
        # as a strategy does before it sends the command
        order.apply(
            kind(
                TRADER,
                order.strategy_id,
                order.instrument_id,
                order.client_order_id,
                order.venue_order_id,
                order.account_id,
                UUID4(),
                0,
                0,
            )
        )
        self.cache.update_order(order)

    def modify(self, order, *, price: str | None = None, size: str | None = None) -> None:
        self._pending(OrderPendingUpdate, order)
        self.engine.execute(modify_command(order, price=price, size=size))

    def cancel(self, order) -> None:
        self._pending(OrderPendingCancel, order)
        self.engine.execute(
            CancelOrder(
                TRADER, STRATEGY, order.instrument_id, order.client_order_id, order.venue_order_id, UUID4(), 0
            )
        )

    def cancel_all(self, side=OrderSide.NO_ORDER_SIDE) -> None:
        self.engine.execute(CancelAllOrders(TRADER, STRATEGY, IID, side, UUID4(), 0))

    def ask_about(self, order) -> None:
        self.engine.execute(
            QueryOrder(TRADER, STRATEGY, IID, order.client_order_id, order.venue_order_id, UUID4(), 0)
        )

    def cycle_end(self, submits=0, modifies=0, cancels=0) -> None:
        self.msgbus.publish(self.config.cycle_topic, (submits, modifies, cancels))

    async def resting(self, *orders) -> None:
        """Submit orders and wait until they rest."""
        self.submit(*orders)
        await eventually(
            lambda: all(o.is_open and o.venue_order_id is not None for o in orders), what="resting"
        )

    # -- what became of it -----------------------------------------------------------------------------

    def of(self, order) -> list[str]:
        """The names of an order's events, in order."""
        return [
            type(event).__name__ for event in self.events if event.client_order_id == order.client_order_id
        ]

    def kinds(self) -> list[NoticeKind]:
        return [notice.kind for notice in self.notices]

    def net(self) -> Decimal:
        return sum(
            (position.signed_decimal_qty() for position in self.cache.positions_open(instrument_id=IID)),
            Decimal(0),
        )

    def ex(self, fn):
        return self.venue.call(fn)

    def venue_orders(self) -> list[dict]:
        return self.ex(lambda exchange: exchange.frontend_open_orders(USER, "km"))

    def venue_position(self) -> Decimal:
        return self.ex(lambda exchange: self.venue.accounts.position(USER, COIN))

    def take(self, side: int, size: str, limit: str) -> None:
        """Somebody else trades into the book."""
        self.ex(lambda exchange: exchange.house_take(COIN, side, Decimal(size), Decimal(limit)))

    def actions(self) -> list[dict]:
        """The actions that the venue read."""
        return [request["action"] for request in self.venue.requests if "action" in request]


@asynccontextmanager
async def exec_side(tmp_path, *, reconcile=True, venue=None, **changes):
    """A venue and the client on it."""
    async with LoopbackVenue(venue or venue_config()) as running:
        side = ExecSide(running, tmp_path / "state", **changes)
        await side.start(reconcile=reconcile)
        try:
            yield side
        finally:
            await side.stop()
