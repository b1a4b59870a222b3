"""Bars in the catalogue: real bars of any source, stored as Nautilus bars and read back as a frame."""

import re
from typing import Final

import numpy as np
import pandas as pd
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import BarSpecification
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AggregationSource
from nautilus_trader.model.enums import BarAggregation
from nautilus_trader.model.enums import PriceType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_catalog.dataset import CatalogDataset
from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import NS
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.base import session_spans
from amm500_catalog.sources.files import gap_intervals
from amm500_catalog.spec import DatasetInfo
from amm500_catalog.store import CatalogStore
from amm500_catalog.store import ImportResult
from amm500_catalog.tables import stream_table
from amm500_catalog.validate import check_prices
from amm500_catalog.validate import check_volume


DECIMALS: Final = 6
SOURCES: Final = ("hyperliquid", "yfinance", "file")


def bar_type(symbol: str, source: str, interval_s: int) -> BarType:
    """Return the Nautilus bar type of a source's bars, for example ``^OEX.YFINANCE-5-MINUTE-LAST-EXTERNAL``."""
    plain = re.sub(r"[^A-Za-z0-9^:_]", "_", symbol)
    instrument_id = InstrumentId.from_str(f"{plain}.{source.upper()}")
    if interval_s % 86_400 == 0:
        spec = BarSpecification(interval_s // 86_400, BarAggregation.DAY, PriceType.LAST)
    elif interval_s % 3_600 == 0:
        spec = BarSpecification(interval_s // 3_600, BarAggregation.HOUR, PriceType.LAST)
    else:
        spec = BarSpecification(interval_s // 60, BarAggregation.MINUTE, PriceType.LAST)
    return BarType(instrument_id, spec, AggregationSource.EXTERNAL)


def store_bar_frame(store: CatalogStore, frame: BarFrame) -> ImportResult:
    """
    Store real bars as they are, prices unscaled; the same bars again change nothing.

    A bar's ``ts_event`` and ``ts_init`` are its close. Missing volume is stored as 0 and named in the manifest.

    Raises
    ------
    InputError
        If a price or a volume is none of a market, or one that the catalogue cannot hold.

    """
    kind = bar_type(frame.symbol, frame.source, frame.interval_s)
    rows = frame.bars
    volumes = rows["volume"].fillna(0.0).to_numpy() if "volume" in rows else np.zeros(len(rows))
    where = f"{frame.source} {frame.symbol}"
    check_prices(rows, path=where)
    check_volume(volumes, path=where)
    bars = [
        Bar(
            kind,
            Price(open_, DECIMALS),
            Price(high, DECIMALS),
            Price(low, DECIMALS),
            Price(close, DECIMALS),
            Quantity(volume, DECIMALS),
            int(closed),
            int(closed),
        )
        for open_, high, low, close, volume, closed in zip(
            rows["open"], rows["high"], rows["low"], rows["close"], volumes, rows["ts_close_ns"], strict=True
        )
    ]
    manifest = {
        "source": frame.source,
        "symbol": frame.symbol,
        "simulated": False,
        "interval_s": frame.interval_s,
        "has_volume": bool((volumes > 0).any()),
        "notes": list(frame.notes),
    }
    name = re.sub(r"[^A-Za-z0-9._=+-]", "_", f"bars-{frame.source}-{frame.symbol}-{frame.interval_s}s")
    return store.commit(name, [stream_table(bars, str(kind))], manifest)


def read_bar_frame(store: CatalogStore, request: BarRequest) -> BarFrame:
    """
    Return stored bars of the request's symbol and interval, whichever source brought the most of them.

    Raises
    ------
    SourceUnavailableError
        If there is none in the span.

    """
    best: pd.DataFrame | None = None
    source = ""
    for candidate in SOURCES:
        bars = _read(store, str(bar_type(request.symbol, candidate, request.interval_s)), request)
        if bars is not None and (best is None or len(bars) > len(best)):
            best, source = bars, candidate
    if best is None or best.empty:
        raise SourceUnavailableError("the catalogue has no such bars")
    if not (best["volume"] > 0).any():
        best["volume"] = np.nan
    spans = session_spans(best, request.interval_s, gap_intervals=gap_intervals(request.interval_s))
    return BarFrame(
        bars=best,
        interval_s=request.interval_s,
        source=source,
        symbol=request.symbol,
        sessions=spans,
        notes=("read from the catalogue",),
    )


def _read(store: CatalogStore, kind: str, request: BarRequest) -> pd.DataFrame | None:
    if not store.files(Bar, kind):
        return None
    info = DatasetInfo("bars", store.url, kind, "catalog", False, 0, 1, (), ("bars",))
    bars = CatalogDataset(store, info, None).bars(kind)
    closes = np.array([bar.ts_event for bar in bars], dtype=np.int64)
    opens = closes - request.interval_s * NS
    table = pd.DataFrame(
        {
            "ts_open_ns": opens,
            "ts_close_ns": closes,
            "open": [float(bar.open) for bar in bars],
            "high": [float(bar.high) for bar in bars],
            "low": [float(bar.low) for bar in bars],
            "close": [float(bar.close) for bar in bars],
            "volume": [float(bar.volume) for bar in bars],
        }
    )
    return table[(opens >= request.start_ns) & (opens < request.end_ns)].reset_index(drop=True)
