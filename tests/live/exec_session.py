"""One trading node that several tests step, its desk strategy, and what the venue says of the account it trades."""

import asyncio
import itertools
import os
import threading
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.common.component import TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.config import ImportableControllerConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.test_kit.strategies.tester_exec import ExecTester
from nautilus_trader.test_kit.strategies.tester_exec import ExecTesterConfig
from nautilus_trader.trading.strategy import Strategy

from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.node import COIN
from tests.live.node import IID
from tests.live.node import KEY_VARIABLE
from tests.live.node import SOON
from tests.live.node import VENUE
from tests.live.node import data_config
from tests.live.node import exec_config
from tests.live.node import node_config
from tests.live.node import until


BUY, SELL = OrderSide.BUY, OrderSide.SELL
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
DEX = "km"
# the quiet market: best bid and ask around the mid, ticks of 0.01
MID = Decimal(690)
BID, ASK = Decimal("689.99"), Decimal("690.01")
LOT = Decimal("0.1")
LEVEL = Decimal(10)
EQUITY = Decimal(10_000)


def quiet_venue(**changes: Any) -> LoopbackVenue:
    """A quick venue with a market that only a test moves; not started."""
    given: dict[str, Any] = {
        "generated_accounts": 8,
        "equity": EQUITY,
        "block_ms": 20,
        "limits": False,
        "history_candles": 2,
        "history_hours": 2,
        "cadences": Cadences().scaled(0.1),
    }
    return LoopbackVenue(VenueConfig(**(given | changes)))


@dataclass(frozen=True)
class Trading:
    """The venue's side of one account: read on the venue's own thread."""

    venue: LoopbackVenue
    address: str

    def best(self, side: int) -> Decimal | None:
        """The best price that rests on a side, anybody's."""
        return self.venue.call(lambda e: e.best(COIN, side))

    def position(self) -> Decimal:
        """The signed position."""
        return self.venue.call(lambda e: e.accounts.position(self.address, COIN))

    def open_orders(self) -> list[dict[str, Any]]:
        """The resting orders, as ``frontendOpenOrders`` shows them."""
        return self.venue.call(lambda e: e.frontend_open_orders(self.address, DEX))

    def fills(self) -> list[dict[str, Any]]:
        """The fills, oldest first."""
        return self.venue.call(lambda e: e.accounts.user_fills(self.address))[::-1]

    def order(self, key: Any) -> dict[str, Any]:
        """The row of one order by number or cloid, with its ``status``."""
        found = self.venue.call(lambda e: e.order_status(self.address, key))
        assert found["status"] == "order", found
        return dict(found["order"])

    def state(self) -> dict[str, Any]:
        """The ``clearinghouseState`` on the dex."""
        now_ms = self.venue.now_ms
        return self.venue.call(lambda e: e.accounts.clearinghouse_state(self.address, DEX, now_ms))

    def entry_price(self) -> Decimal:
        """The average price of the position."""
        (row,) = self.state()["assetPositions"]
        return Decimal(row["position"]["entryPx"])

    def actions(self, since: int = 0) -> list[dict[str, Any]]:
        """The signed actions that the venue read, the first ``since`` requests left out."""
        return [r["action"] for r in self.venue.requests[since:] if "action" in r]

    def mark(self) -> int:
        """How many requests the venue has read by now, for ``actions``."""
        return len(self.venue.requests)

    def move(self, mid: Decimal) -> None:
        """Move the quiet market; its levels are full again before every block."""

        def shift(_: Any) -> None:
            flow = self.venue.flow
            flow.refill, flow.size = True, LEVEL
            flow.move(mid)

        self.venue.call(shift)

    def graze(self, mid: Decimal, size: Decimal) -> None:
        """Move the quiet market so that its best level, of this size, trades once with what rests in its way."""

        def meet(_: Any) -> None:
            flow = self.venue.flow
            flow.refill, flow.size = False, size
            flow.move(mid)

        self.venue.call(meet)

    def take(self, side: int, size: Decimal) -> None:
        """Let somebody take from the book."""
        self.venue.call(lambda _: self.venue.flow.take(side, size))

    def nudge(self) -> None:
        """Let a quote be sent: somebody takes a little at the touch, which is full again a block later."""
        self.take(1, Decimal("0.05"))

    def submit(self, action: dict[str, Any], user: str | None = None) -> None:
        """Let an account act as if from elsewhere, past the client: a manual order, a prior session."""
        owner, replies = user or self.address, []
        ready = threading.Event()

        def heard(reply: dict[str, Any]) -> None:
            replies.append(reply)
            ready.set()

        self.venue.call(
            lambda e: e.submit(action, user=owner, now_ms=self.venue.now_ms, expires_after=None, reply=heard)
        )
        assert ready.wait(15), "the venue did not take the action"
        assert replies[0]["status"] == "ok", replies


