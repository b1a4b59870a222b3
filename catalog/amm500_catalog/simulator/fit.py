"""Fit the simulator's book and trade sizes to recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from amm500_catalog.arrow import DEPTH_LEVELS
from amm500_catalog.calibrate_samples import Sample


Floats = npt.NDArray[np.float64]

_WIDEST_TICKS = 8
_FIT_ROUNDS = 60
_FIT_DRAWS = 60_000
_SIZE_CHANCES = (0.05, 0.10, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


def fit_spread_shares(sample: Sample) -> tuple[float, ...]:
    """Return the shares of samples at 1, 2, ... 8 ticks; wider ones count as 8."""
    ticks = np.clip(np.rint(sample.book_spread / sample.tick).astype(int), 1, _WIDEST_TICKS)
    counts = np.bincount(ticks, minlength=_WIDEST_TICKS + 1)[1:]
    return tuple(float(c) for c in counts / counts.sum())


def fit_depth(sample: Sample) -> tuple[float, float]:
    """Return the median notional of the ten best levels, bid and ask."""
    return float(np.median(sample.bid_depth)), float(np.median(sample.ask_depth))


def fit_level_weights(
    folder: str | Path, coins: tuple[str, ...], deviations: tuple[float, ...]
) -> tuple[float, ...]:
    """
    Return the level weights at which lognormal levels of these deviations have the recorded mean share of each level.

    The recorded share is the mean over coins and sides. A weight is a level's median, so a level that varies more needs less.
    """
    shares = []
    for coin in coins:
        book = pq.read_table(Path(folder) / f"{coin}_orderbooks.parquet").to_pandas()
        for side in ("bid", "ask"):
            sizes = book[[f"{side}_size_{i}" for i in range(DEPTH_LEVELS)]].to_numpy()
            shares.append((sizes / sizes.sum(axis=1, keepdims=True)).mean(axis=0))
    wanted = np.mean(shares, axis=0)
    normals = np.random.default_rng(0).standard_normal((_FIT_DRAWS, DEPTH_LEVELS))
    noise = np.exp(np.asarray(deviations) * normals)
    weights = np.full(DEPTH_LEVELS, 1.0 / DEPTH_LEVELS)
    for _ in range(_FIT_ROUNDS):
        sizes = noise * weights
        weights *= wanted / (sizes / sizes.sum(axis=1, keepdims=True)).mean(axis=0)
        weights /= weights.sum()
    return tuple(float(w) for w in weights)


def fit_trade_sizes(samples: list[Sample]) -> tuple[tuple[float, float], ...]:
    """
    Return (chance, size over the market's median best level) of the prints of all samples together.

    The defaults are fitted to the first half of each recording (``half_of``), so that the second half can test them.
    """
    ratios: Floats = np.concatenate(
        [s.size[s.trade_ts >= s.ts[0]] / float(np.median(s.top_sizes)) for s in samples]
    )
    inner = [(q, float(np.quantile(ratios, q))) for q in _SIZE_CHANCES]
    # the smallest print of the recordings is one lot of another market: a floor that this market's lot replaces
    return ((0.0, 1e-5), *inner, (1.0, float(ratios.max())))
