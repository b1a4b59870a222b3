"""Bringing inventory back: when, on which side, how patiently, and how much may be taken."""

from math import floor
from typing import Any

from amm500_nautilus.quoting.config import RebalanceConfig


NO_CAP = 1 << 62


class Rebalancer:
    """
    Track whether inventory is being brought back, and the share of volume that was taken.

    ``is_active`` and ``is_one_sided`` have hysteresis: they begin at their threshold and end at their stop.
    """

    def __init__(self, config: RebalanceConfig) -> None:
        self._config = config
        self.is_active = False
        self.is_one_sided = False
        self._since_ns = 0
        self._last_take_ns = -(1 << 62)
        self._sign = 0
        self.volume = 0.0
        self.taken = 0.0
        # what the risk engine lets be taken now, in lots
        self.room_lots = NO_CAP

    def on_fill(self, lots: float, *, is_taker: bool) -> None:
        """Count a fill, in lots, towards the taker share."""
        self.volume += lots
        if is_taker:
            self.taken += lots

    def update(self, ts_ns: int, off_target: float) -> None:
        """Take the delta off target (signed) and set the two flags."""
        config = self._config
        size = abs(off_target)
        sign = 1 if off_target > 0 else -1
        if self.is_active and (size <= config.stop or sign != self._sign):
            self.is_active = False
        if not self.is_active and size > config.threshold:
            self.is_active = True
            self._since_ns = ts_ns
            self._sign = sign
        limit = config.one_sided_stop if self.is_one_sided else config.one_sided
        self.is_one_sided = size > limit

    def lots_back(self, position_lots: int, target_lots: float, min_lots: int) -> tuple[int, int]:
        """
        Return side and lots that bring the position back to target by reducing it only.

        Position 300, target -20: sell 300 (a reduce-only order stops at flat). Under the venue's minimum the order is
        raised to it, or to the whole position. Side 0 when the position lies on the target's other side.
        """
        off = position_lots - target_lots
        if position_lots == 0 or off * position_lots <= 0:
            return 0, 0
        held = abs(position_lots)
        lots = min(held, max(round(abs(off)), min_lots))
        return (-1 if position_lots > 0 else 1), lots

    def lots_to_take(self, ts_ns: int, lots: int, min_lots: int, held_lots: int) -> tuple[int, str]:
        """
        Return how many of ``lots`` may be taken now and, if none, why.

        The cap holds after the order: with 950 lots made, 0 taken and a cap of 0.05, ``x / (950 + x) <= 0.05`` allows 50. So does what the
        risk engine leaves: allowance saved up over days must not be spent within the hour that it watches.
        """
        config = self._config
        if not self.is_active or ts_ns - self._since_ns < config.patience_secs * 1e9:
            return 0, "patience"
        if ts_ns - self._last_take_ns < config.ioc_cooldown_secs * 1e9:
            return 0, "cooldown"
        allowed = floor((config.taker_cap * self.volume - self.taken) / (1 - config.taker_cap) + 1e-9)
        take = min(lots, allowed, self.room_lots)
        if take <= 0 or (take < min_lots and take < held_lots):
            return 0, "taker_cap"
        return take, ""

    def on_take(self, ts_ns: int) -> None:
        """Note that a taking order was decided."""
        self._last_take_ns = ts_ns

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "is_active": self.is_active,
            "is_one_sided": self.is_one_sided,
            "since_ns": self._since_ns,
            "last_take_ns": self._last_take_ns,
            "sign": self._sign,
            "volume": self.volume,
            "taken": self.taken,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned."""
        self.is_active = bool(state["is_active"])
        self.is_one_sided = bool(state["is_one_sided"])
        self._since_ns = int(state["since_ns"])
        self._last_take_ns = int(state["last_take_ns"])
        self._sign = int(state["sign"])
        self.volume = float(state["volume"])
        self.taken = float(state["taken"])
