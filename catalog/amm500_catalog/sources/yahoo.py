"""Index bars of Yahoo Finance, through the yfinance package."""

import logging
import time
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final

import numpy as np
import pandas as pd

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import gap_intervals
from amm500_catalog.sources.base import make_bars
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.deadline import Deadline
from amm500_catalog.sources.deadline import run_within


DAY_NS: Final = 86_400 * NS
# what Yahoo keeps of each interval and gives in one reply, in days
KEPT_DAYS: Final[dict[str, int]] = {"1m": 30, "5m": 60, "15m": 60, "30m": 60, "1h": 730, "1d": 36_500}
DAYS_PER_REQUEST: Final[dict[str, int]] = {"1m": 7, "5m": 60, "15m": 60, "30m": 60, "1h": 730, "1d": 36_500}
# Yahoo counts its days to the second; asking for the whole of them fails while the request is under way
KEPT_MARGIN_NS: Final = 60 * NS
QUOTE_COLUMNS: Final = ("Open", "High", "Low", "Close")
# Yahoo sends single-precision numbers: 333.64 arrives as 333.6400146484375
SIGNIFICANT_DIGITS: Final = 7

# symbol, interval, start, end (UTC), seconds to wait -> table as yfinance's Ticker.history returns it
Download = Callable[[str, str, datetime, datetime, float], pd.DataFrame]


