"""The request weight that an address may spend in a minute, as a bucket that refills evenly."""

import threading
import time
from collections.abc import Callable

from hyperliquid_hip3.constants import WEIGHT_PER_MINUTE


class WeightBucket:
    """
    A bucket of request weight.

    It may go into debt, since a reply's rows are weighed only once it is here; the next request then waits longer.

    Parameters
    ----------
    per_minute : int, default 1200
        Weight that flows in within a minute, and the most the bucket holds.
    clock : callable, default ``time.monotonic``
        Seconds of a clock that never goes back.

    """

    def __init__(
        self, per_minute: int = WEIGHT_PER_MINUTE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if per_minute <= 0:
            raise ValueError(f"`per_minute` was {per_minute}, must be positive")
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60.0
        self._clock = clock
        self._level = self._capacity
        self._at = clock()
        self._lock = threading.Lock()

    @property
    def level(self) -> float:
        """Weight that may be spent now; negative in debt."""
        with self._lock:
            self._refill()
            return self._level

    def wait_for(self, weight: int) -> float:
        """Return the seconds until this weight may be spent; 0 when it may be now."""
        with self._lock:
            self._refill()
            return max(0.0, (min(weight, self._capacity) - self._level) / self._per_second)

    def spend(self, weight: int) -> None:
        """Take the weight out, into debt if need be."""
        with self._lock:
            self._refill()
            self._level -= weight

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._at) * self._per_second)
        self._at = now
