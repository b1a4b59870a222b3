"""One ruler for recorded and simulated markets: spread, depth, trades, short-horizon deviation, maker markouts."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_catalog.arrow import DEPTH_LEVELS
from amm500_catalog.arrow import read_columns
from amm500_catalog.errors import InputError


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
HORIZONS_S = (1, 5, 10, 30, 60)
MARKOUT_HORIZONS_S = (1, 5, 30, 60)
# a fill counts when the longest markout lies inside the data
_MARKOUT_TAIL_S = 60
# the deviation is taken from every phase of a second, so that no clock of the source flatters it
_GRID_NS = SECOND_NS // 10
# a polled source knows its mid only when it was polled
_POLLED_AGE_NS = 2 * SECOND_NS
# longer silences are gaps: nothing is measured across them
_GAP_NS = 60 * SECOND_NS


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class Sample:
    """
    What one market showed, as plain columns; times in ns of the exchange, prices and sizes in the instrument's units.

    ``bid`` to ``ask_size`` are the best bids and offers (the mid's source); ``book_*`` are regular samples of the book:
    spread, sizes of the best levels, and notional of the ten best levels a side. ``side`` is +1 where the taker bought.
    """

    name: str
    tick: float
    ts: Ints
    bid: Floats
    ask: Floats
    book_ts: Ints
    book_spread: Floats
    top_sizes: Floats = field(default_factory=_none)
    bid_depth: Floats = field(default_factory=_none)
    ask_depth: Floats = field(default_factory=_none)
    trade_ts: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    price: Floats = field(default_factory=_none)
    size: Floats = field(default_factory=_none)
    side: Floats = field(default_factory=_none)
    polled: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """
    One market by the ruler.

    Parameters
    ----------
    name : str
        What was measured.
    seconds : float
        Time covered, gaps left out.
    spread_ticks : dict
        Quantiles p50, p90, p99.
    tick_bps : float
        One tick in basis points of the median mid.
    depth : dict
        Median notional of the ten best levels, ``bid`` and ``ask``; empty when the source has no depth.
    top_size : float
        Median size of the best levels of both sides, in the instrument's size units.
    trade_ratio : dict
        Quantiles of print size over ``top_size``.
    prints_per_minute, orders_per_minute, notional_per_day : float
        Arrivals; prints of one instant and side are one order.
    deviation : dict
        Root mean square of the mid's change over h seconds, over the root of h, in bp, by h.
    markout : dict
        Size-weighted maker markout in bp, by h.
    markout_fills : int
        Prints in the markouts.
    at_best : float
        Share of prints at or inside the best level of the last quote before them.
    depth_log_deviation : dict
        Deviation of the log of each side's ten-level depth.
    imbalance : dict
        Correlation of (bid - ask) / (bid + ask) of the best levels' sizes with the mid's move over the next h seconds, by h.

    """

    name: str
    seconds: float
    spread_ticks: dict[str, float]
    tick_bps: float
    depth: dict[str, float]
    top_size: float
    trade_ratio: dict[str, float]
    prints_per_minute: float
    orders_per_minute: float
    notional_per_day: float
    deviation: dict[int, float]
    markout: dict[int, float]
    markout_fills: int
    at_best: float
    depth_log_deviation: dict[str, float]
    imbalance: dict[int, float]

    def scaled_markout(self, horizon_s: int) -> float:
        """Return the markout in deviations of the mid over the same horizon; no number when the mid stands."""
        if not self.deviation[horizon_s]:
            return float("nan")
        return self.markout[horizon_s] / (self.deviation[horizon_s] * float(np.sqrt(horizon_s)))

    @property
    def trend(self) -> float:
        """The deviation per root second at 1 s over that at 30 s; below one when prices trend, no number when they stand."""
        return self.deviation[1] / self.deviation[30] if self.deviation[30] else float("nan")

    def rows(self) -> list[tuple[str, float]]:
        """Return every figure with its name, in the report's order."""
        out = [(f"spread {q} (ticks)", v) for q, v in self.spread_ticks.items()]
        out += [(f"depth 10 {side} median", v) for side, v in self.depth.items()]
        out += [(f"depth 10 {side} log deviation", v) for side, v in self.depth_log_deviation.items()]
        out += [(f"trade size {q} / best level", v) for q, v in self.trade_ratio.items()]
        out += [
            ("prints a minute", self.prints_per_minute),
            ("taker orders a minute", self.orders_per_minute),
            ("notional a day", self.notional_per_day),
            ("prints at the best level", self.at_best),
        ]
        out += [(f"deviation {h} s (bp per root s)", v) for h, v in self.deviation.items()]
        out += [(f"imbalance and the next {h} s (correlation)", v) for h, v in self.imbalance.items()]
        out.append(("trend: deviation 1 s / 30 s", self.trend))
        out += [(f"maker markout {h} s (bp)", v) for h, v in self.markout.items()]
        if self.markout:
            out += [(f"maker markout {h} s / deviation", self.scaled_markout(h)) for h in (1, 5)]
        return out


def measure(sample: Sample) -> Measurement:
    """
    Measure one market.

    Raises
    ------
    InputError
        If there is no best bid and offer to measure.

    """
    if not len(sample.ts):
        raise InputError("there are no quotes to measure", sample.name)
    mid = (sample.bid + sample.ask) / 2.0
    seconds = _covered(sample.ts)
    spread = np.rint(sample.book_spread / sample.tick)
    top = float(np.median(sample.top_sizes)) if len(sample.top_sizes) else float("nan")
    markout, fills = _markouts(sample, mid)
    inside = sample.trade_ts >= sample.ts[0]
    size, price = sample.size[inside], sample.price[inside]
    orders = len(
        np.unique(np.stack([sample.trade_ts[inside], sample.side[inside].astype(np.int64)]), axis=1).T
    )
    depth = {}
    if len(sample.bid_depth):
        depth = {"bid": float(np.median(sample.bid_depth)), "ask": float(np.median(sample.ask_depth))}
    return Measurement(
        name=sample.name,
        seconds=seconds,
        spread_ticks=_quantiles(spread),
        tick_bps=sample.tick / float(np.median(mid)) * 1e4,
        depth=depth,
        top_size=top,
        trade_ratio=_quantiles(size / top) if len(size) else {},
        prints_per_minute=60.0 * len(size) / seconds,
        orders_per_minute=60.0 * orders / seconds,
        notional_per_day=86_400.0 * float((size * price).sum()) / seconds,
        deviation=_deviations(sample, mid),
        markout=markout,
        markout_fills=fills,
        at_best=_at_best(sample),
        imbalance=_imbalance(sample, mid),
        depth_log_deviation={
            side: float(np.log(d).std())
            for side, d in (("bid", sample.bid_depth), ("ask", sample.ask_depth))
            if len(d)
        },
    )


def _imbalance(sample: Sample, mid: Floats) -> dict[int, float]:
    count = len(sample.book_ts)
    if len(sample.top_sizes) != 2 * count:
        return {}
    bid, ask = sample.top_sizes[:count], sample.top_sizes[count:]
    lean = (bid - ask) / (bid + ask)
    inside = (sample.book_ts >= sample.ts[0]) & (sample.book_ts <= sample.ts[-1])
    out = {}
    for horizon in (1, 5):
        later = _mid_at(sample.ts, mid, sample.book_ts + horizon * SECOND_NS)
        move = (later - _mid_at(sample.ts, mid, sample.book_ts))[inside]
        if len(move) > 1 and move.std() > 0 and lean[inside].std() > 0:
            out[horizon] = float(np.corrcoef(lean[inside], move)[0, 1])
    return out


def _at_best(sample: Sample) -> float:
    before = np.searchsorted(sample.ts, sample.trade_ts, side="left") - 1
    ok = before >= 0
    if not ok.any():
        return float("nan")
    best = np.where(sample.side > 0, sample.ask[before], sample.bid[before])
    beyond = (sample.price - best) * sample.side
    return float(np.mean(beyond[ok] < 0.5 * sample.tick))


def compare(a: Measurement, b: Measurement) -> list[tuple[str, float, float, float]]:
    """Return (figure, a, b, b over a) for each figure both have; the ratio is not a number where a is zero."""
    other = dict(b.rows())
    return [
        (name, value, other[name], other[name] / value if value else float("nan"))
        for name, value in a.rows()
        if name in other
    ]


def _covered(ts: Ints) -> float:
    steps = np.diff(ts)
    return max(float(steps[steps <= _GAP_NS].sum()) / SECOND_NS, 1e-9)


def _quantiles(values: Floats) -> dict[str, float]:
    return {f"p{q}": float(np.quantile(values, q / 100)) for q in (50, 90, 99)}


def _mid_at(ts: Ints, mid: Floats, when: Ints) -> Floats:
    """Return the last mid at or before each time."""
    return np.asarray(mid[np.maximum(np.searchsorted(ts, when, side="right") - 1, 0)])


def _deviations(sample: Sample, mid: Floats) -> dict[int, float]:
    step = SECOND_NS if sample.polled else _GRID_NS
    grid = np.arange(sample.ts[0], sample.ts[-1], step, dtype=np.int64)
    at = np.searchsorted(sample.ts, grid, side="right") - 1
    log_mid = np.log(mid[at]) * 1e4
    silence = np.diff(sample.ts, append=sample.ts[-1]) > _GAP_NS
    known = ~silence[at]
    if sample.polled:
        known = grid - sample.ts[at] <= _POLLED_AGE_NS
    # a window that spans a gap is left out: count the gaps passed
    gaps = np.cumsum(np.r_[0, silence])[at]
    out = {}
    for horizon in HORIZONS_S:
        k = horizon * SECOND_NS // step
        change = log_mid[k:] - log_mid[:-k]
        ok = known[k:] & known[:-k]
        if not sample.polled:
            ok &= gaps[k:] == gaps[:-k]
        out[horizon] = float(np.sqrt(np.mean(change[ok] ** 2) / horizon)) if ok.any() else float("nan")
    return out


def _markouts(sample: Sample, mid: Floats) -> tuple[dict[int, float], int]:
    """Return the markouts of the makers hit by each print: bought when the taker sold."""
    tail = _MARKOUT_TAIL_S * SECOND_NS
    ts = sample.trade_ts
    last = np.searchsorted(sample.ts, ts, side="right") - 1
    ok = (ts >= sample.ts[0]) & (ts + tail <= sample.ts[-1])
    # nothing is marked over a gap, nor inside one
    silence = np.diff(sample.ts, append=sample.ts[-1]) > _GAP_NS
    gaps = np.cumsum(np.r_[0, silence[:-1]])
    end = np.searchsorted(sample.ts, ts + tail, side="right") - 1
    ok &= (gaps[np.maximum(last, 0)] == gaps[end]) & ~(silence[end] & (ts + tail > sample.ts[end]))
    ts, price, size, maker = ts[ok], sample.price[ok], sample.size[ok], -sample.side[ok]
    if not len(ts):
        return {}, 0
    out = {}
    for horizon in MARKOUT_HORIZONS_S:
        later = _mid_at(sample.ts, mid, ts + horizon * SECOND_NS)
        out[horizon] = float(np.average(maker * (later - price) / price * 1e4, weights=size))
    return out, len(ts)


def measure_recording(folder: str | Path, coin: str) -> Measurement:
    """Measure one coin of a folder of recorded books, best offers and trades (``COIN_orderbooks.parquet`` and so on)."""
    return measure(read_recording(folder, coin))


def measure_catalog(
    catalog: str,
    instrument_id: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
    *,
    name: str = "simulated",
    storage_options: dict[str, Any] | None = None,
) -> Measurement:
    """Measure an instrument of a catalogue with depth, quotes and trades; times half-open in ns, None for no bound."""
    return measure(
        read_catalog(catalog, instrument_id, start_ns, end_ns, name=name, storage_options=storage_options)
    )


def measure_samples(path: str | Path, *, rows: slice = slice(None), name: str = "recorded") -> Measurement:
    """Measure polled best offers with depth (the columns of the km:US500 samples); ``rows`` takes part of them."""
    return measure(read_samples(path, rows=rows, name=name))


def read_recording(folder: str | Path, coin: str) -> Sample:
    """
    Return a recorded coin as columns.

    Raises
    ------
    InputError
        If one of the three files is missing.

    """
    tables = {}
    for kind in ("orderbooks", "prices", "trades"):
        path = Path(folder) / f"{coin}_{kind}.parquet"
        if not path.is_file():
            raise InputError(
                "the file is missing", str(path), "COIN_orderbooks, COIN_prices and COIN_trades.parquet"
            )
        tables[kind] = pq.read_table(path).to_pandas().sort_values("exchange_timestamp", kind="stable")
    quotes, book, trades = tables["prices"], tables["orderbooks"], tables["trades"]
    wide = pd.DataFrame(
        {
            "ts": quotes["exchange_timestamp"],
            "bid": quotes["price"].where(quotes["side"] == "bid"),
            "ask": quotes["price"].where(quotes["side"] == "ask"),
        }
    )
    wide[["bid", "ask"]] = wide[["bid", "ask"]].ffill()
    # both sides of one message share a time: the last row of the time holds both
    wide = wide.dropna().groupby("ts", as_index=False).last()
    depth = {
        side: sum(book[f"{side}_price_{i}"] * book[f"{side}_size_{i}"] for i in range(DEPTH_LEVELS))
        for side in ("bid", "ask")
    }
    prices = np.unique(np.concatenate([book["bid_price_0"], book["ask_price_0"]]))
    return Sample(
        name=coin,
        tick=float(np.round(np.diff(prices).min(), 8)),
        ts=wide["ts"].to_numpy(dtype=np.int64) * MS_NS,
        bid=wide["bid"].to_numpy(dtype=np.float64),
        ask=wide["ask"].to_numpy(dtype=np.float64),
        book_ts=book["exchange_timestamp"].to_numpy(dtype=np.int64) * MS_NS,
        book_spread=(book["ask_price_0"] - book["bid_price_0"]).to_numpy(dtype=np.float64),
        top_sizes=np.concatenate([book["bid_size_0"], book["ask_size_0"]]),
        bid_depth=np.asarray(depth["bid"], dtype=np.float64),
        ask_depth=np.asarray(depth["ask"], dtype=np.float64),
        trade_ts=trades["exchange_timestamp"].to_numpy(dtype=np.int64) * MS_NS,
        price=trades["price"].to_numpy(dtype=np.float64),
        size=trades["size"].to_numpy(dtype=np.float64),
        side=np.where(trades["side"] == "buy", 1.0, -1.0),
    )


def read_samples(path: str | Path, *, rows: slice = slice(None), name: str = "recorded") -> Sample:
    """Return polled samples (time_utc, bid, ask, bid_depth10_usd, ask_depth10_usd) as columns."""
    if not Path(path).is_file():
        raise InputError("the file is missing", str(path))
    table = pd.read_csv(path).iloc[rows]
    times = pd.to_datetime(table["time_utc"], utc=True).dt.tz_localize(None)
    spread = (table["ask"] - table["bid"]).to_numpy(dtype=np.float64)
    ts = times.to_numpy().astype("datetime64[ns]").astype(np.int64)
    return Sample(
        name=name,
        tick=float(np.round(spread[spread > 0].min(), 8)),
        ts=ts,
        bid=table["bid"].to_numpy(dtype=np.float64),
        ask=table["ask"].to_numpy(dtype=np.float64),
        book_ts=ts,
        book_spread=spread,
        bid_depth=table["bid_depth10_usd"].dropna().to_numpy(dtype=np.float64),
        ask_depth=table["ask_depth10_usd"].dropna().to_numpy(dtype=np.float64),
        polled=True,
    )


def read_catalog(
    catalog: str,
    instrument_id: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
    *,
    name: str = "simulated",
    storage_options: dict[str, Any] | None = None,
) -> Sample:
    """
    Return depth, quotes and trades of a catalogue as columns.

    Raises
    ------
    InputError
        If the catalogue has no depth for the instrument in that time.

    """

    def read(data_cls: type, names: list[str]) -> dict[str, npt.NDArray[Any]]:
        return read_columns(
            catalog,
            data_cls,
            instrument_id,
            names,
            start_ns=start_ns,
            end_ns=end_ns,
            storage_options=storage_options,
        )

    ladder = [f"{s}_{u}_{i}" for s in ("bid", "ask") for u in ("price", "size") for i in range(DEPTH_LEVELS)]
    book = read(OrderBookDepth10, ["ts_event", *ladder])
    if not len(book["ts_event"]):
        raise InputError(
            f"there is no depth of {instrument_id}", catalog, "a catalogue with OrderBookDepth10"
        )
    quotes = read(QuoteTick, ["ts_event", "bid_price", "ask_price"])
    if not len(quotes["ts_event"]):
        quotes = {
            "ts_event": book["ts_event"],
            "bid_price": book["bid_price_0"],
            "ask_price": book["ask_price_0"],
        }
    trades = read(TradeTick, ["ts_event", "price", "size", "aggressor_side"])
    spread = book["ask_price_0"] - book["bid_price_0"]
    return Sample(
        name=name,
        tick=float(np.round(spread[spread > 0].min(), 8)),
        ts=quotes["ts_event"].astype(np.int64),
        bid=quotes["bid_price"],
        ask=quotes["ask_price"],
        book_ts=book["ts_event"].astype(np.int64),
        book_spread=spread,
        top_sizes=np.concatenate([book["bid_size_0"], book["ask_size_0"]]),
        bid_depth=_notional(book, "bid"),
        ask_depth=_notional(book, "ask"),
        trade_ts=trades["ts_event"].astype(np.int64),
        price=trades["price"],
        size=trades["size"],
        side=np.where(trades["aggressor_side"] == 1, 1.0, -1.0),
    )


def _notional(book: dict[str, npt.NDArray[Any]], side: str) -> Floats:
    levels = [book[f"{side}_price_{i}"] * book[f"{side}_size_{i}"] for i in range(DEPTH_LEVELS)]
    return np.asarray(np.sum(levels, axis=0), dtype=np.float64)


def pooled_trade_ratio(samples: list[Sample]) -> dict[str, float]:
    """Return quantiles of print size over each market's own median best-level size, all prints together."""
    ratios = [s.size[s.trade_ts >= s.ts[0]] / float(np.median(s.top_sizes)) for s in samples]
    return _quantiles(np.concatenate(ratios))