class YahooSource:
    """
    Read bars of an index or a stock.

    Prices are kept as quoted; see :mod:`amm500_catalog.sources.scale` for the market's price level.

    Parameters
    ----------
    download : callable, optional
        Fetches one piece; by default yfinance.
    now_ns : callable, optional
        The wall clock in ns UTC.

    """

    name = "yfinance"

    def __init__(self, download: Download | None = None, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._download = download_with_yfinance if download is None else download
        self._now_ns = now_ns

    def fetch(self, request: BarRequest) -> BarFrame:
        """
        Return the bars of the span that Yahoo still keeps: 30 days of 1m, 60 days of 5m to 30m, two years of 1h.

        Parameters
        ----------
        request : BarRequest
            ``symbol`` is Yahoo's, for example ``^OEX``.

        Raises
        ------
        SourceUnavailableError
            If Yahoo does not answer in time, refuses, or has no bar of the span.

        """
        if request.interval not in KEPT_DAYS:
            raise SourceUnavailableError(
                f"Yahoo has no {request.interval} bars, only {', '.join(KEPT_DAYS)}",
            )
        deadline = Deadline(request.timeout_s)
        what = f"Yahoo's {request.interval} bars of {request.symbol}"
        pieces = run_within(request.timeout_s, what, lambda: self._pieces(request, deadline, what))
        return self._assemble(request, pieces, what)

    def _pieces(self, request: BarRequest, deadline: Deadline, what: str) -> list[pd.DataFrame]:
        spans = list(_request_spans(request, self._now_ns()))
        if not spans:
            raise SourceUnavailableError(
                f"{what}: the span is older than the {KEPT_DAYS[request.interval]} days it keeps"
            )
        pieces = []
        for start_ns, end_ns in spans:
            left_s = deadline.check(what)
            try:
                piece = self._download(request.symbol, request.interval, _utc(start_ns), _utc(end_ns), left_s)
            except SourceUnavailableError:
                raise
            except Exception as e:
                # yfinance, curl and pandas each fail in their own ways
                raise SourceUnavailableError(f"{what}: {_first_line(e)}") from e
            if piece is not None and len(piece):
                pieces.append(piece)
        return pieces

    def _assemble(self, request: BarRequest, pieces: list[pd.DataFrame], what: str) -> BarFrame:
        tables = [_quotes(piece, what) for piece in pieces]
        table = pd.concat(tables) if tables else pd.DataFrame()
        rows = len(table)
        if rows:
            table = table[(table["ts"] >= request.start_ns) & (table["ts"] < request.end_ns)]
            table = table.drop_duplicates("ts", keep="last").sort_values("ts")
        inside = len(table)
        if inside:
            whole = table[[*QUOTE_COLUMNS]].notna().all(axis=1) & (table[[*QUOTE_COLUMNS]] > 0).all(axis=1)
            done = table["ts"] + request.interval_s * NS <= self._now_ns()
            table = table[whole & done]
        if not len(table):
            raise SourceUnavailableError(f"{what}: no bar of the span asked")
        bars = make_bars(
            table["ts"],
            _as_quoted(table["Open"]),
            _as_quoted(table["High"]),
            _as_quoted(table["Low"]),
            _as_quoted(table["Close"]),
            _volume(table),
            request.interval_s,
        )
        notes = ["prices rounded to seven digits (Yahoo sends single-precision numbers)"]
        if inside > len(table):
            notes.append(f"{inside - len(table)} rows empty or still forming were left out")
        sessions = session_spans(bars, request.interval_s, gap_intervals=gap_intervals(request.interval_s))
        missing = sum(close - opened for opened, close in sessions) // (request.interval_s * NS) - len(bars)
        if missing:
            notes.append(f"{missing} bars missing inside sessions; left as gaps")
        return BarFrame(
            bars,
            interval_s=request.interval_s,
            source=self.name,
            symbol=request.symbol,
            sessions=sessions,
            notes=tuple(notes),
        )


def download_with_yfinance(
    symbol: str, interval: str, start: datetime, end: datetime, timeout_s: float
) -> pd.DataFrame:
    """
    Return one piece of history as yfinance gives it, without its chatter.

    Parameters
    ----------
    symbol, interval : str
        In Yahoo's words.
    start, end : datetime
        The span in UTC, end excluded.
    timeout_s : float
        Seconds for the HTTP request; name lookup comes on top, so the caller keeps its own deadline.

    Raises
    ------
    Exception
        Whatever yfinance raises.

    """
    # importing it takes seconds and opens files: only a run that downloads pays
    import yfinance  # noqa: PLC0415

    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    yfinance.config.debug.hide_exceptions = False
    table: pd.DataFrame = yfinance.Ticker(symbol).history(
        start=start,
        end=end,
        interval=interval,
        auto_adjust=False,
        actions=False,
        timeout=timeout_s,
    )
    return table


def _request_spans(request: BarRequest, now_ns: int) -> Iterator[tuple[int, int]]:
    oldest_ns = now_ns - KEPT_DAYS[request.interval] * DAY_NS + KEPT_MARGIN_NS
    start_ns = max(request.start_ns, oldest_ns)
    end_ns = min(request.end_ns, now_ns)
    step_ns = DAYS_PER_REQUEST[request.interval] * DAY_NS
    while start_ns < end_ns:
        yield start_ns, min(start_ns + step_ns, end_ns)
        start_ns += step_ns


def _quotes(piece: pd.DataFrame, what: str) -> pd.DataFrame:
    missing = [name for name in QUOTE_COLUMNS if name not in piece.columns]
    index = piece.index
    if missing or not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        fault = f"no column {', '.join(missing)}" if missing else "no stamps with a time zone"
        raise SourceUnavailableError(f"{what}: the table has {fault}")
    table = pd.DataFrame({name: piece[name].to_numpy(dtype=np.float64) for name in QUOTE_COLUMNS})
    if "Volume" in piece.columns:
        table["Volume"] = piece["Volume"].to_numpy(dtype=np.float64)
    table["ts"] = index.tz_convert("UTC").as_unit("ns").asi8
    return table


def _volume(table: pd.DataFrame) -> Any:
    """An index has no volume, which Yahoo writes as zero throughout."""
    if "Volume" not in table.columns or not (table["Volume"] > 0).any():
        return None
    return table["Volume"]


def _as_quoted(prices: pd.Series) -> Any:
    values = prices.to_numpy(dtype=np.float64)
    decimals = SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(values))
    scale = np.power(10.0, decimals)
    return np.round(values * scale) / scale


def _utc(ts_ns: int) -> datetime:
    return datetime.fromtimestamp(ts_ns / NS, tz=UTC)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    # curl ends its sentences with a web address
    return (text[0].partition(". See http")[0] if text else type(error).__name__).rstrip(".")
