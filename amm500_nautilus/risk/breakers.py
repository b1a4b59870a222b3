"""The meters behind the breakers: how often the venue refuses, and how fast the position grows."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from amm500_nautilus.risk.config import BreakerConfig


NS_PER_SECOND = 1_000_000_000
CALM, WIDEN, PAUSE = 0, 1, 2


def stage(value: float, widen: float, pause: float) -> int:
    """Return ``CALM``, ``WIDEN`` from the first threshold on, ``PAUSE`` from the second."""
    if value >= pause:
        return PAUSE
    return WIDEN if value >= widen else CALM


class RejectionMeter:
    """Count the venue's rejections within a sliding window."""

    def __init__(self, config: BreakerConfig) -> None:
        self._window_ns = int(config.window_secs * NS_PER_SECOND)
        # no more than the pause takes is ever needed
        self._times: deque[int] = deque(maxlen=config.rejections_pause)

    def on_rejection(self, ts_ns: int) -> None:
        """Count one."""
        self._times.append(ts_ns)

    def count(self, ts_ns: int) -> int:
        """Return the rejections of the window, at most as many as pause."""
        times = self._times
        while times and ts_ns - times[0] >= self._window_ns:
            times.popleft()
        return len(times)

    def reset(self) -> None:
        """Begin a new window."""
        self._times.clear()

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"times": list(self._times)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._times.clear()
        self._times.extend(int(at) for at in state["times"])


class VelocityMeter:
    """
    Measure by how many lots the position has grown within a sliding window.

    Only growth away from flat counts: closing a position fast is no danger. Two monotonic queues keep the window's smallest and
    largest position, so that a reading costs the same whatever the window.
    """

    def __init__(self, config: BreakerConfig) -> None:
        self._window_ns = int(config.window_secs * NS_PER_SECOND)
        self._low: deque[tuple[int, int]] = deque()
        self._high: deque[tuple[int, int]] = deque()
        # a position that has not moved is noted by its time alone
        self._still_ns = 0

    def update(self, ts_ns: int, lots: int) -> int:
        """
        Take the signed position and return its growth in lots.

        From 2 to 12 long within the window is 10; from 5 short to 5 long is 5, since a short that went is not growth.
        """
        low, high = self._low, self._high
        if len(low) == 1 == len(high):
            if low[0][1] == lots:
                self._still_ns = ts_ns
                return 0
            if self._still_ns:
                low[0] = high[0] = (self._still_ns, low[0][1])
        self._still_ns = 0
        while low and low[-1][1] >= lots:
            low.pop()
        low.append((ts_ns, lots))
        while high and high[-1][1] <= lots:
            high.pop()
        high.append((ts_ns, lots))
        horizon = ts_ns - self._window_ns
        while low[0][0] < horizon:
            low.popleft()
        while high[0][0] < horizon:
            high.popleft()
        if lots >= 0:
            return lots - max(0, low[0][1])
        return min(0, high[0][1]) - lots

    def reset(self) -> None:
        """Begin a new window."""
        self._low.clear()
        self._high.clear()
        self._still_ns = 0

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "low": [list(item) for item in self._low],
            "high": [list(item) for item in self._high],
            "still_ns": self._still_ns,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._low = deque((int(at), int(lots)) for at, lots in state["low"])
        self._high = deque((int(at), int(lots)) for at, lots in state["high"])
        self._still_ns = int(state["still_ns"])
