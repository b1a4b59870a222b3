"""
How far a result on one market carries to another: beta, volatility, spread and depth of the two, each with what is known of its error.

Returns are logarithmic, over bars that both markets have. Beta is the slope of the target's returns on the proxy's by least
squares, its interval from the standard error that allows for unequal variances (White 1980, https://doi.org/10.2307/1912934).
The ratio of volatilities has a stationary-bootstrap interval, so that clustered volatility widens it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t

from amm500_nautilus.research.bootstrap import draw_blocks
from amm500_nautilus.research.bootstrap import optimal_block_length


Floats = npt.NDArray[np.float64]
FEWEST_BARS = 12
DRAWS = 1_000
BPS = 1e4
# outside of these the proxy's figures say little of the target's
BETA_RANGE = (0.8, 1.25)
FEWEST_CORRELATION = 0.8
RATIO_RANGE = (0.8, 1.25)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def within(self, low: float, high: float) -> bool | None:
        """Return whether the whole interval lies between the ends; False when none of it does, None when some of it does."""
        if low <= self.low and self.high <= high:
            return True
        return False if self.high < low or self.low > high else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnsComparison:
    """
    The two markets' returns over the same bars.

    Parameters
    ----------
    bars : int
        Returns compared.
    beta : Estimate
        The target's move for a move of the proxy.
    correlation : float
        Of the returns.
    volatility_ratio : Estimate
        The target's deviation over the proxy's.
    tracking_bps : float
        Deviation of what of the target's return the proxy leaves unexplained, in basis points a bar.

    """

    bars: int
    beta: Estimate
    correlation: float
    volatility_ratio: Estimate
    tracking_bps: float


def common_returns(proxy: pd.DataFrame, target: pd.DataFrame) -> tuple[Floats, Floats]:
    """
    Return log returns from close to close over bars that both have, leaving out those over a hole.

    Parameters
    ----------
    proxy, target : DataFrame
        Bars with ``ts_close_ns`` and ``close``, of one length.

    Raises
    ------
    ValueError
        With fewer than 12 returns in common.

    """
    merged = proxy[["ts_close_ns", "close"]].merge(
        target[["ts_close_ns", "close"]], on="ts_close_ns", suffixes=("_p", "_t")
    )
    merged = merged.sort_values("ts_close_ns")
    stamps = merged["ts_close_ns"].to_numpy(dtype=np.int64)
    steps = np.diff(stamps)
    whole = steps == steps.min() if len(steps) else np.zeros(0, dtype=bool)
    if int(whole.sum()) < FEWEST_BARS:
        raise ValueError(f"{int(whole.sum())} returns over the same bars; allowed: at least {FEWEST_BARS}")
    first = np.diff(np.log(merged["close_p"].to_numpy(dtype=np.float64)))
    second = np.diff(np.log(merged["close_t"].to_numpy(dtype=np.float64)))
    return first[whole], second[whole]


def compare_returns(proxy: Floats, target: Floats, seed: int = 1) -> ReturnsComparison:
    """
    Return beta, correlation and the ratio of volatilities of two series of returns.

    Raises
    ------
    ValueError
        If there are fewer than 12, or the proxy or the target never moves.

    """
    count = len(proxy)
    if count < FEWEST_BARS or len(target) != count:
        raise ValueError(
            f"{count} and {len(target)} returns; allowed: as many of each, at least {FEWEST_BARS}"
        )
    if float(proxy.std()) <= 0 or float(target.std()) <= 0:
        raise ValueError("a market never moves; allowed: returns that vary")
    beta, left = _beta(proxy, target)
    return ReturnsComparison(
        bars=count,
        beta=beta,
        correlation=float(np.corrcoef(proxy, target)[0, 1]),
        volatility_ratio=_volatility_ratio(proxy, target, seed),
        tracking_bps=float(left.std(ddof=2)) * BPS,
    )


def _beta(proxy: Floats, target: Floats) -> tuple[Estimate, Floats]:
    x = proxy - proxy.mean()
    slope = float(x @ target) / float(x @ x)
    left = target - target.mean() - slope * x
    # what a single observation weighs in the slope is taken out of its residual (HC3), which few bars need
    weight = x**2 / float(x @ x) + 1.0 / len(x)
    error = float(np.sqrt((x**2 * (left / (1.0 - weight)) ** 2).sum())) / float(x @ x)
    half = float(t.ppf(0.975, len(x) - 2)) * error
    return Estimate(slope, slope - half, slope + half), left


def _volatility_ratio(proxy: Floats, target: Floats, seed: int) -> Estimate:
    count = len(proxy)
    length = max(optimal_block_length(proxy**2), optimal_block_length(target**2))
    blocks = draw_blocks(
        np.random.default_rng(seed), rows=count, mean_length=length, paths=DRAWS, horizon=count
    )
    sums = {}
    for name, values in (("proxy", proxy), ("target", target)):
        total = np.concatenate(([0.0], np.cumsum(np.square(values - values.mean()))))
        moved = total[blocks.start + blocks.length] - total[blocks.start]
        sums[name] = np.bincount(blocks.path, weights=moved, minlength=DRAWS)
    drawn = np.sqrt(sums["target"] / np.maximum(sums["proxy"], 1e-300))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(float(target.std(ddof=1) / proxy.std(ddof=1)), float(low), float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFacts:
    """Median spread in basis points and median depth of ten levels, both sides together, in quote units; None where unknown."""

    samples: int
    spread_bps: float
    depth: float | None


def book_facts(samples: pd.DataFrame) -> BookFacts:
    """
    Return the medians of sampled best quotes and depth.

    Parameters
    ----------
    samples : DataFrame
        ``bid`` and ``ask``, and ``bid_depth10_usd`` and ``ask_depth10_usd`` where the depth is known.

    Raises
    ------
    ValueError
        If a column is missing, or no sample has a spread above 0.

    """
    missing = [name for name in ("bid", "ask") if name not in samples]
    if missing:
        raise ValueError(
            f"the column {missing[0]} is missing; allowed: bid, ask, bid_depth10_usd, ask_depth10_usd"
        )
    bid, ask = samples["bid"].to_numpy(dtype=np.float64), samples["ask"].to_numpy(dtype=np.float64)
    good = (bid > 0) & (ask > bid)
    if not good.any():
        raise ValueError("no sample has a spread; allowed: asks above bids")
    spread = (ask - bid)[good] / ((ask + bid)[good] / 2.0) * BPS
    depth = None
    if {"bid_depth10_usd", "ask_depth10_usd"} <= set(samples.columns):
        both = samples["bid_depth10_usd"].to_numpy(dtype=np.float64) + samples["ask_depth10_usd"].to_numpy(
            dtype=np.float64
        )
        known = both[good & np.isfinite(both)]
        depth = float(np.median(known)) if len(known) else None
    return BookFacts(samples=int(good.sum()), spread_bps=float(np.median(spread)), depth=depth)


def proxy_sentences(
    returns: ReturnsComparison, proxy: BookFacts | None, target: BookFacts | None
) -> tuple[str, ...]:
    """Return what carries and what does not, a sentence each; what is not known is said to be unknown."""
    beta, ratio = returns.beta, returns.volatility_ratio
    carries = {True: "carries", False: "does NOT carry", None: "cannot be told to carry"}
    direction = beta.within(*BETA_RANGE) if returns.correlation >= FEWEST_CORRELATION else False
    found = [
        (
            f"direction {carries[direction]}: beta {beta.value:.2f} ({beta.low:.2f} to {beta.high:.2f}), correlation "
            f"{returns.correlation:.2f} over {returns.bars} bars"
        ),
        (
            f"volatility {carries[ratio.within(*RATIO_RANGE)]}: the target moves {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) "
            "times as much; a spread fitted to volatility is multiplied by that"
        ),
        f"{returns.tracking_bps:.1f} bp a bar of the target's own are not in the proxy: inventory risk that no hedge by it removes",
    ]
    if proxy is None or target is None:
        found.append("spread and depth are not compared: samples of both books are needed")
        return tuple(found)
    found.append(
        f"spread: {target.spread_bps:.3f} bp at the target, {proxy.spread_bps:.3f} at the proxy, a ratio of "
        f"{target.spread_bps / proxy.spread_bps:.2f}: a result in basis points a fill carries at most in that ratio"
    )
    if proxy.depth is None or target.depth is None:
        found.append("depth is not compared: one of the samples has none")
    else:
        found.append(
            f"depth: {target.depth:,.0f} at the target, {proxy.depth:,.0f} at the proxy, a ratio of {target.depth / proxy.depth:.3f}: "
            "sizes, and what a day can earn, carry in that ratio"
        )
    return tuple(found)


def as_plain(value: BookFacts | None) -> Mapping[str, Any] | None:
    """Return book facts as JSON carries them."""
    if value is None:
        return None
    return {"samples": value.samples, "spread_bps": value.spread_bps, "depth": value.depth}
