"""From bars to the files of a catalogue, a day at a time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_catalog.arrow import DAY_NS
from amm500_catalog.arrow import ROW_GROUP_ROWS
from amm500_catalog.arrow import CatalogWriter
from amm500_catalog.arrow import Precision
from amm500_catalog.arrow import depth_table
from amm500_catalog.arrow import funding_table
from amm500_catalog.arrow import price_table
from amm500_catalog.arrow import quote_table
from amm500_catalog.arrow import trade_table
from amm500_catalog.errors import InputError
from amm500_catalog.simulator.book import ASK
from amm500_catalog.simulator.book import BID
from amm500_catalog.simulator.book import Book
from amm500_catalog.simulator.config import BASE_VOLUME
from amm500_catalog.simulator.config import VOLUME_POWER
from amm500_catalog.simulator.config import SimulatorConfig
from amm500_catalog.simulator.path import FEWEST_STEPS
from amm500_catalog.simulator.path import RunBars
from amm500_catalog.simulator.run import SECOND_NS
from amm500_catalog.simulator.run import Market
from amm500_catalog.simulator.run import Run
from amm500_catalog.simulator.run import simulate_run
from amm500_catalog.simulator.streams import Quotes
from amm500_catalog.simulator.streams import funding_hours
from amm500_catalog.simulator.streams import funding_rates
from amm500_catalog.spec import MarketSpec


Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

STREAMS = (
    "OrderBookDepth10",
    "QuoteTick",
    "TradeTick",
    "IndexPriceUpdate",
    "MarkPriceUpdate",
    "FundingRateUpdate",
)
_PERP_DECIMALS = 6
_FIGURES = 5
# trade ids count up from here each day, so that they are unique over the dataset
_IDS_A_DAY = 10_000_000


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """
    What was written.

    Parameters
    ----------
    ranges : tuple
        Half-open ``(start_ns, end_ns)`` of each unbroken run.
    rows : dict
        Rows written by stream; the twin's under ``twin.<stream>``.
    params : dict
        Every parameter, the seed, the mean share of each kind of taker (``takers``), and under ``bars`` what the market should
        show: the bars' deviation in bp per root second (``deviation_bps``) and the notional of 24 open hours
        (``notional_per_day``).
    defaults : tuple of str
        Each assumption that stands in for something the source lacks, in words.

    """

    ranges: tuple[tuple[int, int], ...]
    rows: dict[str, int]
    params: dict[str, Any]
    defaults: tuple[str, ...]


def price_decimals(config: SimulatorConfig, spec: MarketSpec, price: float) -> int:
    """Return the decimals of a price: the configured ones, else five significant figures and at most ``6 - szDecimals``."""
    if config.price_decimals is not None:
        return config.price_decimals
    by_figures = _FIGURES - 1 - Decimal(str(price)).adjusted()
    return max(0, min(_PERP_DECIMALS - spec.sz_decimals, by_figures))


def simulate(
    bars: pd.DataFrame,
    sessions: tuple[tuple[int, int], ...],
    spec: MarketSpec,
    config: SimulatorConfig,
    seed: int,
    out_root: str,
    progress: Progress | None = None,
    *,
    funding: tuple[Ints, Floats] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> SimulationResult:
    """
    Simulate a market along bars and write it as a Nautilus catalogue.

    Each run of bars without a gap inside one UTC day has its own random streams, so the bytes of a day depend on its bars, the
    parameters and the seed alone. There is no market data in gaps; funding is published each hour through them, as the venue
    does, because a held position pays it.

    Parameters
    ----------
    bars : DataFrame
        Columns ts_open_ns, ts_close_ns (half-open), open, high, low, close (at the market's price level), volume (contracts;
        zero or missing where the source has none), in time order.
    sessions : tuple
        Half-open ``(start_ns, end_ns)``; bars outside are left out. Empty means every bar.
    spec : MarketSpec
        The market.
    config : SimulatorConfig
        The model's parameters.
    seed : int
        Seed of the dataset, not negative.
    out_root : str
        Folder or fsspec URL of the catalogue.
    progress : callable, optional
        Called with (days done, days).
    funding : (ndarray, ndarray), optional
        Times in ns and hourly rates of the real funding history.
    storage_options : Mapping, optional
        Options of the file system.

    Raises
    ------
    InputError
        If the bars are empty, out of order, overlap, or hold impossible prices.

    """
    job = _job(bars, sessions, spec, config)
    writer = CatalogWriter(out_root, storage_options)
    rows, tally = _write_days(writer, job, seed, progress)
    hours = funding_hours(job.ranges[0][0], job.ranges[-1][1])
    rows["FundingRateUpdate"], missing = _write_funding(writer, job.precision, job.config, hours, funding)
    params = job.config.params() | {"seed": seed, "takers": tally.taker_shares, "bars": job.bars}
    defaults = _defaults(job.config, tally, missing=missing, hours=len(hours))
    return SimulationResult(job.ranges, rows, params, defaults)


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be simulated: the market, its settled parameters, the runs and volumes of each day, and what the bars say."""

    precision: Precision
    market: Market
    config: SimulatorConfig
    ranges: tuple[tuple[int, int], ...]
    by_day: dict[int, list[tuple[int, pd.DataFrame]]]
    volumes: dict[int, tuple[list[float], bool]]
    bars: dict[str, float]


