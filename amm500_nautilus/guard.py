"""The risk engine in the strategy's hands: what it is shown each second, and how its verdict reaches quotes and orders."""

from collections.abc import Callable
from collections.abc import Mapping
from math import inf
from math import isfinite
from typing import Any

from amm500_nautilus.orders import RISK_LEVEL
from amm500_nautilus.orders import OrderTable
from amm500_nautilus.quoting.engine import QuoteEngine
from amm500_nautilus.quoting.rebalance import NO_CAP
from amm500_nautilus.quoting.skew import exposure_limit
from amm500_nautilus.quoting.types import BUY
from amm500_nautilus.quoting.types import AccountView
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RiskLimits
from amm500_nautilus.risk.budget import ActionBudget
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.engine import RiskEngine
from amm500_nautilus.risk.flatten import FlattenConfig
from amm500_nautilus.risk.flatten import Flattener
from amm500_nautilus.risk.limits import ExposureTotals
from amm500_nautilus.risk.limits import OrderAsk
from amm500_nautilus.risk.types import NO_CONDITIONS
from amm500_nautilus.risk.types import Act
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.risk.types import RiskState
from amm500_nautilus.risk.types import RiskVerdict
from amm500_nautilus.risk.types import RiskView


NS_PER_SECOND = 1_000_000_000
DAY_NS = 86_400 * NS_PER_SECOND
REPEAT_NS = 60 * NS_PER_SECOND
# modes of the account in which one balance covers every dex
ONE_POT = ("unified", "portfolio_margin")


def _nothing() -> Conditions:
    return NO_CONDITIONS


class AccountEcho:
    """
    The account between two reports: equity moved on by our own fills and the mid.

    A report may be seconds old; a fall of the price in between must not hide.
    """

    def __init__(self) -> None:
        self.reported = 0.0
        self._cash = 0.0
        self._position_value = 0.0
        self._is_balance = False
        self.net_transfers = 0.0
        self.funding = 0.0
        self.maintenance_rate = 0.0
        self.collateral_price: float | None = None
        # as reported, of everything that held margin then
        self.margin_ratio = 0.0
        # as reported, of so many lots
        self.liquidation_price: float | None = None
        self.liquidation_lots = 0
        self.leverage: float | None = None

    def on_report(self, equity: float, position_value: float, *, is_balance: bool = False) -> None:
        """Take a reported equity with our own position's value then; ``is_balance`` if it leaves unrealised PnL out."""
        self.reported, self._position_value, self._cash = equity, position_value, 0.0
        self._is_balance = is_balance

    def value_position(self, position_value: float) -> None:
        """Set what the position of the last report was worth then, where no price was known."""
        self._position_value = position_value

    def on_fill(self, cash: float) -> None:
        """Move cash by a fill: what was received less what was paid, the fee included."""
        self._cash += cash

    def on_liquidation_price(self, info: Mapping[str, Any], mark: float, position_lots: int) -> None:
        """
        Take the price at which a reported position is liquidated, if it is one of ours.

        A report may be older than our last fill: a price on the side where ours gains belongs to another position, unless the
        account says itself that maintenance is not covered any more. In a unified account the state of one dex means nothing for a
        cross position: https://hyperliquid.gitbook.io/hyperliquid-docs/trading/account-abstraction-modes.
        """
        given = info.get("liquidation_price")
        price = None if given is None else float(given)
        self.liquidation_price, self.liquidation_lots = None, position_lots
        if price is None or not isfinite(price) or position_lots == 0:
            return
        if info.get("account_mode") in ONE_POT and info.get("margin_mode", "cross") == "cross":
            return
        is_ahead = mark <= 0 or (mark - price) * position_lots > 0
        if is_ahead or float(info.get("maintenance_ratio", 0.0)) >= 1.0:
            self.liquidation_price = price

    def liquidation_price_of(self, position_lots: int) -> float | None:
        """Return the reported liquidation price as long as what we hold is what it was reported for."""
        return self.liquidation_price if position_lots == self.liquidation_lots else None

    def equity(self, position_value: float, unrealized: float = 0.0) -> float:
        """Return equity with our position worth ``position_value`` now, ``unrealized`` more than it cost."""
        if self._is_balance:
            # the engine's own account is reported at every fill, fees and realised PnL included
            return self.reported + unrealized
        return self.reported + self._cash + position_value - self._position_value


