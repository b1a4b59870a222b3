"""What a simulated venue is made of."""

from bisect import bisect_right
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Literal

from amm500_nautilus.margin.account import AccountMode
from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.funding import BASELINE_HOURLY_RATE
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.risk.address import INITIAL_ACTIONS
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.outage import Outages
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
    margin_table : MarginTable, optional
        The market's margin table; one tier of ``max_leverage`` when left out.
    margin_mode : MarginMode
        Cross, isolated or strict isolated.
    allows_cross : bool
        Whether the market allows cross margin, which also decides whether it has a backstop liquidator.
    account_mode : AccountMode
        Reported with the account; one market of one dex is the same in both.
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
    collateral_price : Decimal or tuple of (int, Decimal)
        Price of the collateral token in USD: one figure, or a path of (ns, price) that holds each price from its time on
        (the first from the start). The venue counts a token as one; the price only values the account.
    transfers : tuple of (int, Decimal)
        Deposits and withdrawals (negative) by time in ns; a withdrawal takes at most what is withdrawable.
    action_limits : bool
        Whether the venue meters actions: the address's limit and the weight of its IP address.
    initial_actions : int
        What the address may send before it has traded.
    growth_mode : bool
        Whether volume earns a tenth of an action a unit.
    outages : tuple of (int, int)
        Spans ``[start, end)`` in ns in which neither commands nor answers pass.
    sessions : tuple of (int, int)
        ``[open, close)`` in ns; minutes outside are not reported. Empty: every minute is.
    account_state_s : int
        The account is reported at most this often while it changes.
    account_refresh_s : int
        With a position, the account is reported at least this often, since the mark moves it.
    account_ratio_step : float
        A change of the margin ratio beyond this is reported within a second.

    """

    starting_equity: Decimal = Decimal(10_000)
    collateral: str = "USDH"
    dex: str = "km"
    leverage: Decimal = Decimal(10)
    max_leverage: int = 25
    margin_table: MarginTable | None = None
    margin_mode: MarginMode = MarginMode.CROSS
    allows_cross: bool = True
    account_mode: AccountMode = AccountMode.STANDARD
    rates: FeeRates = GROWTH_RATES
    fill: FillConfig = field(default_factory=FillConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    rules: VenueRules = field(default_factory=VenueRules)
    funding: FundingConfig = field(default_factory=FundingConfig)
    account: Literal["ledger", "nautilus"] = "ledger"
    collateral_price: Decimal | tuple[tuple[int, Decimal], ...] = Decimal(1)
    transfers: tuple[tuple[int, Decimal], ...] = ()
    action_limits: bool = True
    initial_actions: int = INITIAL_ACTIONS
    growth_mode: bool = True
    outages: tuple[tuple[int, int], ...] = ()
    sessions: tuple[tuple[int, int], ...] = ()
    account_state_s: int = 1
    account_refresh_s: int = 5
    account_ratio_step: float = 0.005

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
        if self.margin_mode is MarginMode.CROSS and not self.allows_cross:
            # the venue's words
            msg = "Cross margin is not allowed for this asset."
            raise ValueError(msg)
        if self.initial_actions < 0 or self.account_ratio_step <= 0:
            msg = (
                f"initial_actions is {self.initial_actions} and account_ratio_step {self.account_ratio_step}; "
                "allowed: 0 or more, above 0"
            )
            raise ValueError(msg)
        Outages(self.outages)
        self._check_path()

    def _check_path(self) -> None:
        path = self.collateral_path
        times = [ts for ts, _ in path]
        if not path or times != sorted(set(times)) or any(price <= 0 for _, price in path):
            msg = f"collateral_price is {self.collateral_price}; allowed: prices above 0, times rising"
            raise ValueError(msg)
        if [ts for ts, _ in self.transfers] != sorted(ts for ts, _ in self.transfers):
            msg = f"transfers are {self.transfers}; allowed: pairs of ns and amount in order of time"
            raise ValueError(msg)

    @property
    def collateral_path(self) -> tuple[tuple[int, Decimal], ...]:
        """The collateral's price as a path."""
        price = self.collateral_price
        return price if isinstance(price, tuple) else ((0, price),)

    def collateral_price_at(self, ts_ns: int) -> Decimal:
        """Return the collateral's price in USD at a time."""
        price = self.collateral_price
        if not isinstance(price, tuple):
            return price
        return price[max(0, bisect_right(price, ts_ns, key=lambda row: row[0]) - 1)][1]

    @property
    def table(self) -> MarginTable:
        """The market's margin table."""
        return MarginTable(self.max_leverage) if self.margin_table is None else self.margin_table
