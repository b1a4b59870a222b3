"""How good a volatility forecast is: QLIKE and squared error, the Diebold-Mariano test, and the rule that switches a forecast on."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from amm500_catalog.numerics import stdtr


Floats = NDArray[np.float64]

# a realized variance of nothing (prices stood still) counts as (0.01 bp)^2: the same for every forecast, so no comparison changes
VARIANCE_FLOOR = 1e-12
BPS2 = 1e8


def qlike(realized: Floats, forecast: Floats) -> Floats:
    """
    Return the QLIKE loss of each forecast, 0 when it is exact: ``x - log(x) - 1`` with ``x`` realized over forecast variance.

    A forecast half of what came costs 0.31, one twice as high 0.19. Ranking by its mean is right even though realized variance is
    only a noisy sight of the true one (Patton 2011, https://doi.org/10.1016/j.jeconom.2010.03.034).

    Raises
    ------
    ValueError
        If a forecast is not a positive number.

    """
    if not (np.isfinite(forecast).all() and (forecast > 0).all()):
        raise ValueError("a forecast variance is not a positive number")
    ratio = np.maximum(realized, VARIANCE_FLOOR) / forecast
    loss: Floats = ratio - np.log(ratio) - 1.0
    return loss


def squared_error(realized: Floats, forecast: Floats) -> Floats:
    """Return the squared error of each variance forecast, in bp^4."""
    error: Floats = ((realized - forecast) * BPS2) ** 2
    return error


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """
    A Diebold-Mariano test of two forecasts.

    Parameters
    ----------
    difference : float
        Mean loss of the first less that of the second; negative when the first is better.
    statistic : float
        The test statistic.
    p_better : float
        One-sided p-value of "the first is no better than the second"; small when it is better.
    count, lags : int
        Forecasts compared, and lags of the long-run variance.

    """

    difference: float
    statistic: float
    p_better: float
    count: int
    lags: int


def diebold_mariano(first: Floats, second: Floats, *, steps: int) -> DieboldMariano:
    """
    Compare two series of losses.

    The long-run variance is the larger of two: that of the test as it was published, with ``steps - 1`` lags of full weight, since
    targets of neighboring forecasts overlap (https://doi.org/10.1080/07350015.1995.10524599), and Newey and West's with a Bartlett
    kernel over ``max(steps - 1, 4 (n / 100)^(2/9))`` lags, for losses that hang together longer. The first alone can be negative, the
    second alone is too small under overlap and would reject twice as often as it says. The statistic has Harvey, Leybourne and
    Newbold's correction and Student's distribution (https://doi.org/10.1016/S0169-2070(96)00719-4).

    Parameters
    ----------
    first, second : array of float
        Losses at the same times, in order.
    steps : int
        How many steps ahead a target reaches.

    Raises
    ------
    ValueError
        If the lengths differ or there are fewer than ten forecasts.

    """
    count = len(first)
    if count != len(second) or count < 10:
        raise ValueError(
            f"two series of equal length and at least 10 losses are needed, not {count} and {len(second)}"
        )
    gap = np.asarray(first - second, dtype=np.float64)
    mean = float(gap.mean())
    lags = min(count - 1, max(steps - 1, int(4 * (count / 100) ** (2 / 9))))
    centered = gap - mean
    overlap = bartlett = float(centered @ centered) / count
    for lag in range(1, lags + 1):
        both_sides = 2.0 * float(centered[lag:] @ centered[:-lag]) / count
        bartlett += (1.0 - lag / (lags + 1.0)) * both_sides
        overlap += both_sides if lag < steps else 0.0
    variance = max(overlap, bartlett)
    if variance <= 0.0:
        # losses that differ by a constant, or not at all: there is nothing to test by
        return DieboldMariano(mean, 0.0, 1.0, count, lags)
    correction = (count + 1 - 2 * steps + steps * (steps - 1) / count) / count
    statistic = mean / sqrt(variance / count) * sqrt(max(correction, 0.0))
    return DieboldMariano(mean, statistic, float(stdtr(count - 1, statistic)), count, lags)


@dataclass(frozen=True, slots=True)
class Score:
    """One forecast's mean losses out of sample; ``versus`` is the model's test against it in QLIKE (None for the model itself)."""

    name: str
    qlike: float
    mse: float
    versus: DieboldMariano | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Whether a model may be used, and why.

    Parameters
    ----------
    use : bool
        Whether it won.
    why : str
        One sentence.
    scores : tuple of Score
        The model first, then the baselines.
    count : int
        Forecasts out of sample.

    """

    use: bool
    why: str
    scores: tuple[Score, ...]
    count: int


def judge(
    realized: Floats,
    model: Floats,
    baselines: Mapping[str, Floats],
    *,
    steps: int,
    significance: float = 0.05,
    least: int = 200,
) -> Verdict:
    """
    Return whether a model wins out of sample against every baseline.

    It wins when its mean QLIKE is lower than each baseline's and the one-sided Diebold-Mariano p-value against each is under
    ``significance``. As all of the tests must reject, no correction for their number is due (an intersection-union test, Berger 1982,
    https://doi.org/10.1080/00401706.1982.10487790). Fewer than ``least`` forecasts win nothing.

    Raises
    ------
    ValueError
        If there is no baseline, or a forecast is not positive.

    """
    if not baselines:
        raise ValueError("a model is judged against at least one baseline")
    own = qlike(realized, model)
    scores = [Score("model", float(own.mean()), float(squared_error(realized, model).mean()))]
    failed: list[str] = []
    for name, forecast in baselines.items():
        losses = qlike(realized, forecast)
        test = diebold_mariano(own, losses, steps=steps)
        scores.append(
            Score(name, float(losses.mean()), float(squared_error(realized, forecast).mean()), test)
        )
        if test.difference >= 0:
            failed.append(f"{name} is better ({losses.mean():.4f} against {own.mean():.4f})")
        elif not test.p_better < significance:
            failed.append(f"better than {name} only with p = {test.p_better:.3f}")
    count = len(realized)
    if count < least:
        failed.insert(0, f"{count} forecasts out of sample are too few, {least} are needed")
    if failed:
        return Verdict(False, "stays off: " + "; ".join(failed), tuple(scores), count)
    names = ", ".join(baselines)
    return Verdict(
        True, f"wins against {names} in QLIKE, each with p < {significance:g}", tuple(scores), count
    )
