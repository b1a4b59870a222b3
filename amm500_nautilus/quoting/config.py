"""Settings of the quoting models: one frozen config per model, checked as it is built."""

from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from amm500_nautilus.quoting.config_orders import FixedGridConfig
from amm500_nautilus.quoting.config_orders import GlftConfig
from amm500_nautilus.quoting.config_orders import LadderConfig
from amm500_nautilus.quoting.config_orders import OrderKeepingConfig
from amm500_nautilus.quoting.config_orders import RebalanceConfig
from amm500_nautilus.quoting.config_orders import SkewConfig
from amm500_nautilus.quoting.config_rules import non_negative
from amm500_nautilus.quoting.config_rules import require
from amm500_nautilus.quoting.config_signals import BookConfig
from amm500_nautilus.quoting.config_signals import FairValueConfig
from amm500_nautilus.quoting.config_signals import FundingConfig
from amm500_nautilus.quoting.config_signals import ReferenceConfig
from amm500_nautilus.quoting.config_signals import SessionConfig
from amm500_nautilus.quoting.config_signals import SessionRow
from amm500_nautilus.quoting.config_signals import TrendConfig
from amm500_nautilus.quoting.config_signals import VolatilityConfig
from amm500_nautilus.quoting.config_spread import AdaptiveConfig
from amm500_nautilus.quoting.config_spread import FadingConfig
from amm500_nautilus.quoting.config_spread import ModeRow
from amm500_nautilus.quoting.config_spread import RiskMultiple
from amm500_nautilus.quoting.config_spread import SpreadBand
from amm500_nautilus.quoting.config_spread import SpreadConfig


__all__ = [
    "AdaptiveConfig",
    "BookConfig",
    "FadingConfig",
    "FairValueConfig",
    "FixedGridConfig",
    "FundingConfig",
    "GlftConfig",
    "LadderConfig",
    "ModeRow",
    "OrderKeepingConfig",
    "QuotingConfig",
    "RebalanceConfig",
    "ReferenceConfig",
    "RiskMultiple",
    "SessionConfig",
    "SessionRow",
    "SkewConfig",
    "SpreadBand",
    "SpreadConfig",
    "TrendConfig",
    "VolatilityConfig",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotingConfig:
    """
    Everything that decides what is quoted.

    Parameters
    ----------
    model : str, default "tiered"
        ``tiered``, ``fixed_grid`` or ``glft``.
    basis : str, default "leverage"
        Exposure limit: ``leverage`` is equity times leverage, ``equity`` the earlier bot's equity alone.
    max_exposure : float, default 0.0
        Cap on the exposure limit in collateral units; 0 is none.

    """

    model: Literal["tiered", "fixed_grid", "glft"] = "tiered"
    basis: Literal["leverage", "equity"] = "leverage"
    max_exposure: float = 0.0
    fair: FairValueConfig = field(default_factory=FairValueConfig)
    trend: TrendConfig = field(default_factory=TrendConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    book: BookConfig = field(default_factory=BookConfig)
    volatility: VolatilityConfig = field(default_factory=VolatilityConfig)
    spread: SpreadConfig = field(default_factory=SpreadConfig)
    ladder: LadderConfig = field(default_factory=LadderConfig)
    skew: SkewConfig = field(default_factory=SkewConfig)
    fading: FadingConfig = field(default_factory=FadingConfig)
    adaptive: AdaptiveConfig = field(default_factory=AdaptiveConfig)
    rebalance: RebalanceConfig = field(default_factory=RebalanceConfig)
    funding: FundingConfig = field(default_factory=FundingConfig)
    sessions: SessionConfig = field(default_factory=SessionConfig)
    orders: OrderKeepingConfig = field(default_factory=OrderKeepingConfig)
    fixed_grid: FixedGridConfig = field(default_factory=FixedGridConfig)
    glft: GlftConfig = field(default_factory=GlftConfig)

    def __post_init__(self) -> None:
        models = ("tiered", "fixed_grid", "glft")
        require(self.model in models, "QuotingConfig.model", self.model, "one of " + ", ".join(models))
        require(self.basis in {"leverage", "equity"}, "QuotingConfig.basis", self.basis, "leverage or equity")
        non_negative(self, "max_exposure")