class Guard:
    """
    Ask the risk engine once a second and before every order, and obey.

    Parameters
    ----------
    config : RiskConfig
        Every threshold.
    flatten : FlattenConfig
        How a position is closed under a halt.
    leverage, max_leverage : float
        Configured, and the market's largest.
    tick, lot, min_notional : float
        The instrument's units and the venue's smallest order value.
    daily : bool
        Count loss and drawdown anew each UTC day; otherwise from the start of the run.
    say : callable
        Takes every decision of the risk engine, for log, report and journal.

    """

    def __init__(
        self,
        config: RiskConfig,
        flatten: FlattenConfig,
        *,
        leverage: float,
        max_leverage: float,
        tick: float,
        lot: float,
        min_notional: float,
        daily: bool,
        say: Callable[[RiskDecision], None],
    ) -> None:
        self.engine = RiskEngine(config, leverage=leverage, lot=lot, min_notional=min_notional)
        self.echo = AccountEcho()
        self._enabled = config.enabled
        self._flattener = Flattener(flatten)
        self._through_bps = flatten.through_bps[0]
        self._leverage, self._max_leverage = leverage, max_leverage
        self._asked_leverage = int(leverage)
        self._sets_leverage = config.leverage.set_at_venue
        self._tick, self._unit = tick, tick * lot
        self._daily = daily
        self._say = say
        self._day = -1
        self._totals = ExposureTotals(leverage=leverage)
        self._mid = 0.0
        self._is_priced = False
        self._limits = RiskLimits()
        self._limits_key: tuple[Any, ...] | None = None
        self._counted_ns = -1
        self._refused: dict[str, tuple[int, int]] = {}
        self._info: Mapping[str, Any] | None = None
        self._unvalued_lots = 0
        self._is_implausible = False
        self.verdict: RiskVerdict | None = None
        # asked once a second; whoever runs the strategy puts its own in this place
        self.conditions: Callable[[], Conditions] = _nothing

    # -- what happened --------------------------------------------------------------------------------------------

    def on_account(self, info: Mapping[str, Any], equity: float, position_lots: int) -> bool:
        """
        Take a report of the account, once, and return whether its equity is implausible where that of the report before was not.

        The engine hands out its last report again at every event of an order: taken as news, it would hide what fills and the mid
        have done since. ``info["mark_price"]``, where the account gives it, is what the position was valued at.
        """
        if info is self._info:
            return False
        self._info = info
        echo = self.echo
        mark = info.get("mark_price")
        mid = self._mid if mark is None else float(mark) / self._tick
        value = position_lots * mid * self._unit
        self._unvalued_lots = position_lots if mid <= 0 else 0
        if self._mid <= 0:
            # before the first book the mark is the price, or a position would be worth nothing
            self._mid = mid
        transfers = float(info.get("net_transfers", echo.net_transfers))
        funding = float(info.get("funding", echo.funding))
        # a plain venue of the engine reports balances only: there is nothing to compare with what the price did
        is_balance = "equity" not in info
        was_implausible, self._is_implausible = self._is_implausible, False
        if (mid > 0 or position_lots == 0) and not is_balance:
            self._is_implausible = self.engine.on_account(
                equity=equity,
                position_value=value,
                funding=funding - echo.funding,
                transfers=transfers - echo.net_transfers,
            )
        echo.net_transfers, echo.funding = transfers, funding
        echo.on_report(equity, value, is_balance=is_balance)
        maintenance = float(info.get("maintenance", 0.0))
        echo.maintenance_rate = maintenance / abs(value) if value and maintenance > 0 else 0.0
        price = info.get("collateral_price")
        echo.collateral_price = None if price is None else float(price)
        echo.margin_ratio = float(info.get("margin_ratio", 0.0))
        echo.on_liquidation_price(info, mid * self._tick, position_lots)
        leverage = info.get("leverage")
        echo.leverage = None if leverage is None else float(leverage)
        self._totals.leverage = self._leverage_of(self._leverage)
        return self._is_implausible and not was_implausible

    def _leverage_of(self, configured: float) -> float:
        """Return the leverage that the account reports, by which margin is reckoned; the configured one until it does."""
        return configured if self.echo.leverage is None else self.echo.leverage

    def on_fill(
        self,
        ts_ns: int,
        side: int,
        *,
        lots: int,
        price_ticks: int,
        closed_pnl: float,
        fee: float,
        before: int,
        is_taker: bool,
    ) -> None:
        """Take one of our fills, once; ``before`` is the signed position before it, money in collateral units."""
        value = lots * price_ticks * self._unit
        self.echo.on_fill(-side * value - fee)
        self.engine.on_fill(
            ts_ns,
            side,
            lots=lots,
            value=value,
            closed_pnl=closed_pnl,
            fee=fee,
            position_before=before,
            is_taker=is_taker,
        )

    def on_rejection(self, ts_ns: int) -> None:
        """Count an order or a modify that the venue refused; a refused cancel only says that the order was gone before."""
        self.engine.on_rejection(ts_ns)

    # -- once a second --------------------------------------------------------------------------------------------

    def judge(
        self,
        ts_ns: int,
        quotes: QuoteEngine,
        account: AccountView,
        orders: OrderTable,
        budget: ActionBudget,
        *,
        volatility: Mapping[str, float],
    ) -> RiskVerdict | None:
        """Show the risk engine everything, make the quotes obey, and return its verdict; None before the first account report."""
        if self._info is None:
            return None
        if self._daily and ts_ns // DAY_NS != self._day:
            self._day = ts_ns // DAY_NS
            self.engine.new_session()
        self._see(quotes.touch)
        self._count(ts_ns, orders, account.position_lots)
        around = self.conditions()
        for name in around.demands:
            self.engine.demand(name)
        view = self._view(ts_ns, quotes, account, orders, budget, around, volatility)
        self._totals.equity = view.equity
        verdict = self.engine.assess(view)
        if self.verdict is None or verdict.state is not self.verdict.state:
            is_running = verdict.state is RiskState.RUNNING
            self._say(RiskDecision(ts_ns, "state", is_running, verdict.state.value, {}))
        self.verdict = verdict
        for decision in verdict.decisions:
            self._say(decision)
        quotes.set_limits(self._limits_of(verdict))
        if quotes.is_rebalancing and self._is_priced:
            room = self.engine.taker.room(ts_ns)
            quotes.allow_taking(NO_CAP if room == inf else int(room / (self._mid * self._unit)))
        return verdict

    def _view(
        self,
        ts_ns: int,
        quotes: QuoteEngine,
        account: AccountView,
        orders: OrderTable,
        budget: ActionBudget,
        around: Conditions,
        volatility: Mapping[str, float],
    ) -> RiskView:
        """Return what the risk engine is shown, the position and the equity at the mid of now."""
        echo, totals, lots = self.echo, self._totals, account.position_lots
        value = lots * self._mid * self._unit
        # before the first book the account's own figure stands: no price of ours is as good as that of its report
        equity = echo.reported
        if self._is_priced:
            equity = echo.equity(value, lots * (self._mid - account.entry_ticks) * self._unit)
        book_age, oracle_age, frozen = quotes.ages(ts_ns)
        maintenance = echo.maintenance_rate * abs(value)
        return RiskView(
            ts_ns=ts_ns,
            equity=equity,
            net_transfers=echo.net_transfers,
            position_lots=lots,
            position_notional=value,
            entry=account.entry_ticks * self._tick,
            mark=self._mid * self._tick,
            leverage=self._leverage_of(account.leverage),
            exposure_limit=exposure_limit(
                equity, account.leverage, basis=quotes.config.basis, max_exposure=quotes.config.max_exposure
            ),
            max_leverage=self._max_leverage,
            margin_ratio=echo.margin_ratio,
            maintenance_ratio=maintenance / equity if equity > 0 else 0.0,
            liquidation_price=echo.liquidation_price_of(lots),
            buy_notional=totals.buy_value,
            sell_notional=totals.sell_value,
            volatility=volatility,
            funding_rate=quotes.funding_rate,
            book_age_secs=book_age,
            oracle_age_secs=oracle_age,
            oracle_frozen=frozen,
            collateral_price=echo.collateral_price,
            budget_remaining=budget.remaining,
            budget_reserve=float(budget.kept(len(orders.slots))),
            network_down=around.network_down,
            second_trader=around.second_trader,
            agent_refused=around.agent_refused,
            journal_failed=around.journal_failed,
        )

    def leverage_to_ask(self) -> int | None:
        """Return the whole leverage that the venue should be set to now; None when it is, or when that is not ours to do."""
        if not self._sets_leverage or self.verdict is None:
            return None
        wanted = max(1, int(self.verdict.leverage))
        if wanted == self._asked_leverage:
            return None
        self._asked_leverage = wanted
        return wanted

    def _see(self, touch: tuple[int, int] | None) -> None:
        """Take the mid of a touch, if there is one."""
        if touch is None:
            return
        self._mid = (touch[0] + touch[1]) * 0.5
        self._is_priced = True
        if self._unvalued_lots:
            # the last report came before any price: what we held then is valued at the first one
            self.echo.value_position(self._unvalued_lots * self._mid * self._unit)
            self._unvalued_lots = 0

    def _limits_of(self, verdict: RiskVerdict) -> RiskLimits:
        """Return what the verdict means for the quotes; the same object as long as it means the same."""
        key = (
            verdict.state,
            verdict.act,
            verdict.level,
            verdict.exposure_scale,
            verdict.size_scale,
            verdict.widen,
            verdict.reasons,
        )
        if key == self._limits_key:
            return self._limits
        self._limits_key = key
        state = verdict.state
        # a pause that cancels nothing leaves what rests: with no actions left only fills earn new ones
        stopped = verdict.act >= Act.CANCEL_OWN or state in (RiskState.STARTING, RiskState.HALTED)
        stops = (verdict.reasons or (state.value.lower(),)) if stopped else ()
        self._limits = RiskLimits(
            verdict.level.name,
            verdict.widen,
            verdict.exposure_scale,
            verdict.size_scale,
            stops,
            state is RiskState.REDUCE_ONLY or verdict.act is Act.CANCEL_INCREASING,
        )
        return self._limits

    def _count(self, ts_ns: int, orders: OrderTable, position_lots: int) -> None:
        """Count every order that may still fill, in flight or resting; a modify in flight with the larger of its two sizes."""
        self._counted_ns = ts_ns
        totals = self._totals
        totals.clear_orders()
        buys = sells = buy_value = sell_value = 0
        for slot in orders.slots.values():
            resting = slot.resting
            lots, ticks = resting.lots, resting.price_ticks
            if slot.next_lots > lots:
                lots = slot.next_lots
            if slot.next_ticks > ticks:
                ticks = slot.next_ticks
            if resting.reduce_only:
                totals.add(resting.side, lots, 0.0, reduce_only=True)
            elif resting.side > 0:
                buys += lots
                buy_value += lots * ticks
            else:
                sells += lots
                sell_value += lots * ticks
        unit = self._unit
        totals.add(BUY, buys, buy_value * unit)
        totals.add(-BUY, sells, sell_value * unit)
        totals.set_position(position_lots, position_lots * self._mid * unit)

    def order_of_risk(
        self, ts_ns: int, quotes: QuoteEngine, orders: OrderTable, position_lots: int
    ) -> tuple[Place | None, list[str]]:
        """
        Return the reduce-only order that the last verdict asks for now, and the keys of older ones that must go first.

        Under a flatten it is the escalation's next step; otherwise one IOC order for what a stop takes off.
        """
        verdict, touch = self.verdict, quotes.touch
        if verdict is None or touch is None:
            return None, []
        if verdict.reduce_lots <= 0 and not orders.of_risk and verdict.act is not Act.FLATTEN:
            self._flattener.reset()
            return None, []
        own = [orders.slots[key] for key in orders.of_risk]
        in_flight = any(slot.resting.pending for slot in own)
        if verdict.act is not Act.FLATTEN:
            self._flattener.reset()
            stale = [slot.resting.key for slot in own if not slot.resting.pending]
            if verdict.reduce_lots <= 0 or position_lots == 0 or in_flight:
                return None, stale
            side = -BUY if position_lots > 0 else BUY
            through = touch[1 if side > 0 else 0] * self._through_bps * 1e-4
            price = round(touch[1] + through) if side > 0 else round(touch[0] - through)
            lots = min(verdict.reduce_lots, abs(position_lots))
            return Place(side, price, lots, RISK_LEVEL, reduce_only=True, ioc=True), stale
        step = self._flattener.next(
            ts_ns, position_lots=position_lots, bid_ticks=touch[0], ask_ticks=touch[1], in_flight=in_flight
        )
        if step is None:
            return None, [slot.resting.key for slot in own if position_lots == 0]
        stale = [slot.resting.key for slot in own]
        place = Place(step.side, step.price_ticks, step.lots, RISK_LEVEL, reduce_only=True, ioc=step.ioc)
        return place, stale

    # -- before every order ---------------------------------------------------------------------------------------

    def begin(self, ts_ns: int, orders: OrderTable, position_lots: int) -> None:
        """Count what is open before the orders of a cycle are judged, unless that was done at this very time."""
        if self._enabled and self._counted_ns != ts_ns:
            self._count(ts_ns, orders, position_lots)

    def allows(
        self,
        ts_ns: int,
        side: int,
        *,
        lots: int,
        ticks: int,
        reduce_only: bool = False,
        old_lots: int = 0,
        old_ticks: int = 0,
    ) -> bool:
        """Return whether an order may leave; one that may is counted, one that may not is said."""
        if not self._enabled:
            return True
        unit = self._unit
        value, old_value = lots * ticks * unit, old_lots * old_ticks * unit
        decision = self.engine.approve(
            ts_ns, OrderAsk(side, lots, value, reduce_only, old_lots, old_value), self._totals
        )
        if decision.approved:
            # a modify in flight may end either way: the larger counts
            self._totals.add(
                side, max(0, lots - old_lots), max(0.0, value - old_value), reduce_only=reduce_only
            )
        else:
            self._say_refused(decision)
        return decision.approved

    def finish(self, ts_ns: int) -> None:
        """Say how many refusals have not been said yet."""
        for reason, (since, count) in self._refused.items():
            if count:
                self._refused[reason] = (since, 0)
                self._say(RiskDecision(ts_ns, "order", False, reason, {"count": count}))

    def _say_refused(self, decision: RiskDecision) -> None:
        """Say the first refusal for a reason at once, and what followed it at most once a minute, with how many there were."""
        since, count = self._refused.get(decision.reason, (-REPEAT_NS, 0))
        count += 1
        if decision.ts_ns - since < REPEAT_NS:
            self._refused[decision.reason] = (since, count)
            return
        self._refused[decision.reason] = (decision.ts_ns, 0)
        self._say(decision._replace(numbers={**decision.numbers, "count": count}))

    # -- what a person orders -------------------------------------------------------------------------------------

    @property
    def is_enabled(self) -> bool:
        """Whether the risk engine judges at all; without it there is no state to change."""
        return self._enabled

    def resume(self, ts_ns: int, by: str) -> tuple[str, ...]:
        """End everything that waits for a person, say it, and return the names of what ended."""
        before = self.engine.machine.reasons
        for decision in self.engine.resume(ts_ns, by):
            self._say(decision)
        return tuple(name for name in before if name not in self.engine.machine.reasons)

    def new_session(self, ts_ns: int, by: str) -> None:
        """Count loss and drawdown anew from the next second on."""
        self.engine.new_session()
        self._say(RiskDecision(ts_ns, "session", True, f"new session by {by}", {}))

    # -- restart --------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return what must survive a restart, as plain values."""
        return {"engine": self.engine.save(), "flatten": self._flattener.save(), "day": self._day}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned: a halt stays one."""
        self.engine.load(state["engine"])
        self._flattener.load(state["flatten"])
        self._day = int(state["day"])
