"""The venue's action budget: what an address may still send, and at what pace to spend it."""

from dataclasses import dataclass

from amm500_nautilus.quoting.types import BudgetView


NS_PER_SECOND = 1_000_000_000
# volume of a growth-mode market counts a tenth (protocol: address limits)
GROWTH_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """
    How the address's actions are metered and spent.

    Parameters
    ----------
    enabled : bool
        Whether the budget is obeyed; off only for benchmarks.
    initial_actions : int
        Actions a new address starts with (10,000 on Hyperliquid, protocol: rate limits).
    credit_per_usd : float
        Actions earned by each unit of collateral traded; in growth mode a tenth of it counts.
    reserve : int
        Actions kept back for IOC orders of an emergency, on top of the cancels of what rests.
    horizon_hours : float
        What remains is spent evenly over this span.
    burst : int
        The most actions that may be saved up and sent at once.
    max_tolerance_multiple : float
        How far the order diff's bands may widen as the budget runs low.

    """

    enabled: bool = True
    initial_actions: int = 10_000
    credit_per_usd: float = 1.0
    reserve: int = 20
    horizon_hours: float = 24.0
    burst: int = 90
    max_tolerance_multiple: float = 8.0

    def __post_init__(self) -> None:
        if self.initial_actions < 0 or self.reserve < 0 or self.burst < 1:
            raise ValueError("budget: initial_actions, reserve must be at least 0 and burst at least 1")
        if self.credit_per_usd < 0:
            raise ValueError(f"budget.credit_per_usd: {self.credit_per_usd} is negative; allowed: 0 or more")
        if self.horizon_hours <= 0:
            raise ValueError(f"budget.horizon_hours: {self.horizon_hours} is not positive; allowed: above 0")
        if self.max_tolerance_multiple < 1:
            raise ValueError("budget.max_tolerance_multiple: must be at least 1")


class ActionBudget:
    """
    Meter actions against the address limit and pace them.

    The limit is ``initial_actions + credit * traded volume``; each order, modify or cancel of a batch counts one
    (protocol: address limits). Tokens accrue at the pace at which the remaining budget lasts ``horizon_hours``; a cycle may send
    what has accrued. As tokens fall the tolerance multiple rises, so that only the requotes worth most are sent.
    """

    def __init__(self, config: BudgetConfig, *, growth_mode: bool = False) -> None:
        self._config = config
        self.credit = config.credit_per_usd * (GROWTH_SHARE if growth_mode else 1.0)
        self._tokens = float(config.burst)
        self._last_ns = 0
        self.sent = 0
        self.volume = 0.0

    @property
    def limit(self) -> float:
        """Actions earned so far, sent or not."""
        return self._config.initial_actions + self.credit * self.volume

    @property
    def remaining(self) -> float:
        """Actions the address may still send; infinite when the budget is off."""
        return self.limit - self.sent if self._config.enabled else float("inf")

    def on_volume(self, notional: float) -> None:
        """Credit traded volume, in collateral units."""
        self.volume += notional

    def on_actions(self, count: int) -> None:
        """Count actions sent."""
        self.sent += count
        # urgent cancels go whatever the pace; they must not silence the quotes for hours after
        self._tokens = max(0.0, self._tokens - count)

    def view(self, ts_ns: int, resting: int) -> BudgetView:
        """Return what this cycle may send, given the number of resting orders whose cancels are reserved."""
        config = self._config
        if not config.enabled:
            return BudgetView()
        spendable = self.remaining - config.reserve - resting
        elapsed_s = (ts_ns - self._last_ns) / NS_PER_SECOND if self._last_ns else 0.0
        self._last_ns = ts_ns
        if spendable <= 0:
            return BudgetView(
                remaining=self.remaining,
                tolerance_multiple=config.max_tolerance_multiple,
                max_changes=0,
                cancel_only=True,
            )
        pace = spendable / (config.horizon_hours * 3_600.0)
        self._tokens = min(float(config.burst), self._tokens + pace * elapsed_s)
        fullness = max(0.0, min(1.0, self._tokens / config.burst))
        multiple = 1.0 + (config.max_tolerance_multiple - 1.0) * (1.0 - fullness) ** 2
        return BudgetView(
            remaining=self.remaining,
            tolerance_multiple=multiple,
            max_changes=max(0, min(int(self._tokens), int(spendable))),
            cancel_only=False,
        )

    def save(self) -> dict[str, float]:
        """Return the counters, for a restart."""
        return {"sent": float(self.sent), "volume": self.volume, "tokens": self._tokens}

    def load(self, state: dict[str, float]) -> None:
        """Take up the counters of an earlier session."""
        self.sent = int(state["sent"])
        self.volume = state["volume"]
        self._tokens = state["tokens"]
