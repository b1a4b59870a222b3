"""Short-term trend: prices that have just moved go on a little, and whoever quotes against them is hit on the wrong side."""

from math import log

from amm500_nautilus.quoting.config import TrendConfig


class TrendMeter:
    """
    Follow mid against its own short average.

    The recorded books trend: a deviation of mid per root second at 1 s of two thirds of that at 10 s. The distance of mid from its
    average, times ``multiple``, is how much further it is expected to go; fair value is moved there, so that the side about to
    be run over steps back and the other follows.
    """

    def __init__(self, config: TrendConfig) -> None:
        self._config = config
        self._average = 0.0
        self._ts_ns = 0

    def observe(self, ts_ns: int, mid_ticks: float) -> None:
        """Take mid; after a silence longer than ``max_gap_secs`` the average starts anew."""
        elapsed = (ts_ns - self._ts_ns) / 1e9
        self._ts_ns = ts_ns
        if elapsed > self._config.max_gap_secs or self._average == 0.0:
            self._average = mid_ticks
            return
        # a stable form of 1 - 2^(-elapsed / half-life) for steps shorter than the half-life
        weight = elapsed * log(2.0) / self._config.half_life_secs
        self._average += (mid_ticks - self._average) * (weight / (1.0 + weight))

    def shift_ticks(self, mid_ticks: float) -> float:
        """
        Return the expected further move in ticks, at most the cap; 0 before there is an average.

        Mid 69010, average 69004, multiple 0.5: (69010 - 69004) * 0.5 = 3 ticks up.
        """
        if self._average == 0.0:
            return 0.0
        limit = self._config.cap_bps * 1e-4 * mid_ticks
        shift = (mid_ticks - self._average) * self._config.multiple
        return limit if shift > limit else max(shift, -limit)
