"""What the venue still knows of the past, as Nautilus data: candles, the last trades, paid funding, and the book of now."""

from datetime import datetime
from typing import Any
from typing import Final

from nautilus_trader.core.datetime import dt_to_unix_nanos
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import TradeTick

from hyperliquid_hip3.book_merge import BookSource
from hyperliquid_hip3.book_merge import MergedBook
from hyperliquid_hip3.book_merge import frame_of_book
from hyperliquid_hip3.book_merge import merge
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.constants import FUNDING_PAGE_ROWS
from hyperliquid_hip3.data_parsing import HOUR_NS
from hyperliquid_hip3.data_parsing import InstrumentScale
from hyperliquid_hip3.data_parsing import candle_interval
from hyperliquid_hip3.data_parsing import make_bar
from hyperliquid_hip3.data_parsing import make_deltas
from hyperliquid_hip3.data_parsing import make_past_funding
from hyperliquid_hip3.data_parsing import make_trade


NS_PER_MS: Final = 1_000_000


class History:
    """
    Ask for the past of one coin; a query that fails raises, it never reads as empty.

    Parameters
    ----------
    client : VenueClient
        The venue's REST side.
    coin : str
        The coin with its dex prefix.
    scale : InstrumentScale
        Of its instrument.
    now_ns : int
        The venue's time, ns UTC.

    """

    def __init__(self, client: VenueClient, coin: str, scale: InstrumentScale, now_ns: int) -> None:
        self._client = client
        self._coin = coin
        self._scale = scale
        self._now_ns = now_ns

    async def bars(
        self, bar_type: BarType, start: datetime | None, end: datetime | None, limit: int
    ) -> list[Bar]:
        """
        Return the bars that open in [start, end] and are over, oldest first; the last ``limit`` of them unless it is 0.

        Raises
        ------
        ValueError
            If the venue has no such candles.
        TransportError, PayloadError
            If the venue does not answer.

        """
        interval = candle_interval(bar_type)
        start_ns, end_ns = span(start, end, self._now_ns)
        start_ms, end_ms = start_ns // NS_PER_MS, end_ns // NS_PER_MS + 1
        candles = await self._client.candles(self._coin, interval, start_ms, end_ms)
        bars = [
            make_bar(self._scale, bar_type, candle, ts_init=candle.ts_close_ns)
            for candle in candles
            # the running candle is no bar yet
            if candle.ts_close_ns <= self._now_ns
        ]
        return last(bars, limit)

    async def trades(
        self, start: datetime | None, end: datetime | None, limit: int
    ) -> tuple[list[TradeTick], bool]:
        """
        Return the trades in [start, end] of the few that the venue keeps, oldest first, and whether they reach back to the start.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        start_ns, end_ns = span(start, end, self._now_ns)
        rows = {trade.trade_id: trade for trade in await self._client.recent_trades(self._coin)}.values()
        ticks = [
            make_trade(self._scale, trade, ts_init=trade.ts_ns)
            for trade in sorted(rows, key=lambda trade: trade.ts_ns)
            if start_ns <= trade.ts_ns <= end_ns
        ]
        reaches = start_ns == 0 or any(trade.ts_ns <= start_ns for trade in rows)
        return last(ticks, limit), reaches

    async def funding_rates(
        self, start: datetime | None, end: datetime | None, limit: int
    ) -> list[FundingRateUpdate]:
        """
        Return the rates paid in [start, end], oldest first; without a start, the last 500 hours or as many as the limit says.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        start_ns, end_ns = span(start, end, self._now_ns)
        # the engine fills in the epoch where no start was asked for
        if start_ns == 0:
            # the first page begins at the start, and the venue keeps years
            start_ns = max(0, end_ns - (limit or FUNDING_PAGE_ROWS) * HOUR_NS)
        rows = await self._client.funding_history(self._coin, start_ns // NS_PER_MS, end_ns // NS_PER_MS + 1)
        return last([make_past_funding(self._scale.instrument_id, row) for row in rows], limit)

    async def book(self, limit: int) -> OrderBookDeltas:
        """
        Return the book of now, at most ``limit`` levels a side unless it is 0.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        snapshot = await self._client.l2_book(self._coin)
        whole = merge([frame_of_book(snapshot, self._now_ns, BookSource.REST)])
        book = whole
        if limit:
            book = MergedBook(whole.ts_ns, whole.recv_ns, whole.bids[:limit], whole.asks[:limit])
        return make_deltas(self._scale, book, ts_event=snapshot.ts_ns, ts_init=self._now_ns)


def span(start: datetime | None, end: datetime | None, now_ns: int) -> tuple[int, int]:
    """Return a time range in ns UTC: from the beginning where no start is said, to now where no end is."""
    to_ns: Any = dt_to_unix_nanos
    return 0 if start is None else int(to_ns(start)), now_ns if end is None else int(to_ns(end))


def last[Item](items: list[Item], limit: int) -> list[Item]:
    """Return the last so many items; all of them for 0."""
    return items[-limit:] if limit else items
