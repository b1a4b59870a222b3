"""Histories that the venue hands out in pages, put together: in order, each row once, with an end."""

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from typing import Final
from typing import Protocol

from hyperliquid_hip3.constants import CANDLES_KEPT
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.records import Candle


NS_PER_MS: Final = 1_000_000
# the smallest page that may have been cut short: most replies hold up to 500 rows, fills up to 2,000
FULL_PAGE_ROWS: Final = 500
CANDLES_A_PAGE: Final = 2_000
INTERVAL_MS: Final[dict[str, int]] = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    # the longest month: a page may then hold a few candles less
    "1M": 2_678_400_000,
}


class Timed(Protocol):
    """A row that happened at a time, ns UTC."""

    @property
    def ts_ns(self) -> int:
        """When."""


async def all_rows[Row: Timed](
    page: Callable[[int, int | None], Awaitable[Sequence[Row]]],
    start_ms: int,
    end_ms: int | None = None,
    *,
    what: str,
    key: Callable[[Row], Hashable],
) -> tuple[Row, ...]:
    """
    Return all rows in [start, end), oldest first, each once.

    A full page may have been cut at either end: the venue says neither whether rows are missing nor where (a recorded ``userFillsByTime``
    reply is sorted newest first, its documents go on from the last row). So what lies before and after a full page is asked for
    as well, its first and last millisecond included, since more may have happened within them.

    Parameters
    ----------
    page : callable
        Takes the first and the last ms UTC, both included, the last None for now, and returns rows in any order.
    start_ms : int
        The beginning, ms UTC.
    end_ms : int, optional
        The end, ms UTC; none means up to now.
    what : str
        The request in a few words, for the error.
    key : callable
        Tells rows apart.

    Raises
    ------
    PayloadError
        If a page is full within one millisecond: there is no way to ask for its rest.

    """
    last_ms = None if end_ms is None else end_ms - 1
    rows: dict[Hashable, Row] = {}
    spans: list[tuple[int, int | None]] = [(start_ms, last_ms)]
    while spans:
        first, last = spans.pop()
        if last is not None and last < first:
            continue
        batch = await page(first, last)
        known = len(rows)
        rows.update({key(row): row for row in batch})
        if len(batch) < FULL_PAGE_ROWS or len(rows) == known:
            continue
        oldest = min(row.ts_ns for row in batch) // NS_PER_MS
        newest = max(row.ts_ns for row in batch) // NS_PER_MS
        if oldest == newest:
            raise PayloadError(what, f"more rows at {oldest} ms than one reply holds")
        spans += [(first, oldest), (newest, last)]
    inside = [
        row
        for row in rows.values()
        if row.ts_ns >= start_ms * NS_PER_MS and (end_ms is None or row.ts_ns < end_ms * NS_PER_MS)
    ]
    return tuple(sorted(inside, key=lambda row: row.ts_ns))


async def candles_backward(
    page: Callable[[int, int], Awaitable[Sequence[Candle]]],
    interval: str,
    start_ms: int,
    end_ms: int,
) -> tuple[Candle, ...]:
    """
    Return the candles that open in [start, end), oldest first.

    Asked for from the newest back: the venue keeps a number of candles, not a span, so the oldest pages may be empty.

    Parameters
    ----------
    page : callable
        Takes the first and the last ms UTC, both included, and returns the candles.
    interval : str
        One of the venue's intervals.
    start_ms, end_ms : int
        The span, ms UTC.

    Raises
    ------
    ValueError
        If the venue has no such interval.

    """
    if interval not in INTERVAL_MS:
        raise ValueError(f"`interval` was {interval!r}, must be one of {', '.join(INTERVAL_MS)}")
    span_ms = CANDLES_A_PAGE * INTERVAL_MS[interval]
    kept: dict[int, Candle] = {}
    while end_ms > start_ms and len(kept) < CANDLES_KEPT:
        first_ms = max(start_ms, end_ms - span_ms)
        batch = await page(first_ms, end_ms - 1)
        # the venue also sends the candle that was open at the start
        fresh = {
            candle.ts_open_ns: candle
            for candle in batch
            if first_ms * NS_PER_MS <= candle.ts_open_ns < end_ms * NS_PER_MS
        }
        if not fresh and kept:
            break
        kept.update(fresh)
        end_ms = first_ms
    return tuple(kept[ts_ns] for ts_ns in sorted(kept))
