"""The figures of a run, each as product.md section 13 defines it; pure functions of arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amm500_nautilus.report.files import Floats
from amm500_nautilus.report.files import Ints


NS_PER_SECOND = 1_000_000_000
BLOCK_SECONDS = 3_600
MIN_BLOCKS = 100
BPS = 1e4
ADVERSE_HORIZON_S = 5
# equity returns below this are rounding, and their Sharpe is no number
FLAT_DEVIATION = 1e-15


@dataclass(frozen=True, slots=True)
class FillArrays:
    """Fills in the ledger's order; ``mid_5s`` is NaN where the data ended first."""

    side: Floats
    qty: Floats
    price: Floats
    mid: Floats
    mid_5s: Floats
    fee: Floats
    position_after: Floats


@dataclass(frozen=True, slots=True)
class PathArrays:
    """The equity path, a row a minute; ``fills`` counts the fills before each row, which orders the two exactly."""

    ts_ns: Ints
    fills: Ints
    equity: Floats
    position: Floats
    mid: Floats
    funding: Floats
    liquidation: Floats
    transfers: Floats
    # what bought actions have cost; 0 in a path of before there were any
    weight_cost: Floats | float = 0.0


@dataclass(frozen=True, slots=True)
class PnlPath:
    """Cumulative PnL parts at each row of the equity path, in collateral units; costs are negative."""

    spread_capture: Floats
    adverse_selection: Floats
    inventory: Floats
    fees: Floats
    funding: Floats
    liquidation: Floats
    total: Floats


def mark_pnl(fills: FillArrays, path: PathArrays) -> Floats:
    """
    Return position times mid change, accumulated along the mid path, at each row of the path.

    The path's points are the fills and the minute rows, in the order they happened; between two points the position is
    constant, so that the sum over a finer path would be the same. Rows without a mid (before the first book) are no points.
    """
    known = np.isfinite(path.mid)
    rows = np.flatnonzero(known)
    # a fill k (from 0) comes before every row that counts k + 1 fills, and after every row that counts k
    keys = np.concatenate([2 * np.arange(len(fills.qty)) + 1, 2 * path.fills[rows]])
    order = np.argsort(keys, kind="stable")
    mids = np.concatenate([fills.mid, path.mid[rows]])[order]
    positions = np.concatenate([fills.position_after, path.position[rows]])[order]
    running = np.concatenate([[0.0], np.cumsum(positions[:-1] * np.diff(mids))]) if len(mids) else mids
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    marks = np.zeros(len(path.mid))
    marks[rows] = running[place[len(fills.qty) :]]
    return _fill_forward(marks, known)


def _fill_forward(values: Floats, known: np.ndarray) -> Floats:
    """Repeat the last known value; 0 before the first."""
    if known.all():
        return values
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    filled: Floats = np.where(last >= 0, values[np.maximum(last, 0)], 0.0)
    return filled


def pnl_path(fills: FillArrays, path: PathArrays) -> PnlPath:
    """
    Return the PnL parts along the path; their last values are the run's.

    ``total`` comes from the ledger's equity alone and no part is taken as total less the rest, so that the sum of the parts
    agreeing with ``total`` is a check. A fill whose mid five seconds later lies beyond the data uses the last mid inside it: its
    adverse selection is what it lost until then, and the sum holds, since what adverse selection gains inventory gives.
    """
    last_mids = path.mid[np.isfinite(path.mid)]
    last_mid = float(last_mids[-1]) if len(last_mids) else math.nan
    later = np.where(np.isfinite(fills.mid_5s), fills.mid_5s, last_mid)
    signed = fills.side * fills.qty
    adverse = _at_rows(signed * (later - fills.mid), path.fills)
    return PnlPath(
        spread_capture=_at_rows(signed * (fills.mid - fills.price), path.fills),
        adverse_selection=adverse,
        inventory=mark_pnl(fills, path) - adverse,
        fees=_at_rows(-fills.fee, path.fills) - path.weight_cost,
        funding=path.funding - path.funding[0],
        liquidation=path.liquidation[0] - path.liquidation,
        total=path.equity - path.equity[0] - (path.transfers - path.transfers[0]),
    )


