"""What every source of bars takes and gives back."""

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from typing import Final
from typing import Protocol

import numpy as np
import pandas as pd


NS: Final = 1_000_000_000
# a missing bar or a rounded stamp is not a closed market; the next open after one and a half intervals is
SESSION_GAP_INTERVALS: Final = 1.5
# nor is a shorter silence: a market is closed for an hour or more
SHORTEST_CLOSE_S: Final = 3_600.0
# download attempts of one run give up after this many seconds, all told
DOWNLOAD_TIMEOUT_S: Final = 15.0

INTERVAL_SECONDS: Final[dict[str, int]] = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
}
BAR_COLUMNS: Final = ("ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "volume")
PRICE_COLUMNS: Final = ("open", "high", "low", "close")


def interval_seconds(interval: str) -> int:
    """
    Return the seconds of a bar interval.

    Parameters
    ----------
    interval : str
        An interval by its usual name, for example ``5m``.

    Raises
    ------
    ValueError
        If the interval has no such name.

    """
    try:
        return INTERVAL_SECONDS[interval]
    except KeyError:
        raise ValueError(
            f"`interval` was {interval!r}, must be one of {', '.join(INTERVAL_SECONDS)}"
        ) from None


@dataclass(frozen=True, slots=True)
class BarRequest:
    """
    Bars asked of a source.

    Parameters
    ----------
    symbol : str
        The symbol in the source's own words, for example ``km:US500`` or ``^OEX``.
    interval : str
        The bar interval, for example ``5m``.
    start_ns, end_ns : int
        The span in ns UTC, start included and end excluded, by a bar's open.
    timeout_s : float, default 15.0
        Seconds for the whole fetch, retries and name lookup included.

    """

    symbol: str
    interval: str
    start_ns: int
    end_ns: int
    timeout_s: float = DOWNLOAD_TIMEOUT_S

    def __post_init__(self) -> None:
        interval_seconds(self.interval)
        if self.end_ns <= self.start_ns:
            raise ValueError(f"`end_ns` was {self.end_ns}, must be after `start_ns` ({self.start_ns})")
        if not self.timeout_s > 0:
            raise ValueError(f"`timeout_s` was {self.timeout_s}, must be positive")

    @property
    def interval_s(self) -> int:
        """Seconds of one bar."""
        return interval_seconds(self.interval)


@dataclass(frozen=True, slots=True)
class BarFrame:
    """
    Bars of one symbol in time order, with the spans the market was open.

    Parameters
    ----------
    bars : pandas.DataFrame
        The columns of ``BAR_COLUMNS``: stamps int64 in ns UTC (open included, close excluded), prices and volume float64.
        Volume is NaN throughout where the source has none.
    interval_s : int
        Seconds of one bar.
    source : str
        The source's name, for example ``hyperliquid``.
    symbol : str
        The symbol in the source's own words.
    sessions : tuple of (int, int)
        Contiguous spans [start, end) in ns UTC, in order.
    notes : tuple of str
        What was dropped, filled or assumed, one sentence each.

    Raises
    ------
    ValueError
        If a column is absent or the interval is not positive.

    """

    bars: pd.DataFrame
    interval_s: int
    source: str
    symbol: str
    sessions: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        missing = [name for name in BAR_COLUMNS if name not in self.bars.columns]
        if missing:
            raise ValueError(f"the bars lack {', '.join(missing)}; the columns are {', '.join(BAR_COLUMNS)}")
        if self.interval_s <= 0:
            raise ValueError(f"`interval_s` was {self.interval_s}, must be positive")

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def has_volume(self) -> bool:
        """Whether the source gave volumes."""
        return bool(self.bars["volume"].notna().any())

    @property
    def start_ns(self) -> int:
        """The first bar's open in ns UTC; 0 when there are no bars."""
        return int(self.bars["ts_open_ns"].iloc[0]) if len(self.bars) else 0

    @property
    def end_ns(self) -> int:
        """The last bar's close in ns UTC; 0 when there are no bars."""
        return int(self.bars["ts_close_ns"].iloc[-1]) if len(self.bars) else 0


@dataclass(frozen=True, slots=True)
class FundingFrame:
    """
    Hourly funding rates in time order.

    Parameters
    ----------
    rates : pandas.DataFrame
        Columns ``ts_ns`` (int64, ns UTC, the payment's time) and ``rate`` (float64, per hour, longs pay when positive).
    source, symbol : str
        Where they came from, in the source's own words.
    notes : tuple of str
        What was dropped or assumed.

    """

    rates: pd.DataFrame
    source: str
    symbol: str
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        missing = [name for name in ("ts_ns", "rate") if name not in self.rates.columns]
        if missing:
            raise ValueError(f"the funding rates lack {', '.join(missing)}; the columns are ts_ns, rate")

    def __len__(self) -> int:
        return len(self.rates)


class BarSource(Protocol):
    """Something that hands out bars, or raises ``SourceUnavailableError`` within the request's time."""

    @property
    def name(self) -> str:
        """The name written into reports."""
        ...

    def fetch(self, request: BarRequest) -> BarFrame:
        """
        Return the bars of the request that the source has, which may be fewer than asked.

        Raises
        ------
        SourceUnavailableError
            If the source cannot be reached or has nothing of the span.

        """
        ...


def make_bars(
    ts_open_ns: Iterable[int],
    open_: Iterable[float],
    high: Iterable[float],
    low: Iterable[float],
    close: Iterable[float],
    volume: Iterable[float] | None,
    interval_s: int,
) -> pd.DataFrame:
    """
    Return the bars table of a :class:`BarFrame` from columns, NaN volumes where there are none.

    A bar closes one interval after its open.
    """
    opens = np.fromiter(ts_open_ns, dtype=np.int64)
    volumes = np.full(len(opens), np.nan) if volume is None else np.fromiter(volume, dtype=np.float64)
    return pd.DataFrame(
        {
            "ts_open_ns": opens,
            "ts_close_ns": opens + np.int64(interval_s * NS),
            "open": np.fromiter(open_, dtype=np.float64),
            "high": np.fromiter(high, dtype=np.float64),
            "low": np.fromiter(low, dtype=np.float64),
            "close": np.fromiter(close, dtype=np.float64),
            "volume": volumes,
        },
    )


def session_spans(
    bars: pd.DataFrame,
    interval_s: int,
    *,
    gap_intervals: float | None = SESSION_GAP_INTERVALS,
) -> tuple[tuple[int, int], ...]:
    """
    Return the contiguous [open, close) spans of the bars in ns UTC.

    Parameters
    ----------
    bars : pandas.DataFrame
        Bars in time order with ``ts_open_ns`` and ``ts_close_ns``.
    interval_s : int
        Seconds of one bar.
    gap_intervals : float or None, default 1.5
        Opens further apart than this many intervals start a new span. None for a market that never closes, whose
        candle feed merely leaves out minutes without a trade: one span.

    """
    if len(bars) == 0:
        return ()
    opens = bars["ts_open_ns"].to_numpy(dtype=np.int64)
    closes = bars["ts_close_ns"].to_numpy(dtype=np.int64)
    if gap_intervals is None:
        return ((int(opens[0]), int(closes[-1])),)
    breaks = np.flatnonzero(np.diff(opens) > gap_intervals * interval_s * NS)
    starts = np.concatenate(([0], breaks + 1))
    ends = np.concatenate((breaks, [len(opens) - 1]))
    return tuple((int(opens[a]), int(closes[b])) for a, b in zip(starts, ends, strict=True))


def gap_intervals(interval_s: int, shortest_close_s: float = SHORTEST_CLOSE_S) -> float:
    """
    Return how many intervals between two opens make a closed market, so that a few lost or quiet bars do not.

    Parameters
    ----------
    interval_s : int
        Seconds of one bar.
    shortest_close_s : float, default 3600.0
        Seconds without a bar that still count as an open market.

    """
    return max(SESSION_GAP_INTERVALS, shortest_close_s / interval_s)
