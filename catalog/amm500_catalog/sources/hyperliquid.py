"""Candles, funding rates and trades of Hyperliquid's perpetuals."""

import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import DOWNLOAD_TIMEOUT_S
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import SHORTEST_CLOSE_S
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import FundingFrame
from amm500_catalog.sources.base import gap_intervals
from amm500_catalog.sources.base import make_bars
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.deadline import Deadline
from amm500_catalog.sources.deadline import run_within
from amm500_catalog.sources.info_client import InfoClient
from amm500_catalog.sources.markets import ListedMarket
from amm500_catalog.sources.markets import pick_market
from hyperliquid_hip3.constants import CANDLES_KEPT
from hyperliquid_hip3.constants import FUNDING_PAGE_ROWS
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.parsing import parse_all_perp_metas
from hyperliquid_hip3.parsing import parse_candles
from hyperliquid_hip3.parsing import parse_funding_history
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_hip3.records import Candle
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import FundingRate
from hyperliquid_hip3.records import PublicTrade


NS_PER_MS: Final = 1_000_000
WINDOW_CANDLES: Final = 2_000


class HyperliquidSource:
    """
    Read the exchange's public history.

    Parameters
    ----------
    client : InfoClient, optional
        The connection; by default to the main exchange.
    quiet_s : float, default 3600.0
        Seconds without a candle that still count as an open market; a longer silence was a halt or an outage.
    now_ns : callable, optional
        The wall clock in ns UTC; a candle still forming is left out.

    """

    name = "hyperliquid"

    def __init__(
        self,
        client: InfoClient | None = None,
        *,
        quiet_s: float = SHORTEST_CLOSE_S,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._client = InfoClient() if client is None else client
        self._quiet_s = quiet_s
        self._now_ns = now_ns

    def fetch(self, request: BarRequest) -> BarFrame:
        """
        Return the candles of the span that the exchange still keeps (about the last 5,000 of an interval).

        Parameters
        ----------
        request : BarRequest
            ``symbol`` is the coin with its dex prefix.

        Raises
        ------
        SourceUnavailableError
            If the exchange does not answer in time, or has no candle of the span.

        """
        deadline = Deadline(request.timeout_s)
        return self._within(
            request.timeout_s,
            f"candleSnapshot of {request.symbol}",
            lambda: self._bars(request, deadline),
        )

    def fetch_funding(
        self,
        coin: str,
        start_ns: int,
        end_ns: int,
        timeout_s: float = DOWNLOAD_TIMEOUT_S,
    ) -> FundingFrame:
        """
        Return the funding rates paid in [start, end).

        Parameters
        ----------
        coin : str
            The coin with its dex prefix.
        start_ns, end_ns : int
            The span in ns UTC.
        timeout_s : float
            Seconds for all pages together.

        Raises
        ------
        SourceUnavailableError
            If the exchange does not answer in time. A span without a payment gives an empty frame.

        """
        deadline = Deadline(timeout_s)
        rates = self._within(
            timeout_s,
            f"fundingHistory of {coin}",
            lambda: self._funding(coin, start_ns, end_ns, deadline),
        )
        table = pd.DataFrame(
            {
                "ts_ns": np.array([rate.ts_ns for rate in rates], dtype=np.int64),
                "rate": np.array([float(rate.rate) for rate in rates], dtype=np.float64),
            },
        )
        return FundingFrame(table, source=self.name, symbol=coin)

    def fetch_recent_trades(
        self, coin: str, timeout_s: float = DOWNLOAD_TIMEOUT_S
    ) -> tuple[PublicTrade, ...]:
        """
        Return the trades that the exchange remembers, oldest first, each once.

        Raises
        ------
        SourceUnavailableError
            If the exchange does not answer in time.

        """
        deadline = Deadline(timeout_s)
        trades = self._within(
            timeout_s,
            f"recentTrades of {coin}",
            lambda: parse_trades(self._client.post({"type": "recentTrades", "coin": coin}, deadline)),
        )
        return tuple(
            sorted({trade.trade_id: trade for trade in trades}.values(), key=lambda trade: trade.ts_ns)
        )

    def fetch_market(self, candidates: Iterable[str], timeout_s: float = DOWNLOAD_TIMEOUT_S) -> ListedMarket:
        """
        Return the first of the candidates that is listed, with its facts as the exchange states them.

        Parameters
        ----------
        candidates : iterable of str
            Coins in the order of preference, for example ``km:US500``, ``mkts:US500``, ``xyz:SP500``.
        timeout_s : float
            Seconds for all requests together.

        Raises
        ------
        SourceUnavailableError
            If the exchange does not answer in time, or none is listed.

        """
        coins = tuple(candidates)
        deadline = Deadline(timeout_s)
        return self._within(timeout_s, "market lookup", lambda: pick_market(coins, self._client, deadline))

    def fetch_all_metas(self, timeout_s: float = DOWNLOAD_TIMEOUT_S) -> tuple[DexMeta, ...]:
        """
        Return what every dex lists; the position is the dex's index.

        Raises
        ------
        SourceUnavailableError
            If the exchange does not answer in time.

        """
        deadline = Deadline(timeout_s)
        return self._within(
            timeout_s,
            "allPerpMetas",
            lambda: parse_all_perp_metas(self._client.post({"type": "allPerpMetas"}, deadline)),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _within[T](self, timeout_s: float, what: str, work: Callable[[], T]) -> T:
        try:
            return run_within(timeout_s, f"hyperliquid {what}", work)
        except PayloadError as e:
            raise SourceUnavailableError(f"hyperliquid {what}: the answer cannot be read ({e})") from e

    def _bars(self, request: BarRequest, deadline: Deadline) -> BarFrame:
        candles = self._candles(request, deadline)
        now_ns = self._now_ns()
        closed = [candle for candle in candles if candle.ts_open_ns + request.interval_s * NS <= now_ns]
        if not closed:
            raise SourceUnavailableError(
                f"candleSnapshot of {request.symbol}: the exchange has no {request.interval} candle of the span asked",
            )
        bars = make_bars(
            (candle.ts_open_ns for candle in closed),
            (float(candle.open) for candle in closed),
            (float(candle.high) for candle in closed),
            (float(candle.low) for candle in closed),
            (float(candle.close) for candle in closed),
            (float(candle.volume) for candle in closed),
            request.interval_s,
        )
        gap = gap_intervals(request.interval_s, self._quiet_s)
        sessions = session_spans(bars, request.interval_s, gap_intervals=gap)
        return BarFrame(
            bars,
            interval_s=request.interval_s,
            source=self.name,
            symbol=request.symbol,
            sessions=sessions,
            notes=_notes(bars, sessions, request, forming=len(candles) - len(closed)),
        )

    def _candles(self, request: BarRequest, deadline: Deadline) -> list[Candle]:
        """Page back from the newest: the exchange keeps a number of candles, not a span, so the oldest pages may be empty."""
        window_ns = WINDOW_CANDLES * request.interval_s * NS
        kept: dict[int, Candle] = {}
        end_ns = request.end_ns
        while end_ns > request.start_ns and len(kept) < CANDLES_KEPT:
            start_ns = max(request.start_ns, end_ns - window_ns)
            body = {
                "coin": request.symbol,
                "interval": request.interval,
                "startTime": start_ns // NS_PER_MS,
                # the exchange includes the candle that opens at the end
                "endTime": (end_ns - 1) // NS_PER_MS,
            }
            page = parse_candles(self._client.post({"type": "candleSnapshot", "req": body}, deadline))
            # it also includes the candle that was open at the start
            fresh = {c.ts_open_ns: c for c in page if start_ns <= c.ts_open_ns < end_ns}
            if not fresh and kept:
                break
            kept.update(fresh)
            end_ns = start_ns
        return [kept[ts] for ts in sorted(kept)]

    def _funding(self, coin: str, start_ns: int, end_ns: int, deadline: Deadline) -> list[FundingRate]:
        rates: dict[int, FundingRate] = {}
        start_ms = start_ns // NS_PER_MS
        while start_ms * NS_PER_MS < end_ns:
            body = {
                "type": "fundingHistory",
                "coin": coin,
                "startTime": start_ms,
                "endTime": (end_ns - 1) // NS_PER_MS,
            }
            page = parse_funding_history(self._client.post(body, deadline))
            rates.update({rate.ts_ns: rate for rate in page if start_ns <= rate.ts_ns < end_ns})
            if len(page) < FUNDING_PAGE_ROWS:
                break
            last_ms = max(rate.ts_ns for rate in page) // NS_PER_MS
            if last_ms < start_ms:
                # an answer that does not move on would be asked for forever
                raise SourceUnavailableError(f"fundingHistory of {coin}: the pages do not move on")
            start_ms = last_ms + 1
        return [rates[ts] for ts in sorted(rates)]


def _notes(
    bars: pd.DataFrame,
    sessions: tuple[tuple[int, int], ...],
    request: BarRequest,
    *,
    forming: int,
) -> tuple[str, ...]:
    open_ns = sum(close - start for start, close in sessions)
    quiet = open_ns // (request.interval_s * NS) - len(bars)
    notes = []
    if quiet > 0:
        notes.append(f"{quiet} intervals without a trade have no candle")
    if len(sessions) > 1:
        notes.append(f"{len(sessions) - 1} longer silences are kept as gaps")
    if forming:
        notes.append("the candle still forming was left out")
    return tuple(notes)