class DeskConfig(StrategyConfig, frozen=True):
    """Configuration for ``Desk`` instances."""

    instrument_id: InstrumentId = IID


class Desk(Strategy):
    """Subscribes to the market, sends what a test tells it to, and keeps what it is told."""

    def __init__(self, config: DeskConfig | None = None) -> None:
        super().__init__(config or DeskConfig(order_id_tag="DESK"))
        self.told: list[Any] = []
        self.quotes = 0

    def on_start(self) -> None:
        """Follow the quotes: a market order is bounded by one."""
        self.subscribe_quote_ticks(IID)

    def on_quote_tick(self, quote: Any) -> None:
        """Count it."""
        self.quotes += 1

    def on_event(self, event: Any) -> None:
        """Keep it."""
        self.told.append(event)

    def limit(self, side: OrderSide, price: Any, size: Any = LOT, **options: Any) -> Any:
        """Make a limit order; it is not sent."""
        instrument = self.cache.instrument(IID)
        return self.order_factory.limit(
            IID, side, instrument.make_qty(size), instrument.make_price(price), **options
        )

    def place(self, side: OrderSide, price: Any, size: Any = LOT, **options: Any) -> Any:
        """Send a limit order and return it."""
        order = self.limit(side, price, size, **options)
        self.submit_order(order)
        return order

    def market(self, side: OrderSide, size: Any = LOT, **options: Any) -> Any:
        """Send a market order and return it."""
        instrument = self.cache.instrument(IID)
        order = self.order_factory.market(IID, side, instrument.make_qty(size), **options)
        self.submit_order(order)
        return order

    def change(self, order: Any, *, price: Any = None, size: Any = None) -> None:
        """Send a modify."""
        instrument = self.cache.instrument(IID)
        self.modify_order(
            order,
            quantity=None if size is None else instrument.make_qty(size),
            price=None if price is None else instrument.make_price(price),
        )


def claiming_desk() -> Desk:
    """A desk that takes over what it finds of its instrument."""
    return Desk(DeskConfig(order_id_tag="DESK", external_order_claims=[IID]))


def trade_key(fill: dict[str, Any]) -> str:
    """The trade id under which the client books a row of ``userFills``."""
    return f"{fill['time']}-{fill['tid']}"


def settle(condition: Callable[[], Any], *, seconds: float = SOON) -> None:
    """Wait until the condition holds, without a node."""
    asyncio.run(until(condition, "the venue settles", seconds=seconds))


def names(order: Any) -> list[str]:
    """The events of an order in order, without the word ``Order``."""
    return [type(event).__name__.removeprefix("Order") for event in order.events]


