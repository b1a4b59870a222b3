"""Kelly sizing, an option: order sizes from the edge of our own closes and the volatility (#42)."""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from amm500_nautilus.risk.config import KellyConfig
from amm500_nautilus.risk.types import RiskLevel


class KellySize(NamedTuple):
    """The fraction of equity for one side, the multiple of the configured sizes that gives it, and how it came about."""

    fraction: float
    scale: float
    numbers: Mapping[str, float]


def kelly_size(
    *, edge: float, volatility: float, funding_rate: float, level: RiskLevel, config: KellyConfig
) -> KellySize:
    """
    Return the size by the earlier bot's form of Kelly's rule.

    ``share * edge / volatility^2`` within floor and cap, the edge lowered by funding and kept above its floor. An edge of 0.001
    at 15 % a year and half Kelly: 0.5 * 0.001 / 0.0225 = 2.2 % of equity, times the level's multiple.

    Parameters
    ----------
    edge : float
        Mean result of a close over its value.
    volatility : float
        Annualised; 0 takes the configured one.
    funding_rate : float
        Hourly.
    level : RiskLevel
        HIGH and MEDIUM shrink the size, CRITICAL leaves none.
    config : KellyConfig
        The rule's settings.

    """
    sigma = volatility if volatility > 0 else config.initial_volatility
    net = max(config.edge_floor, edge - abs(funding_rate) / config.funding_hours)
    fraction = min(config.cap, max(config.floor, config.share * net / (sigma * sigma)))
    if level is RiskLevel.CRITICAL:
        fraction = 0.0
    elif level is RiskLevel.HIGH:
        fraction *= config.high
    elif level is RiskLevel.MEDIUM:
        fraction *= config.medium
    scale = min(config.max_scale, fraction / config.reference)
    return KellySize(
        fraction, scale, {"edge": net, "volatility": sigma, "fraction": fraction, "scale": scale}
    )


class KellySizer:
    """
    Keep the mean result of our closes.

    Win rate times mean win less loss rate times mean loss is that mean, so two sums are enough.
    """

    def __init__(self, config: KellyConfig) -> None:
        self._config = config
        self.closes = 0
        self._returns = 0.0

    def on_close(self, net: float, value: float) -> None:
        """Count a close: its result net of fees, and its value, in collateral units."""
        if value > 0:
            self.closes += 1
            self._returns += net / value

    @property
    def edge(self) -> float:
        """Mean return of a close; the configured one before there are enough."""
        if self.closes < self._config.min_closes:
            return self._config.initial_edge
        return self._returns / self.closes

    def size(self, volatility: float, funding_rate: float, level: RiskLevel) -> KellySize:
        """Return the size that holds now."""
        return kelly_size(
            edge=self.edge,
            volatility=volatility,
            funding_rate=funding_rate,
            level=level,
            config=self._config,
        )

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"closes": self.closes, "returns": self._returns}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self.closes = int(state["closes"])
        self._returns = float(state["returns"])
