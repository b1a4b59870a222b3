"""
Frames handled a second: from the socket's callback to Nautilus data in the hands of a subscriber, kind by kind and as the venue mixes them.

Parsing, merging of the three books, what is old or repeated, making of the objects and the engine's publication are all in it. Every
frame is news: books and quotes move, trades have new numbers. The data client is the factory's own; only its socket is left out, and
the engine is the synchronous one, so that the queue's turn is not in it. Rounds of all kinds are run in turn; the time of a bare loop of 1,000
additions tells how busy the machine was. Run: ``python -m benchmarks.stream``.
"""

# ruff: noqa: SLF001 - a stopwatch must stand inside what it times

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.data.messages import SubscribeFundingRates
from nautilus_trader.data.messages import SubscribeIndexPrices
from nautilus_trader.data.messages import SubscribeMarkPrices
from nautilus_trader.data.messages import SubscribeOrderBook
from nautilus_trader.data.messages import SubscribeQuoteTicks
from nautilus_trader.data.messages import SubscribeTradeTicks
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue

from hyperliquid_hip3.config import HyperliquidDataClientConfig
from hyperliquid_hip3.factories import HyperliquidLiveDataClientFactory
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue


ROUNDS = 15
FRAMES = 200
COIN = "km:US500"
VENUE = Venue("HYPERLIQUID")
INSTRUMENT = InstrumentId.from_str(f"{COIN}-USD-PERP.{VENUE}")
# frames of each kind in five seconds of the venue (protocol, WebSocket: measured paces), with a touch that moves in most blocks
MIX = {"bbo": 50, "trades, 2": 15, "l2Book fast, 5 levels": 9, "activeAssetCtx": 5, "l2Book, 20 levels": 1}


class Maker:
    """Makes frames that are always news, from a seed."""

    def __init__(self) -> None:
        self._draws = random.Random(11)
        self._ms = time.time_ns() // 1_000_000
        self._trade = 0

    def make(self, kind: str) -> bytes:
        """Return the next frame of a kind."""
        self._ms += 1
        top = 69_000 + self._draws.randrange(-20, 20)
        if kind == "bbo":
            bids, asks = self._levels(top, 1)
            return self._frame("bbo", {"coin": COIN, "time": self._ms, "bbo": [bids[0], asks[0]]})
        if kind.startswith("trades"):
            return self._frame("trades", [self._traded(top) for _ in range(2)])
        if kind == "activeAssetCtx":
            return self._frame("activeAssetCtx", {"coin": COIN, "ctx": self._context(top)})
        is_fast = "fast" in kind
        book: dict[str, Any] = {
            "coin": COIN,
            "time": self._ms,
            "levels": self._levels(top, 5 if is_fast else 20),
        }
        return self._frame("l2Book", book | ({"fast": True} if is_fast else {}))

    def _frame(self, channel: str, data: Any) -> bytes:
        return msgspec.json.encode({"channel": channel, "data": data})

    def _levels(self, top: int, count: int) -> list[list[dict[str, Any]]]:
        return [
            [
                {
                    "px": f"{(top + sign * (i + 1)) / 100:.2f}",
                    "sz": f"{self._draws.uniform(0.1, 40):.3f}",
                    "n": self._draws.randrange(1, 9),
                }
                for i in range(count)
            ]
            for sign in (-1, 1)
        ]

    def _traded(self, top: int) -> dict[str, Any]:
        self._trade += 1
        return {
            "coin": COIN,
            "side": self._draws.choice("AB"),
            "px": f"{top / 100:.2f}",
            "sz": f"{self._draws.uniform(0.1, 4):.3f}",
            "time": self._ms,
            "hash": f"0x{self._draws.getrandbits(256):064x}",
            "tid": self._trade,
            "users": ["0x" + "0" * 39 + "1", "0x" + "0" * 39 + "2"],
        }

    def _context(self, top: int) -> dict[str, Any]:
        price = f"{top / 100:.2f}"
        return {
            "funding": "0.0000057078",
            "openInterest": f"{self._draws.uniform(100, 200):.3f}",
            "prevDayPx": "688.1",
            "dayNtlVlm": "1234567.1",
            "premium": "0.0001",
            "oraclePx": price,
            "markPx": price,
            "midPx": price,
            "impactPxs": [price, price],
            "dayBaseVlm": "1789.2",
        }


