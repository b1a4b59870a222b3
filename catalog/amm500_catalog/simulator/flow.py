"""Takers: who trades, when, how much, and what their orders take out of the book."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from amm500_catalog.numerics import linprog
from amm500_catalog.simulator.book import ASK
from amm500_catalog.simulator.book import BID
from amm500_catalog.simulator.book import LEVELS
from amm500_catalog.simulator.book import Book
from amm500_catalog.simulator.config import SimulatorConfig


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# takers arrive strictly inside a step, on whole milliseconds
_STEP_MARGIN_MS = 10
_SECOND_NS = 1_000_000_000
# of a side's ten levels one step's takers may eat this much
_LARGEST_BITE = 0.9
# how long one side dominates uninformed flow, and how strongly (recorded signs of takers: correlation 0.55 to 0.65)
_SIGN_HOLD_S = 20.0
_SIGN_STRENGTH = 0.6
# what was eaten comes back: the share still missing after each further step
_REFILL_KEEP = 0.6
_REFILL_STEPS = 8
# how little a markout may be missed for more noise: prefers noise only among mixes that reach the targets
_NOISE_WORTH = 1e-4
# takers look before they trade: an order waits for one of so many like moments whose best level holds it
_LOOKS = 8
# how far apart on the ladder those moments are
_LOOK_STEP = 0.002
# the best levels lean when the next seconds' move passes this many deviations, by this much in log size
_OUTLOOK_EDGE = 0.5
_OUTLOOK_LEAN = 0.9
TAKERS = ("noise", "lasting", "passing", "slow")


@dataclass(frozen=True, slots=True)
class Mix:
    """The share of orders by kind of taker, and the markouts (in deviations, 1 s and 5 s) that the mix is expected to give."""

    shares: dict[str, float]
    expected: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ladder:
    """Cells (two a step: sell, buy) and their cumulative chance, within each kind of taker from the worst informed to the best."""

    cells: Ints
    chance: Floats

    def at(self, ranks: Floats) -> Ints:
        """Return the cells at ranks in [0, 1)."""
        found = np.searchsorted(self.chance, ranks * self.chance[-1], side="right")
        return np.asarray(self.cells[np.minimum(found, len(self.cells) - 1)])


@dataclass(frozen=True, slots=True)
class Prints:
    """Trades in time order: grid step, offset in ms, taker's side (+1 bought), price, size, the taker order each belongs to."""

    step: Ints
    offset_ms: Ints
    side: Ints
    ticks: Ints
    lots: Ints
    order: Ints

    @property
    def count(self) -> int:
        """Number of prints."""
        return len(self.step)


def forward_moves(book: Book, ts: Ints) -> tuple[Floats, Floats]:
    """
    Return the mid's moves over the next 1 s and 5 s in ticks, as a trade halfway to the next book sees them.

    The end of a run stands still.
    """
    mid, step = book.mid_half_ticks / 2.0, np.arange(len(ts))
    halfway = ts + np.diff(ts, append=ts[-1]) // 2
    return _move(mid, ts, step, halfway, 1), _move(mid, ts, step, halfway, 5)


def _move(mid: Floats, ts: Ints, step: Ints, when: Ints, horizon_s: int) -> Floats:
    ahead = np.searchsorted(ts, when + horizon_s * _SECOND_NS, side="right") - 1
    return np.asarray(mid[ahead] - mid[step])


def lean_best_levels(book: Book, move_1: Floats, move_5: Floats, *, fewest: int) -> None:
    """
    Make the best level thinner, in place, on the side the price is about to go through, and thicker on the other.

    Makers see it coming too: on the recordings the imbalance of the best levels has a correlation of 0.38 to 0.42 with the
    next second's move. Sizes change only when the outlook does, and their median is kept.
    """
    scale_1, scale_5 = float(move_1.std()), float(move_5.std())
    if min(scale_1, scale_5) < 1e-9:
        return
    outlook = 0.5 * (move_1 / scale_1 + move_5 / scale_5)
    state = np.sign(outlook) * (np.abs(outlook) > _OUTLOOK_EDGE)
    for side, sign in ((BID, 1.0), (ASK, -1.0)):
        factor = np.exp(_OUTLOOK_LEAN * sign * state)
        sizes = book.lots[side][:, 0] * factor
        book.lots[side][:, 0] = np.maximum(np.rint(sizes), fewest).astype(np.int64)


