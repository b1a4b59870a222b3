"""
How often an account that trades as a run did would be liquidated: bootstrapped paths of the run through the exact ledger.

Each block of a path replays consecutive minutes of the run: its position, its mid, and what else it earned or paid, times one factor.
With proportional sizing the factor is set anew at each block by the equity then, as the strategy's limits are; with fixed sizing it
stays what it was at the start. Inside a block nothing is resized, so that a loss raises the margin ratio as it really does.

Minutes in which a floating-point path stays clear of liquidation (5 % of maintenance and a lot) are passed over; every block that
comes nearer is walked through the ledger row by row, and the ledger alone says whether it is liquidated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.research.bootstrap import Blocks
from amm500_nautilus.research.bootstrap import draw_blocks
from amm500_nautilus.research.intervals import Share
from amm500_nautilus.research.intervals import clopper_pearson
from amm500_nautilus.simulation.books import LedgerBooks
from amm500_nautilus.simulation.books import LedgerShape
from amm500_nautilus.simulation.tiers import NANO


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Sizing = Literal["proportional", "fixed"]
CUSHION = 0.05


class PathLedger(LedgerBooks):
    """The account's ledger, which can also book what a run earned or paid beside the move of its position."""

    __slots__ = ()

    def book_result(self, amount_nano: int) -> None:
        """Book an amount of 1e-9 collateral units: spread, fees and funding of a minute together."""
        self._cash += amount_nano
        self._watch()


@dataclass(frozen=True, slots=True)
class RunPath:
    """
    A run minute by minute: position in contracts, mid, and equity without transfers, all at the same times.

    Raises
    ------
    ValueError
        If the columns differ in length, hold fewer than 2 rows, a number that is none, or an equity or mid not above 0.

    """

    position: Floats
    mid: Floats
    equity: Floats

    def __post_init__(self) -> None:
        lengths = {len(self.position), len(self.mid), len(self.equity)}
        if len(lengths) != 1 or lengths.pop() < 2:
            raise ValueError("a path needs at least 2 rows, and as many of each column")
        if not all(np.isfinite(column).all() for column in (self.position, self.mid, self.equity)):
            raise ValueError("a path holds a number that is none")
        if (self.mid <= 0).any() or (self.equity <= 0).any():
            raise ValueError(
                "a path's mid and equity must be above 0: a run that was wiped out cannot be scaled"
            )

    @property
    def rows(self) -> int:
        """The number of steps from one row to the next."""
        return len(self.mid) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RuinSettings:
    """
    What is asked of the paths.

    Parameters
    ----------
    run_leverage : float
        The leverage the run was made with.
    shape : LedgerShape
        Tick and lot of the market.
    table : MarginTable
        Its margin table.
    horizon : int
        Rows of a path.
    mean_block : float
        Mean rows of a block.
    paths : int
        How many paths.
    seed : int
        Of the drawing.
    sizing : {"proportional", "fixed"}
        Whether positions follow the equity from block to block.

    """

    run_leverage: float
    shape: LedgerShape
    table: MarginTable
    horizon: int
    mean_block: float
    paths: int
    seed: int
    sizing: Sizing = "proportional"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuinRow:
    """
    What came of the paths at one leverage.

    Parameters
    ----------
    leverage : int
        The leverage.
    liquidated, paths : int
        Paths that were liquidated, and all.
    probability : Share
        Their share with its exact 95 % interval: of the drawing alone, not of how little the run saw.
    walked_blocks : int
        Blocks that came near and went through the ledger row by row.
    worst_equity, p05_equity, median_equity : float
        Final equity over the start's: the lowest, the 5 % quantile and the median; what a liquidation left counts.

    """

    leverage: int
    liquidated: int
    paths: int
    probability: Share
    walked_blocks: int
    worst_equity: float
    p05_equity: float
    median_equity: float


def ruin_table(path: RunPath, leverages: Sequence[int], settings: RuinSettings) -> tuple[RuinRow, ...]:
    """
    Return a row a leverage, each on the same drawn paths.

    Raises
    ------
    ValueError
        If a leverage is not one the market allows.

    """
    for leverage in leverages:
        settings.table.check_leverage(leverage)
    rng = np.random.default_rng(settings.seed)
    blocks = draw_blocks(
        rng, rows=path.rows, mean_length=settings.mean_block, paths=settings.paths, horizon=settings.horizon
    )
    return tuple(_ruin_row(path, blocks, leverage, settings) for leverage in leverages)


def _ruin_row(path: RunPath, blocks: Blocks, leverage: int, settings: RuinSettings) -> RuinRow:
    ratio = leverage / settings.run_leverage
    account = _Accounts(path, blocks, ratio, settings)
    near = np.flatnonzero(account.near)
    ended: dict[int, float] = {}
    walked = 0
    for block in near.tolist():
        number = int(blocks.path[block])
        if number in ended:
            continue
        walked += 1
        left = walk_block(
            path,
            int(blocks.start[block]),
            int(blocks.length[block]),
            equity=float(account.equity[block]),
            factor=float(account.factor[block]),
            leverage=leverage,
            settings=settings,
        )
        if left is not None:
            ended[number] = left
    final = account.final.copy()
    for number, left in ended.items():
        final[number] = left
    shares = final / path.equity[0]
    return RuinRow(
        leverage=leverage,
        liquidated=len(ended),
        paths=settings.paths,
        probability=clopper_pearson(len(ended), settings.paths),
        walked_blocks=walked,
        worst_equity=float(shares.min()),
        p05_equity=float(np.quantile(shares, 0.05)),
        median_equity=float(np.median(shares)),
    )