@dataclass(slots=True)
class _Tally:
    """Counts of the days written: days, those without volume in the source, and each taker's share times grid steps."""

    days: int = 0
    no_volume: int = 0
    takers: dict[str, float] = field(default_factory=dict)

    @property
    def taker_shares(self) -> dict[str, float]:
        """The mean share of each kind of taker."""
        steps = sum(self.takers.values())
        return {kind: round(total / steps, 4) for kind, total in self.takers.items()}


def bars_deviation_bps(bars: pd.DataFrame) -> float:
    """Return the root mean square of the bars' close over open, per root second, in bp."""
    seconds = (bars["ts_close_ns"] - bars["ts_open_ns"]).to_numpy(dtype=np.float64) / SECOND_NS
    change = np.log(bars["close"].to_numpy(dtype=np.float64) / bars["open"].to_numpy(dtype=np.float64)) * 1e4
    return float(np.sqrt((change**2).sum() / seconds.sum()))


def _job(
    bars: pd.DataFrame, sessions: tuple[tuple[int, int], ...], spec: MarketSpec, config: SimulatorConfig
) -> _Job:
    kept = _checked(bars, sessions, config)
    decimals = price_decimals(config, spec, float(kept["close"].median()))
    runs = _runs(kept, sessions)
    days = sorted({start // DAY_NS for start, _ in runs})
    by_day = {day: [(start, part) for start, part in runs if start // DAY_NS == day] for day in days}
    volumes = {day: _day_volume(config, parts) for day, parts in by_day.items()}
    ranges = tuple((start, int(part["ts_close_ns"].iloc[-1])) for start, part in runs)
    traded = sum(sum(of_runs) for of_runs, _ in volumes.values())
    return _Job(
        precision=Precision(spec.instrument_id, decimals, spec.sz_decimals),
        market=Market(tick=10.0**-decimals, lot=10.0**-spec.sz_decimals),
        config=_with_liquidity(config, volumes),
        ranges=ranges,
        by_day=by_day,
        volumes=volumes,
        bars={
            "deviation_bps": bars_deviation_bps(kept),
            "notional_per_day": traded * DAY_NS / sum(end - start for start, end in ranges),
        },
    )


def _write_days(
    writer: CatalogWriter, job: _Job, seed: int, progress: Progress | None
) -> tuple[dict[str, int], _Tally]:
    """Write every day; return its rows by stream, and the tally."""
    rows = dict.fromkeys(STREAMS, 0)
    tally = _Tally()
    for day, parts in job.by_day.items():
        volume, given = job.volumes[day]
        made = list(_simulate_day(parts, volume, job.market, job.config, seed))
        for name, count in _write_day(writer, job.precision, job.config, day, made).items():
            rows[name] = rows.get(name, 0) + count
        for run in made:
            for kind, share in run.mix.shares.items():
                tally.takers[kind] = tally.takers.get(kind, 0.0) + share * len(run.ts)
        tally.days += 1
        tally.no_volume += not given
        if progress is not None:
            progress(tally.days, len(job.by_day))
    return rows, tally


def _checked(
    bars: pd.DataFrame, sessions: tuple[tuple[int, int], ...], config: SimulatorConfig
) -> pd.DataFrame:
    needed = ["ts_open_ns", "ts_close_ns", "open", "high", "low", "close"]
    lacking = [c for c in needed if c not in bars.columns]
    if lacking:
        raise InputError(f"the bars lack the columns {', '.join(lacking)}", "bars", ", ".join(needed))
    kept = bars
    if sessions:
        inside = np.zeros(len(bars), dtype=bool)
        for start, end in sessions:
            inside |= ((bars["ts_open_ns"] >= start) & (bars["ts_close_ns"] <= end)).to_numpy()
        kept = bars[inside]
    if kept.empty:
        raise InputError("there are no bars inside the sessions", "bars", "at least one bar")
    opens, closes = kept["ts_open_ns"].to_numpy(), kept["ts_close_ns"].to_numpy()
    if (closes <= opens).any() or (opens[1:] < closes[:-1]).any():
        raise InputError("bars overlap or are out of order", "bars", "bars in time order, one at a time")
    shortest = int((closes - opens).min())
    if shortest < FEWEST_STEPS * config.depth_interval_s * SECOND_NS:
        least = FEWEST_STEPS * config.depth_interval_s
        raise InputError(f"a bar lasts {shortest / SECOND_NS:g} s", "bars", f"bars of at least {least:g} s")
    prices = kept[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
    if not np.isfinite(prices).all() or (prices <= 0).any():
        raise InputError("a price is zero, negative or missing", "bars", "positive prices")
    if (prices.max(axis=1) > prices[:, 1]).any() or (prices.min(axis=1) < prices[:, 2]).any():
        raise InputError(
            "a bar's high or low does not hold its open and close", "bars", "low <= open, close <= high"
        )
    return kept


def _runs(bars: pd.DataFrame, sessions: tuple[tuple[int, int], ...]) -> list[tuple[int, pd.DataFrame]]:
    """Return (start, bars) of each unbroken run, cut at gaps, session edges and UTC midnights."""
    opens, closes = bars["ts_open_ns"].to_numpy(), bars["ts_close_ns"].to_numpy()
    cut = (opens[1:] != closes[:-1]) | (opens[1:] // DAY_NS != opens[:-1] // DAY_NS)
    edges = np.array(sorted({start for start, _ in sessions}), dtype=np.int64)
    cut |= np.isin(opens[1:], edges)
    starts = np.r_[0, np.flatnonzero(cut) + 1]
    ends = np.r_[starts[1:], len(bars)]
    return [(int(opens[a]), bars.iloc[a:b]) for a, b in zip(starts, ends, strict=True)]


def _with_liquidity(config: SimulatorConfig, volumes: dict[int, tuple[list[float], bool]]) -> SimulatorConfig:
    """Return the configuration with its liquidity settled: as given, else by the bars' median day, else one."""
    if config.liquidity is not None:
        return config
    known = [sum(of_runs) for of_runs, given in volumes.values() if given]
    factor = float((np.median(known) / BASE_VOLUME) ** VOLUME_POWER) if known else 1.0
    return replace(config, liquidity=factor)


def _day_volume(config: SimulatorConfig, parts: list[tuple[int, pd.DataFrame]]) -> tuple[list[float], bool]:
    """Return the notional of each run of a day, and whether the bars gave it; else it is the run's part of a whole day's pace."""
    if config.use_bar_volume and all("volume" in p.columns for _, p in parts):
        given = [float((p["volume"].fillna(0.0) * p["close"]).sum()) for _, p in parts]
        if sum(given) > 0:
            return given, True
    spans = [float(p["ts_close_ns"].iloc[-1] - start) for start, p in parts]
    return [config.daily_volume * s / DAY_NS for s in spans], False


def _simulate_day(
    parts: list[tuple[int, pd.DataFrame]],
    volumes: list[float],
    market: Market,
    config: SimulatorConfig,
    seed: int,
) -> Iterator[Run]:
    step_ns = round(config.depth_interval_s * SECOND_NS)
    for (start, part), volume in zip(parts, volumes, strict=True):
        steps = ((part["ts_close_ns"] - part["ts_open_ns"]) // step_ns).to_numpy(dtype=np.int64)
        ticks = {
            c: part[c].to_numpy(dtype=np.float64) / market.tick for c in ("open", "high", "low", "close")
        }
        yield simulate_run(
            RunBars(steps=steps, **ticks),
            start_ns=start,
            volume=volume,
            market=market,
            config=config,
            seed=(seed, start // SECOND_NS),
        )


def _write_day(
    writer: CatalogWriter, precision: Precision, config: SimulatorConfig, day: int, runs: list[Run]
) -> dict[str, int]:
    def join(columns: list[Any]) -> Any:
        return np.concatenate(columns)

    trade_ts = join([r.print_ts for r in runs])
    oracle_ts = join([r.ts[r.oracle_step] for r in runs])
    tables = {
        QuoteTick: _quotes(precision, Quotes.join([r.quotes for r in runs])),
        TradeTick: trade_table(
            precision,
            ts=trade_ts,
            ticks=join([r.prints.ticks for r in runs]),
            lots=join([r.prints.lots for r in runs]),
            aggressor=join([r.prints.side for r in runs]),
            trade_ids=day * _IDS_A_DAY + np.arange(len(trade_ts), dtype=np.int64),
        ),
        IndexPriceUpdate: price_table(
            IndexPriceUpdate, precision, ts=oracle_ts, ticks=join([r.oracle_ticks for r in runs])
        ),
        MarkPriceUpdate: price_table(
            MarkPriceUpdate, precision, ts=oracle_ts, ticks=join([r.mark_ticks for r in runs])
        ),
    }
    rows = {"OrderBookDepth10": sum(len(r.ts) for r in runs)}
    writer.write_parts(OrderBookDepth10, precision, _depth_parts(precision, [(r.ts, r.book) for r in runs]))
    for data_cls, table in tables.items():
        writer.write(data_cls, precision, table)
        rows[data_cls.__name__] = table.num_rows
    return rows | _write_twin(writer, config, runs)


def _depth_parts(precision: Precision, books: list[tuple[Ints, Book]]) -> Iterator[Any]:
    """Yield the depth a row group at a time: a whole day's columns are twice the size of the book they come from."""
    for ts, book in books:
        for begin in range(0, len(ts), ROW_GROUP_ROWS):
            rows = slice(begin, begin + ROW_GROUP_ROWS)
            yield depth_table(
                precision,
                ts=ts[rows],
                bid_ticks=book.ticks[BID][rows],
                bid_lots=book.lots[BID][rows],
                ask_ticks=book.ticks[ASK][rows],
                ask_lots=book.lots[ASK][rows],
            )


def _quotes(precision: Precision, quotes: Quotes) -> Any:
    return quote_table(
        precision,
        ts=quotes.ts,
        bid_ticks=quotes.bid_ticks,
        bid_lots=quotes.bid_lots,
        ask_ticks=quotes.ask_ticks,
        ask_lots=quotes.ask_lots,
    )


def _write_twin(writer: CatalogWriter, config: SimulatorConfig, runs: list[Run]) -> dict[str, int]:
    if config.twin is None:
        return {}
    twins = [r.twin for r in runs if r.twin is not None]
    precision = Precision(config.twin.instrument_id, config.twin.price_decimals, config.twin.size_decimals)
    quotes = _quotes(precision, Quotes.join([t.quotes for t in twins]))
    writer.write(QuoteTick, precision, quotes)
    rows = {"twin.QuoteTick": int(quotes.num_rows)}
    if config.twin.depth:
        books = [(r.ts, r.twin.book) for r in runs if r.twin is not None]
        writer.write_parts(OrderBookDepth10, precision, _depth_parts(precision, books))
        rows["twin.OrderBookDepth10"] = sum(len(ts) for ts, _ in books)
    return rows


def _write_funding(
    writer: CatalogWriter,
    precision: Precision,
    config: SimulatorConfig,
    hours: Ints,
    history: tuple[Ints, Floats] | None,
) -> tuple[int, int]:
    rates, missing = funding_rates(hours, default=config.funding_rate_hourly, history=history)
    for day in np.unique(hours // DAY_NS):
        rows = np.flatnonzero(hours // DAY_NS == day)
        table = funding_table(precision, ts=hours[rows], rates=[rates[i] for i in rows])
        writer.write(FundingRateUpdate, precision, table)
    return len(hours), missing


def _defaults(config: SimulatorConfig, tally: _Tally, *, missing: int, hours: int) -> tuple[str, ...]:
    said = [
        "book and trades are simulated along the bars; nobody's real orders are in them",
        f"takers' toxicity is {config.toxicity}",
        "trade sizes have the shape of the recorded ETH and SOL trades, scaled to this book's best level",
    ]
    if tally.no_volume:
        said.append(
            f"daily volume {config.daily_volume:,.0f} on {tally.no_volume} of {tally.days} days (source has none), as the pace of "
            "24 hours: an open hour trades 1/24 of it"
        )
    if missing:
        said.append(
            f"funding rate {config.funding_rate_hourly:.9f} an hour for {missing} of {hours} hours (source has none)"
        )
    if config.liquidity not in (None, 1.0):
        said.append(f"depth is {config.liquidity:.2f} times km:US500's, by the day's volume or as configured")
    if config.twin is not None:
        said.append(
            f"the twin {config.twin.instrument_id} is simulated and leads by {config.twin.lag_ms:g} ms"
        )
    return tuple(said)
