"""The risk engine: the one object that the strategy asks what it may do."""

from collections.abc import Mapping
from math import ceil
from math import inf
from math import isfinite
from typing import Any

from amm500_nautilus.margin.tables import order_notional_after_netting
from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.breakers import CALM
from amm500_nautilus.risk.breakers import PAUSE
from amm500_nautilus.risk.breakers import RejectionMeter
from amm500_nautilus.risk.breakers import VelocityMeter
from amm500_nautilus.risk.breakers import stage
from amm500_nautilus.risk.check import FullLadder
from amm500_nautilus.risk.check import refusals
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.equity import EquityCheck
from amm500_nautilus.risk.equity import certain
from amm500_nautilus.risk.funding import FundingHedge
from amm500_nautilus.risk.kelly import KellySizer
from amm500_nautilus.risk.levels import LevelKeeper
from amm500_nautilus.risk.levels import LevelReading
from amm500_nautilus.risk.levels import pick_volatility
from amm500_nautilus.risk.levels import risk_level
from amm500_nautilus.risk.leverage import DynamicLeverage
from amm500_nautilus.risk.limits import ExposureTotals
from amm500_nautilus.risk.limits import OrderAsk
from amm500_nautilus.risk.limits import OrderLimits
from amm500_nautilus.risk.machine import NS_PER_SECOND
from amm500_nautilus.risk.machine import StateMachine
from amm500_nautilus.risk.machine import Trigger
from amm500_nautilus.risk.session import Session
from amm500_nautilus.risk.session import SessionFigures
from amm500_nautilus.risk.stops import Stops
from amm500_nautilus.risk.streak import Close
from amm500_nautilus.risk.streak import LosingStreak
from amm500_nautilus.risk.switches import SwitchBoard
from amm500_nautilus.risk.switches import is_book_stale
from amm500_nautilus.risk.switches import liquidation_distance
from amm500_nautilus.risk.taker import TakerMeter
from amm500_nautilus.risk.types import Act
from amm500_nautilus.risk.types import Reduction
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.risk.types import RiskLevel
from amm500_nautilus.risk.types import RiskState
from amm500_nautilus.risk.types import RiskVerdict
from amm500_nautilus.risk.types import RiskView


FLATTEN = "flatten"
_SPENT = (reasons.ACTION_BUDGET,)
# how long a drill holds a reason, beyond what must pass before the reason acts
DRILL_SECS = 10.0
# a size that moved by less than this share since it was last reported is not reported again
_SIZE_STEP = 0.1
# a verdict is made each second: directly, at a fifth of the cost
_new_tuple: Any = tuple.__new__


def worst_margin_ratio(view: RiskView) -> float:
    """
    Return the larger of the reported margin ratio and the one with everything that rests and is in flight.

    The venue's own account state carries no open orders of a builder-deployed dex, so its figure alone is too low.
    """
    notional, orders = view.position_notional, view.buy_notional
    if notional or orders or view.sell_notional:
        orders = order_notional_after_netting(
            position_notional=notional, buy_notional=orders, sell_notional=view.sell_notional
        )
        own = (abs(notional) + orders) / view.leverage / view.equity if view.equity > 0 else inf
        # in this order, a reported figure that is no number is passed on: it must not hide
        return max(view.margin_ratio, own)
    return view.margin_ratio