def bare_loop() -> float:
    """Return the microseconds of 1,000 additions."""
    began, total = time.perf_counter(), 0
    for i in range(1_000):
        total += i
    return (time.perf_counter() - began) * 1e6


class Side:
    """A data engine with the adapter's client, and how much of each kind was published."""

    def __init__(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        clock = LiveClock()
        msgbus = MessageBus(trader_id=TraderId("BENCH-001"), clock=clock)
        cache = Cache()
        self.engine = DataEngine(msgbus, cache, clock)
        self.published: Counter[str] = Counter()
        config = HyperliquidDataClientConfig(
            url=url, coins=(COIN,), instrument_provider=InstrumentProviderConfig(load_all=True)
        )
        self.client = HyperliquidLiveDataClientFactory.create(
            loop=loop, name=VENUE.value, config=config, msgbus=msgbus, cache=cache, clock=clock
        )
        self.engine.register_client(self.client)
        msgbus.subscribe("data.*", self._count)

    def _count(self, data: Any) -> None:
        self.published[type(data).__name__] += 1

    def subscribe(self) -> None:
        """Want everything that a strategy wants."""
        head: dict[str, Any] = {"client_id": None, "venue": VENUE, "command_id": UUID4(), "ts_init": 0}
        self.engine.execute(
            SubscribeOrderBook(INSTRUMENT, OrderBookDelta, BookType.L2_MBP, managed=True, **head)
        )
        for kind in (
            SubscribeQuoteTicks,
            SubscribeTradeTicks,
            SubscribeMarkPrices,
            SubscribeIndexPrices,
            SubscribeFundingRates,
        ):
            self.engine.execute(kind(INSTRUMENT, **{**head, "command_id": UUID4()}))

    def play(self, frames: list[bytes]) -> float:
        """Return the microseconds a frame took."""
        take, now_ns = self.client._on_frame, time.time_ns
        began = time.perf_counter()
        for raw in frames:
            take(raw, now_ns())
        return (time.perf_counter() - began) / len(frames) * 1e6


def mixed(maker: Maker) -> Iterator[bytes]:
    """Yield five seconds of frames in the venue's proportion, spread evenly."""
    order = sorted((i / count, kind) for kind, count in MIX.items() for i in range(count))
    for _, kind in order:
        yield maker.make(kind)


async def measure(url: str) -> tuple[dict[str, list[float]], list[float], Side]:
    """Run the rounds in turn."""
    side = Side(url)
    await side.client._connect()
    side.subscribe()
    # the commands run in tasks of their own
    await asyncio.sleep(0.2)
    # from here on the frames are ours alone
    await side.client._market_socket.close()
    await side.client._deep_socket.close()
    maker = Maker()
    took: dict[str, list[float]] = {kind: [] for kind in (*MIX, "as mixed")}
    loops: list[float] = []
    side.published.clear()
    for number in range(ROUNDS + 1):
        for kind, kept in took.items():
            frames = (
                [maker.make(kind) for _ in range(FRAMES)]
                if kind in MIX
                else [frame for _ in range(3) for frame in mixed(maker)]
            )
            spent = side.play(frames)
            if number:
                kept.append(spent)
        loops.append(bare_loop())
    await side.client._disconnect()
    return took, loops, side


def main() -> None:
    config = VenueConfig(history_candles=10, history_hours=10)
    with LoopbackVenue(config) as venue:
        took, loops, side = asyncio.run(measure(venue.url))
    print(f"{'frame':<26}{'us a frame':>12}{'fastest':>10}{'frames/s':>10}")
    for kind, spent in took.items():
        middle = statistics.median(spent)
        print(f"{kind:<26}{middle:>12.1f}{min(spent):>10.1f}{1e6 / middle:>10,.0f}")
    print(f"published {dict(side.published)}; frames dropped {side.client.bad_frames}")
    print(f"loop of 1,000 additions {statistics.median(loops):.1f} us")


if __name__ == "__main__":
    main()
