"""A guard with its surroundings, for tests: what it reads of quotes, account and orders, and a clock that the test moves."""

from types import SimpleNamespace
from typing import Any

from amm500_nautilus.guard import Guard
from amm500_nautilus.orders import OrderTable
from amm500_nautilus.quoting.types import AccountView
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RiskLimits
from amm500_nautilus.risk.config import BreakerConfig
from amm500_nautilus.risk.config import LeverageConfig
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.config import StopConfig
from amm500_nautilus.risk.flatten import FlattenConfig
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.risk.types import RiskState


SECOND = 1_000_000_000
T0 = 1_767_571_200 * SECOND
BUY, SELL = 1, -1
# a tick of 0.01 and a lot of 0.001: a thousand lots at 100.00 are worth 100
TICK, LOT = 0.01, 0.001
MID = 10_000


class Quotes:
    """What the guard reads of the quoting engine, and what it was last told to obey."""

    def __init__(self, mid: float = MID) -> None:
        self.funding_rate = 0.0
        self.config = SimpleNamespace(
            rebalance=SimpleNamespace(ioc_through_bps=1.0), basis="leverage", max_exposure=0.0
        )
        self.obeyed: list[RiskLimits] = []
        self.is_rebalancing = False
        self.may_take: list[int] = []
        self.move(mid)

    def move(self, mid: float) -> None:
        self.touch: tuple[int, int] | None = (int(mid - 1), int(mid + 1))
        self.age: float | None = 0.0

    def ages(self, ts_ns: int) -> tuple[float | None, float | None, bool]:
        return self.age, None, False

    def allow_taking(self, lots: int) -> None:
        self.may_take.append(lots)

    def set_limits(self, limits: RiskLimits) -> None:
        self.obeyed.append(limits)


class Budget:
    """Actions without end."""

    remaining = 1e9

    def kept(self, resting: int) -> int:
        return resting + 20


class Desk:
    """A guard with its surroundings: quotes, an account, orders, and a clock that the test moves."""

    def __init__(self, *, daily: bool = False, **sections: Any) -> None:
        base: dict[str, Any] = {
            "stops": StopConfig(stop_loss=0.0, hard_stop=0.0, auto_reduce_loss=0.0),
            "leverage": LeverageConfig(enabled=False),
            "breakers": BreakerConfig(velocity_widen=50.0, velocity_pause=100.0),
        }
        self.said: list[RiskDecision] = []
        self.guard = Guard(
            RiskConfig(**(base | sections)),
            FlattenConfig(),
            leverage=10.0,
            max_leverage=25.0,
            tick=TICK,
            lot=LOT,
            min_notional=10.0,
            daily=daily,
            say=self.said.append,
        )
        self.quotes = Quotes()
        self.orders = OrderTable()
        self.lots = 0
        self.entry = float(MID)
        self.count = 0

    def judge(self, at: float) -> Any:
        account = AccountView(
            equity=0.0, leverage=10.0, position_lots=self.lots, entry_ticks=self.entry if self.lots else 0.0
        )
        return self.guard.judge(
            T0 + round(at * SECOND), self.quotes, account, self.orders, Budget(), volatility={}
        )

    def report(self, equity: float, **info: Any) -> None:
        self.guard.on_account({"equity": equity, **info}, equity, self.lots)

    def fill(
        self, at: float, side: int, lots: int, ticks: int, *, fee: float = 0.0, pnl: float = 0.0
    ) -> None:
        before, self.lots = self.lots, self.lots + side * lots
        self.guard.on_fill(
            T0 + round(at * SECOND),
            side,
            lots=lots,
            price_ticks=ticks,
            closed_pnl=pnl,
            fee=fee,
            before=before,
            is_taker=False,
        )

    def rest(
        self, side: int, lots: int, ticks: int = MID, *, level: int = 0, reduce_only: bool = False
    ) -> Any:
        """Let an order rest and return its slot."""
        self.count += 1
        key = f"O-{self.count}"
        order = SimpleNamespace(client_order_id=SimpleNamespace(value=key), is_closed=False)
        self.orders.add(order, Place(side, ticks, lots, level, reduce_only=reduce_only), T0)
        slot = self.orders.slots[key]
        slot.settle(T0)
        return slot

    def allows(self, at: float, side: int, lots: int, ticks: int = MID, **old: Any) -> bool:
        return self.guard.allows(T0 + round(at * SECOND), side, lots=lots, ticks=ticks, **old)

    def equity(self) -> float:
        """The equity that the risk engine was last shown."""
        return self.guard.engine._equity

    def of(self, subject: str) -> list[RiskDecision]:
        return [decision for decision in self.said if decision.subject == subject]


def running(**sections: Any) -> Desk:
    """A flat account of 1,000 at second 1, running."""
    desk = Desk(**sections)
    desk.report(1_000.0)
    assert desk.judge(1.0).state is RiskState.RUNNING
    return desk