class Session:
    """
    A running node; its loop runs only while a test waits in ``do``.

    Parameters
    ----------
    config : TradingNodeConfig
        The node.
    trading : Trading
        The account at the venue.
    strategies : sequence of Strategy
        What runs from the start.

    """

    def __init__(self, config: TradingNodeConfig, trading: Trading, strategies: Sequence[Any]) -> None:
        self.trading = trading
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        # strategies join while it runs
        controller = ImportableControllerConfig(
            controller_path="nautilus_trader.trading.controller:Controller",
            config_path="nautilus_trader.common.config:ActorConfig",
            config={},
        )
        self.node = TradingNode(config=msgspec.structs.replace(config, controller=controller), loop=self.loop)
        self.node.add_data_client_factory(VENUE, HyperliquidLiveDataClientFactory)
        self.node.add_exec_client_factory(VENUE, HyperliquidLiveExecClientFactory)
        for strategy in strategies:
            self.node.trader.add_strategy(strategy)
        self.node.build()
        self._tags = itertools.count(1)
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run the node; returns when the trader runs."""

        async def begin() -> None:
            self._running = self.loop.create_task(self.node.run_async())
            running = self._running
            await until(lambda: self.node.trader.is_running or running.done(), "the trader runs", seconds=30)
            if running.done():
                running.result()
                raise AssertionError("the node stopped before the trader ran")

        self.loop.run_until_complete(begin())

    def close(self) -> None:
        """Stop the node and leave a clean process."""

        async def end() -> None:
            await self.node.stop_async()
            if self._running is not None:
                await asyncio.wait({self._running}, timeout=20)

        try:
            self.loop.run_until_complete(end())
        finally:
            tasks = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.node.dispose()
            if not self.loop.is_closed():
                self.loop.close()
            asyncio.set_event_loop(None)
            os.environ.pop(KEY_VARIABLE, None)

    @property
    def cache(self) -> Any:
        """The node's cache."""
        return self.node.cache

    @property
    def client(self) -> Any:
        """The execution client."""
        factory = OrderFactory(TraderId("TESTER-001"), StrategyId("PROBE-1"), TestClock())
        probe = factory.limit(IID, BUY, Quantity.from_str("0.100"), Price.from_str("1.00"))
        (client,) = self.node.kernel.exec_engine.get_clients_for_orders([probe])
        return client

    @property
    def account(self) -> Any:
        """The node's account."""
        return self.node.portfolio.account(Venue(VENUE))

    def balance(self) -> Decimal:
        """The engine's balance, what is not realized left out."""
        (balance,) = self.account.balances().values()
        total: Decimal = balance.total.as_decimal()
        return total

    def info(self) -> dict[str, Any]:
        """What the venue's last account state carried beside balances; the engine's own reckonings carry nothing."""
        return next(dict(event.info) for event in reversed(self.account.events) if "equity" in event.info)

    def do(self, work: Awaitable[Any] | Callable[[], Any]) -> Any:
        """Run a coroutine, or a call inside the running loop, to its end."""

        async def run() -> Any:
            if callable(work):
                return work()
            return await work

        return self.loop.run_until_complete(asyncio.wait_for(run(), 60))

    def wait(self, condition: Callable[[], Any], what: str, **options: Any) -> Any:
        """Wait until the condition holds, with the loop running."""
        return self.do(until(condition, what, **options))

    def tester(self, **options: Any) -> ExecTester:
        """Start an ``ExecTester``; ``retire`` stops it."""
        given: dict[str, Any] = {
            "instrument_id": IID,
            "order_qty": LOT,
            "order_id_tag": f"T{next(self._tags):02d}",
            "log_data": False,
        }
        return self.run_tester(ExecTester(ExecTesterConfig(**(given | options))))

    def run_tester(self, tester: Any) -> Any:
        """Add a strategy to the running node and start it."""

        def begin() -> None:
            self.node.trader.add_strategy(tester)
            self.node.trader.start_strategy(tester.id)

        self.do(begin)
        self.trading.nudge()
        return tester

    def orders_of(self, tester: Strategy) -> list[Any]:
        """The orders of a strategy, oldest first."""
        return sorted(self.cache.orders(strategy_id=tester.id), key=lambda order: order.ts_init)

    def stop(self, tester: Strategy) -> None:
        """Stop a strategy: it cancels and closes as it is configured to."""
        self.do(tester.stop)

    def touch(self, side: OrderSide) -> Decimal:
        """The price at which a market order of a side trades, by the last quote."""
        quote = self.cache.quote_tick(IID)
        price: Decimal = (quote.ask_price if side == BUY else quote.bid_price).as_decimal()
        return price

    def tidy(self, desk: Desk) -> None:
        """Leave the account flat, whatever a test left of it."""
        self.trading.venue.faults.clear()

        def close_all() -> None:
            for order in self.cache.orders_open() + self.cache.orders_inflight():
                desk.cancel_order(order)
            for position in self.cache.positions_open():
                # a position is its strategy's: another's order would not reduce it
                (owner,) = [each for each in self.node.trader.strategies() if each.id == position.strategy_id]
                owner.close_position(position)

        if not self.is_even():
            self.do(close_all)
            self.wait(self.is_even, "flat, and nothing rests")

    def is_even(self) -> bool:
        """Whether the venue and the cache both hold no position and no open order."""
        return not (
            self.trading.position()
            or self.trading.open_orders()
            or self.cache.orders_open()
            or self.cache.orders_inflight()
            or self.cache.positions_open()
        )


def open_session(
    venue: LoopbackVenue,
    wallet: int,
    state_dir: Path,
    *,
    strategies: Sequence[Any] = (),
    engine: dict[str, Any] | None = None,
    execution: dict[str, Any] | None = None,
) -> Session:
    """A started session for one of the venue's accounts."""
    account = {"address": venue.wallets[wallet].address, "key": venue.wallets[wallet].key}
    options: dict[str, Any] = {
        "http_timeout_secs": 1.0,
        "query_after_ms": 200,
        "account_spacing_ms": 20,
        "deadman_secs": 0,
    }
    options |= execution or {}
    config = node_config(
        # both clients share one REST side, and the first of them makes it
        data_config(venue, http_timeout_secs=options["http_timeout_secs"]),
        exec_config(venue, account, state_dir, **options),
        engine=engine,
    )
    session = Session(config, Trading(venue, account["address"]), strategies)
    session.start()
    return session


@contextmanager
def session_with_desk(
    venue: LoopbackVenue, wallet: int, state_dir: Path, **options: Any
) -> Iterator[tuple[Session, Desk]]:
    """A session whose desk has seen a quote; closed at the end."""
    desk = options.pop("desk", None) or Desk()
    session = open_session(
        venue, wallet, state_dir, strategies=[desk, *options.pop("strategies", ())], **options
    )
    try:
        session.wait(lambda: session.cache.quote_tick(IID), "a quote")
        yield session, desk
    finally:
        session.close()
