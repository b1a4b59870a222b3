"""
How much of a best trial is luck: the deflated Sharpe ratio and the probability of backtest overfitting.

Sharpe ratios here are a period's, not annualized. Sources: Bailey and Lopez de Prado, "The Deflated Sharpe Ratio" (2014,
https://ssrn.com/abstract=2460551); Bailey, Borwein, Lopez de Prado and Zhu, "The Probability of Backtest Overfitting" (2015,
https://ssrn.com/abstract=2326253).
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import norm


Floats = npt.NDArray[np.float64]
EULER_GAMMA = 0.5772156649015329
MOST_SPLITS = 16
FEWEST_ROWS_A_SPLIT = 2
FLAT = 1e-15


def sharpe_of(returns: Floats) -> float:
    """Return mean over sample deviation; 0 for returns that never vary."""
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / deviation if deviation > FLAT else 0.0


def expected_max_sharpe(trials: float, sharpe_variance: float) -> float:
    """
    Return the Sharpe ratio that the best of several worthless trials is expected to show.

    ``sqrt(V) * ((1 - g) * Z(1 - 1/N) + g * Z(1 - 1/(N e)))`` with ``g`` the Euler-Mascheroni constant; 0 for a single trial.

    Parameters
    ----------
    trials : float
        Independent trials.
    sharpe_variance : float
        Variance of their Sharpe ratios.

    """
    if trials <= 1:
        return 0.0
    first = float(norm.ppf(1.0 - 1.0 / trials))
    second = float(norm.ppf(1.0 - 1.0 / (trials * math.e)))
    return math.sqrt(max(sharpe_variance, 0.0)) * ((1.0 - EULER_GAMMA) * first + EULER_GAMMA * second)


def probabilistic_sharpe(returns: Floats, benchmark: float) -> float | None:
    """
    Return the probability that the true Sharpe ratio is above a benchmark, skewness and kurtosis counted.

    ``Phi((SR - SR*) sqrt(T - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2))``; None for fewer than 3 returns, or where they
    never vary.
    """
    count = len(returns)
    deviation = float(returns.std()) if count else 0.0
    if count < 3 or deviation <= FLAT:
        return None
    sharpe = sharpe_of(returns)
    unit = (returns - returns.mean()) / deviation
    skew, kurtosis = float((unit**3).mean()), float((unit**4).mean())
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if spread <= 0:
        return None
    return float(norm.cdf((sharpe - benchmark) * math.sqrt(count - 1) / math.sqrt(spread)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflatedSharpe:
    """
    The best trial's Sharpe ratio beside what luck alone explains.

    Parameters
    ----------
    sharpe : float
        The best trial's, a period's.
    expected_max : float
        What the best of as many worthless trials is expected to show.
    probability : float, optional
        That its true Sharpe ratio is above 0 once the search is counted: the deflated Sharpe ratio.
    trials, effective_trials : int, float
        Trials, and how many independent ones their mean correlation leaves: ``c + (1 - c) N``.
    periods : int
        Returns it was taken from.

    """

    sharpe: float
    expected_max: float
    probability: float | None
    trials: int
    effective_trials: float
    periods: int


def deflated_sharpe(returns: Floats, best: int) -> DeflatedSharpe:
    """
    Deflate the Sharpe ratio of one trial by the number of trials that were made.

    Parameters
    ----------
    returns : array
        Returns by period (rows) and trial (columns).
    best : int
        The column that was chosen.

    Raises
    ------
    ValueError
        If there is no return.

    """
    periods, trials = returns.shape
    if not periods or not trials:
        raise ValueError("there are no returns; allowed: at least one period and one trial")
    sharpes = np.array([sharpe_of(returns[:, column]) for column in range(trials)])
    variance = float(sharpes.var(ddof=1)) if trials > 1 else 0.0
    # every trial counts as independent, which deflates most
    luck = expected_max_sharpe(trials, variance)
    return DeflatedSharpe(
        sharpe=float(sharpes[best]),
        expected_max=luck,
        probability=probabilistic_sharpe(returns[:, best], luck),
        trials=trials,
        effective_trials=effective_trials(returns),
        periods=periods,
    )


def effective_trials(returns: Floats) -> float:
    """Return how many independent trials the mean correlation of the returns leaves; trials without variation count as one."""
    moving = returns[:, returns.std(axis=0) > FLAT]
    count = moving.shape[1]
    still = int(moving.shape[1] < returns.shape[1])
    if count < 2 or len(returns) < 2:
        return float(count + still)
    correlations = np.corrcoef(moving, rowvar=False)
    mean = float((correlations.sum() - count) / (count * (count - 1)))
    share = min(max(mean, 0.0), 1.0)
    return float(still + share + (1.0 - share) * count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfitting:
    """
    What combinatorially symmetric cross-validation says of a search.

    Parameters
    ----------
    probability : float
        Share of splits in which the best trial in sample lies at or below the median out of sample.
    loss_probability : float
        Share of splits in which the best trial in sample loses out of sample.
    splits, combinations : int
        Pieces the time was cut into, and ways to halve them.
    slope : float
        Slope of out-of-sample on in-sample Sharpe of the chosen trials; negative where choosing hurts.

    """

    probability: float
    loss_probability: float
    splits: int
    combinations: int
    slope: float


def backtest_overfitting(returns: Floats, splits: int = MOST_SPLITS) -> Overfitting | None:
    """
    Return the probability of backtest overfitting by CSCV, Sharpe being the measure.

    Time is cut into an even number of pieces; every half of them in turn is the sample that chooses, the other half judges. None
    with fewer than 2 trials, or too few periods for 4 pieces of 2.

    Parameters
    ----------
    returns : array
        Returns by period (rows) and trial (columns).
    splits : int, default 16
        The most pieces; fewer where the periods do not suffice.

    """
    periods, trials = returns.shape
    pieces = min(splits, MOST_SPLITS, periods // FEWEST_ROWS_A_SPLIT)
    pieces -= pieces % 2
    if trials < 2 or pieces < 4:
        return None
    parts = np.array_split(returns, pieces)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([np.square(part).sum(axis=0) for part in parts])
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    chosen = np.array(list(combinations(range(pieces), pieces // 2)))
    inside = np.zeros((len(chosen), pieces))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    in_sample = _sharpes(inside, sums, squares, counts)
    out_sample = _sharpes(1.0 - inside, sums, squares, counts)
    best = in_sample.argmax(axis=1)
    rows = np.arange(len(best))
    judged = out_sample[rows, best]
    below = (out_sample < judged[:, None]).sum(axis=1)
    equal = (out_sample == judged[:, None]).sum(axis=1)
    # the mean rank of ties, over N + 1, so that neither end is 0 or 1
    rank = (below + (equal + 1) / 2.0) / (trials + 1.0)
    chosen_in = in_sample[rows, best]
    varies = float(chosen_in.std()) > FLAT
    return Overfitting(
        probability=float((rank <= 0.5).mean()),
        loss_probability=float((judged < 0).mean()),
        splits=pieces,
        combinations=len(chosen),
        slope=float(np.polyfit(chosen_in, judged, 1)[0]) if varies else 0.0,
    )


def _sharpes(weights: Floats, sums: Floats, squares: Floats, counts: Floats) -> Floats:
    """Return the Sharpe ratio of every trial over every set of pieces."""
    number = (weights @ counts)[:, None]
    mean = (weights @ sums) / number
    variance = ((weights @ squares) - number * mean**2) / np.maximum(number - 1.0, 1.0)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return np.asarray(np.where(deviation > FLAT, mean / np.where(deviation > FLAT, deviation, 1.0), 0.0))
