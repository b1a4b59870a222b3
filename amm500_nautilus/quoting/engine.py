"""The quoting engine: what the market and our fills said, turned into a plan and its changes, without a clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from amm500_nautilus.quoting.adaptive import ModeKeeper
from amm500_nautilus.quoting.book import BookAnalysis
from amm500_nautilus.quoting.book import BookKeeper
from amm500_nautilus.quoting.book import queue_position
from amm500_nautilus.quoting.checks import least_lots
from amm500_nautilus.quoting.checks import refusals
from amm500_nautilus.quoting.closing import CLOSING
from amm500_nautilus.quoting.closing import behind
from amm500_nautilus.quoting.closing import within
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.diff import TOUCH_LEVEL
from amm500_nautilus.quoting.diff import OrderKeeper
from amm500_nautilus.quoting.fair import Guards
from amm500_nautilus.quoting.fair import ReferenceTracker
from amm500_nautilus.quoting.fair import own_fair_ticks
from amm500_nautilus.quoting.fills import FillTracker
from amm500_nautilus.quoting.glft import GlftModel
from amm500_nautilus.quoting.models import FixedGridModel
from amm500_nautilus.quoting.models import ModelInputs
from amm500_nautilus.quoting.models import QuotingModel
from amm500_nautilus.quoting.models import TieredModel
from amm500_nautilus.quoting.rebalance import Rebalancer
from amm500_nautilus.quoting.sessions import SessionCalendar
from amm500_nautilus.quoting.sessions import SessionClock
from amm500_nautilus.quoting.skew import exposure_limit
from amm500_nautilus.quoting.skew import funding_factor
from amm500_nautilus.quoting.skew import funding_target
from amm500_nautilus.quoting.skew import skew_multiples
from amm500_nautilus.quoting.spread import SpreadInputs
from amm500_nautilus.quoting.spread import SpreadModel
from amm500_nautilus.quoting.spread import band_index
from amm500_nautilus.quoting.trend import TrendMeter
from amm500_nautilus.quoting.types import NO_LEVELS
from amm500_nautilus.quoting.types import AccountView
from amm500_nautilus.quoting.types import BookView
from amm500_nautilus.quoting.types import BudgetView
from amm500_nautilus.quoting.types import Decision
from amm500_nautilus.quoting.types import Level
from amm500_nautilus.quoting.types import Levels
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import Plan
from amm500_nautilus.quoting.types import QuoteState
from amm500_nautilus.quoting.types import RestingOrder
from amm500_nautilus.quoting.types import RiskLimits
from amm500_nautilus.quoting.types import best_ticks
from amm500_nautilus.quoting.volatility import YEAR_SECS
from amm500_nautilus.quoting.volatility import VolatilityMeter


def make_model(config: QuotingConfig) -> QuotingModel:
    """Return the configured quoting model."""
    if config.model == "fixed_grid":
        return FixedGridModel(config.fixed_grid)
    if config.model == "glft":
        return GlftModel(config.glft)
    return TieredModel(config.ladder)


@dataclass(slots=True)
class _Reading:
    """What one cycle found before anything is priced; ``lot_value`` and ``limit`` in collateral units."""

    fair: float
    stops: list[str]
    notes: list[str]
    session: float
    limit: float
    lot_value: float
    delta: float
    target: float
    realised: float | None

    @property
    def off_target(self) -> float:
        return self.delta - self.target


class QuoteEngine:
    """
    Hold every quoting model of one market and decide, once a cycle, what ought to rest and what to change.

    All prices are in ticks and all sizes in lots; times are UTC nanoseconds given by the caller, so that equal calls
    make equal decisions.

    Parameters
    ----------
    shape : MarketShape
        Tick, lot and minimum order value.
    config : QuotingConfig
        Settings of every model.
    sessions : SessionCalendar, optional
        Session intervals; without one, quoting goes on at all hours.

    """

    def __init__(
        self, shape: MarketShape, config: QuotingConfig, sessions: SessionCalendar | None = None
    ) -> None:
        self.shape = shape
        self.config = config
        self._value = shape.tick_lot_value
        annual = sessions.seconds_per_year if sessions is not None else YEAR_SECS
        self.book = BookKeeper(config.book, shape)
        self.volatility = VolatilityMeter(config.volatility, annual)
        self.reference = ReferenceTracker(config.reference)
        self.trend = TrendMeter(config.trend)
        self.guards = Guards(config.fair, shape.tick)
        self.fills = FillTracker(config.fading)
        self.modes = ModeKeeper(config.adaptive)
        self.rebalancer = Rebalancer(config.rebalance)
        self.spread = SpreadModel(config.spread)
        self.model = make_model(config)
        self._keeper = OrderKeeper(config.orders, config.rebalance.tolerance_ticks)
        self._sessions = SessionClock(config.sessions, sessions)
        self._band: int | None = None
        self._forecast = 1.0
        self._funding_rate = 0.0
        self._limits = RiskLimits(level=config.spread.risk[0].level)
        self._risk = self.spread.risk_multiple(self._limits.level)
        # the touch and our own best prices at the last decision, for the fast path
        self._decided_bid = 0
        self._decided_ask = 0
        self._own_bid = 0
        self._own_ask = 1 << 62
        self._fast_ticks = float(config.orders.fast_move_ticks)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def on_touch(self, ts_ns: int, bid_ticks: int, bid_lots: float, ask_ticks: int, ask_lots: float) -> bool:
        """
        Take the best bid and offer (own size taken out).

        Return whether a decision should run now: the touch moved beyond the threshold since the last one, or went
        through one of our orders.
        """
        self.book.on_touch(ts_ns, bid_ticks, bid_lots, ask_ticks, ask_lots)
        self.guards.on_market(ts_ns)
        if ask_ticks > bid_ticks:
            mid = (bid_ticks + ask_ticks) * 0.5
            self.volatility.observe(ts_ns, mid)
            self.trend.observe(ts_ns, mid)
            self.fills.observe(ts_ns, mid)
        if self._decided_bid == 0:
            return False
        return (
            ask_ticks <= self._own_bid
            or bid_ticks >= self._own_ask
            or abs(bid_ticks - self._decided_bid) >= self._fast_ticks
            or abs(ask_ticks - self._decided_ask) >= self._fast_ticks
        )

    def on_book(self, view: BookView) -> None:
        """Take a depth message of any number of levels (own size taken out)."""
        ts_ns = view.ts_ns
        self.guards.on_market(ts_ns)
        if self.book.on_book(view) and self.book.ask_ticks > self.book.bid_ticks:
            mid = (self.book.bid_ticks + self.book.ask_ticks) * 0.5
            self.volatility.observe(ts_ns, mid)
            self.trend.observe(ts_ns, mid)
            self.fills.observe(ts_ns, mid)

    def on_trade(
        self, ts_ns: int, price_ticks: int, lots: float, aggressor_side: int, mid_ticks: float | None = None
    ) -> None:
        """Take a trade of others; ``aggressor_side`` +1 when the taker bought; ``mid_ticks`` where the mid of then is not that of now."""
        book = self.book
        if book.has_touch and lots > 0:
            mid = (book.bid_ticks + book.ask_ticks) * 0.5 if mid_ticks is None else mid_ticks
            self.model.on_trade(ts_ns, aggressor_side, abs(price_ticks - mid))

    def on_reference(self, ts_ns: int, microprice: float) -> None:
        """Take the twin's microprice, in its own price units."""
        own: float | None = None
        if self.guards.is_book_fresh(ts_ns):
            book = self.book.analyze(ts_ns)
            own = None if book is None else own_fair_ticks(book, self.config.fair)
        self.reference.on_reference(ts_ns, microprice, own)

    def on_oracle(self, ts_ns: int, price: float) -> None:
        """Take the oracle price, in collateral units."""
        book = self.book
        self.guards.on_oracle(
            ts_ns, price, (book.bid_ticks + book.ask_ticks) * 0.5 if book.has_touch else 0.0
        )

    def on_funding(self, ts_ns: int, hourly_rate: float) -> None:  # noqa: ARG002 - the rate holds until the next
        """Take the hourly funding rate; positive is paid by longs."""
        self._funding_rate = hourly_rate

    def on_fill(
        self,
        ts_ns: int,
        side: int,
        price_ticks: int,
        lots: int,
        closed_pnl: float,
        fee: float,
        *,
        before: int = 0,
        is_taker: bool = False,
    ) -> None:
        """
        Take one of our own fills.

        ``closed_pnl`` before the fee, both in collateral units; ``before`` the signed position that the fill found, in lots.
        """
        closed_lots = min(lots, abs(before)) if before * side < 0 else 0
        self.fills.on_fill(ts_ns, side, price_ticks, lots, closed_pnl, fee, closed_lots=closed_lots)
        self.rebalancer.on_fill(lots, is_taker=is_taker)

    def set_forecast(self, factor: float) -> None:
        """Set the volatility forecast's spread factor; the pipeline clamps it."""
        self._forecast = factor

    def set_limits(self, limits: RiskLimits) -> None:
        """
        Obey the risk engine until told otherwise.

        Raises
        ------
        ValueError
            If the level has no row in the spread's configuration.

        """
        if limits is not self._limits:
            self._risk = self.spread.risk_multiple(limits.level) * limits.widen
            self._limits = limits

    def allow_taking(self, lots: int) -> None:
        """Let at most ``lots`` be taken to bring inventory back, until told otherwise."""
        self.rebalancer.room_lots = lots

    # -- what the risk engine asks ---------------------------------------------------------------------------------------

    @property
    def touch(self) -> tuple[int, int] | None:
        """Best bid and offer in ticks; None before the first and while they cross."""
        book = self.book
        if not book.has_touch or book.ask_ticks <= book.bid_ticks:
            return None
        return book.bid_ticks, book.ask_ticks

    @property
    def is_rebalancing(self) -> bool:
        """Whether inventory is being brought back."""
        return self.rebalancer.is_active

    @property
    def funding_rate(self) -> float:
        """The hourly funding rate last heard of."""
        return self._funding_rate

    def ages(self, ts_ns: int) -> tuple[float | None, float | None, bool]:
        """
        Return the seconds since the last book and oracle message, and whether the oracle stands still while mid moves.

        None where no message is expected: between sessions, or without an oracle.
        """
        if not self._sessions.at(ts_ns)[0]:
            return None, None, False
        book = self.book
        mid = (book.bid_ticks + book.ask_ticks) * 0.5 if book.has_touch else 0.0
        return self.guards.ages(ts_ns, mid)

    # -- the cycle ---------------------------------------------------------------------------------------------------

    def decide(
        self, ts_ns: int, account: AccountView, resting: Sequence[RestingOrder], budget: BudgetView
    ) -> Decision:
        """Run one cycle, from the book's reading to the changes to send."""
        book = self.book.analyze(ts_ns)
        if book is None:
            return self._nothing(ts_ns, resting, budget)
        self.model.advance(ts_ns)
        reading = self._read(ts_ns, book, account)
        low, high, factors = self._half_spreads(ts_ns, book, reading, account.margin_ratio)
        bids: Sequence[Level] = NO_LEVELS
        asks: Sequence[Level] = NO_LEVELS
        take: Place | None = None
        reasons = reading.stops
        if not reasons:
            inputs = self._inputs(book, reading, low, high, account)
            quotes = self.model.quote(inputs)
            factors.update(quotes.extras)
            factors["bid_skew"] = inputs.bid_multiple
            factors["ask_skew"] = inputs.ask_multiple
            bids = Levels(quotes.bid_ticks, quotes.bid_lots)
            asks = Levels(quotes.ask_ticks, quotes.ask_lots)
            if not bids or not asks:
                reasons.append("size")
            bids, asks = self._withdraw(bids, asks, account, reading, inputs.min_lots)
            if self.rebalancer.is_active:
                reading.notes.append("rebalancing")
                bids, asks, take = self._rebalance(ts_ns, book, bids, asks, account, reading, inputs.min_lots)
        changes = self._keeper.changes(
            ts_ns, bids=bids, asks=asks, fair_ticks=reading.fair, resting=resting, budget=budget
        )
        if budget.cancel_only:
            if len({order.side for order in resting}) < 2:
                reasons.append("budget")
        elif take is not None:
            changes = (*changes, take)
            self.rebalancer.on_take(ts_ns)
        if self._keeper.held_back:
            reading.notes.append("budget_pace")
        self._remember(book, bids, asks, reading.fair)
        return Decision(
            ts_ns,
            self._state(bids, asks),
            tuple(reasons),
            reading.fair,
            book.mid_ticks,
            Plan(bids, asks, factors),
            changes,
            reading.delta,
            self.volatility.estimates(),
            self.modes.row.name,
            tuple(reading.notes),
            self._signals(book, bids, asks, reading),
        )

    def _read(self, ts_ns: int, book: BookAnalysis, account: AccountView) -> _Reading:
        """Return fair value, inventory and everything that forbids quoting."""
        config = self.config
        mid = book.mid_ticks
        fair, dropped = self.reference.blend(
            ts_ns, own_fair_ticks(book, config.fair) + self.trend.shift_ticks(book.mid_ticks)
        )
        stops = self.guards.reasons(ts_ns, fair, mid)
        if not book.is_liquid:
            stops.append("illiquid")
        quote, session = self._sessions.at(ts_ns)
        if not quote:
            stops.append("session")
        limits = self._limits
        if limits.stops:
            stops.extend(reason for reason in limits.stops if reason not in stops)
        limit = limits.exposure_scale * exposure_limit(
            account.equity, account.leverage, basis=config.basis, max_exposure=config.max_exposure
        )
        if not limit > 0:
            stops.append("equity")
        lot_value = mid * self._value
        delta = account.position_lots * lot_value / limit if limit > 0 else 0.0
        target = funding_target(self._funding_rate, config.funding)
        self.rebalancer.update(ts_ns, delta - target)
        realised = self.fills.realised_spread_bps(ts_ns)
        self.modes.update(ts_ns, realised)
        notes = [dropped] if dropped else []
        return _Reading(fair, stops, notes, session, limit, lot_value, delta, target, realised)

    def _nothing(self, ts_ns: int, resting: Sequence[RestingOrder], budget: BudgetView) -> Decision:
        """Return the decision without a usable book: everything resting goes."""
        changes = self._keeper.changes(
            ts_ns, bids=(), asks=(), fair_ticks=0.0, resting=resting, budget=budget
        )
        reason = "book_crossed" if self.book.has_touch else "no_book"
        return Decision(
            ts_ns,
            QuoteState.PAUSED,
            (reason,),
            0.0,
            0.0,
            Plan(),
            changes,
            0.0,
            self.volatility.estimates(),
            self.modes.row.name,
        )

    def _half_spreads(
        self, ts_ns: int, book: BookAnalysis, reading: _Reading, margin_ratio: float
    ) -> tuple[float, float, dict[str, float]]:
        config = self.config
        bands = config.spread.bands
        self._band = band_index(bands, self.volatility.annualised, self._band, config.spread.band_hysteresis)
        losing_min, losing_max = self.fills.losing(ts_ns)
        floor = self.modes.row.distance_ticks / reading.fair * 1e4 if config.adaptive.enabled else 0.0
        return self.spread.half_spreads(
            SpreadInputs(
                bands[self._band],
                self._forecast,
                book.imbalance,
                book.bid_depth + book.ask_depth,
                self.fills.fading(ts_ns),
                losing_min,
                losing_max,
                self._risk,
                margin_ratio,
                reading.session,
                funding_factor(self._funding_rate, config.funding),
                floor,
            )
        )

    def _inputs(
        self, book: BookAnalysis, reading: _Reading, min_bps: float, max_bps: float, account: AccountView
    ) -> ModelInputs:
        row = self.modes.row
        adaptive = self.config.adaptive.enabled
        off_target = reading.delta - reading.target
        bid_multiple, ask_multiple = skew_multiples(off_target, account.margin_ratio, self.config.skew)
        share = self._limits.size_scale * (row.size_share if adaptive else 1.0)
        size = reading.limit * self.config.ladder.size_fraction * share
        return ModelInputs(
            reading.fair,
            book.ask_ticks - 1,
            book.bid_ticks + 1,
            min_bps,
            max_bps,
            int(size / reading.lot_value),
            least_lots(self.shape.min_notional, reading.lot_value, max_bps * bid_multiple),
            bid_multiple,
            ask_multiple,
            row.level_share if adaptive else 1.0,
            off_target * reading.limit / reading.lot_value,
            self.volatility.per_root_second,
        )

    def _withdraw(
        self,
        bids: Sequence[Level],
        asks: Sequence[Level],
        account: AccountView,
        reading: _Reading,
        least: int,
    ) -> tuple[Sequence[Level], Sequence[Level]]:
        """Take away the side that would add inventory when there is too much of it, or too little margin."""
        position = account.position_lots
        reasons = reading.stops
        side = 0
        if self.rebalancer.is_one_sided:
            reasons.append("one_sided")
            side = 1 if reading.off_target > 0 else -1
        for stopped, reason in (
            (account.margin_ratio >= self.config.rebalance.margin_one_sided, "margin"),
            (self._limits.reduce_only, "reduce_only"),
        ):
            if stopped:
                reasons.append(reason)
                if position == 0:
                    return NO_LEVELS, NO_LEVELS
                side = 1 if position > 0 else -1
                # what closes more than there is opens the other way
                bids, asks = (within(levels, abs(position), least) for levels in (bids, asks))
        return (NO_LEVELS if side > 0 else bids), (NO_LEVELS if side < 0 else asks)

    def _rebalance(
        self,
        ts_ns: int,
        book: BookAnalysis,
        bids: Sequence[Level],
        asks: Sequence[Level],
        account: AccountView,
        reading: _Reading,
        min_lots: int,
    ) -> tuple[Sequence[Level], Sequence[Level], Place | None]:
        """Rest a reduce-only order at the touch, with the ladder behind it; once patience is over, take."""
        config = self.config.rebalance
        target_lots = reading.target * reading.limit / reading.lot_value
        side, lots = self.rebalancer.lots_back(account.position_lots, target_lots, min_lots)
        if side == 0:
            return bids, asks, None
        take: Place | None = None
        count, why = self.rebalancer.lots_to_take(ts_ns, lots, min_lots, abs(account.position_lots))
        if count > 0:
            through = ceil(book.mid_ticks * config.ioc_through_bps * 1e-4)
            price = book.ask_ticks + through if side > 0 else book.bid_ticks - through
            take = Place(side, price, count, TOUCH_LEVEL, reduce_only=True, ioc=True)
            reading.notes.append("taking")
        elif why == "taker_cap":
            reading.notes.append(why)
        if not config.passive:
            return bids, asks, take
        ladder = bids if side > 0 else asks
        if not CLOSING.isdisjoint(reading.stops):
            left = abs(account.position_lots) - lots
            ladder = within(ladder, left, min_lots) if left >= min_lots else NO_LEVELS
        if side > 0:
            return behind(ladder, side, book.bid_ticks, lots), asks, take
        return bids, behind(ladder, side, book.ask_ticks, lots), take

    def _state(self, bids: Sequence[Level], asks: Sequence[Level]) -> QuoteState:
        if not bids and not asks:
            return QuoteState.PAUSED
        if not bids or not asks:
            return QuoteState.ONE_SIDED
        return QuoteState.REBALANCING if self.rebalancer.is_active else QuoteState.QUOTING

    def _remember(
        self, book: BookAnalysis, bids: Sequence[Level], asks: Sequence[Level], fair: float
    ) -> None:
        self._decided_bid = book.bid_ticks
        self._decided_ask = book.ask_ticks
        self._own_bid = own_bid = best_ticks(bids, 0)
        self._own_ask = own_ask = best_ticks(asks, 1 << 62)
        orders = self.config.orders
        first = 0.0
        if bids:
            first = fair - own_bid
        if asks and (not bids or own_ask - fair < first):
            first = own_ask - fair
        self._fast_ticks = max(orders.fast_move_ticks, orders.fast_move_fraction * first)

    def _signals(
        self, book: BookAnalysis, bids: Sequence[Level], asks: Sequence[Level], reading: _Reading
    ) -> dict[str, float]:
        out = {
            "microprice_ticks": book.microprice_ticks,
            "imbalance": book.imbalance,
            "imbalance_top": book.imbalance_top,
            "pressure": book.pressure,
            "bid_depth": book.bid_depth,
            "ask_depth": book.ask_depth,
            "depth_levels": float(book.levels),
            "deep_age_secs": book.deep_age_secs,
            "target_delta": reading.target,
        }
        if bids:
            out["bid_queue"] = float(queue_position(self._own_bid, 1, book.bid_prices))
        if asks:
            out["ask_queue"] = float(queue_position(self._own_ask, -1, book.ask_prices))
        if reading.realised is not None:
            out["realised_spread_bps"] = reading.realised
        for horizon, value in self.fills.markouts().items():
            out[f"markout_{horizon}"] = value
        return out

    # -- start-up and state ------------------------------------------------------------------------------------------

    def check(self, equity: float, leverage: float, price: float) -> list[str]:
        """Return why this configuration must not start, each sentence naming what would fit; empty when it may."""
        return refusals(self.config, self.shape, self.model, equity=equity, leverage=leverage, price=price)

    def first_ladder(self, equity: float, leverage: float, bid_ticks: int, ask_ticks: int) -> Plan:
        """Return the ladder of a flat account around a touch, at the volatility the estimate starts from."""
        scratch = QuoteEngine(self.shape, self.config)
        scratch.on_touch(1, bid_ticks, 1.0, ask_ticks, 1.0)
        book = scratch.book.analyze(1)
        if book is None:
            msg = f"the touch {bid_ticks}/{ask_ticks} is crossed; the bid must be under the ask"
            raise ValueError(msg)
        fair = book.mid_ticks
        limit = exposure_limit(
            equity, leverage, basis=self.config.basis, max_exposure=self.config.max_exposure
        )
        account = AccountView(equity=equity, leverage=leverage, position_lots=0)
        reading = _Reading(fair, [], [], 1.0, limit, fair * self._value, 0.0, 0.0, None)
        low, high, factors = scratch._half_spreads(1, book, reading, 0.0)
        inputs = scratch._inputs(book, reading, low, high, account)
        quotes = scratch.model.quote(inputs)
        factors.update(quotes.extras)
        return Plan(
            Levels(quotes.bid_ticks, quotes.bid_lots),
            Levels(quotes.ask_ticks, quotes.ask_lots),
            factors,
        )

    def save(self) -> dict[str, Any]:
        """Return what must survive a restart, as plain values fit for JSON."""
        return {
            "volatility": self.volatility.save(),
            "reference": self.reference.save(),
            "fills": self.fills.save(),
            "mode": self.modes.save(),
            "rebalance": self.rebalancer.save(),
            "model": {self.model.name: self.model.save()},
            "band": self._band,
            "forecast": self._forecast,
            "funding_rate": self._funding_rate,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned; the state of another quoting model is left out."""
        self.volatility.load(state["volatility"])
        self.reference.load(state["reference"])
        self.fills.load(state["fills"])
        self.modes.load(state["mode"])
        self.rebalancer.load(state["rebalance"])
        if self.model.name in state["model"]:
            self.model.load(state["model"][self.model.name])
        band = state["band"]
        self._band = None if band is None else min(int(band), len(self.config.spread.bands) - 1)
        self._forecast = float(state["forecast"])
        self._funding_rate = float(state["funding_rate"])