def _at_rows(values: Floats, counts: Ints) -> Floats:
    """Cumulative sums of per-fill values as of rows that count ``counts`` fills."""
    sums: Floats = np.concatenate([[0.0], np.cumsum(values)])
    return sums[np.minimum(counts, len(values))]


def markout_bps(
    side: Floats, qty: Floats, price: Floats, mid_later: Floats, complete: np.ndarray
) -> float | None:
    """
    Return the size-weighted markout in bp: ``side * (mid later - price) / price``; positive is good for the maker.

    Only fills marked ``complete`` (60 s of data after them) count; None when there are none.
    """
    use = complete & np.isfinite(mid_later)
    weight = qty[use]
    if weight.sum() <= 0:
        return None
    gains = side[use] * (mid_later[use] - price[use]) / price[use] * BPS
    return float((gains * weight).sum() / weight.sum())


def block_ends(sessions: Sequence[tuple[int, int]]) -> Ints:
    """
    Return the ends of consecutive 60-minute blocks from each session's open, the remainder merged into the last.

    A session of 390 minutes has ends at 60, 120, 180, 240, 300 and 390 minutes; one shorter than an hour is one block.
    """
    ends: list[int] = []
    for begin, end in sessions:
        count = max(1, (end - begin) // (BLOCK_SECONDS * NS_PER_SECOND))
        ends += [begin + k * BLOCK_SECONDS * NS_PER_SECOND for k in range(1, count)]
        ends.append(end)
    return np.array(ends, dtype=np.int64)


def block_returns(ts_ns: Ints, equity: Floats, sessions: Sequence[tuple[int, int]]) -> Floats:
    """
    Return the mark-to-market equity returns of the blocks.

    Each block's equity is the last at or before its end, and its return is taken from the block before: what happens over a gap
    belongs to the next block. Blocks that end before the first row are left out.
    """
    ends = block_ends(sessions)
    ends = ends[ends > ts_ns[0]]
    values = equity[np.searchsorted(ts_ns, ends, side="right") - 1]
    levels = np.concatenate([[equity[0]], values])
    returns: Floats = np.diff(levels) / levels[:-1]
    return returns


def blocks_per_year(day_seconds: float, sessions_per_year: float) -> float:
    """Return blocks a session times sessions a year: 24 x 365 = 8,760 for a market that never closes, 6 x 252 in cash hours."""
    return max(1, int(day_seconds // BLOCK_SECONDS)) * sessions_per_year


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """Sharpe, Sortino and annual return, or None each with the reason."""

    blocks: int
    sharpe: float | None
    sortino: float | None
    annual_roi: float | None
    reason: str = ""


def block_figures(returns: Floats, total_return: float, per_year: float) -> BlockFigures:
    """
    Return the annualized figures of block returns.

    Sharpe is mean over sample deviation, Sortino mean over the root of the mean squared loss, both times the root of blocks a
    year; ``annual_roi`` is the whole return scaled by time, not compounded.
    """
    count = len(returns)
    if count < MIN_BLOCKS:
        why = f"60-minute blocks: {count}, and {MIN_BLOCKS} are the fewest that say anything"
        return BlockFigures(count, None, None, None, why)
    if not np.isfinite(returns).all() or bool((returns <= -1).any()):
        return BlockFigures(count, None, None, None, "equity reached zero, after which returns mean nothing")
    scale = math.sqrt(per_year)
    mean = float(returns.mean())
    deviation = float(returns.std(ddof=1))
    loss = math.sqrt(float(np.square(np.minimum(returns, 0.0)).mean()))
    roi = total_return * per_year / count
    if deviation <= FLAT_DEVIATION:
        return BlockFigures(count, None, None, roi, "equity never moved")
    sortino = mean / loss * scale if loss > FLAT_DEVIATION else None
    return BlockFigures(
        count, mean / deviation * scale, sortino, roi, "" if sortino is not None else "no block lost"
    )


def without_transfers(equity: Floats, transfers: Floats) -> Floats:
    """
    Return the equity path that the starting equity alone would have left: the time-weighted path; the same one without transfers.

    What a step gains or loses counts against the equity that was there for it, a deposit of that step included, so that 60 lost of
    1,000 and 9,000 deposited since are 0.6 % and not 6 %. A withdrawal counts from the next step on. A transfer that equity shows
    a point before or after it was told of counts where equity shows it.

    Parameters
    ----------
    equity : ndarray
        Mark-to-market equity, transfers included.
    transfers : ndarray
        Deposits less withdrawals by each point, since any time.

    """
    told = np.nan_to_num(np.diff(transfers))
    if not told.any():
        return equity
    moved = _as_shown(np.diff(equity), told)
    base = equity[:-1] + np.maximum(moved, 0.0)
    gained = np.diff(equity) - moved
    growth = 1.0 + np.divide(gained, base, out=np.zeros_like(base), where=base > 0)
    # what is lost is lost: nothing grows out of an equity that has reached zero
    path: Floats = equity[0] * np.cumprod(np.concatenate([[1.0], np.maximum(growth, 0.0)]))
    return path


def _as_shown(changes: Floats, told: Floats) -> Floats:
    """Return each transfer at that step, of its own and the two beside it, whose change of equity is nearest to it."""
    shown = np.zeros_like(told)
    for at in np.flatnonzero(told):
        own_first = [step for step in (at, at - 1, at + 1) if 0 <= step < len(told)]
        best = min(own_first, key=lambda step: abs(changes[step] - shown[step] - told[at]))
        shown[best] += told[at]
    return shown


def mean_capital(equity: Floats, transfers: Floats) -> float:
    """Return the starting equity and, on average over the path's points, what was deposited less withdrawn since."""
    return float(equity[0]) + float(np.nan_to_num(transfers - transfers[0]).mean())


def max_drawdown(equity: Floats) -> float:
    """Return the largest fall from an earlier peak as a fraction of the peak; 0 for a path that never falls."""
    peaks = np.maximum.accumulate(equity)
    return float(((peaks - equity) / peaks).max()) if len(equity) else 0.0


def closes_of(ts_ns: Ints, side: Floats, net: Floats) -> Floats:
    """
    Return what each close earned, in order of time.

    ``net`` is each fill's closing PnL net of fees, NaN for a fill that only opens. Closes of one side within a second of the first
    of them count as one.
    """
    found: list[tuple[int, float]] = []
    for wanted in (1.0, -1.0):
        start_ns: int | None = None
        total = 0.0
        for index in np.flatnonzero(np.isfinite(net) & (side == wanted)):
            if start_ns is not None and ts_ns[index] - start_ns <= NS_PER_SECOND:
                total += net[index]
                continue
            if start_ns is not None:
                found.append((start_ns, total))
            start_ns, total = int(ts_ns[index]), float(net[index])
        if start_ns is not None:
            found.append((start_ns, total))
    found.sort(key=lambda close: close[0])
    return np.array([total for _, total in found])


def win_rate(closes: Floats) -> float | None:
    """Return the share of closes that earned more than nothing; None without any."""
    return float((closes > 0).mean()) if len(closes) else None


def losing_runs(closes: Floats) -> tuple[int, ...]:
    """Return how many unbroken runs of exactly 1, 2, ... losing closes there are, up to the longest."""
    lengths: list[int] = []
    run = 0
    for loses in [*(closes < 0).tolist(), False]:
        if loses:
            run += 1
        elif run:
            lengths.append(run)
            run = 0
    return tuple(np.bincount(lengths)[1:].tolist()) if lengths else ()


def ratio(part: float, whole: float) -> float | None:
    """Return ``part / whole``; None when there is no whole."""
    return part / whole if whole > 0 else None
