"""The streams of one run made from its book and trades: quotes, oracle, mark, funding, and the liquid twin."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from amm500_catalog.numerics import decay
from amm500_catalog.simulator.book import ASK
from amm500_catalog.simulator.book import BID
from amm500_catalog.simulator.book import LEVELS
from amm500_catalog.simulator.book import Book
from amm500_catalog.simulator.flow import Prints


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR_NS = 3_600_000_000_000
MS_NS = 1_000_000
# the touch that an order leaves behind is shown one millisecond after its trades
_AFTER_TRADE_NS = MS_NS
# the oracle averages other markets over seconds; the mark smooths the book's mid a little longer
_ORACLE_SMOOTH_S = 2.0
_MARK_SMOOTH_S = 5.0
_PREMIUM_HOLD_S = 600.0


@dataclass(frozen=True, slots=True)
class Quotes:
    """Best bid and offer at times in ns, integer ticks and lots."""

    ts: Ints
    bid_ticks: Ints
    bid_lots: Ints
    ask_ticks: Ints
    ask_lots: Ints

    @staticmethod
    def join(parts: list[Quotes]) -> Quotes:
        """Return runs one after another."""
        names = ("ts", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
        return Quotes(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))


def print_times(ts: Ints, prints: Prints, *, step_ns: int) -> Ints:
    """
    Return when each trade happens: as far between its book and the next as its offset is in an even interval.

    Parameters
    ----------
    ts : numpy.ndarray
        When each book is shown.
    prints : Prints
        The trades; offsets leave the last two milliseconds of an interval free.
    step_ns : int
        Mean time between two books.

    """
    # the first book comes at the run's start
    end_ns = ts[0] + len(ts) * step_ns
    gap = np.diff(ts, append=end_ns)[prints.step]
    spared = 2 * MS_NS
    return np.asarray(
        ts[prints.step]
        + prints.offset_ms * MS_NS * ((gap - spared) // MS_NS) // ((step_ns - spared) // MS_NS)
    )


def make_quotes(ts: Ints, book: Book, prints: Prints, print_ts: Ints) -> Quotes:
    """
    Return the best bid and offer of each book when price or size changed, and after orders that emptied a best level.

    Between two books a trade that leaves the best price standing shows with the next one.
    """
    columns = np.stack(
        [book.ticks[BID][:, 0], book.lots[BID][:, 0], book.ticks[ASK][:, 0], book.lots[ASK][:, 0]], axis=1
    )
    after, rows = _after_trades(book, prints, print_ts)
    all_ts = np.concatenate([ts, after])
    all_rows = np.concatenate([columns, rows])
    order = np.argsort(all_ts, kind="stable")
    all_ts, all_rows = all_ts[order], all_rows[order]
    changed = np.ones(len(all_ts), dtype=bool)
    changed[1:] = (all_rows[1:] != all_rows[:-1]).any(axis=1)
    all_rows = all_rows[changed]
    return Quotes(all_ts[changed], all_rows[:, 0], all_rows[:, 1], all_rows[:, 2], all_rows[:, 3])


def _after_trades(book: Book, prints: Prints, print_ts: Ints) -> tuple[Ints, Ints]:
    times: list[Ints] = []
    rows: list[Ints] = []
    for side, sign in ((BID, -1), (ASK, 1)):
        mine = prints.side == sign
        step, lots = prints.step[mine], prints.lots[mine]
        if not len(step):
            continue
        total = np.cumsum(lots)
        begins = np.maximum.accumulate(np.where(np.r_[True, step[1:] != step[:-1]], np.r_[0, total[:-1]], 0))
        eaten = total - begins
        when = print_ts[mine]
        # the last print of an instant shows what is left
        last = np.r_[(when[1:] != when[:-1]), True]
        empty = last & (eaten >= book.lots[side][step, 0])
        at, gone = step[empty], eaten[empty]
        depth = np.cumsum(book.lots[side][at], axis=1)
        level = np.minimum((depth <= gone[:, None]).sum(axis=1), LEVELS - 1)
        pick = np.arange(len(at))
        row = np.empty((len(at), 4), dtype=np.int64)
        other = ASK if side == BID else BID
        row[:, 2 * side] = book.ticks[side][at, level]
        row[:, 2 * side + 1] = np.maximum(depth[pick, level] - gone, 1)
        row[:, 2 * other] = book.ticks[other][at, 0]
        row[:, 2 * other + 1] = book.lots[other][at, 0]
        times.append(when[empty] + _AFTER_TRADE_NS)
        rows.append(row)
    if not times:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.int64)
    return np.concatenate(times), np.concatenate(rows)


def oracle_and_mark(
    latent: Floats,
    mid: Floats,
    rng: np.random.Generator,
    *,
    step_s: float,
    every_s: float,
    premium_bps: float,
) -> tuple[Ints, Ints, Ints, Floats]:
    """
    Return the grid steps, oracle ticks, mark ticks and the premium (fraction) at those steps.

    The oracle is the efficient price of a few seconds less the book's premium; the mark is the smoothed mid.
    """
    every = max(1, round(every_s / step_s))
    at = np.arange(0, len(latent), every)
    knots = int(len(latent) * step_s / _PREMIUM_HOLD_S) + 2
    keep = 0.7
    level = decay(rng.standard_normal(knots), keep, gain=np.sqrt(1 - keep**2))
    premium = np.interp(at * step_s / _PREMIUM_HOLD_S, np.arange(knots), level) * premium_bps * 1e-4
    oracle = _smooth(latent, step_s / _ORACLE_SMOOTH_S)[at] / (1.0 + premium)
    mark = _smooth(mid, step_s / _MARK_SMOOTH_S)[at]
    return at, np.rint(oracle).astype(np.int64), np.rint(mark).astype(np.int64), premium


def _smooth(values: Floats, rate: float) -> Floats:
    keep = float(np.exp(-rate))
    return decay(values, keep, gain=1 - keep, before=float(values[0]))


def funding_hours(start_ns: int, end_ns: int) -> Ints:
    """Return the whole hours in ``[start, end)``."""
    first = -(-start_ns // HOUR_NS) * HOUR_NS
    return np.arange(first, end_ns, HOUR_NS, dtype=np.int64)


def funding_rates(
    hours: Ints, *, default: float, history: tuple[Ints, Floats] | None
) -> tuple[list[Decimal], int]:
    """
    Return the rate of each hour and how many had none in the history and took the default.

    A history row counts for the hour it falls in (the venue stamps them milliseconds late).
    """
    if history is None or not len(history[0]):
        return [_rate(default)] * len(hours), len(hours)
    known = {int(t) // HOUR_NS: float(r) for t, r in zip(*history, strict=True)}
    missing = sum(int(h) // HOUR_NS not in known for h in hours)
    return [_rate(known.get(int(h) // HOUR_NS, default)) for h in hours], missing


def _rate(value: float) -> Decimal:
    # the venue gives ten decimals
    return Decimal(f"{value:.10f}").normalize().quantize(Decimal("1e-10"))


def lead(latent: Floats, *, lag_ms: float, step_s: float, scale: float) -> Floats:
    """Return the efficient price of a market that moves ``lag_ms`` earlier, in its own ticks; the end of a run is held."""
    steps = np.arange(len(latent), dtype=np.float64)
    return np.asarray(np.interp(steps + lag_ms / 1000.0 / step_s, steps, latent) * scale)
