"""What this room sees of a running strategy, and what it may ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from math import isfinite
from math import nan
from typing import Any
from typing import Protocol

from amm500_nautilus.risk.config import RiskConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    The strategy and its account at one moment; NaN where there is no figure.

    Amounts are in collateral units, ratios fractions, prices of one contract. ``position`` is signed, in contracts; ``bid`` and
    ``ask`` are our own best, ``best_bid`` and ``best_ask`` the market's. ``fees``, ``liquidation`` (penalties) and
    ``weight_cost`` (bought actions) are positive when paid, ``funding`` when received; ``waiting`` names the active reasons that
    only a person ends.
    """

    ts_ns: int
    state: str = "STARTING"
    reasons: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    level: str = "LOW"
    equity: float = nan
    balance: float = nan
    position: float = nan
    entry: float = nan
    mid: float = nan
    best_bid: float = nan
    best_ask: float = nan
    bid: float = nan
    ask: float = nan
    n_bids: int = 0
    n_asks: int = 0
    quote_state: str = ""
    quote_reasons: tuple[str, ...] = ()
    delta: float = nan
    volatility: Mapping[str, float] = field(default_factory=dict)
    spread_bps: float = nan
    funding_rate: float = nan
    margin_used: float = nan
    order_margin: float = nan
    margin_ratio: float = nan
    maintenance_ratio: float = nan
    liquidation_price: float = nan
    leverage: float = nan
    collateral_price: float = nan
    session_start_ns: int = 0
    starting_equity: float = nan
    peak_equity: float = nan
    drawdown: float = nan
    session_loss: float = nan
    fees: float = nan
    funding: float = nan
    transfers: float = nan
    liquidation: float = nan
    weight_cost: float = nan
    budget_remaining: float = nan
    actions: int = 0
    fills: int = 0
    rejections: int = 0


def plain_reading(reading: Reading) -> dict[str, Any]:
    """Return a reading as JSON can carry it: None where there is no figure."""
    return {item.name: _plain(getattr(reading, item.name)) for item in fields(reading)}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


class Desk(Protocol):
    """A running strategy, asked on the loop's own thread and nowhere else."""

    @property
    def risk(self) -> RiskConfig:
        """The thresholds that the strategy obeys."""

    def now_ns(self) -> int:
        """Return the node's time."""

    def read(self) -> Reading:
        """Return how everything stands."""

    def demand(self, reason: str) -> None:
        """Set off a reason with the next cycle."""

    def drill(self, reason: str) -> None:
        """Hold a reason's trigger for a while, as if it were so."""

    def resume(self, by: str) -> tuple[str, ...]:
        """End what waits for a person; return the names of what ended."""

    def new_session(self, by: str) -> None:
        """Count loss and drawdown anew."""

    def stop(self, on_end: str | None) -> None:
        """End the run; ``on_end`` is ``hold`` or ``flatten`` in the place of the run file's."""

    def save(self) -> Mapping[str, bytes]:
        """Return what must survive a restart, by name."""