def taker_weights(
    book: Book, activity: Floats, move_1: Floats, move_5: Floats, rng: np.random.Generator, *, step_s: float
) -> dict[str, Floats]:
    """
    Return the arrival weights of each kind of taker at each (step, side).

    Columns are sell and buy. Noise takers know nothing; ``lasting`` know the next second of a move that goes on, ``passing``
    of one that fades, ``slow`` know the next five seconds.
    """
    direction = np.array([-1.0, 1.0])
    one, five = move_1[:, None] * direction, move_5[:, None] * direction
    n = len(move_1)
    hold = _SIGN_HOLD_S / step_s
    fresh = np.maximum.accumulate(np.where(rng.random(n) < 1 / hold, np.arange(n), 0))
    lean = np.where(rng.random(n) < 0.5, -1.0, 1.0)[fresh]
    base = (activity / book.spread)[:, None]
    busy = activity[:, None]
    half = book.spread[:, None] / 2.0
    # who knows the price takes it only when it pays more than the half-spread
    gain_1, gain_5 = np.maximum(one - half, 0.0), np.maximum(five - half, 0.0)
    goes_on = five > one
    weights = {
        "noise": base * (1.0 + _SIGN_STRENGTH * lean[:, None] * direction),
        "lasting": busy * gain_1 * goes_on,
        "passing": busy * gain_1 * ~goes_on,
        "slow": busy * gain_5,
    }
    tail = round(5.0 / step_s)
    for w in weights.values():
        # the last seconds have no future to know
        w[-tail:] = base[-tail:] if w is weights["noise"] else 0.0
    return weights


def solve_mix(
    weights: dict[str, Floats], book: Book, move_1: Floats, move_5: Floats, targets: tuple[float, float]
) -> Mix:
    """
    Return the mix of takers whose mean maker markout is the target at 1 s and 5 s, in deviations of the mid.

    The mean markout of a mix is linear in its shares, so three equations (two markouts, shares sum to one) are solved with
    shares that are not negative. A market that never moves has only noise takers.
    """
    spread = {1: float(move_1.std()), 5: float(move_5.std())}
    if min(spread.values()) < 1e-9:
        return Mix({"noise": 1.0}, (0.0, 0.0))
    half = book.spread[:, None] / 2.0
    direction = np.array([-1.0, 1.0])
    names = [k for k in TAKERS if weights[k].sum() > 0]
    means = np.array(
        [
            [
                float((weights[k] * (half - m[:, None] * direction)).sum() / weights[k].sum() / spread[h])
                for k in names
            ]
            for h, m in ((1, move_1), (5, move_5))
        ]
    )
    shares = _shares(means, np.array(targets), names)
    got = means @ shares
    return Mix(dict(zip(names, (float(s) for s in shares), strict=True)), (float(got[0]), float(got[1])))


def _shares(means: Floats, targets: Floats, names: list[str]) -> Floats:
    """Return non-negative shares that sum to one, nearest to the targets, and among those the most noise."""
    count = len(names)
    # each target's miss is split into above and below; noise breaks ties
    misses = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    equal = np.vstack([np.hstack([means, misses]), np.r_[np.ones(count), np.zeros(4)]])
    cost = np.r_[np.array([-_NOISE_WORTH if k == "noise" else 0.0 for k in names]), np.ones(4)]
    solved = linprog(cost, A_eq=equal, b_eq=np.r_[targets, 1.0], method="highs")
    shares = np.maximum(solved.x[:count], 0.0)
    return np.asarray(shares / shares.sum())


def build_ladder(weights: dict[str, Floats], mix: Mix, move_1: Floats, move_5: Floats) -> Ladder:
    """Return the ladder of a mix; orders spread evenly over it have the mix's mean markouts whatever their number."""
    direction = np.array([-1.0, 1.0])
    known = move_1 / max(float(move_1.std()), 1e-9) + move_5 / max(float(move_5.std()), 1e-9)
    rank = (known[:, None] * direction).reshape(-1)
    cells: list[Ints] = []
    chances: list[Floats] = []
    for kind, share in mix.shares.items():
        if share <= 0:
            continue
        weight = weights[kind].reshape(-1)
        some = np.flatnonzero(weight)
        some = some[np.argsort(rank[some], kind="stable")]
        cells.append(some)
        chances.append(weight[some] * (share / float(weight.sum())))
    return Ladder(np.concatenate(cells), np.cumsum(np.concatenate(chances)))


