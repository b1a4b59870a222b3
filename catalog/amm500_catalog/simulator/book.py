"""The book around the efficient price: touch, spread, ten levels and their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from amm500_catalog.numerics import decay
from amm500_catalog.numerics import ndtr
from amm500_catalog.simulator.config import SimulatorConfig


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVELS = 10
BID, ASK = 0, 1
# a quote under the venue's $10 minimum does not rest
LEAST_NOTIONAL = 10.0
# the spread moves on two clocks: order churn and the state of the market (fitted to the persistence of km's spread)
_FAST_SPREAD_HOLD_S = 3.0
_SLOW_SPREAD_HOLD_S = 45.0
_FAST_SHARE = 0.55
# how much a burst of trading widens the spread, as a correlation of the slow clock with activity
_ACTIVITY_LINK = 0.4
# empty prices inside the ten levels, as recorded on BTC, ETH and SOL: mean distance 1.2, 1.1, 1.07, 1.03 ticks, then 1
_GAP_CHANCES = (0.22, 0.12, 0.08, 0.03, 0.02, 0.02, 0.01, 0.01, 0.01)
_DEPTH_HOLD_S = 15.0
_TABLE_BITS = 18
# grid points that are worked on at a time
_PIECE_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Book:
    """Ten levels a side at each grid point, integer ticks and lots, best first; index 0 is the bid side, 1 the ask side."""

    ticks: tuple[Ints, Ints]
    lots: tuple[Ints, Ints]

    @property
    def spread(self) -> Ints:
        """Ticks between the best bid and the best ask, at least one."""
        return np.asarray(self.ticks[ASK][:, 0] - self.ticks[BID][:, 0])

    @property
    def mid_half_ticks(self) -> Ints:
        """The mid in half ticks."""
        return np.asarray(self.ticks[ASK][:, 0] + self.ticks[BID][:, 0])


def spread_path(
    config: SimulatorConfig, activity: Floats, rng: np.random.Generator, *, step_s: float
) -> Ints:
    """Return the spread in ticks at each grid point: the configured shares of time, held for seconds."""
    n = len(activity)
    fast = _held_normal(n, rng, hold=_FAST_SPREAD_HOLD_S / step_s)
    slow = _held_normal(n, rng, hold=_SLOW_SPREAD_HOLD_S / step_s)
    burst = np.log(activity)
    burst = (burst - burst.mean()) / max(float(burst.std()), 1e-9)
    slow = _ACTIVITY_LINK * burst + np.sqrt(1 - _ACTIVITY_LINK**2) * slow
    rank = ndtr(np.sqrt(_FAST_SHARE) * fast + np.sqrt(1 - _FAST_SHARE) * slow)
    edges = np.cumsum(config.spread_shares)[:-1]
    return np.asarray(1 + np.searchsorted(edges, rank, side="right"), dtype=np.int64)


def touch_path(latent: Floats, spread: Ints, *, slack_ticks: float) -> Ints:
    """
    Return the best bid in ticks: it stays until the middle is more than the slack away from the efficient price.

    Each step is a clamp of the last bid to an interval, and clamps compose into clamps, so the recursion is a prefix scan.
    """
    center = latent - 0.5 * spread
    low = np.ceil(center - slack_ticks).astype(np.int64)
    high = np.floor(center + slack_ticks).astype(np.int64)
    low[0] = high[0] = int(np.clip(round(float(center[0])), low[0], high[0]))
    shift = 1
    while shift < len(low):
        earlier_low = np.clip(low[:-shift], low[shift:], high[shift:])
        earlier_high = np.clip(high[:-shift], low[shift:], high[shift:])
        low[shift:], high[shift:] = earlier_low, earlier_high
        shift *= 2
    return low


def build_book(
    config: SimulatorConfig,
    bid: Ints,
    spread: Ints,
    rng: np.random.Generator,
    *,
    step_s: float,
    lot_notional: float,
    liquidity: float = 1.0,
) -> Book:
    """
    Return the ten levels a side behind a touch.

    A size belongs to a price: it is redrawn every ``size_hold_s`` seconds on average and moves up the book as the touch
    comes nearer.

    Parameters
    ----------
    config : SimulatorConfig
        Depths, level weights and deviations.
    bid, spread : ndarray
        The touch in ticks at each grid point.
    rng : Generator
        The stream of sizes.
    step_s : float
        Seconds between grid points.
    lot_notional : float
        Collateral units in one lot.
    liquidity : float, default 1
        A factor on every size.

    """
    normals = rng.standard_normal(1 << _TABLE_BITS).astype(np.float32)
    salt = int(rng.integers(1, 1 << 30))
    fewest = max(1, int(np.ceil(LEAST_NOTIONAL / lot_notional)))
    ticks: list[Ints] = []
    lots: list[Ints] = []
    for side, touch, depth in ((BID, bid, config.bid_depth), (ASK, bid + spread, config.ask_depth)):
        prices = _level_prices(touch, side, normals, salt)
        common = depth * liquidity * depth_scale(config) / lot_notional
        level = np.exp(config.depth_deviation * _slow_normal(len(bid), rng, step_s=step_s))
        scale = (common * level)[:, None]
        shown = np.empty(prices.shape, dtype=np.int64)
        # in pieces: the arrays between hash and size are many times a book's
        for first in range(0, len(prices), _PIECE_ROWS):
            part = slice(first, first + _PIECE_ROWS)
            sizes = _level_sizes(config, prices[part], first, normals, salt + side, step_s=step_s)
            shown[part] = np.maximum(np.rint(sizes * scale[part]), fewest)
        ticks.append(prices)
        lots.append(shown)
    return Book((ticks[BID], ticks[ASK]), (lots[BID], lots[ASK]))


@lru_cache(maxsize=16)
def _scale(weights: tuple[float, ...], deviations: tuple[float, ...], depth_deviation: float) -> float:
    rng = np.random.default_rng(1)
    draws = np.exp(np.asarray(deviations) * rng.standard_normal((40_000, LEVELS))) @ np.asarray(weights)
    return 1.0 / float(np.median(draws * np.exp(depth_deviation * rng.standard_normal(40_000))))


def depth_scale(config: SimulatorConfig) -> float:
    """Return the factor that makes the median of ten weighted lognormal levels one."""
    return _scale(config.level_weights, config.level_deviations, config.depth_deviation)


def _held_normal(n: int, rng: np.random.Generator, *, hold: float) -> Floats:
    """Return standard normals, each held for a geometric number of steps."""
    fresh = rng.random(n) < 1.0 / max(hold, 1.0)
    draws = rng.standard_normal(n)
    last = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    return np.asarray(draws[last])


def _slow_normal(n: int, rng: np.random.Generator, *, step_s: float) -> Floats:
    every = max(1, round(_DEPTH_HOLD_S / step_s))
    knots = n // every + 2
    keep = 0.8
    warm = decay(rng.standard_normal(knots + 20), keep, gain=np.sqrt(1 - keep**2))[20:]
    return np.repeat(warm, every)[:n]


def _hash(prices: Ints, extra: Ints | int) -> Ints:
    mixed = prices * 73_856_093 ^ extra * 19_349_663
    mixed ^= mixed >> 13
    mixed *= 83_492_791
    mixed ^= mixed >> 17
    return np.asarray(mixed & ((1 << _TABLE_BITS) - 1))


def _level_prices(touch: Ints, side: int, normals: npt.NDArray[np.float32], salt: int) -> Ints:
    rank = np.arange(1, LEVELS)
    prices = np.empty((len(touch), LEVELS), dtype=np.int64)
    for first in range(0, len(touch), _PIECE_ROWS):
        near = touch[first : first + _PIECE_ROWS, None]
        draw = normals[_hash(near * 16 + rank, salt * 2 + side + 7)]
        # a normal above this point has the configured chance
        empty = (1.0 - ndtr(draw)) < np.asarray(_GAP_CHANCES)
        steps = np.ones((len(near), LEVELS), dtype=np.int64)
        steps[:, 0] = 0
        steps[:, 1:] += empty
        away = np.cumsum(steps, axis=1)
        prices[first : first + _PIECE_ROWS] = near - away if side == BID else near + away
    return prices


def _level_sizes(
    config: SimulatorConfig,
    prices: Ints,
    first: int,
    normals: npt.NDArray[np.float32],
    salt: int,
    *,
    step_s: float,
) -> Floats:
    """Return the sizes at these prices, relative to the book's; ``first`` is the grid point of the first row."""
    hold = max(2, round(2 * config.size_hold_s / step_s))
    # each price changes on its own beat, with its own phase
    phase = _hash(prices, salt) % hold
    epoch = (np.arange(first, first + len(prices))[:, None] + phase) // hold
    draw = normals[_hash(prices, epoch + (salt << 8))]
    weights = np.asarray(config.level_weights, dtype=np.float32)
    deviations = np.asarray(config.level_deviations, dtype=np.float32)
    return np.asarray(weights * np.exp(deviations * draw), dtype=np.float64)
