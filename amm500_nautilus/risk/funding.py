"""The funding hedge: what of a position that pays may be closed (#44)."""

from collections.abc import Mapping
from typing import Any

from amm500_nautilus.risk.config import FundingHedgeConfig
from amm500_nautilus.risk.types import Reduction


NS_PER_SECOND = 1_000_000_000
FUNDING = "funding"


class FundingHedge:
    """Close a part of a position that pays, not more often than the interval."""

    def __init__(self, config: FundingHedgeConfig) -> None:
        self._config = config
        self._ready_ns = 0

    def update(self, ts_ns: int, hourly_rate: float, position_lots: int) -> Reduction | None:
        """
        Return the part to close now: only beyond the threshold, and only if the position is on the side that pays.

        20 lots long at 0.02 % an hour with a share of 0.10: 2 lots.
        """
        config = self._config
        if config.reduce_share <= 0 or ts_ns < self._ready_ns:
            return None
        if abs(hourly_rate) <= config.threshold or hourly_rate * position_lots <= 0:
            return None
        lots = round(config.reduce_share * abs(position_lots))
        if lots == 0:
            return None
        self._ready_ns = ts_ns + int(config.interval_secs * NS_PER_SECOND)
        return Reduction(lots, FUNDING, {"hourly_rate": hourly_rate, "threshold": config.threshold})

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"ready_ns": self._ready_ns}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._ready_ns = int(state["ready_ns"])
