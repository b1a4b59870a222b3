"""What a volatility model must beat: EWMA, HAR and GARCH(1,1), each fitted on the same training data and rolled forward without a look ahead."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from amm500_catalog.errors import InputError
from amm500_catalog.numerics import decay as recursion
from amm500_nautilus.research.scores import qlike


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BPS = 1e4
DECAYS = tuple(float(value) for value in np.round(np.arange(0.80, 0.996, 0.01), 3))
# the smallest variance a forecast may take over its whole horizon: (0.01 bp)^2
SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One horizon on one series of returns.

    Parameters
    ----------
    returns : array of float
        Log returns in session time, one for each mark; NaN at the first mark of a session, which has none.
    realized : array of float
        Realized variance of the ``steps`` returns after each mark; NaN where they leave the session.
    steps : int
        Returns in a target.
    day : int
        Returns of a trading day, the longest reach of HAR.

    """

    returns: Floats
    realized: Floats
    steps: int
    day: int

    def squares(self) -> Floats:
        """Return the squared returns, zero where there is none."""
        squares: Floats = np.square(np.nan_to_num(self.returns, nan=0.0))
        return squares


class Baseline(Protocol):
    """A forecast that the model is measured against."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        ...

    def fit(self, problem: Problem, train: Ints) -> None:
        """Fit on the targets of the marks ``train`` and on returns up to the last of them."""
        ...

    def forecast(self, problem: Problem) -> Floats:
        """Return the forecast variance of the next ``steps`` returns at each mark, from returns up to that mark."""
        ...


def ewma_variance(squares: Floats, is_return: NDArray[np.bool_], decay: float) -> Floats:
    """
    Return the exponentially weighted mean of squared returns at each mark; marks without a return repeat the last.

    The early weights are divided by their sum, so that the first values are means of what there is.
    """
    kept = squares[is_return]
    weighted = recursion(kept, decay, gain=1.0 - decay)
    total = 1.0 - decay ** np.arange(1, len(kept) + 1)
    out = np.full(len(squares), np.nan)
    out[is_return] = weighted / total
    return _held(out)


def _held(values: Floats) -> Floats:
    """Return the values with each NaN replaced by the last number before it."""
    index = np.where(np.isnan(values), 0, np.arange(len(values)))
    np.maximum.accumulate(index, out=index)
    held: Floats = values[index]
    return held


@dataclass(slots=True)
class Ewma:
    """RiskMetrics' average with the decay that did best in training (https://www.msci.com/documents/10199/5915b101-4206-4ba0-aee2-3449d5c7e95a)."""

    decay: float = 0.94
    name: str = "ewma"

    def fit(self, problem: Problem, train: Ints) -> None:
        """Take the decay of the grid 0.80 to 0.99 with the lowest QLIKE."""
        best = np.inf
        for decay in DECAYS:
            forecast = Ewma(decay).forecast(problem)[train]
            loss = float(qlike(problem.realized[train], forecast).mean())
            if loss < best:
                best, self.decay = loss, decay

    def forecast(self, problem: Problem) -> Floats:
        """Return ``steps`` times the average."""
        variance = ewma_variance(problem.squares(), ~np.isnan(problem.returns), self.decay)
        return np.maximum(np.nan_to_num(variance, nan=0.0) * problem.steps, SMALLEST)


