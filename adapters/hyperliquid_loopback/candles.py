"""Candles that the venue makes of its trades."""

from bisect import bisect_left
from decimal import Decimal
from itertools import islice
from operator import attrgetter
from typing import Final

from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number


MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
# months are counted as 30 days from the epoch: no recorded "1M" candle shows how the venue cuts them
INTERVALS: Final[dict[str, int]] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 30 * DAY_MS,
}


_open_ms = attrgetter("open_ms")


class Candle:
    """One candle under way."""

    __slots__ = ("close", "count", "high", "low", "open", "open_ms", "volume")

    def __init__(self, open_ms: int, price: Decimal) -> None:
        self.open_ms = open_ms
        self.open = self.high = self.low = self.close = price
        self.volume = ZERO
        self.count = 0

    def add(self, price: Decimal, size: Decimal) -> None:
        """Take a trade in."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size
        self.count += 1

    def wire(self, coin: str, interval: str) -> Json:
        """Return the row of ``candleSnapshot`` and of the ``candle`` stream."""
        return {
            "t": self.open_ms,
            "T": self.open_ms + INTERVALS[interval] - 1,
            "s": coin,
            "i": interval,
            "o": number(self.open),
            "c": number(self.close),
            "h": number(self.high),
            "l": number(self.low),
            "v": number(self.volume),
            "n": self.count,
        }


class CandleStore:
    """
    One-minute candles of each coin since the start, from which the longer ones are added up.

    A minute without a trade has no candle. Whether the venue's has one is not documented.
    """

    def __init__(self) -> None:
        self._minutes: dict[str, list[Candle]] = {}

    def add(self, coin: str, price: Decimal, size: Decimal, ts_ms: int) -> None:
        """Take a trade in; trades come in the order of time."""
        rows = self._minutes.setdefault(coin, [])
        open_ms = ts_ms - ts_ms % MINUTE_MS
        if not rows or rows[-1].open_ms != open_ms:
            rows.append(Candle(open_ms, price))
        rows[-1].add(price, size)

    def rows(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Json]:
        """
        Return the candles that touch ``[start_ms, end_ms]``, oldest first.

        Raises
        ------
        KeyError
            If the venue has no such interval.

        """
        step = INTERVALS[interval]
        found: list[Candle] = []
        minutes = self._minutes.get(coin, [])
        first = bisect_left(minutes, start_ms - start_ms % step, key=_open_ms)
        for minute in islice(minutes, first, None):
            open_ms = minute.open_ms - minute.open_ms % step
            if open_ms > end_ms:
                break
            if not found or found[-1].open_ms != open_ms:
                found.append(Candle(open_ms, minute.open))
            whole = found[-1]
            whole.high = max(whole.high, minute.high)
            whole.low = min(whole.low, minute.low)
            whole.close = minute.close
            whole.volume += minute.volume
            whole.count += minute.count
        return [candle.wire(coin, interval) for candle in found]

    def latest(self, coin: str, interval: str, now_ms: int) -> Json | None:
        """Return the candle under way; None while nothing traded in it."""
        step = INTERVALS[interval]
        rows = self.rows(coin, interval, now_ms - now_ms % step, now_ms)
        return rows[-1] if rows else None
