"""The share of volume that was taken rather than made, over a sliding window (#43)."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from amm500_nautilus.risk.config import TakerConfig


NS_PER_SECOND = 1_000_000_000
BUCKETS = 60


class TakerMeter:
    """
    Measure the taker share and say what may still be taken.

    Volume is kept in sixty buckets of the window, so that a fill costs the same however many came before.
    """

    def __init__(self, config: TakerConfig) -> None:
        self._config = config
        self._bucket_ns = max(1, int(config.window_secs * NS_PER_SECOND / BUCKETS))
        # bucket number, volume, taken volume, fills
        self._buckets: deque[list[float]] = deque()
        self._volume = self._taken = 0.0
        self._fills = 0

    def on_fill(self, ts_ns: int, value: float, *, is_taker: bool) -> None:
        """Count a fill of ``value`` collateral units."""
        bucket = ts_ns // self._bucket_ns
        if not self._buckets or self._buckets[-1][0] != bucket:
            self._buckets.append([bucket, 0.0, 0.0, 0])
            self._expire(ts_ns)
        last = self._buckets[-1]
        last[1] += value
        last[3] += 1
        self._volume += value
        self._fills += 1
        if is_taker:
            last[2] += value
            self._taken += value

    def _expire(self, ts_ns: int) -> None:
        horizon = ts_ns // self._bucket_ns - BUCKETS
        while self._buckets and self._buckets[0][0] <= horizon:
            _, volume, taken, fills = self._buckets.popleft()
            self._volume -= volume
            self._taken -= taken
            self._fills -= int(fills)
        if not self._buckets:
            self._volume = self._taken = 0.0

    def share(self, ts_ns: int) -> float:
        """Return the taker share of the window; 0 with too few fills to be believed."""
        if self._buckets:
            self._expire(ts_ns)
        if self._fills < self._config.min_fills or self._volume <= 0:
            return 0.0
        return self._taken / self._volume

    def room(self, ts_ns: int) -> float:
        """
        Return the value that may be taken now without passing the cap, counting what is taken.

        With 950 made, 0 taken and a cap of 0.05, x / (950 + x) <= 0.05 allows 50.
        """
        if self._buckets:
            self._expire(ts_ns)
        cap = self._config.cap
        if cap >= 1:
            return float("inf")
        return max(0.0, (cap * self._volume - self._taken) / (1 - cap))

    def reset(self) -> None:
        """Begin a new window."""
        self._buckets.clear()
        self._volume = self._taken = 0.0
        self._fills = 0

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"buckets": [list(bucket) for bucket in self._buckets]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._buckets = deque(
            [int(at), float(volume), float(taken), int(fills)]
            for at, volume, taken, fills in state["buckets"]
        )
        self._volume = sum(bucket[1] for bucket in self._buckets)
        self._taken = sum(bucket[2] for bucket in self._buckets)
        self._fills = int(sum(bucket[3] for bucket in self._buckets))
