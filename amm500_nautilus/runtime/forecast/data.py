"""The marks that a volatility model is trained on: out of bars, or out of a dataset's book."""

from dataclasses import replace
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10

from amm500_catalog.dataset import CatalogDataset
from amm500_catalog.errors import InputError
from amm500_catalog.store import CatalogStore
from amm500_nautilus.forecast.live import MAX_BOOK_AGE_NS
from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import Ints
from amm500_nautilus.forecast.series import MarkSeries
from amm500_nautilus.forecast.series import series_from_bars
from amm500_nautilus.quoting.book import BookKeeper
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.data import find_bars
from amm500_nautilus.runtime.data import prepare
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.trading_hours import TRADING_DAYS
from amm500_nautilus.runtime.trading_hours import hours_of
from amm500_nautilus.views import BookReader


NS = 1_000_000_000
FIVE_MINUTES_S = 300


def default_horizon(interval_s: int) -> int:
    """Return the seconds ahead that are predicted: five minutes, and an hour on bars of five minutes and more."""
    return FIVE_MINUTES_S if interval_s < FIVE_MINUTES_S else 3_600


def read_marks(config: RunConfig, progress: Progress) -> tuple[MarkSeries, dict[str, Any]]:
    """
    Return the marks of a run file's data, and what they are: ``source``, ``description``, ``simulated``.

    Raises
    ------
    InputError
        If the data cannot be used.
    SourceUnavailableError
        If no source has it.

    """
    if config.training.source == "book":
        return _from_book(config, progress)
    if config.data.source in ("hl-book", "recorded"):
        raise InputError("has no bars", f"data.source {config.data.source}", "training.source: book")
    return _from_bars(config, progress)


def _from_bars(config: RunConfig, progress: Progress) -> tuple[MarkSeries, dict[str, Any]]:
    store = CatalogStore(config.data.catalog, dict(config.data.storage_options))
    found = find_bars(config, store, progress, datetime.now(UTC))
    frame = found.frame
    bars = frame.bars
    funding = None
    if config.training.funding is not None:
        funding = read_funding(config.training.funding)
    elif found.funding is not None:
        rates = found.funding.rates
        funding = rates["ts_ns"].to_numpy(dtype=np.int64), rates["rate"].to_numpy(dtype=np.float64)
    day_seconds, _ = TRADING_DAYS[hours_of(config, frame)]
    try:
        series = series_from_bars(
            opens_ns=bars["ts_open_ns"].to_numpy(dtype=np.int64),
            open_price=bars["open"].to_numpy(dtype=np.float64),
            close_price=bars["close"].to_numpy(dtype=np.float64),
            sessions=frame.sessions,
            interval_s=frame.interval_s,
            day=round(day_seconds / frame.interval_s),
            funding=funding,
        )
    except ValueError as error:
        raise InputError(f"the bars cannot be put on a clock ({error})", frame.symbol) from error
    generated = frame.source == "generator"
    facts = {
        "source": frame.source,
        "description": (
            f"{len(bars):,} {'generated' if generated else 'real'} bars of {frame.interval_s} s of {_plain_symbol(config, frame.symbol)}"
        ),
        "simulated": generated,
        # a bar's close is a trade, or an index's value: half a spread from the mid that a running strategy sees
        "notes": (*series.notes, "a bar's close stands for the mid that is seen in use"),
    }
    return series, facts


def _plain_symbol(config: RunConfig, symbol: str) -> str:
    """Return the symbol without the digest that keeps two files of one name apart."""
    return symbol.rpartition("-")[0] if config.data.source == "file" else symbol


def read_funding(path: str) -> tuple[Ints, Floats]:
    """
    Return the times (ns) and hourly rates of a file with the columns ``date`` (UTC) and ``funding_rate``.

    Raises
    ------
    InputError
        If the file cannot be read, or a column is missing, empty or out of order.

    """
    file = Path(path)
    if not file.is_file():
        raise InputError("there is no such file", path, "a CSV or Parquet file of funding rates")
    try:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except (ValueError, OSError) as error:
        raise InputError(f"cannot be read ({error})", path, "a CSV or Parquet file") from error
    missing = [name for name in ("date", "funding_rate") if name not in table.columns]
    if missing:
        raise InputError(f"no column is named {missing[0]}", path, "date (UTC) and funding_rate (hourly)")
    try:
        times = pd.to_datetime(table["date"], utc=True, format="ISO8601").dt.as_unit("ns")
    except ValueError as error:
        raise InputError(f"a date cannot be read ({error})", path, "ISO 8601, UTC") from error
    stamps = np.asarray(times.astype("int64"), dtype=np.int64)
    rates = np.asarray(pd.to_numeric(table["funding_rate"], errors="coerce"), dtype=np.float64)
    if len(stamps) == 0 or not np.isfinite(rates).all() or (np.diff(stamps) <= 0).any():
        raise InputError("holds no rates, a rate that is no number, or dates out of order", path)
    return stamps, rates


