"""Volatility of mid, from marks on a fixed one-second clock."""

from collections import deque
from math import exp
from math import log
from math import sqrt
from typing import Any

from amm500_nautilus.quoting.config import VolatilityConfig


SECOND_NS = 1_000_000_000
YEAR_SECS = 31_536_000.0
HORIZONS = (1, 10, 30, 60)


class VolatilityMeter:
    """
    Estimate annualised volatility at 1, 10, 30 and 60 s from overlapping returns of one-second marks.

    A mark is the last mid before each whole second. Annualised is ``sqrt(mean(r^2) / horizon * seconds_per_year)``, so
    that gaps between sessions count neither as returns nor as time.

    Parameters
    ----------
    config : VolatilityConfig
        Settings.
    seconds_per_year : float, optional
        Trading seconds in a year, used when the config gives none.

    """

    def __init__(self, config: VolatilityConfig, seconds_per_year: float = YEAR_SECS) -> None:
        self._config = config
        self._annual = config.seconds_per_year or seconds_per_year
        decay = exp(-log(2.0) / config.half_life_secs)
        self._decay = decay
        start = config.initial**2 / self._annual
        self._ewma = dict.fromkeys(HORIZONS, start)
        self._marks: deque[float] = deque(maxlen=max(HORIZONS) + 1)
        self._squares: dict[int, deque[float]] = {h: deque() for h in HORIZONS}
        self._sums = dict.fromkeys(HORIZONS, 0.0)
        self._next_ns = 0
        self._seen_ns = 0
        self._log_mid = 0.0
        self._mid = 0.0
        self._estimates: dict[str, float] | None = None
        self._annualised = config.initial

    def observe(self, ts_ns: int, mid: float) -> None:
        """Take mid at ``ts_ns`` (times never run backwards); returns need two marks of one segment."""
        if ts_ns >= self._next_ns:
            self._advance(ts_ns, mid)
        self._seen_ns = ts_ns
        self._mid = mid

    def _advance(self, ts_ns: int, mid: float) -> None:
        if self._mid <= 0 or ts_ns - self._seen_ns > self._config.max_gap_secs * SECOND_NS:
            self._marks.clear()
            self._mid = mid
            self._next_ns = (ts_ns // SECOND_NS + 1) * SECOND_NS
            return
        mark = log(self._mid)
        while self._next_ns <= ts_ns:
            self._push(mark)
            self._next_ns += SECOND_NS

    def _push(self, mark: float) -> None:
        marks = self._marks
        marks.append(mark)
        count = len(marks)
        window = self._config.window_secs
        decay = self._decay
        ewma, sums = self._ewma, self._sums
        for horizon in HORIZONS:
            if count <= horizon:
                break
            change = mark - marks[count - 1 - horizon]
            square = change * change / horizon
            ewma[horizon] += (1.0 - decay) * (square - ewma[horizon])
            squares = self._squares[horizon]
            squares.append(square)
            sums[horizon] += square
            if len(squares) > window:
                sums[horizon] -= squares.popleft()
        self._estimates = None

    def ewma(self, horizon: int) -> float:
        """Return the exponentially weighted estimate, annualised."""
        return sqrt(self._ewma[horizon] * self._annual)

    def realised(self, horizon: int) -> float | None:
        """Return the window's estimate, annualised; None before ``min_returns`` returns."""
        count = len(self._squares[horizon])
        if count < self._config.min_returns:
            return None
        return sqrt(max(0.0, self._sums[horizon]) / count * self._annual)

    def value(self, horizon: int) -> float:
        """Return the configured estimate at a horizon, annualised as a fraction."""
        ewma = self.ewma(horizon)
        if self._config.estimator == "ewma":
            return ewma
        realised = self.realised(horizon)
        if realised is None:
            return ewma
        return realised if self._config.estimator == "realised" else max(ewma, realised)

    @property
    def annualised(self) -> float:
        """The estimate at the configured interval."""
        if self._estimates is None:
            self.estimates()
        return self._annualised

    @property
    def per_root_second(self) -> float:
        """Deviation of the log mid over one second, from the configured interval."""
        return self.annualised / sqrt(self._annual)

    def estimates(self) -> dict[str, float]:
        """Return the estimates at ``1s 10s 30s 60s``."""
        if self._estimates is None:
            value = self.value
            self._estimates = {"1s": value(1), "10s": value(10), "30s": value(30), "60s": value(60)}
            self._annualised = self._estimates[f"{self._config.interval_secs}s"]
        return dict(self._estimates)

    def save(self) -> dict[str, Any]:
        """Return the weighted estimates as plain values; the marks are not kept, since a restart is a gap."""
        return {"ewma": {str(h): v for h, v in self._ewma.items()}}

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._ewma = {h: float(state["ewma"][str(h)]) for h in HORIZONS}
        self._estimates = None
