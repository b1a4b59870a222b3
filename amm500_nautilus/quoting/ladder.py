"""The ladder: how many levels, how large, how far from fair value."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from math import floor

from amm500_nautilus.quoting.config import LadderConfig


def level_weights(levels: int, config: LadderConfig) -> tuple[float, ...]:
    """
    Return each level's share of one side, nearest first, summing to 1.

    With ``bucket_weights`` the levels fall into thirds (the nearer thirds take a remainder) whose shares are exact; inside
    a third sizes fall by ``bucket_decay``. Thirds without a level give their share to the others in proportion.
    """
    if not config.bucket_weights:
        raw = [config.size_decay**i for i in range(levels)]
    else:
        raw = []
        size, extra = divmod(levels, 3)
        for third, share in enumerate(config.bucket_weights):
            count = size + (1 if third < extra else 0)
            inside = [config.bucket_decay**i for i in range(count)]
            total = sum(inside)
            raw.extend(share * part / total for part in inside)
    total = sum(raw)
    return tuple(part / total for part in raw)


@dataclass(frozen=True, slots=True)
class LadderShape:
    """Which levels are quoted after merging, and the lots of each."""

    steps: int
    indices: tuple[int, ...]
    lots: tuple[int, ...]


@lru_cache(maxsize=256)
def shape_of(weights: tuple[float, ...], total_lots: int, min_lots: int) -> LadderShape:
    """
    Spread ``total_lots`` over the levels; one under ``min_lots`` is merged into its outer neighbour.

    The last remainder goes to the last level quoted, so that the total is kept exactly. Empty when the total is under
    ``min_lots``.
    """
    least = max(1, min_lots)
    if total_lots < least:
        return LadderShape(len(weights), (), ())
    indices: list[int] = []
    lots: list[int] = []
    share = 0.0
    placed = 0
    for index, weight in enumerate(weights):
        share += weight
        reached = total_lots if index == len(weights) - 1 else floor(total_lots * share + 0.5)
        size = reached - placed
        if size >= least:
            indices.append(index)
            lots.append(size)
            placed = reached
    if placed < total_lots:
        lots[-1] += total_lots - placed
    return LadderShape(len(weights), tuple(indices), tuple(lots))


@lru_cache(maxsize=256)
def geometric_bps(min_bps: float, max_bps: float, steps: int, indices: tuple[int, ...]) -> tuple[float, ...]:
    """Return ``min * (max / min) ** (i / (steps - 1))`` for each index; ``min`` for a ladder of one step."""
    if steps <= 1:
        return (min_bps,) * len(indices)
    ratio = (max_bps / min_bps) ** (1.0 / (steps - 1))
    return tuple([min_bps * ratio**i for i in indices])


def side_ticks(
    side: int, fair_ticks: float, distances: Sequence[float], *, limit_ticks: int, unit: float = 1.0
) -> list[int]:
    """
    Return one side's prices, best first, from distances (each times ``unit`` ticks) to fair value.

    Prices round away from fair value, never repeat, and never go past ``limit_ticks`` (the last price that does not
    cross). A bid that would come out under one tick ends the ladder.
    """
    if side > 0:
        out = [floor(fair_ticks - distance * unit) for distance in distances]
        sound = bool(out) and out[0] <= limit_ticks and out[-1] >= 1
    else:
        out = [ceil(fair_ticks + distance * unit) for distance in distances]
        sound = bool(out) and out[0] >= limit_ticks
    # distances grow, so distinct prices are in order: the usual case needs no second look
    if sound and len(set(out)) == len(out):
        return out
    return _spaced(side, out, limit_ticks)


def _spaced(side: int, prices: Sequence[int], limit_ticks: int) -> list[int]:
    """Push prices outwards until none crosses or repeats; a bid under one tick ends the ladder."""
    out: list[int] = []
    free = limit_ticks
    for price in prices:
        if (price - free) * side > 0:
            price = free
        if price < 1:
            break
        out.append(price)
        free = price - side
    return out
