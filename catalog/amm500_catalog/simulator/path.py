"""The latent efficient price: through each bar's open, high, low and close, with momentum between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from amm500_catalog.numerics import decay


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# an anchor needs room on both sides: open, high, low, close and a step between them
FEWEST_STEPS = 6
# the time spent on a leg grows with its length; this share of a bar's variance is time spent anyway
_IDLE_SHARE = 0.05
# trading comes in bursts: hold time and deviation of the log of activity
_ACTIVITY_HOLD_S = 20.0
_ACTIVITY_DEVIATION = 0.45
_LONGEST_TREND_S = 12.0
# with little movement a touch that jumps whole ticks hides momentum, so episodes are made longer below this variance a second
_TICK_VARIANCE = 1.0

# bars up to this length may hold too few trades for their range to tell their variance
_SPARSE_S = 300.0
# long bars leave their inside open: its noise is scaled until a minute's change has the variance the bars' ranges tell
_MATCH_S = 60.0
_MATCH_ROUNDS = 5
_LONGEST_PULL_S = 400.0
_SHORTEST_PULL_S = 10.0
_LARGEST_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class RunBars:
    """Bars of one unbroken run, prices in ticks, ``steps`` grid steps each."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    steps: Ints

    @property
    def count(self) -> int:
        """Grid points of the run."""
        return int(self.steps.sum())


@dataclass(frozen=True, slots=True)
class LatentPath:
    """The efficient price in ticks and the activity (mean square near 1) at each grid point."""

    ticks: Floats
    activity: Floats


def step_variance(bars: RunBars, *, step_s: float, neighbors: int = 5) -> Floats:
    """
    Return each bar's variance a step, in ticks squared, half its own and half its neighborhood's.

    It is Garman and Klass's estimate with a part of the squared change, half of it up to five-minute bars and less in longer
    ones: ranges of few trades read low, and the changes of few bars are noisy.
    """
    span = (bars.high - bars.low) ** 2
    change = (bars.close - bars.open) ** 2
    by_range = np.maximum(0.5 * span - (2 * np.log(2.0) - 1.0) * change, 0.0)
    part = 0.5 * np.minimum(1.0, _SPARSE_S / (bars.steps * step_s))
    own = ((1.0 - part) * by_range + part * change) / bars.steps
    width = min(neighbors, len(own))
    kernel = np.ones(width)
    around = np.convolve(own, kernel, mode="same") / np.convolve(np.ones_like(own), kernel, mode="same")
    # a bar without any range keeps a little, so that nothing is divided by zero; the fold holds the price
    return np.asarray(np.maximum(0.5 * own + 0.5 * around, 1e-6), dtype=np.float64)


def latent_path(
    bars: RunBars,
    rng: np.random.Generator,
    *,
    step_s: float,
    trend_s: float,
    trend_share: float,
    roughness: float,
) -> LatentPath:
    """
    Return a path that opens, tops, bottoms and closes with each bar and trends over ``trend_s`` seconds.

    Parameters
    ----------
    bars : RunBars
        The bars; the close is the last grid point of a bar, the next open the first of the next.
    rng : Generator
        The run's random stream.
    step_s : float
        Seconds between grid points.
    trend_s : float
        Time constant of momentum in seconds, lengthened when the price hardly moves a tick.
    trend_share : float
        Share of the long-run variance that moves with momentum.
    roughness : float
        Factor on the deviation between anchors.

    """
    variance = step_variance(bars, step_s=step_s)
    per_second = float(np.median(variance)) / step_s
    trend = float(
        np.clip(trend_s * np.sqrt(_TICK_VARIANCE / max(per_second, 1e-9)), trend_s, _LONGEST_TREND_S)
    )
    n = bars.count
    activity = _activity(n, rng, step_s=step_s)
    noise = _momentum(n, rng, step_s=step_s, trend_s=trend, share=trend_share) * activity
    moves = noise * np.repeat(np.sqrt(variance), bars.steps)
    at, values = _anchors(bars, variance, rng)
    join = partial(_join, bars, moves * roughness, np.cumsum(activity**2), at, values)
    minute = round(_MATCH_S / step_s)
    if n < 4 * minute or float(np.median(bars.steps)) <= minute:
        # bars of a minute or less leave nothing to match
        return LatentPath(join(1.0, 1.0), activity)
    wanted = minute * float(np.average(variance, weights=bars.steps)) * roughness**2
    return LatentPath(_matched(join, minute, wanted, step_s=step_s), activity)