class RiskEngine:
    """
    Judge the account once a second, and every order before it leaves.

    Equal calls give equal verdicts: there is no clock, no log and no engine type in here. ``assess`` says what holds until its
    next call, ``approve`` applies it to single orders.

    Parameters
    ----------
    config : RiskConfig
        Every threshold.
    leverage : float
        Leverage of the run's configuration.
    lot : float
        Contracts of one lot.
    min_notional : float
        The venue's smallest order value; a reduction is raised to it, or to the whole position.

    """

    def __init__(
        self, config: RiskConfig, *, leverage: float = 10.0, lot: float = 1.0, min_notional: float = 10.0
    ) -> None:
        self.config = config
        self._min_notional = min_notional
        self.session = Session()
        self.machine = StateMachine(reasons.reason_table(config))
        self.streak = LosingStreak(config.switches.close_window_secs)
        self.taker = TakerMeter(config.taker)
        self.kelly = KellySizer(config.kelly)
        self._board = SwitchBoard(config.switches, leverage)
        self._keeper = LevelKeeper(config.levels)
        self._leverage = DynamicLeverage(config.leverage, leverage)
        self._stops = Stops(config.stops)
        self._hedge = FundingHedge(config.funding)
        self._rejections = RejectionMeter(config.breakers)
        self._velocity = VelocityMeter(config.breakers)
        self._limits = OrderLimits(config.limits, lot)
        self._level_config = config.levels
        self._volatility_name = config.levels.volatility_estimate
        self._meters: dict[str, RejectionMeter | TakerMeter | VelocityMeter] = {
            reasons.REJECTIONS: self._rejections,
            reasons.TAKER_SHARE: self.taker,
            reasons.POSITION_VELOCITY: self._velocity,
        }
        self._rules = {rule.name: rule for rule in reasons.reason_table(config)}
        # what a person or the runtime sets off with the next view
        self._demands: dict[str, dict[str, float]] = {}
        # reasons that are drilled, until when; and what holds without a drill in the last view
        self._drills: dict[str, int] = {}
        self._genuine: frozenset[str] = frozenset()
        self._now_ns = 0
        self._said: list[RiskDecision] = []
        self._said_level = RiskLevel.LOW
        # whether a breaker was past its first threshold in the last cycle
        self._is_tense = False
        # per breaker: the stage of the last cycle
        self._stages = dict.fromkeys(
            (reasons.REJECTIONS, reasons.TAKER_SHARE, reasons.POSITION_VELOCITY, reasons.ACTION_BUDGET), CALM
        )
        self._equity = 0.0
        self._check = EquityCheck(config.switches.implausible_equity)
        # when the last view was, and whether the next must say if what was apart before a restart still is
        self._seen_ns = 0
        self._must_recall = False
        self._size_scale = self._said_scale = 1.0
        self._exposure_scale = 1.0
        self._closed = "" if not config.enabled else RiskState.STARTING.value

    # -- events --------------------------------------------------------------------------------------------------------

    def on_fill(
        self,
        ts_ns: int,
        side: int,
        *,
        lots: int,
        value: float,
        closed_pnl: float,
        fee: float,
        position_before: int,
        is_taker: bool,
    ) -> None:
        """
        Take one of our fills, once.

        Parameters
        ----------
        ts_ns : int
            Time of the fill.
        side : int
            1 bought, -1 sold.
        lots, position_before : int
            Size, and the signed position before it.
        value, closed_pnl, fee : float
            Value, realised PnL before the fee, and fee, in collateral units.
        is_taker : bool
            Whether it was taken.

        """
        self.taker.on_fill(ts_ns, value, is_taker=is_taker)
        self._check.on_cash(-side * value - fee)
        close = self.streak.on_fill(
            ts_ns,
            side,
            lots=lots,
            position_before=position_before,
            value=value,
            closed_pnl=closed_pnl,
            fee=fee,
        )
        if close is not None:
            self._on_close(close)

    def _on_close(self, close: Close) -> None:
        self.kelly.on_close(close.net, close.value)

    def on_rejection(self, ts_ns: int) -> None:
        """Count an order, modify or cancel that the venue refused."""
        self._rejections.on_rejection(ts_ns)

    def on_account(
        self, *, equity: float, position_value: float, funding: float = 0.0, transfers: float = 0.0
    ) -> bool:
        """
        Take a refresh of the account and return whether it is further from what our fills and the price explain than may be.

        What they do not explain is left out of loss, drawdown and peak until it is explained, or believed (``EquityCheck``).

        Parameters
        ----------
        equity : float
            Equity as the account reports it.
        position_value : float
            Signed value of our own record of the position at the mark of this refresh.
        funding, transfers : float
            Funding received and net deposits since the last refresh.

        """
        found = self._check.on_report(
            self._seen_ns,
            equity=equity,
            position_value=position_value,
            funding=funding,
            transfers=transfers,
        )
        if found is not None:
            self._board.implausible = found
        return found is not None

    def new_session(self) -> None:
        """Begin a new session: starting equity and peak are those of the next view."""
        self.session.restart()

    def resume(self, ts_ns: int, by: str) -> tuple[RiskDecision, ...]:
        """
        End everything that waits for a person; after a halt for loss or drawdown both are counted from now on.

        An equity that was implausible is believed, and what nothing explained of it is neither gain nor loss.

        Raises
        ------
        ValueError
            If nobody is named.

        """
        self._demands.clear()
        self._drills.clear()
        before = self.machine.reasons
        ended = tuple(self.machine.resume(ts_ns, by))
        gone = set(before) - set(self.machine.reasons)
        if gone & {reasons.DRAWDOWN, reasons.SESSION_LOSS}:
            self.session.rebase()
        if reasons.IMPLAUSIBLE_EQUITY in gone:
            # a person has looked at it: as a transfer that was never told
            self.session.shift(self._check.accept())
        if reasons.LOSING_STREAK in gone:
            self.streak.reset()
        return ended

    def demand(self, name: str, numbers: Mapping[str, float] | None = None) -> None:
        """
        Set off a reason with the next view, once: what a person orders, or what only the runtime knows.

        Raises
        ------
        ValueError
            If the reason is not in the table.

        """
        self._known(name)
        self._demands[name] = dict(numbers or {})

    def drill(self, ts_ns: int, name: str) -> None:
        """
        Hold a reason's trigger for ten seconds beyond its own delay, as if it were so: it acts and ends by its own rule.

        Raises
        ------
        ValueError
            If the reason is not in the table.

        """
        secs = self._known(name).hold_secs + DRILL_SECS
        self._drills[name] = ts_ns + int(secs * NS_PER_SECOND)

    def _known(self, name: str) -> reasons.ReasonRule:
        rule = self._rules.get(name)
        if rule is None:
            msg = f"reason {name!r} is not in the table; it must be one of {', '.join(self._rules)}"
            raise ValueError(msg)
        return rule

    # -- once a second -------------------------------------------------------------------------------------------------

    def assess(self, view: RiskView) -> RiskVerdict:
        """Return what holds from now on."""
        if not self.config.enabled:
            return self._off(view)
        view = self._believable(view)
        ts_ns = view.ts_ns
        explained = self._explained(view)
        figures = self.session.update(explained)
        if self._check.is_fresh(ts_ns):
            # a torn report must not take the position off
            view = certain(view, explained)
        distance = liquidation_distance(view)
        margin_ratio = worst_margin_ratio(view)
        volatility = pick_volatility(view.volatility, self._volatility_name)
        reading = risk_level(
            margin_ratio=margin_ratio,
            drawdown=figures.drawdown,
            liquidation_distance=distance,
            volatility=volatility,
            config=self._level_config,
        )
        level = self._keeper.update(ts_ns, reading.level)
        if level is not self._said_level:
            self._say_level(ts_ns, level, reading)
        notional = abs(view.position_notional)
        step = self._leverage.update(ts_ns, level, equity=view.equity, notional=notional)
        if step.changed:
            self._said.append(RiskDecision(ts_ns, "leverage", True, level.name, step.numbers))
        self._exposure_scale = step.exposure_scale
        is_wide = self._conditions(view, figures, distance=distance, margin_ratio=margin_ratio)
        if self.config.kelly.enabled:
            self._size(ts_ns, view, volatility, level)
        reduction = self._reduction(view, figures) if view.position_lots else None
        machine = self.machine
        state, act = machine.state, machine.act
        # with actions spent, and nothing else the matter, the budget itself says what may still go
        is_spent = state is RiskState.PAUSED and machine.is_started and machine.reasons == _SPENT
        self._closed = "" if state is RiskState.RUNNING or is_spent else state.value
        if not self._closed and self._size_scale <= 0:
            self._closed = "size"
        if act is Act.FLATTEN and self._board.is_blind:
            act = Act.CANCEL_ALL
        verdict: RiskVerdict = _new_tuple(
            RiskVerdict,
            (
                state,
                machine.reasons,
                act,
                level,
                step.leverage,
                step.exposure_scale,
                self._size_scale,
                self.config.breakers.widen if is_wide else 1.0,
                reduction.lots if reduction is not None else 0,
                reduction.reason if reduction is not None else "",
                machine.alert,
                self._take_said(),
            ),
        )
        return verdict

    def _conditions(
        self, view: RiskView, figures: SessionFigures, *, distance: float, margin_ratio: float
    ) -> bool:
        """Bring the state machine up to date; return whether a breaker asks for a wider spread."""
        machine = self.machine
        if not machine.is_started and view.equity > 0 and not is_book_stale(view, self.config.switches):
            machine.start()
        triggers = self._board.triggers(
            view, figures, distance=distance, margin_ratio=margin_ratio, started=machine.is_started
        )
        self._streak_trigger(view.ts_ns, view.equity, triggers)
        is_wide = self._breaker_triggers(view, triggers)
        if self._demands:
            triggers.extend(self._demands.items())
            self._demands.clear()
        if self._drills:
            self._drill_triggers(view.ts_ns, triggers)
        if triggers or not machine.is_quiet:
            self._said.extend(machine.update(view.ts_ns, triggers, self._is_gone))
        return is_wide

    def _drill_triggers(self, ts_ns: int, triggers: list[Trigger]) -> None:
        """Append what is drilled, and forget a drill whose reason has ended."""
        self._now_ns = ts_ns
        self._genuine = frozenset(name for name, _ in triggers)
        for name, until_ns in list(self._drills.items()):
            if ts_ns < until_ns:
                if name not in self._genuine:
                    triggers.append((name, {"drill": 1.0}))
            elif name not in self.machine.reasons:
                del self._drills[name]

    def _take_said(self) -> tuple[RiskDecision, ...]:
        if not self._said:
            return ()
        decisions = tuple(self._said)
        self._said.clear()
        return decisions

    def _off(self, view: RiskView) -> RiskVerdict:
        return RiskVerdict(
            state=RiskState.RUNNING,
            reasons=(),
            act=Act.NONE,
            level=RiskLevel.LOW,
            leverage=view.leverage,
            exposure_scale=1.0,
            size_scale=1.0,
            widen=1.0,
            reduce_lots=0,
            reduce_reason="",
            alert=False,
            decisions=(),
        )

    def _believable(self, view: RiskView) -> RiskView:
        """Return the view; one whose equity is no number keeps the last good one, and asks a person."""
        if isfinite(view.equity):
            self._equity = view.equity
            return view
        # nothing may be flattened because a figure is missing
        self._board.implausible = {"equity": view.equity}
        return view._replace(equity=self._equity)

    def _explained(self, view: RiskView) -> RiskView:
        """Return the view without the part of its equity that nothing explains yet."""
        self._seen_ns = view.ts_ns
        check = self._check
        if self._must_recall:
            self._must_recall = False
            check.recall(self.session.net(view), self.session.figures.net_equity)
        return view if check.apart == 0.0 else view._replace(equity=view.equity - check.apart)

    def _say_level(self, ts_ns: int, level: RiskLevel, reading: LevelReading) -> None:
        calmer = level < self._said_level
        self._said_level = level
        self._said.append(RiskDecision(ts_ns, "level", calmer, level.name, reading.numbers()))

    def _streak_trigger(self, ts_ns: int, equity: float, triggers: list[Trigger]) -> None:
        streak, switches = self.streak, self.config.switches
        close = streak.advance(ts_ns)
        if close is not None:
            self._on_close(close)
        if streak.losses >= switches.streak and not streak.lost <= switches.streak_loss * equity:
            numbers = {"losses": streak.losses, "lost": streak.lost, "limit": switches.streak_loss * equity}
            triggers.append((reasons.LOSING_STREAK, numbers))
            # the next pause takes another ten
            streak.reset()

    def _breaker_triggers(self, view: RiskView, triggers: list[Trigger]) -> bool:
        """Append the breakers that pause; return whether any asks for a wider spread."""
        ts_ns, breakers, taker = view.ts_ns, self.config.breakers, self.config.taker
        count = self._rejections.count(ts_ns)
        share = self.taker.share(ts_ns)
        growth = self._velocity.update(ts_ns, view.position_lots)
        left, reserve = view.budget_remaining, view.budget_reserve
        is_low = reserve > 0 and left < breakers.budget_widen * reserve
        part = 0.0
        if growth:
            limit = view.exposure_limit if view.exposure_limit > 0 else view.equity * view.leverage
            worth = growth * abs(view.position_notional / view.position_lots)
            part = worth / limit if limit > 0 else inf
        if not (count or share or is_low or self._is_tense) and part < breakers.velocity_widen:
            return False
        is_wide = self._breaker(
            ts_ns,
            reasons.REJECTIONS,
            stage(count, breakers.rejections_widen, breakers.rejections_pause),
            count,
            triggers,
        )
        # over, not at: a share of exactly the threshold is allowed
        at = (share > taker.warn) + (share > taker.pause)
        is_wide |= self._breaker(ts_ns, reasons.TAKER_SHARE, at, share, triggers)
        at = stage(part, breakers.velocity_widen, breakers.velocity_pause)
        is_wide |= self._breaker(ts_ns, reasons.POSITION_VELOCITY, at, part, triggers)
        at = is_low + (is_low and left <= reserve)
        is_wide |= self._breaker(ts_ns, reasons.ACTION_BUDGET, at, left, triggers)
        self._is_tense = is_wide
        return is_wide

    def _breaker(self, ts_ns: int, name: str, at: int, value: float, triggers: list[Trigger]) -> bool:
        """Note a breaker's stage; one that pauses begins to count anew, or its pause would never end."""
        before = self._stages[name]
        if at == PAUSE:
            triggers.append((name, {"value": value}))
            if name in self._meters:
                self._meters[name].reset()
        elif at > before:
            self._said.append(RiskDecision(ts_ns, "spread", False, f"{name} widens", {"value": value}))
        self._stages[name] = at
        return at > CALM

    def _is_gone(self, name: str) -> bool:
        until_ns = self._drills.get(name)
        if until_ns is not None:
            return self._now_ns >= until_ns and name not in self._genuine
        at = self._stages.get(name)
        return at != PAUSE if at is not None else self._board.is_gone(name)

    def _size(self, ts_ns: int, view: RiskView, volatility: float, level: RiskLevel) -> None:
        size = self.kelly.size(volatility, view.funding_rate, level)
        self._size_scale = size.scale
        if abs(size.scale - self._said_scale) > _SIZE_STEP * self._said_scale or (
            size.scale > 0 and self._said_scale == 0
        ):
            self._said_scale = size.scale
            self._said.append(RiskDecision(ts_ns, "size", size.scale > 0, "kelly", size.numbers))

    def _reduction(self, view: RiskView, figures: SessionFigures) -> Reduction | None:
        """Return what must go now: everything under a flatten, else what stops or funding ask for; nothing while blind."""
        held = abs(view.position_lots)
        if held == 0 or not self.machine.is_started or self._board.is_blind:
            return None
        if self.machine.act is Act.FLATTEN:
            return Reduction(held, FLATTEN, {})
        found = self._stops.update(view, figures.starting)
        if found is None and self.machine.state is RiskState.RUNNING:
            found = self._hedge.update(view.ts_ns, view.funding_rate, view.position_lots)
        if found is None:
            return None
        lot_value = abs(view.position_notional) / held
        least = ceil(self._min_notional / lot_value) if lot_value > 0 else held
        found = found._replace(lots=min(held, max(found.lots, least)))
        numbers = {**found.numbers, "lots": found.lots, "position_lots": view.position_lots}
        self._said.append(RiskDecision(view.ts_ns, "reduce", True, found.reason, numbers))
        return found

    # -- orders --------------------------------------------------------------------------------------------------------

    def approve(self, ts_ns: int, ask: OrderAsk, totals: ExposureTotals) -> RiskDecision:
        """
        Judge one order before it leaves; what only reduces is always approved.

        Parameters
        ----------
        ts_ns : int
            Engine time.
        ask : OrderAsk
            The order.
        totals : ExposureTotals
            The account with everything open and in flight, the order at hand left out; an approved order must be added before
            the next is judged.

        """
        if not self.config.enabled:
            return RiskDecision(ts_ns, "order", True, "risk_off", {})
        return self._limits.judge(ts_ns, ask, totals, self._exposure_scale, self._closed)

    def check_config(self, ladder: FullLadder) -> list[str]:
        """Return why a configuration must not start: its own full ladder would trip a switch. Empty when it may."""
        return refusals(self.config, ladder) if self.config.enabled else []

    # -- restart -------------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything that must survive a restart, as plain values fit for JSON."""
        return {
            "machine": self.machine.save(),
            "session": self.session.save(),
            "streak": self.streak.save(),
            "taker": self.taker.save(),
            "kelly": self.kelly.save(),
            "level": self._keeper.save(),
            "leverage": self._leverage.save(),
            "stops": self._stops.save(),
            "funding": self._hedge.save(),
            "rejections": self._rejections.save(),
            "velocity": self._velocity.save(),
            "stages": dict(self._stages),
            "equity": self._equity,
            "check": self._check.save(),
            "implausible": self._board.implausible,
            "exposure_scale": self._exposure_scale,
            "size_scale": self._size_scale,
            "said_scale": self._said_scale,
            "closed": self._closed,
            "drills": dict(self._drills),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self.machine.load(state["machine"])
        self.session.load(state["session"])
        self.streak.load(state["streak"])
        self.taker.load(state["taker"])
        self.kelly.load(state["kelly"])
        self._keeper.load(state["level"])
        self._said_level = self._keeper.level
        self._leverage.load(state["leverage"])
        self._stops.load(state["stops"])
        self._hedge.load(state["funding"])
        self._rejections.load(state["rejections"])
        self._velocity.load(state["velocity"])
        self._stages.update({name: int(at) for name, at in state["stages"].items() if name in self._stages})
        self._is_tense = any(self._stages.values())
        # kept states of an earlier version do not have it
        self._check.load(state.get("check", {"apart": 0.0}))
        self._must_recall = self._check.apart != 0.0
        self._equity = float(state["equity"])
        self._board.implausible = state["implausible"]
        self._exposure_scale = float(state["exposure_scale"])
        self._size_scale = float(state["size_scale"])
        self._said_scale = float(state["said_scale"])
        self._drills = {name: int(at) for name, at in state.get("drills", {}).items() if name in self._rules}
        self._closed = str(state["closed"]) if self.config.enabled else ""