@dataclass(slots=True)
class Har:
    """
    Corsi's heterogeneous autoregression of realized volatility (https://doi.org/10.1093/jjfinec/nbp001), by the clock of the data.

    The root of realized variance is regressed on its own values over the last horizon, twelve horizons and day, all to the scale of one
    horizon and in session time. The forecast variance is the squared fit plus the variance of the residuals, held between the smallest
    and the largest target of the training data.
    """

    name: str = "har"
    _beta: Floats = field(default_factory=lambda: np.zeros(4))
    _noise: float = 0.0
    _low: float = SMALLEST
    _high: float = np.inf

    def fit(self, problem: Problem, train: Ints) -> None:
        """Fit by least squares."""
        design = self._design(problem)[train]
        target = np.sqrt(problem.realized[train])
        self._beta = np.linalg.lstsq(design, target, rcond=None)[0]
        self._noise = float(np.var(target - design @ self._beta))
        self._low = max(float(problem.realized[train].min()), SMALLEST)
        self._high = float(problem.realized[train].max())

    def forecast(self, problem: Problem) -> Floats:
        """Return the fitted variance of the next horizon."""
        fitted = self._design(problem) @ self._beta
        variance = np.square(np.maximum(fitted, 0.0)) + self._noise
        return np.clip(variance, self._low, self._high)

    @staticmethod
    def _design(problem: Problem) -> Floats:
        kept = ~np.isnan(problem.returns)
        squares = problem.squares()
        total = np.concatenate(([0.0], np.cumsum(squares)))
        counts = np.concatenate(([0], np.cumsum(kept)))
        columns = [np.ones(len(squares))]
        # returns seen so far, and where each one stands, so that a reach counts returns and not marks
        places = np.concatenate(([0], np.flatnonzero(kept) + 1))
        for reach in (problem.steps, 12 * problem.steps, max(problem.day, 13 * problem.steps)):
            ends = np.arange(1, len(squares) + 1)
            seen = counts[ends]
            begin = places[np.maximum(seen - reach, 0)]
            used = np.maximum(np.minimum(seen, reach), 1)
            columns.append(np.sqrt((total[ends] - total[begin]) / used * problem.steps))
        return np.column_stack(columns)


@dataclass(slots=True)
class Garch:
    """
    GARCH(1,1) with zero mean (Bollerslev 1986), fitted by the package ``arch`` on training returns in basis points, then run forward.

    The variance of the next ``steps`` returns is the sum of the recursion's own forecasts.
    """

    name: str = "garch"
    omega: float = 0.0
    alpha: float = 0.05
    beta: float = 0.90
    is_converged: bool = False

    def fit(self, problem: Problem, train: Ints) -> None:
        """
        Fit by maximum likelihood on the returns up to the last training mark.

        Raises
        ------
        InputError
            If the package ``arch`` is not installed.

        """
        try:
            from arch.univariate import GARCH as Process  # noqa: N811, PLC0415
            from arch.univariate import ZeroMean  # noqa: PLC0415
        except ImportError as error:
            raise InputError(
                "the baseline GARCH(1,1) needs the package arch", "train-vol", "the extra ml"
            ) from error
        returns = problem.returns[: int(train.max()) + 1]
        returns = returns[~np.isnan(returns)] * BPS
        model = ZeroMean(returns, volatility=Process(1, 0, 1), rescale=False)
        result = model.fit(disp="off", show_warning=False)
        self.omega, self.alpha, self.beta = (float(value) for value in result.params)
        self.is_converged = result.convergence_flag == 0

    def forecast(self, problem: Problem) -> Floats:
        """Return the variance of the next ``steps`` returns."""
        kept = ~np.isnan(problem.returns)
        squares = problem.squares()[kept] * BPS**2
        persistence = self.alpha + self.beta
        start = self.omega / (1.0 - persistence) if persistence < 1.0 else float(squares[:20].mean())
        # the variance of the next return: omega + alpha r^2 + beta v
        after = recursion(self.omega + self.alpha * squares, self.beta, before=start)
        following = np.full(len(kept), np.nan)
        following[kept] = after
        ahead = _held(following)
        ahead[np.isnan(ahead)] = start
        total, step = np.zeros(len(ahead)), ahead
        for _ in range(problem.steps):
            total = total + step
            step = self.omega + persistence * step
        return np.maximum(total / BPS**2, SMALLEST)


def all_baselines() -> tuple[Baseline, ...]:
    """Return one of each, not fitted."""
    return Ewma(), Har(), Garch()


BaselineMaker = Callable[[], tuple[Baseline, ...]]
