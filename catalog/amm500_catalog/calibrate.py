"""One ruler for recorded and simulated markets: spread, depth, trades, short-horizon deviation, maker markouts."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from amm500_catalog.calibrate_samples import Sample
from amm500_catalog.calibrate_samples import read_catalog
from amm500_catalog.calibrate_samples import read_recording
from amm500_catalog.calibrate_samples import read_samples
from amm500_catalog.errors import InputError


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SECOND_NS = 1_000_000_000
HORIZONS_S = (1, 5, 10, 30, 60)
MARKOUT_HORIZONS_S = (1, 5, 30, 60)
# the past move and the next one whose correlation is measured
MOMENTUM_S = 5
# a fill counts when the longest markout lies inside the data
_MARKOUT_TAIL_S = 60
# the deviation is taken from every phase of a second, so that no clock of the source flatters it
_GRID_NS = SECOND_NS // 10
# a polled source knows its mid only when it was polled
_POLLED_AGE_NS = 2 * SECOND_NS
# longer silences are gaps: nothing is measured across them
_GAP_NS = 60 * SECOND_NS


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
    momentum : float
        Correlation of the mid's move over the past 5 s with that over the next 5 s.
    foreknown : float, optional
        R squared of the linear regression of the next 5 s on the past 5 s and the imbalance; None when the source has no sizes.
    toxicity : str, optional
        The toxicity level that was asked of a simulated market.
    bars_deviation : float, optional
        The deviation of the bars a market was simulated along, in bp per root second.
    daily_volume : float, optional
        The notional a day that was asked of a simulated market.

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
    momentum: float
    foreknown: float | None = None
    toxicity: str | None = None
    bars_deviation: float | None = None
    daily_volume: float | None = None

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
        if self.trade_ratio:
            # a source without trades says nothing of them, which is not none
            out += [
                ("trades a second", self.prints_per_minute / 60.0),
                ("taker orders a minute", self.orders_per_minute),
                ("notional a day", self.notional_per_day),
                ("prints at the best level", self.at_best),
            ]
        out += [(f"deviation {h} s (bp per root s)", v) for h, v in self.deviation.items()]
        out += [(f"imbalance and the next {h} s (correlation)", v) for h, v in self.imbalance.items()]
        out.append(("trend: deviation 1 s / 30 s", self.trend))
        out.append((f"past {MOMENTUM_S} s and next {MOMENTUM_S} s (correlation)", self.momentum))
        if self.foreknown is not None:
            out.append(
                (f"past {MOMENTUM_S} s and imbalance, next {MOMENTUM_S} s (R squared)", self.foreknown)
            )
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
        momentum=_momentum(sample, mid),
        foreknown=_foreknown(sample, mid),
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


def _momentum(sample: Sample, mid: Floats) -> float:
    grid = _grid(sample, mid)
    k = MOMENTUM_S * SECOND_NS // grid.step_ns
    move = grid.log_mid[k:] - grid.log_mid[:-k]
    # a pair of windows shares the point between them
    ok = grid.joined(2 * k) & grid.known[k:-k]
    past, later = move[:-k][ok], move[k:][ok]
    if len(past) < 2 or not (past.std() > 0 and later.std() > 0):
        return float("nan")
    return float(np.corrcoef(past, later)[0, 1])


def _foreknown(sample: Sample, mid: Floats) -> float | None:
    count = len(sample.book_ts)
    if len(sample.top_sizes) != 2 * count:
        return None
    bid, ask = sample.top_sizes[:count], sample.top_sizes[count:]
    window = MOMENTUM_S * SECOND_NS
    gaps = _gaps_before(sample.ts)
    ok = (sample.book_ts - window >= sample.ts[0]) & (sample.book_ts + window <= sample.ts[-1])
    first = np.searchsorted(sample.ts, sample.book_ts - window, side="right") - 1
    last = np.searchsorted(sample.ts, sample.book_ts + window, side="right") - 1
    ok &= gaps[np.maximum(first, 0)] == gaps[last]
    if ok.sum() < 4:
        return None
    now = _mid_at(sample.ts, mid, sample.book_ts)
    past = now - _mid_at(sample.ts, mid, sample.book_ts - window)
    later = (_mid_at(sample.ts, mid, sample.book_ts + window) - now)[ok]
    if not later.std() > 0:
        return None
    known = np.stack([np.ones(count), past, (bid - ask) / (bid + ask)], axis=1)[ok]
    fitted = known @ np.linalg.lstsq(known, later, rcond=None)[0]
    return float(1.0 - np.mean((later - fitted) ** 2) / later.var())


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


@dataclass(frozen=True, slots=True)
class _Grid:
    """The log mid in bp on a regular grid, where it is known, and the gaps passed."""

    step_ns: int
    log_mid: Floats
    known: npt.NDArray[np.bool_]
    gaps: Ints

    def joined(self, k: int) -> npt.NDArray[np.bool_]:
        """Return which points are known, are known k points later, and have no gap between."""
        return np.asarray(self.known[k:] & self.known[:-k] & (self.gaps[k:] == self.gaps[:-k]))


def _gaps_before(ts: Ints) -> Ints:
    """Return how many silences longer than a minute lie before each time."""
    return np.cumsum(np.diff(ts, prepend=ts[0]) > _GAP_NS)


def _grid(sample: Sample, mid: Floats) -> _Grid:
    step = SECOND_NS if sample.polled else _GRID_NS
    grid = np.arange(sample.ts[0], sample.ts[-1], step, dtype=np.int64)
    at = np.searchsorted(sample.ts, grid, side="right") - 1
    log_mid = np.log(mid[at]) * 1e4
    if sample.polled:
        known = grid - sample.ts[at] <= _POLLED_AGE_NS
        return _Grid(step, log_mid, known, np.zeros(len(grid), dtype=np.int64))
    silence = np.diff(sample.ts, append=sample.ts[-1]) > _GAP_NS
    # a window that spans a gap is left out: count the gaps passed
    return _Grid(step, log_mid, ~silence[at], _gaps_before(sample.ts)[at])


def _deviations(sample: Sample, mid: Floats) -> dict[int, float]:
    grid = _grid(sample, mid)
    out = {}
    for horizon in HORIZONS_S:
        k = horizon * SECOND_NS // grid.step_ns
        change = grid.log_mid[k:] - grid.log_mid[:-k]
        ok = grid.joined(k)
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
    gaps = _gaps_before(sample.ts)
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
    toxicity: str | None = None,
    bars_deviation: float | None = None,
    daily_volume: float | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Measurement:
    """
    Measure an instrument of a catalogue with depth, quotes and trades.

    Parameters
    ----------
    catalog, instrument_id : str
        Where it is, and what.
    start_ns, end_ns : int, optional
        Half-open times in ns; None for no bound.
    name : str
        The column's name in a report.
    toxicity : str, optional
        The toxicity level asked of the simulator; the report holds the markouts to it.
    bars_deviation : float, optional
        The bars' deviation in bp per root second; the report holds the 60 s figure to it.
    daily_volume : float, optional
        The notional a whole day asked of the simulator; the report holds the notional a day to it.
    storage_options : dict, optional
        Options of the file system.

    Raises
    ------
    InputError
        If the catalogue has no depth for the instrument in that time.

    """
    sample = read_catalog(
        catalog, instrument_id, start_ns, end_ns, name=name, storage_options=storage_options
    )
    asked = {"toxicity": toxicity, "bars_deviation": bars_deviation, "daily_volume": daily_volume}
    return replace(measure(sample), **asked)  # type: ignore[arg-type]


def measure_samples(path: str | Path, *, rows: slice = slice(None), name: str = "recorded") -> Measurement:
    """Measure polled best offers with depth (the columns of the km:US500 samples); ``rows`` takes part of them."""
    return measure(read_samples(path, rows=rows, name=name))


def pooled_trade_ratio(samples: list[Sample]) -> dict[str, float]:
    """Return quantiles of print size over each market's own median best-level size, all prints together."""
    ratios = [s.size[s.trade_ts >= s.ts[0]] / float(np.median(s.top_sizes)) for s in samples]
    return _quantiles(np.concatenate(ratios))
