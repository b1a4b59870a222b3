"""A node's data side without the node: bus, cache and data engine, and what the engine published."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.data.messages import SubscribeOrderBook
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue

from hyperliquid_hip3.instruments import instrument_id
from tests.adapter.data_fakes import US500


IID = instrument_id(US500)
HYPERLIQUID = Venue("HYPERLIQUID")
MINUTE = BarType.from_str(f"{IID}-1-MINUTE-LAST-EXTERNAL")
# a machine may be busy; what takes so long never comes
DEADLINE_S = 40.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def settle() -> None:
    """Let the tasks that are due now run."""
    for _ in range(20):
        await asyncio.sleep(0)


class DataSide:
    """Everything of a data client's surroundings; ``register`` takes the client."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = LiveClock()
        self.msgbus = MessageBus(trader_id=TraderId("T-1"), clock=self.clock)
        self.cache = Cache()
        self.engine_clock = LiveClock()
        self.engine = DataEngine(self.msgbus, self.cache, self.engine_clock)
        self.heard: list[object] = []
        self.msgbus.subscribe("data.*", self.heard.append)
        self.msgbus.subscribe("historical.data.*", self.heard.append)
        self.ages: list[object] = []
        self.answers: list[object] = []

    def register(self, client) -> None:
        self.client = client
        self.engine.register_client(client)

    async def start(self) -> None:
        self.client.connect()
        await eventually(lambda: self.client.is_connected)

    async def stop(self) -> None:
        self.client.disconnect()
        await eventually(lambda: not self.client.is_connected)
        self.engine_clock.cancel_timers()

    def of(self, kind: str) -> list:
        return [item for item in self.heard if type(item).__name__ == kind]

    def last(self, kind: str):
        return self.of(kind)[-1]

    async def subscribe(self, command_type, *args, params=None, **kwargs) -> None:
        command = command_type(
            *args, client_id=None, venue=HYPERLIQUID, command_id=UUID4(), ts_init=0, params=params, **kwargs
        )
        self.engine.execute(command)
        await settle()

    async def book(self, kind=OrderBookDelta, **kwargs) -> None:
        await self.subscribe(SubscribeOrderBook, IID, kind, BookType.L2_MBP, **kwargs)

    async def request(self, request_type, *args, params=None, **kwargs) -> None:
        request = request_type(
            *args,
            client_id=None,
            venue=HYPERLIQUID,
            callback=self.answers.append,
            request_id=UUID4(),
            ts_init=0,
            params=params or {},
            **kwargs,
        )
        self.msgbus.request("DataEngine.request", request)
        await settle()


def flags(deltas) -> list[int]:
    return [delta.flags for delta in deltas.deltas]


def adds_of(deltas, side: OrderSide) -> list[Any]:
    """The levels of one side that a batch adds, best first: in the batch the worst comes first."""
    adds = [delta for delta in deltas.deltas if delta.action == BookAction.ADD and delta.order.side == side]
    return adds[::-1]


def book_prices(deltas) -> list[str]:
    return [
        str(delta.order.price) for side in (OrderSide.BUY, OrderSide.SELL) for delta in adds_of(deltas, side)
    ]