def _from_book(config: RunConfig, progress: Progress) -> tuple[MarkSeries, dict[str, Any]]:
    dataset = prepare(config, progress)
    info = dataset.info
    day_seconds, _ = TRADING_DAYS[info.params.get("hours", "always")]
    interval = config.training.book_interval_s
    sampler = BookSampler(config, dataset, interval)
    book = OrderBookDelta if "OrderBookDelta" in info.streams else OrderBookDepth10
    narrowed = replace(dataset, classes=(FundingRateUpdate, book), reference_id=None)
    span = max(1, info.end_ns - info.start_ns)
    for batch in narrowed.batches():
        sampler.take(batch)
        progress((batch[-1].ts_init - info.start_ns) / span, "reading the book")
    series = sampler.series(day=round(day_seconds / interval))
    facts = {
        "source": info.source,
        "description": f"the book of {info.instrument_id}: {info.description}",
        "simulated": info.simulated,
        "notes": series.notes,
    }
    return series, facts


class BookSampler:
    """
    Take marks from a book as the strategy would: at each whole interval, what was known then.

    Parameters
    ----------
    config : RunConfig
        For how the book is analyzed.
    dataset : CatalogDataset
        Its sessions and instrument.
    interval_s : int
        Seconds from a mark to the next.

    """

    def __init__(self, config: RunConfig, dataset: CatalogDataset, interval_s: int) -> None:
        instrument = dataset.instrument
        quoting: QuotingConfig = build(config.strategy.quoting)
        tick, lot = float(instrument.price_increment), float(instrument.size_increment)
        self._tick = tick
        self._book = BookKeeper(quoting.book, MarketShape(tick=tick, lot=lot))
        self._reader = BookReader(
            tick_raw=instrument.price_increment.raw,
            lot_raw=instrument.size_increment.raw,
            tick=tick,
            lot=lot,
        )
        self._step_ns = interval_s * NS
        self._interval_s = interval_s
        self._sessions = dataset.info.sessions
        self._last: Any = None
        self._funding: float | None = None
        self._next_ns = 0
        self._rows: list[tuple[int, float, float, float, int]] = []
        self._number = 0

    def take(self, batch: list[Any]) -> None:
        """Take messages in order of time."""
        for item in batch:
            if item.ts_init > self._next_ns:
                self._mark_up_to(item.ts_init)
            if isinstance(item, FundingRateUpdate):
                self._funding = float(item.rate)
            else:
                self._last = item

    def _mark_up_to(self, ts_ns: int) -> None:
        step = self._step_ns
        if self._next_ns == 0:
            self._next_ns = -(-ts_ns // step) * step
        while self._next_ns < ts_ns:
            self._mark(self._next_ns)
            self._next_ns += step

    def _mark(self, at_ns: int) -> None:
        last = self._last
        if last is None or at_ns - last.ts_init > MAX_BOOK_AGE_NS or not self._is_open(at_ns):
            return
        self._book.on_book(self._reader.read(last))
        analysis = self._book.analyze(at_ns)
        if analysis is None:
            return
        if self._rows and at_ns - self._rows[-1][0] != self._step_ns:
            self._number += 1
        self._rows.append(
            (at_ns, analysis.mid_ticks * self._tick, analysis.imbalance, self._funding or 0.0, self._number)
        )

    def _is_open(self, at_ns: int) -> bool:
        return any(start <= at_ns <= end for start, end in self._sessions)

    def series(self, *, day: int) -> MarkSeries:
        """Return the marks taken."""
        columns = list(zip(*self._rows, strict=True)) if self._rows else [(), (), (), (), ()]
        return MarkSeries(
            interval_s=self._interval_s,
            ts_ns=np.array(columns[0], dtype=np.int64),
            price=np.array(columns[1], dtype=np.float64),
            session=np.array(columns[4], dtype=np.int64),
            imbalance=np.array(columns[2], dtype=np.float64),
            funding=None if self._funding is None else np.array(columns[3], dtype=np.float64),
            day=day,
        )
