"""Intervals of a share seen in so many trials."""

import math
from dataclasses import dataclass

from amm500_catalog.numerics import betaincinv
from amm500_catalog.numerics import ndtri


LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval; all as fractions."""

    estimate: float
    low: float
    high: float


def clopper_pearson(count: int, trials: int, level: float = LEVEL) -> Share:
    """
    Return the exact interval of a share, which covers at least the level whatever the truth is.

    None of 100 gives 0 to 3.62 % at 95 %. Source: Clopper and Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.

    Raises
    ------
    ValueError
        If the count is not within the trials.

    """
    _check(count, trials)
    tail = (1.0 - level) / 2.0
    low = 0.0 if count == 0 else float(betaincinv(count, trials - count + 1, tail))
    high = 1.0 if count == trials else float(betaincinv(count + 1, trials - count, 1.0 - tail))
    return Share(count / trials, low, high)


def wilson(count: int, trials: int, level: float = LEVEL) -> Share:
    """
    Return Wilson's interval of a share, which covers the level on average and is narrower.

    Source: Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953.

    Raises
    ------
    ValueError
        If the count is not within the trials.

    """
    _check(count, trials)
    z = float(ndtri(1.0 - (1.0 - level) / 2.0))
    share = count / trials
    middle = (share + z * z / (2.0 * trials)) / (1.0 + z * z / trials)
    half = z / (1.0 + z * z / trials) * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials**2))
    return Share(share, max(0.0, middle - half), min(1.0, middle + half))


def _check(count: int, trials: int) -> None:
    if trials < 1 or not 0 <= count <= trials:
        raise ValueError(f"{count} of {trials}; allowed: 0 to the number of trials, of at least 1")