def draw_prints(
    config: SimulatorConfig,
    book: Book,
    ladder: Ladder,
    rng: np.random.Generator,
    *,
    volume: float,
    touch_lots: float,
    price_ticks_to_notional: float,
    step_ms: int,
) -> Prints:
    """
    Return trades worth ``volume``, each taken out of the book that is displayed when it arrives.

    Parameters
    ----------
    config : SimulatorConfig
        Sizes and the mean number of prints of one order.
    book : Book
        The displayed book; the caller takes the prints out of the steps that follow (``take_out``).
    ladder : Ladder
        Where orders may arrive.
    rng : Generator
        The stream of takers.
    volume : float
        Notional to trade.
    touch_lots : float
        The median size of the best level, in lots.
    price_ticks_to_notional : float
        Collateral units in one lot at one tick.
    step_ms : int
        Milliseconds between grid points.

    """
    price = price_ticks_to_notional * float(np.mean(book.ticks[BID][:, 0]))
    sizes = _draw_sizes(config, rng, total_lots=volume / price, touch_lots=touch_lots)
    first = rng.random(len(sizes)) < 1.0 / config.prints_per_taker
    if len(first):
        first[0] = True
    order = np.cumsum(first) - 1
    orders = int(first.sum())
    # an order's place on the ladder is the middle of its share of the volume, so that big orders do not decide the markouts
    lots_of = np.bincount(order, weights=sizes, minlength=orders)
    shuffled = rng.permutation(orders)
    upto = np.cumsum(lots_of[shuffled])
    cell = np.zeros(orders, dtype=np.int64)
    if orders:
        cell[shuffled] = _look(book, ladder, (upto - 0.5 * lots_of[shuffled]) / upto[-1], lots_of[shuffled])
    offset = rng.integers(_STEP_MARGIN_MS, step_ms - _STEP_MARGIN_MS, size=orders)
    rank = np.lexsort((offset, cell // 2))
    place = np.empty(orders, dtype=np.int64)
    place[rank] = np.arange(orders)
    by_time = np.argsort(place[order], kind="stable")
    order = place[order][by_time]
    cell, offset = cell[rank], offset[rank]
    return _execute(book, cell[order] // 2, offset[order], cell[order] % 2, sizes[by_time], order)


def _look(book: Book, ladder: Ladder, ranks: Floats, lots: Floats) -> Ints:
    """Return a cell near each rank: the first whose best level holds the order, else the one that holds most."""
    best = np.stack([book.lots[BID][:, 0], book.lots[ASK][:, 0]], axis=1).reshape(-1)
    chosen = ladder.at(ranks)
    shown = best[chosen]
    for look in range(1, _LOOKS):
        # to and fro around the rank, so that no kind of moment is preferred
        away = _LOOK_STEP * ((look + 1) // 2) * (1 if look % 2 else -1)
        other = ladder.at(np.mod(ranks + away, 1.0))
        better = (shown < lots) & (best[other] > shown)
        chosen = np.where(better, other, chosen)
        shown = np.where(better, best[other], shown)
    return np.asarray(chosen)


def realized_markouts(
    book: Book, ts: Ints, prints: Prints, print_ts: Ints, scales: tuple[float, float]
) -> tuple[float, float]:
    """Return the size-weighted maker markouts of prints at 1 s and 5 s over ``scales``, the mid's deviations; zeros without prints."""
    if not prints.count or min(scales) < 1e-9:
        return 0.0, 0.0
    mid = book.mid_half_ticks / 2.0
    edge = (prints.ticks - mid[prints.step]) * prints.side
    one, five = (
        float(
            np.average(
                edge - prints.side * _move(mid, ts, prints.step, print_ts, horizon), weights=prints.lots
            )
        )
        / scale
        for horizon, scale in zip((1, 5), scales, strict=True)
    )
    return one, five


def take_out(book: Book, prints: Prints, *, fewest: int) -> None:
    """Take prints out of the steps that follow, in place, as long as their price is displayed; it refills within seconds."""
    steps = len(book.ticks[BID])
    missing = 1.0
    for ahead in range(1, _REFILL_STEPS + 1):
        for side, rows in ((BID, prints.side < 0), (ASK, prints.side > 0)):
            at = prints.step[rows] + ahead
            inside = at < steps
            at, ticks = at[inside], prints.ticks[rows][inside]
            lots = np.rint(prints.lots[rows][inside] * missing).astype(np.int64)
            hit, level = np.nonzero(book.ticks[side][at] == ticks[:, None])
            np.subtract.at(book.lots[side], (at[hit], level), lots[hit])
            touched = (at[hit], level)
            book.lots[side][touched] = np.maximum(book.lots[side][touched], fewest)
        missing *= _REFILL_KEEP


def within_display(book: Book, prints: Prints) -> Prints:
    """Return the prints cut to what the book shows at their price once earlier orders' takings are missing from it."""
    shown = np.zeros(prints.count, dtype=np.int64)
    level = np.zeros(prints.count, dtype=np.int64)
    for side, sign in ((BID, -1), (ASK, 1)):
        mine = np.flatnonzero(prints.side == sign)
        at = prints.step[mine]
        level[mine] = (book.ticks[side][at] == prints.ticks[mine][:, None]).argmax(axis=1)
        shown[mine] = book.lots[side][at, level[mine]]
    # prints of one step, side and level share what is shown, first come first served
    together = np.lexsort((level, prints.side, prints.step))
    key = np.stack([prints.step, prints.side, level])[:, together]
    total = np.cumsum(prints.lots[together])
    first = np.r_[True, (key[:, 1:] != key[:, :-1]).any(axis=0)][: len(together)]
    begins = np.maximum.accumulate(np.where(first, np.r_[0, total[:-1]], 0)) if len(total) else total
    upto = total - begins
    cut = np.minimum(upto, shown[together]) - np.minimum(upto - prints.lots[together], shown[together])
    lots = np.zeros(prints.count, dtype=np.int64)
    lots[together] = cut
    kept = lots > 0
    columns = (prints.step, prints.offset_ms, prints.side, prints.ticks, lots, prints.order)
    return Prints(*(c[kept] for c in columns))


def settle(book: Book, draft: Prints, *, fewest: int) -> Prints:
    """
    Take a draft's prints out of the book, in place, and return them cut to what is left to take.

    What an order finds taken by another is shared out over the prints that are alone in their step and side, as far as the
    display goes, so that the volume is kept.
    """
    take_out(book, draft, fewest=fewest)
    kept = within_display(book, draft)
    missing = int(draft.lots.sum()) - int(kept.lots.sum())
    _, where, count = np.unique(kept.step * 2 + (kept.side > 0), return_inverse=True, return_counts=True)
    alone = count[where] == 1
    free = int(kept.lots[alone].sum())
    if not missing or not free:
        return kept
    extra = np.where(alone, np.rint(kept.lots * (missing / free)), 0).astype(np.int64)
    grown = within_display(book, replace(kept, lots=kept.lots + extra))
    take_out(book, replace(grown, lots=grown.lots - kept.lots), fewest=fewest)
    return within_display(book, grown)


def _draw_sizes(
    config: SimulatorConfig, rng: np.random.Generator, *, total_lots: float, touch_lots: float
) -> Ints:
    """Return print sizes in lots that sum to the total, from the configured quantiles."""
    chances, ratios = np.array(config.trade_size_quantiles).T
    grid = (np.arange(4000) + 0.5) / 4000
    mean = float(np.exp(np.interp(grid, chances, np.log(ratios))).mean()) * touch_lots
    target = round(total_lots)
    if target <= 0:
        return np.zeros(0, dtype=np.int64)
    count = max(1, round(target / mean))
    # one draw from each equal part of the distribution: a day's largest trades do not depend on luck
    chance = (rng.permutation(count) + rng.random(count)) / count
    drawn = np.exp(np.interp(chance, chances, np.log(ratios))) * touch_lots
    sizes = np.maximum(np.rint(drawn), 1).astype(np.int64)
    total = np.cumsum(sizes)
    # what is over comes off the end; what is missing is added to the largest
    sizes = sizes[: int(np.searchsorted(total, target)) + 1].copy()
    sizes[int(np.argmax(sizes))] += max(0, target - int(total[-1]))
    sizes[-1] -= max(0, int(sizes.sum()) - target)
    return np.asarray(sizes[sizes > 0])


def _execute(book: Book, step: Ints, offset: Ints, side: Ints, lots: Ints, order: Ints) -> Prints:
    """Walk each order through what earlier orders of the same step and side have left."""
    parts: list[tuple[Ints, ...]] = []
    for book_side, rows in ((BID, side == 0), (ASK, side == 1)):
        at, size = step[rows], lots[rows]
        if not len(at):
            continue
        depth = np.cumsum(book.lots[book_side][at], axis=1)
        total = np.cumsum(size)
        begins = np.maximum.accumulate(np.where(np.r_[True, at[1:] != at[:-1]], np.r_[0, total[:-1]], 0))
        cap = np.floor(_LARGEST_BITE * depth[:, -1]).astype(np.int64)
        upto = np.minimum(total - begins, cap)
        since = np.minimum(total - begins - size, cap)
        for level in range(LEVELS):
            under = depth[:, level - 1] if level else np.zeros(len(at), dtype=np.int64)
            taken = np.minimum(upto, depth[:, level]) - np.maximum(since, under)
            got = taken > 0
            taker = np.full(int(got.sum()), 1 if book_side == ASK else -1, dtype=np.int64)
            index = np.flatnonzero(rows)[got]
            ticks = book.ticks[book_side][at[got], level]
            parts.append((at[got], offset[rows][got], taker, ticks, taken[got], order[rows][got], index))
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Prints(empty, empty, empty, empty, empty, empty)
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
    away = columns[3] * columns[2]
    in_time = np.lexsort((away, columns[6], columns[1], columns[0]))
    return Prints(*(c[in_time] for c in columns[:6]))
