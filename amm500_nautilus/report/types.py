"""The values that reach the recorder, and the facts a summary cannot read from a run's files."""

import math
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class AccountRow:
    """
    The account at one moment, amounts in collateral units.

    ``mid`` is the book's mid that also marks ``equity``; ``position`` is signed, in contracts; ``fees_cum`` and
    ``liquidation_cum`` are costs (positive when paid), ``funding_cum`` is signed (positive when received); ``transfers_cum``
    is what was deposited less what was withdrawn. ``weight_cost_cum`` is what bought actions have cost, ``collateral_price`` in
    USD; ``limit_refusals`` counts actions that the venue's limits refused, ``address_used`` and ``address_limit`` what the
    address has sent and may have sent. Figures that there are none of are NaN.
    """

    equity: float
    balance: float
    position: float
    mid: float
    margin_used: float = 0.0
    order_margin: float = 0.0
    margin_ratio: float = 0.0
    maintenance_ratio: float = 0.0
    funding_cum: float = 0.0
    fees_cum: float = 0.0
    liquidation_cum: float = 0.0
    liquidations: int = 0
    transfers_cum: float = 0.0
    weight_cost_cum: float = 0.0
    collateral_price: float = 1.0
    limit_refusals: int = 0
    address_used: float = math.nan
    address_limit: float = math.nan
    liquidation_price: float = math.nan
    leverage: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLevels:
    """The earlier bot's targets, shown beside what was reached; ratios as fractions."""

    sharpe: float = 2.5
    trades_per_day: float = 2000.0
    maker_ratio: float = 0.90
    max_drawdown: float = 0.005
    max_margin_ratio: float = 0.80


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLevels:
    """Below any of these a run is ``not_enough_trading``: fills a day, share of session time, multiple of equity a day."""

    fills_per_day: float = 200.0
    two_sided_uptime: float = 0.80
    turnover_per_day: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFacts:
    """
    How the venue meters the address (protocol: address limits).

    Parameters
    ----------
    enabled : bool
        Whether the run obeyed the budget.
    initial_actions : float
        Actions a new address starts with.
    credit_per_usd : float
        Actions earned by each unit of collateral traded (0.1 in growth mode).
    weight_price : float
        Price of one bought action (``reserveRequestWeight``), in USDC.

    """

    enabled: bool = True
    initial_actions: float = 10_000.0
    credit_per_usd: float = 0.1
    weight_price: float = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContext:
    """
    What a summary needs beyond the run's files.

    Parameters
    ----------
    name : str
        The run's name.
    source : str
        Where the data came from (``hyperliquid``, ``file``, ``hl-book``, ``generator`` ...).
    simulated : bool
        Whether the book and trades were made by the market simulator.
    market : str
        The coin, for example ``km:US500``.
    collateral : str
        The collateral token.
    start_ns, end_ns : int
        The data's range, UTC ns.
    bars_simulated : bool
        Whether even the bars were generated.
    description, defaults : str, tuple[str, ...]
        The data set in words, and every assumption made for it.
    day_seconds : float
        Session seconds of one trading day: 86,400 for a market that never closes, 23,400 for US cash hours.
    sessions_per_year : float
        Trading days a year: 365 for a market that never closes, 252 for US cash hours.
    model : str
        The quoting model.
    mode : str
        ``backtest``, ``paper``, ``local``, ``testnet`` or ``live``.

    """

    name: str
    source: str
    simulated: bool
    market: str
    start_ns: int
    end_ns: int
    collateral: str = "USDH"
    bars_simulated: bool = False
    description: str = ""
    defaults: tuple[str, ...] = ()
    day_seconds: float = 86_400.0
    sessions_per_year: float = 365.0
    model: str = "tiered"
    mode: str = "backtest"
    targets: TargetLevels = field(default_factory=TargetLevels)
    verdict: VerdictLevels = field(default_factory=VerdictLevels)
    budget: BudgetFacts = field(default_factory=BudgetFacts)
    wall_seconds: float = 0.0
    engine_seconds: float = 0.0
    events: int = 0
    peak_rss_mb: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)


RunDir = str | Path
