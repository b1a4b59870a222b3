"""The risk level: how near the account stands to what must not happen (#38)."""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from amm500_nautilus.risk.config import LevelConfig
from amm500_nautilus.risk.types import RiskLevel


NS_PER_SECOND = 1_000_000_000


class LevelReading(NamedTuple):
    """A level with the four scores (1 to 4) that made it, and their average."""

    level: RiskLevel
    margin: int
    drawdown: int
    liquidation: int
    volatility: int
    average: float

    def numbers(self) -> dict[str, float]:
        """Return the components by name, for a decision."""
        return {
            "margin_score": self.margin,
            "drawdown_score": self.drawdown,
            "liquidation_score": self.liquidation,
            "volatility_score": self.volatility,
            "average_score": self.average,
        }


_ALL_CALM = LevelReading(RiskLevel.LOW, 1, 1, 1, 1, 1.0)


def risk_level(
    *,
    margin_ratio: float,
    drawdown: float,
    liquidation_distance: float,
    volatility: float,
    config: LevelConfig,
) -> LevelReading:
    """
    Return the level from margin, drawdown, distance to liquidation and volatility.

    Each is scored 1 to 4 by its thresholds. The level is the largest score, unless the average of all four asks for a higher one.
    A figure that is no number gets its worst score.

    Parameters
    ----------
    margin_ratio : float
        Margin over equity.
    drawdown : float
        Fall from the peak as a share of the session's starting equity.
    liquidation_distance : float
        Distance as a fraction of mark; infinite when flat.
    volatility : float
        Annualised; 0 when unknown.
    config : LevelConfig
        The thresholds.

    """
    share = drawdown / config.max_drawdown
    stirred = volatility / config.volatility_threshold
    if (
        margin_ratio <= config.margin[0]
        and share <= config.drawdown[0]
        and liquidation_distance >= config.liquidation_distance[0]
        and stirred <= config.volatility[0]
        and config.averages[0] > 1.0
    ):
        return _ALL_CALM
    low, middle, high = config.margin
    # "not under" rather than "over", so that a figure that is no number scores worst
    margin = 1 + (not margin_ratio <= low) + (not margin_ratio <= middle) + (not margin_ratio <= high)
    low, middle, high = config.drawdown
    fall = 1 + (not share <= low) + (not share <= middle) + (not share <= high)
    low, middle, high = config.liquidation_distance
    near = (
        1
        + (not liquidation_distance >= low)
        + (not liquidation_distance >= middle)
        + (not liquidation_distance >= high)
    )
    low, high = config.volatility
    wild = 1 + (not stirred <= low) + (not stirred <= high)
    average = (margin + fall + near + wild) / 4
    medium, severe, critical = config.averages
    by_average = 1 + (average >= medium) + (average >= severe) + (average >= critical)
    level = RiskLevel(max(margin, fall, near, wild, by_average))
    return LevelReading(level, margin, fall, near, wild, average)


def pick_volatility(estimates: Mapping[str, float], name: str) -> float:
    """Return the named estimate; the largest where it is missing, 0 where there are none."""
    value = estimates.get(name)
    if value is not None:
        return value
    return max(estimates.values(), default=0.0)


class LevelKeeper:
    """Hold a level against flapping: it rises at once and falls only once readings have stayed lower."""

    def __init__(self, config: LevelConfig) -> None:
        self._hold_ns = int(config.hold_secs * NS_PER_SECOND)
        self.level = RiskLevel.LOW
        # the highest reading since the level was last met, and when that was
        self._lower = RiskLevel.LOW
        self._met_ns = 0

    def update(self, ts_ns: int, reading: RiskLevel) -> RiskLevel:
        """Take a reading and return the level that holds."""
        if reading is self.level:
            self._lower, self._met_ns = RiskLevel.LOW, ts_ns
            return reading
        if reading > self.level:
            self.level, self._lower, self._met_ns = reading, RiskLevel.LOW, ts_ns
            return reading
        self._lower = max(self._lower, reading)
        if ts_ns - self._met_ns >= self._hold_ns:
            self.level, self._lower, self._met_ns = self._lower, RiskLevel.LOW, ts_ns
        return self.level

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"level": int(self.level), "lower": int(self._lower), "met_ns": self._met_ns}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self.level = RiskLevel(state["level"])
        self._lower = RiskLevel(state["lower"])
        self._met_ns = int(state["met_ns"])