class _Accounts:
    """Equity and factor at the start of every block, and which blocks come near liquidation, in floating point."""

    def __init__(self, path: RunPath, blocks: Blocks, ratio: float, settings: RuinSettings) -> None:
        start, end = blocks.start, blocks.start + blocks.length
        begins = np.flatnonzero(np.diff(blocks.path, prepend=-1))
        moved = path.equity[end] - path.equity[start]
        if settings.sizing == "proportional":
            steps = 1.0 + ratio * moved / path.equity[start]
            # an account that is gone grows no more; the walk finds the block it went in
            levels = _running(np.log(np.maximum(steps, 1e-12)), begins)
            self.equity = path.equity[0] * np.exp(levels)
            self.factor = ratio * self.equity / path.equity[start]
            after = self.equity * np.maximum(steps, 1e-12)
        else:
            self.factor = np.full(len(start), ratio)
            self.equity = path.equity[0] + _running(ratio * moved, begins)
            after = self.equity + ratio * moved
        last = np.append(begins[1:], len(start)) - 1
        self.final: Floats = after[last]
        self.near = self.equity / self.factor - path.equity[start] + _lowest(path, blocks, settings) <= 0.0


def _running(steps: Floats, begins: Ints) -> Floats:
    """Return sums of the steps before each block, anew for each path."""
    total = np.concatenate(([0.0], np.cumsum(steps)[:-1]))
    counts = np.diff(np.append(begins, len(steps)))
    return np.asarray(total - np.repeat(total[begins], counts))


def _lowest(path: RunPath, blocks: Blocks, settings: RuinSettings) -> Floats:
    """Return over each block the lowest of run equity less what maintenance asks, cushioned, before and after each trade."""
    rate = max(float(rate) for _, rate, _ in settings.table.steps) * (1.0 + CUSHION)
    held = np.maximum(np.abs(path.position[1:]), np.abs(path.position[:-1])) * path.mid[1:]
    lot = float(settings.shape.lot) * path.mid[1:]
    # what the position lost before the rest of the minute's result came in
    marked = path.equity[:-1] + path.position[:-1] * np.diff(path.mid)
    room = np.minimum(path.equity[1:], marked) - rate * held - lot
    at_start = path.equity - rate * np.abs(path.position) * path.mid
    inside = _range_minimum(room, blocks.start, blocks.start + blocks.length)
    return np.minimum(inside, at_start[blocks.start])


def _range_minimum(values: Floats, start: Ints, end: Ints) -> Floats:
    """Return the minimum of ``values[start:end]`` for many ranges at once, by doubling."""
    levels = [values]
    size = 1
    while 2 * size <= len(values):
        before = levels[-1]
        levels.append(np.minimum(before[: len(before) - size], before[size:]))
        size *= 2
    length = end - start
    power = np.frexp(length.astype(np.float64))[1] - 1
    found = np.empty(len(start))
    for level in np.unique(power):
        at = power == level
        row = levels[int(level)]
        found[at] = np.minimum(row[start[at]], row[end[at] - (1 << int(level))])
    return found


def walk_block(
    path: RunPath,
    start: int,
    length: int,
    *,
    equity: float,
    factor: float,
    leverage: int,
    settings: RuinSettings,
) -> float | None:
    """
    Walk an account through consecutive minutes of a run in the exact ledger; return its equity when it is liquidated, else None.

    The position is the run's times ``factor``, in whole lots and traded at the mid, the price the run's own; after each minute the
    equity is the run's change times the factor. It is marked, and judged, before and after the minute's other results are booked.
    """
    shape, tick, lot = settings.shape, float(settings.shape.tick), float(settings.shape.lot)
    ledger = PathLedger(
        shape,
        starting_equity=max(Decimal(round(equity, 6)), Decimal("0.000001")),
        rates=GROWTH_RATES,
        leverage=leverage,
        table=settings.table,
    )
    base = path.equity[start]
    _hold(ledger, path.position[start] * factor, path.mid[start], tick, lot)
    for row in range(start + 1, start + length + 1):
        ledger.mark(max(1, round(2.0 * path.mid[row] / tick)))
        if ledger.is_liquidatable:
            return ledger.equity_nano / NANO
        wanted = equity + factor * (path.equity[row] - base)
        ledger.book_result(round(wanted * NANO) - ledger.equity_nano)
        if ledger.is_liquidatable or ledger.equity_nano <= 0:
            return ledger.equity_nano / NANO
        _hold(ledger, path.position[row] * factor, path.mid[row], tick, lot)
        if ledger.is_liquidatable:
            return ledger.equity_nano / NANO
    return None


def _hold(ledger: PathLedger, contracts: float, mid: float, tick: float, lot: float) -> None:
    """Trade to a position at the mid; fees are in the run's result already."""
    mid2 = max(2, round(2.0 * mid / tick))
    ledger.mark(mid2)
    before = ledger.equity_nano
    wanted = round(contracts / lot) - ledger.position_lots
    if wanted:
        ledger.apply_fill(1 if wanted > 0 else -1, abs(wanted), max(1, mid2 // 2), maker=True)
        # the half tick and the fee of the ledger are no part of it
        ledger.book_result(before - ledger.equity_nano)