def _matched(join: Callable[[float, float], Floats], steps: int, wanted: float, *, step_s: float) -> Floats:
    """
    Return the path whose mean squared change over so many steps is nearest to the wanted one.

    Legs from extreme to extreme are steeper than a walk, so a minute's change comes out too large: then the noise is pulled
    back to the leg, over the longest time that is short enough, which leaves changes over seconds as they are. Where it comes
    out too small, in very long bars, the noise is scaled up.
    """
    path = join(1.0, 1.0)
    if _mean_square(path, steps) > wanted:
        slow, fast = np.log(_LONGEST_PULL_S), np.log(_SHORTEST_PULL_S)
        for _ in range(_MATCH_ROUNDS):
            middle = 0.5 * (slow + fast)
            path = join(1.0, float(np.exp(-step_s / np.exp(middle))))
            if _mean_square(path, steps) > wanted:
                slow = middle
            else:
                fast = middle
        return path
    factor = 1.0
    for _ in range(_MATCH_ROUNDS):
        factor = min(factor * float(np.sqrt(wanted / max(_mean_square(path, steps), 1e-12))), _LARGEST_FACTOR)
        path = join(factor, 1.0)
    return path


def _mean_square(path: Floats, steps: int) -> float:
    return float(np.mean((path[steps:] - path[:-steps]) ** 2))


def _join(
    bars: RunBars, moves: Floats, clock: Floats, at: Ints, values: Floats, factor: float, keep: float
) -> Floats:
    """Return the path through the anchors with the noise between them, each step keeping so much of it, folded into the range."""
    walk = decay(moves, keep, gain=factor)
    leg = np.minimum(np.searchsorted(at, np.arange(len(moves)), side="right") - 1, len(at) - 2)
    left, right = at[leg], at[leg + 1]
    share = (clock - clock[left]) / np.maximum(clock[right] - clock[left], 1e-12)
    drift = (walk[right] - walk[left]) - (values[leg + 1] - values[leg])
    free = values[leg] + (walk - walk[left]) - share * drift
    return _fold(free, np.repeat(bars.low, bars.steps), np.repeat(bars.high, bars.steps))


def _activity(n: int, rng: np.random.Generator, *, step_s: float) -> Floats:
    knots = int(n * step_s / _ACTIVITY_HOLD_S) + 3
    log_level = _ACTIVITY_DEVIATION * decay(rng.standard_normal(knots), 0.8, gain=np.sqrt(1 - 0.8**2))
    at = np.arange(n) * (step_s / _ACTIVITY_HOLD_S)
    smooth = np.interp(at, np.arange(knots), log_level)
    # a lognormal's mean square is exp(2 s^2); interpolation between knots lowers it a little, which the fold hides
    return np.asarray(np.exp(smooth - _ACTIVITY_DEVIATION**2), dtype=np.float64)


def _momentum(n: int, rng: np.random.Generator, *, step_s: float, trend_s: float, share: float) -> Floats:
    """Return steps of unit long-run variance: a share follows a decaying velocity, the rest is white."""
    keep = np.exp(-step_s / trend_s)
    velocity = decay(rng.standard_normal(n), float(keep), gain=np.sqrt(1 - keep**2))
    # the sum of an AR(1) grows with (1 + k) / (1 - k) of its own variance
    scale = np.sqrt((1 - keep) / (1 + keep))
    white = rng.standard_normal(n)
    return np.asarray(np.sqrt(share) * scale * velocity + np.sqrt(1 - share) * white, dtype=np.float64)


def _anchors(bars: RunBars, variance: Floats, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Return the grid points and prices of open, first extreme, second extreme and close of every bar."""
    span = bars.high - bars.low
    low_first = (bars.open - bars.low) + span + (bars.high - bars.close)
    high_first = (bars.high - bars.open) + span + (bars.close - bars.low)
    # reflection: a path through both extremes is as likely as one straight of that length
    odds = (high_first**2 - low_first**2) / (2.0 * np.maximum(variance * bars.steps, 1e-9))
    is_low_first = rng.random(len(span)) < 1.0 / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0)))
    first = np.where(is_low_first, bars.low, bars.high)
    second = np.where(is_low_first, bars.high, bars.low)
    lengths = np.stack([np.abs(first - bars.open), span, np.abs(second - bars.close)], axis=1)
    weight = (lengths**2 + _IDLE_SHARE * (variance * bars.steps)[:, None]) * np.exp(
        0.5 * rng.standard_normal(lengths.shape)
    )
    fraction = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    start = np.cumsum(bars.steps) - bars.steps
    room = bars.steps - 4
    one = start + 1 + np.floor(fraction[:, 0] * room).astype(np.int64)
    two = np.maximum(start + 1 + np.floor(fraction[:, 1] * room).astype(np.int64), one + 1)
    last = start + bars.steps - 1
    at = np.stack([start, one, two, last], axis=1).reshape(-1)
    values = np.stack([bars.open, first, second, bars.close], axis=1).reshape(-1)
    return at, values


def _fold(free: Floats, low: Floats, high: Floats) -> Floats:
    """Reflect a path at its bar's low and high until it lies between them."""
    span = high - low
    safe = np.maximum(span, 1e-9)
    inside = np.mod(free - low, 2.0 * safe)
    folded = low + np.minimum(inside, 2.0 * safe - inside)
    return np.asarray(np.where(span > 0, folded, low), dtype=np.float64)
