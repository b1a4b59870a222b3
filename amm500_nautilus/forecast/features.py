"""The features of one mark, made the same way from a stored series and from a running market."""

from collections import deque
from collections.abc import Sequence
from math import isfinite
from math import log
from math import sqrt

import numpy as np

from amm500_nautilus.forecast.series import Floats
from amm500_nautilus.forecast.series import MarkSeries


PRICE_RELATIVE = "price_relative_100"
LAST_RETURN = "log_return"
DEVIATION = "log_deviation_20"
IMBALANCE = "imbalance"
FUNDING = "funding_rate"
ALL_FEATURES = (PRICE_RELATIVE, LAST_RETURN, DEVIATION, IMBALANCE, FUNDING)
LOOK_BACK = 100
DEVIATION_RETURNS = 20
# a deviation of nothing has no logarithm: 0.01 bp
DEVIATION_FLOOR = 1e-6


def features_of(series: MarkSeries) -> tuple[str, ...]:
    """Return the names of the features that a series can give, in order."""
    absent = set()
    if series.imbalance is None:
        absent.add(IMBALANCE)
    if series.funding is None:
        absent.add(FUNDING)
    return tuple(name for name in ALL_FEATURES if name not in absent)


def feature_rows(series: MarkSeries, names: Sequence[str]) -> Floats:
    """
    Return the features of every mark, one row each; NaN at a session's first mark, which has no return.

    ``price_relative_100`` is the log of the price over that of 100 marks before, ``log_return`` the last one, ``log_deviation_20`` the
    logarithm of the root mean square of the last 20 returns; near a session's open each reaches back to the open only, since no window
    crosses a gap. ``imbalance`` and ``funding_rate`` are the mark's own.

    Raises
    ------
    ValueError
        If a name is unknown, or the series lacks what it needs.

    """
    columns = [_column(series, name) for name in names]
    rows = np.column_stack(columns) if columns else np.zeros((len(series), 0))
    rows[series.firsts()] = np.nan
    return rows


def _column(series: MarkSeries, name: str) -> Floats:
    if name == PRICE_RELATIVE:
        logs = np.log(series.price)
        back = np.arange(len(series)) - np.minimum(series.places(), LOOK_BACK)
        relative: Floats = logs - logs[back]
        return relative
    if name == LAST_RETURN:
        return series.returns()
    if name == DEVIATION:
        return _deviation(series)
    own = {IMBALANCE: series.imbalance, FUNDING: series.funding}.get(name)
    if own is None:
        known = name in ALL_FEATURES
        raise ValueError(f"the source has no {name}" if known else f"there is no feature {name!r}")
    return own.astype(np.float64)


def _deviation(series: MarkSeries) -> Floats:
    squares = np.square(np.nan_to_num(series.returns(), nan=0.0))
    reach = np.minimum(series.places(), DEVIATION_RETURNS)
    # summed over lags and not as a difference of running totals, whose rounding would outgrow a still market's squares
    total = np.zeros(len(series))
    for lag in range(DEVIATION_RETURNS):
        taken = reach > lag
        total[taken] += squares[np.flatnonzero(taken) - lag]
    mean = total / np.maximum(reach, 1)
    out: Floats = np.log(np.maximum(np.sqrt(mean), DEVIATION_FLOOR))
    return out


class FeatureClock:
    """
    The same features, mark by mark, for a market that is running.

    Parameters
    ----------
    names : sequence of str
        The features wanted, in order.
    length : int
        How many rows are kept.

    """

    def __init__(self, names: Sequence[str], length: int) -> None:
        self._names = tuple(names)
        self._logs: deque[float] = deque(maxlen=LOOK_BACK + 1)
        self._squares: deque[float] = deque(maxlen=DEVIATION_RETURNS)
        self._rows: deque[list[float]] = deque(maxlen=length)
        self.marks = 0

    def restart(self) -> None:
        """Forget everything: a session ended, or marks were lost."""
        self._logs.clear()
        self._squares.clear()
        self._rows.clear()
        self.marks = 0

    def push(self, price: float, *, imbalance: float = 0.0, funding: float = 0.0) -> float | None:
        """
        Take the next mark, one interval after the last, and return its log return; None for the first.

        Raises
        ------
        ValueError
            If the price is not a positive number.

        """
        if not (isfinite(price) and price > 0):
            raise ValueError(f"`price` was {price!r}, must be a positive number")
        mark = log(price)
        logs = self._logs
        logs.append(mark)
        self.marks += 1
        if len(logs) == 1:
            return None
        change = mark - logs[-2]
        self._squares.append(change * change)
        values = {
            PRICE_RELATIVE: mark - logs[0],
            LAST_RETURN: change,
            DEVIATION: log(max(sqrt(sum(self._squares) / len(self._squares)), DEVIATION_FLOOR)),
            IMBALANCE: imbalance,
            FUNDING: funding,
        }
        self._rows.append([values[name] for name in self._names])
        return change

    @property
    def count(self) -> int:
        """Rows there are."""
        return len(self._rows)

    def rows(self) -> Floats:
        """Return the rows kept, oldest first."""
        return np.array(self._rows, dtype=np.float64).reshape(len(self._rows), len(self._names))
