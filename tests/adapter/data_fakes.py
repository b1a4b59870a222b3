"""A venue of plain values for the data side: a REST side that a test sets, and sockets that a test drives."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

from hyperliquid_hip3.clock_offset import ClockOffset
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import MarginTier
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.records import PerpEntry
from hyperliquid_hip3.records import SpotToken
from hyperliquid_hip3.user_records import AssetContext
from hyperliquid_hip3.user_records import ExchangeStatus


US500 = "km:US500"
SP500 = "xyz:SP500"


def context(coin: str, price: str | None, **changes: Any) -> AssetContext:
    """Return a context whose mid, mark and oracle are one price; no mid where it is None."""
    value = Decimal(price or "100")
    given = {
        "coin": coin,
        "funding": Decimal("0.0000057"),
        "open_interest": Decimal(3000),
        "oracle_price": value,
        "mark_price": value,
        "mid_price": None if price is None else value,
        "premium": None,
        "day_notional_volume": Decimal(1_000_000),
        "day_base_volume": None,
        "previous_day_price": value,
        "impact_bid": None,
        "impact_ask": None,
    }
    return AssetContext(**{**given, **changes})


def entry(index: int, coin: str, **changes: Any) -> PerpEntry:
    given = {"sz_decimals": 3, "max_leverage": 25, "margin_table_id": 25, "growth_mode": True}
    return PerpEntry(index, coin, **{**given, **changes})


class FakeVenueClient:
    """Answers of the venue that a test may change; counts what was asked."""

    def __init__(self) -> None:
        self.clock = ClockOffset()
        self.asked: list[str] = []
        self.is_down = False
        self.dexes = (
            PerpDex(1, "xyz", "XYZ", "0x1"),
            PerpDex(5, "km", "Kinetiq", "0x5", Decimal("1.0")),
            *(PerpDex(i, f"d{i}", "", "0x9") for i in range(6, 210)),
        )
        self.tokens = (
            SpotToken(0, "USDC", 8, 8),
            SpotToken(360, "USDH", 2, 8),
            SpotToken(235, "USDE", 2, 8),
        )
        self.metas = {
            "km": DexMeta(
                (entry(0, US500), entry(1, "km:OLD", is_delisted=True)),
                360,
                {25: (MarginTier(Decimal(0), 25),)},
            ),
            "xyz": DexMeta((entry(0, "xyz:XYZ100", sz_decimals=4), entry(1, SP500)), 0, {}),
            "": DexMeta((entry(0, "BTC", sz_decimals=5, growth_mode=False, margin_table_id=40),), 0, {}),
        }
        self.contexts = {
            "km": (context(US500, "752.44"), context("km:OLD", None, mark_price=Decimal(10))),
            "xyz": (context("xyz:XYZ100", "29858"), context(SP500, "7673.4")),
            "": (context("BTC", "84148"),),
        }
        self.books: dict[str, BookSnapshot] = {}
        self.trades: tuple[Any, ...] = ()
        self.candle_rows: tuple[Any, ...] = ()
        self.funding_rows: tuple[Any, ...] = ()
        self.at_cap: tuple[str, ...] = ()

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.is_down:
            raise TransportError(f"{what}: no answer")

    async def perp_dexs(self) -> Any:
        self._ask("perpDexs")
        return self.dexes

    async def spot_meta(self) -> Any:
        self._ask("spotMeta")
        return self.tokens

    async def meta_and_contexts(self, dex: str) -> Any:
        self._ask(f"meta {dex}")
        return self.metas[dex], self.contexts[dex]

    async def exchange_status(self) -> ExchangeStatus:
        self._ask("exchangeStatus")
        return ExchangeStatus(time.time_ns(), ())

    async def perps_at_open_interest_cap(self, dex: str) -> tuple[str, ...]:
        self._ask(f"cap {dex}")
        return self.at_cap

    async def l2_book(self, coin: str) -> BookSnapshot:
        self._ask(f"book {coin}")
        return self.books[coin]

    async def recent_trades(self, coin: str) -> Any:
        self._ask(f"trades {coin}")
        return self.trades

    async def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> Any:
        self._ask(f"candles {coin} {interval} {start_ms} {end_ms}")
        return self.candle_rows

    async def funding_history(self, coin: str, start_ms: int, end_ms: int) -> Any:
        self._ask(f"funding {coin} {start_ms} {end_ms}")
        return self.funding_rows


class FakeSocket:
    """A socket that is told what the venue sends; it acknowledges what is subscribed."""

    def __init__(self, ws_url: str, **callbacks: Any) -> None:
        self.url = ws_url
        self.name = callbacks["name"]
        self.loop: asyncio.AbstractEventLoop = callbacks["loop"]
        self._callbacks = callbacks
        self.subscribed: list[dict[str, Any]] = []
        self.is_open = False
        self.was_closed = False

    async def connect(self) -> None:
        self.is_open = True
        self._callbacks["on_up"](False)

    async def close(self) -> None:
        self.is_open = False
        self.was_closed = True

    def subscribe(self, subscription: dict[str, Any]) -> None:
        self.subscribed.append(subscription)
        self._acknowledge(subscription)

    def unsubscribe(self, subscription: dict[str, Any]) -> None:
        self.subscribed.remove(subscription)

    def send(self, channel: str, data: Any, recv_ns: int | None = None) -> None:
        """Let a frame arrive."""
        raw = json.dumps({"channel": channel, "data": data}).encode()
        self.send_raw(raw, recv_ns)

    def send_raw(self, raw: bytes, recv_ns: int | None = None) -> None:
        self._callbacks["on_frame"](raw, time.time_ns() if recv_ns is None else recv_ns)

    def drop(self, reason: str = "the venue hung up") -> None:
        self._callbacks["on_down"](reason)

    def come_back(self, first: list[tuple[str, Any]] = ()) -> None:
        """Reconnect: subscriptions are acknowledged and first frames come, then the socket is up."""
        for subscription in self.subscribed:
            self._acknowledge(subscription)
        for channel, data in first:
            self.send(channel, data)
        self._callbacks["on_up"](True)

    def refuse(self, subscription: dict[str, Any]) -> None:
        self._callbacks["on_refused"](subscription, "the venue closed the socket on it")

    def _acknowledge(self, subscription: dict[str, Any]) -> None:
        # as the venue does, before the first data, with its defaults filled in
        full = {"nSigFigs": None, "mantissa": None, "fast": False} if subscription["type"] == "l2Book" else {}
        self.send("subscriptionResponse", {"method": "subscribe", "subscription": {**full, **subscription}})


def row(price: str, size: str = "1.000", orders: int = 1) -> dict[str, Any]:
    return {"px": price, "sz": size, "n": orders}


def book_data(
    ts_ms: int, bids: list[str], asks: list[str], *, coin: str = US500, fast: bool = False
) -> dict[str, Any]:
    data = {"coin": coin, "time": ts_ms, "levels": [[row(p) for p in bids], [row(p) for p in asks]]}
    return {**data, "fast": True} if fast else data


def bbo_data(ts_ms: int, bid: str | None, ask: str | None, *, coin: str = US500) -> dict[str, Any]:
    return {
        "coin": coin,
        "time": ts_ms,
        "bbo": [None if bid is None else row(bid), None if ask is None else row(ask)],
    }


def trade_data(trade_id: int, ts_ms: int, *, price: str = "752.44", coin: str = US500) -> dict[str, Any]:
    return {
        "coin": coin,
        "side": "B",
        "px": price,
        "sz": "0.5",
        "time": ts_ms,
        "hash": "0x00",
        "tid": trade_id,
        "users": ["0xa", "0xb"],
    }


def candle_data(open_ms: int, close: str, *, interval: str = "1m", coin: str = US500) -> dict[str, Any]:
    return {
        "t": open_ms,
        "T": open_ms + 59_999,
        "s": coin,
        "i": interval,
        "o": "752.00",
        "c": close,
        "h": "753.00",
        "l": "751.00",
        "v": "12.5",
        "n": 9,
    }


def context_data(price: str, *, coin: str = US500, oracle: str | None = None) -> dict[str, Any]:
    ctx = {
        "funding": "0.0000057078",
        "openInterest": "3007.456",
        "prevDayPx": "751.93",
        "dayNtlVlm": "3386355.5",
        "premium": None,
        "oraclePx": oracle or price,
        "markPx": price,
        "midPx": price,
        "impactPxs": None,
        "dayBaseVlm": "4503.499",
    }
    return {"coin": coin, "ctx": ctx}


def snapshot(ts_ns: int, bids: list[str], asks: list[str], coin: str = US500) -> BookSnapshot:
    def side(prices: list[str]) -> tuple[BookLevel, ...]:
        return tuple(BookLevel(Decimal(price), Decimal(1), 1) for price in prices)

    return BookSnapshot(coin, ts_ns, side(bids), side(asks))
