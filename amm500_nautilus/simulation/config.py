"""What a simulated venue is made of."""

from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Literal

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.funding import BASELINE_HOURLY_RATE
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.queue import UnseenLevel
from amm500_nautilus.simulation.queue import make_queue_model
from amm500_nautilus.simulation.rules import VenueRules


@dataclass(frozen=True, slots=True, kw_only=True)
class FillConfig:
    """
    How resting orders are filled.

    Parameters
    ----------
    queue_model : str
        hftbacktest's name: ``risk_adverse``, ``power_prob_queue_model``, ``...2`` or ``...3``.
    queue_n : float
        Exponent of the power models.
    unseen : UnseenLevel or str
        What is assumed at prices outside the visible depth: ``back``, ``front`` or ``profile``.
    reduce_keeps_queue : bool
        Whether an order whose size shrinks keeps its place; the venue has not been seen to let it.

    """

    queue_model: str = "power_prob_queue_model3"
    queue_n: float = 3.0
    unseen: UnseenLevel | str = UnseenLevel.BACK
    reduce_keeps_queue: bool = False

    def __post_init__(self) -> None:
        make_queue_model(self.queue_model, self.queue_n)
        allowed = [policy.value for policy in UnseenLevel]
        if str(self.unseen) not in allowed:
            msg = f"unseen level policy is {self.unseen!r}; allowed: {', '.join(allowed)}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingConfig:
    """
    What is paid when the data has no funding rates.

    Parameters
    ----------
    enabled : bool
        Whether funding is paid at all.
    default_rate : Decimal
        Hourly rate of an hour without a ``FundingRateUpdate`` (0.000005708 was km's observed baseline).
    grace_s : int
        How long after the hour its rate may still arrive before the default is paid.

    """

    enabled: bool = True
    default_rate: Decimal = BASELINE_HOURLY_RATE
    grace_s: int = 5

    def __post_init__(self) -> None:
        if not self.default_rate.is_finite() or abs(self.default_rate) > Decimal("0.04"):
            # 4 % an hour is the venue's cap
            msg = f"funding default_rate is {self.default_rate}; allowed: -0.04 to 0.04 an hour"
            raise ValueError(msg)
        if self.grace_s < 0:
            msg = f"funding grace_s is {self.grace_s}; allowed: 0 or more"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueConfig:
    """
    A simulated Hyperliquid dex with one account.

    Parameters
    ----------
    starting_equity : Decimal
        Collateral at the start.
    collateral : str
        The dex's collateral token.
    dex : str
        The dex's name, reported with the account.
    leverage : Decimal
        The leverage set at the venue.
    max_leverage : int
        The market's largest leverage, which fixes the maintenance margin.
    rates : FeeRates
        What fills pay; the default is growth mode at scale 1 (maker 0.003 %, taker 0.009 %).
    fill : FillConfig
        The queue.
    latency : LatencyConfig
        Time for an action to reach the venue.
    rules : VenueRules
        What the venue refuses.
    funding : FundingConfig
        Funding when the data has none.
    account : {"ledger", "nautilus"}
        ``ledger``: the engine's account is frozen and reported from the ledger. ``nautilus``: the engine's own margin
        account runs too, for comparison; it is five to ten times slower and knows no funding.
    sessions : tuple of (int, int)
        ``[open, close)`` in ns; minutes outside are not reported. Empty: every minute is.
    account_state_s : int
        The account is reported at most this often while it changes.
    account_refresh_s : int
        With a position, the account is reported at least this often, since the mark moves it.

    """

    starting_equity: Decimal = Decimal(10_000)
    collateral: str = "USDH"
    dex: str = "km"
    leverage: Decimal = Decimal(10)
    max_leverage: int = 25
    rates: FeeRates = GROWTH_RATES
    fill: FillConfig = field(default_factory=FillConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    rules: VenueRules = field(default_factory=VenueRules)
    funding: FundingConfig = field(default_factory=FundingConfig)
    account: Literal["ledger", "nautilus"] = "ledger"
    sessions: tuple[tuple[int, int], ...] = ()
    account_state_s: int = 1
    account_refresh_s: int = 300

    def __post_init__(self) -> None:
        if self.starting_equity <= 0:
            msg = f"starting_equity is {self.starting_equity}; allowed: above 0"
            raise ValueError(msg)
        if self.account not in {"ledger", "nautilus"}:
            msg = f"account is {self.account!r}; allowed: ledger, nautilus"
            raise ValueError(msg)
        if self.account_state_s < 1 or self.account_refresh_s < 1:
            msg = "account_state_s and account_refresh_s: allowed 1 or more seconds"
            raise ValueError(msg)
        if any(close <= opened for opened, close in self.sessions):
            msg = "sessions must close after they open"
            raise ValueError(msg)
