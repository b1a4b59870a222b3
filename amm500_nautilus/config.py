"""The strategy's own configuration, as Nautilus passes it."""

from typing import Literal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.identifiers import InstrumentId

from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.risk.budget import BudgetConfig
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.flatten import FlattenConfig


class MarketMakerConfig(StrategyConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """
    Configuration of ``MarketMaker``.

    Parameters
    ----------
    instrument_id : InstrumentId
        The perpetual to quote.
    quoting : QuotingConfig
        The quoting models.
    budget : BudgetConfig
        The action budget.
    reference_id : InstrumentId, optional
        The liquid twin whose quotes lead fair value.
    book_source : str
        ``depth`` for ten-level snapshots, ``deltas`` for snapshot batches of deltas.
    risk, flatten : RiskConfig, FlattenConfig
        The risk engine's thresholds, and how it closes a position under a halt.
    risk_session : str
        ``run``: drawdown and loss count from the start; ``day``: anew each UTC day.
    leverage, max_leverage : float
        The leverage set at the venue, of which the exposure limit is equity times, and the market's largest.
    growth_mode : bool
        Whether traded volume earns a tenth of the action credit.
    net_own_orders : bool
        Take own resting size out of the book (the venue's book shows it; a simulated book does not).
    cycle_ms : int
        Interval of the decision cycle.
    max_order_events : int
        An order with more events than this is replaced, since the engine keeps every event while it is open.
    purge_after_ms : int
        How long a closed order is kept, so that a late fill still finds it.
    inflight_timeout_ms : int
        After this long without an answer the venue is asked about the order.
    min_notional : float
        The venue's smallest order value.
    sessions : tuple of (int, int, str)
        Spans [start, end) in ns with their kind (``cash``, ``futures``, ``weekend``); empty means always open.
    session_seconds_a_year : float
        Open seconds of a year, by which volatility is annualised.

    """

    instrument_id: InstrumentId
    quoting: QuotingConfig = QuotingConfig()
    budget: BudgetConfig = BudgetConfig()
    reference_id: InstrumentId | None = None
    book_source: Literal["depth", "deltas"] = "depth"
    risk: RiskConfig = RiskConfig()
    flatten: FlattenConfig = FlattenConfig()
    risk_session: Literal["run", "day"] = "run"
    leverage: float = 10.0
    max_leverage: float = 25.0
    growth_mode: bool = True
    net_own_orders: bool = False
    cycle_ms: int = 1_000
    max_order_events: int = 300
    purge_after_ms: int = 60_000
    inflight_timeout_ms: int = 5_000
    min_notional: float = 10.0
    sessions: tuple[tuple[int, int, str], ...] = ()
    session_seconds_a_year: float = 31_536_000.0
