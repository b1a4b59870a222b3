"""The values that pass between the strategy and the risk engine: what it sees, and what was decided and why."""

from collections.abc import Mapping
from enum import IntEnum
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import NamedTuple


_NO_ESTIMATES: Mapping[str, float] = MappingProxyType({})


class RiskLevel(IntEnum):
    """How dangerous the account stands; the names are the rows of the spread's risk multiples."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class RiskState(StrEnum):
    """What the strategy may do (#15)."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    REDUCE_ONLY = "REDUCE_ONLY"
    PAUSED = "PAUSED"
    HALTED = "HALTED"


class Act(IntEnum):
    """
    What to do with resting orders and position, from the mildest to the strictest.

    ``NONE`` leaves what rests; ``CANCEL_OWN`` never touches an order that another trader placed; ``FLATTEN`` cancels everything
    on the dex and closes the position by reduce-only orders.
    """

    NONE = 0
    CANCEL_INCREASING = 1
    CANCEL_OWN = 2
    CANCEL_ALL = 3
    FLATTEN = 4


class RiskView(NamedTuple):
    """
    All that the strategy can see, once a second; money in collateral units, ratios as fractions, prices of one contract.

    A tuple: of so many fields it is made in a quarter of the time that a frozen dataclass takes. Give every field by its name.

    Parameters
    ----------
    ts_ns : int
        Engine time.
    equity : float
        Mark-to-market equity, transfers included.
    starting_equity : float
        Equity at the session's start; 0 takes the first that the engine sees.
    peak_equity : float
        Highest equity of the session net of transfers if the caller knows one; the engine keeps its own.
    net_transfers : float
        Deposits less withdrawals since the session's start.
    position_lots : int
        Signed position.
    position_notional : float
        Signed value of the position at mark.
    entry, mark : float
        Average entry price (0 when flat) and mark or mid.
    leverage, max_leverage : float
        As set at the venue, and the market's largest.
    margin_ratio, maintenance_ratio : float
        As the account reports them.
    buy_notional, sell_notional : float
        Value of resting and in-flight orders of each side, reduce-only orders left out; a report of the account may miss them.
    liquidation_price, liquidation_distance : float, optional
        The venue's price, or the distance from mark as a fraction; the nearest of these and of what the maintenance ratio gives counts.
    exposure_limit : float
        What delta is measured against; 0 is equity times leverage.
    volatility : mapping of str to float
        Annualised estimates by name (``1s``, ``10s``, ``30s``, ``60s``).
    funding_rate : float
        Hourly; positive is paid by longs.
    book_age_secs, oracle_age_secs : float, optional
        Time since the last message; None when none is expected.
    oracle_frozen, network_down, second_trader, agent_refused, journal_failed : bool
        Conditions that only the caller can know.
    collateral_price : float, optional
        Price of the collateral token in US dollars; None when it is not known, which neither raises nor ends a reason.
    budget_remaining, budget_reserve : float
        Actions left, and how many of them are kept for cancels and emergencies.

    """

    ts_ns: int
    equity: float
    starting_equity: float = 0.0
    peak_equity: float = 0.0
    net_transfers: float = 0.0
    position_lots: int = 0
    position_notional: float = 0.0
    entry: float = 0.0
    mark: float = 0.0
    leverage: float = 10.0
    max_leverage: float = 25.0
    margin_ratio: float = 0.0
    maintenance_ratio: float = 0.0
    buy_notional: float = 0.0
    sell_notional: float = 0.0
    liquidation_price: float | None = None
    liquidation_distance: float | None = None
    exposure_limit: float = 0.0
    volatility: Mapping[str, float] = _NO_ESTIMATES
    funding_rate: float = 0.0
    book_age_secs: float | None = 0.0
    oracle_age_secs: float | None = None
    oracle_frozen: bool = False
    network_down: bool = False
    second_trader: bool = False
    agent_refused: bool = False
    journal_failed: bool = False
    collateral_price: float | None = None
    budget_remaining: float = inf
    budget_reserve: float = 0.0


class Conditions(NamedTuple):
    """
    What only the process around the strategy can know.

    The flags are the fields of the same names of ``RiskView``; ``demands`` are reasons to set off now, once.
    """

    network_down: bool = False
    second_trader: bool = False
    agent_refused: bool = False
    journal_failed: bool = False
    demands: tuple[str, ...] = ()


NO_CONDITIONS = Conditions()


class RiskDecision(NamedTuple):
    """
    One decision for the log, the report and the journal.

    ``subject`` is what it is about (``order``, ``reason``, ``level``, ``leverage``, ``reduce``, ``taker``, ``funding``, ``size``,
    ``session``); ``approved`` whether what was asked for may go on as asked; ``reason`` one name or sentence; ``numbers`` what
    led to it. A tuple, since an order is judged in two microseconds.
    """

    ts_ns: int
    subject: str
    approved: bool
    reason: str
    numbers: Mapping[str, float]


class Reduction(NamedTuple):
    """Reduce the position by ``lots`` because of ``reason``; ``numbers`` show it."""

    lots: int
    reason: str
    numbers: Mapping[str, float]


class RiskVerdict(NamedTuple):
    """
    What holds from now until the next verdict.

    Parameters
    ----------
    state : RiskState
        The strictest of all reasons.
    reasons : tuple of str
        Names of the active reasons, oldest first.
    act : Act
        What ought to be done with orders and position; it holds until it changes, it is no event.
    level : RiskLevel
        How dangerous the account stands.
    leverage : float
        Leverage that the venue ought to be set to.
    exposure_scale : float
        Share of the configured exposure limit that may be used.
    size_scale : float
        Share of the configured order sizes; 0 quotes nothing that adds exposure.
    widen : float
        Spread multiple of the breakers.
    reduce_lots : int
        Lots to take off the position now by a reduce-only IOC order; 0 for none.
    reduce_reason : str
        Why.
    alert : bool
        Whether an active reason asks for a person's attention.
    decisions : tuple of RiskDecision
        What was newly decided in this cycle.

    """

    state: RiskState
    reasons: tuple[str, ...]
    act: Act
    level: RiskLevel
    leverage: float
    exposure_scale: float
    size_scale: float
    widen: float
    reduce_lots: int
    reduce_reason: str
    alert: bool
    decisions: tuple[RiskDecision, ...]
