"""The market maker as a Nautilus strategy: thin handlers over the quoting rooms, the same in backtest, paper and live."""

import json
from collections import OrderedDict
from collections import deque
from collections.abc import Callable
from typing import Any

from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.events import OrderAccepted
from nautilus_trader.model.events import OrderCanceled
from nautilus_trader.model.events import OrderCancelRejected
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.events import OrderExpired
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.events import OrderModifyRejected
from nautilus_trader.model.events import OrderRejected
from nautilus_trader.model.events import OrderUpdated
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy

from amm500_nautilus import topics
from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.cycle import CycleTimer
from amm500_nautilus.cycle import loop_of
from amm500_nautilus.guard import Guard
from amm500_nautilus.orders import OrderTable
from amm500_nautilus.orders import Slot
from amm500_nautilus.own_trades import OwnTrades
from amm500_nautilus.own_trades import Print
from amm500_nautilus.quoting.engine import QuoteEngine
from amm500_nautilus.quoting.inventory import Inventory
from amm500_nautilus.quoting.sessions import CLOSED
from amm500_nautilus.quoting.sessions import SessionCalendar
from amm500_nautilus.quoting.types import BUY
from amm500_nautilus.quoting.types import SELL
from amm500_nautilus.quoting.types import AccountView
from amm500_nautilus.quoting.types import ActionRecord
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import Change
from amm500_nautilus.quoting.types import Decision
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.risk.budget import ActionBudget
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.views import BookReader
from amm500_nautilus.views import microprice


NS_PER_MS = 1_000_000
SEEN_TRADES = 10_000
# the note of a decision whose changes the budget's pace held back: it is the reason when a side is missing
BUDGET_PACE = "budget_pace"
# a shut market shorter than this is waited out on the one-second timer
GAP_NS = 60_000 * NS_PER_MS
# later than any engine time
FAR_NS = 1 << 62


class MarketMaker(Strategy):
    """
    Quote both sides of one perpetual from an inventory-aware ladder.

    Each second, and at once when the touch moves too far, the strategy reads its book, account and orders, asks
    ``QuoteEngine.decide`` and sends what it returned. It keeps one table of its own orders; an order with a command in flight is
    left alone until the venue has answered, and asked about when no answer comes.

    Parameters
    ----------
    config : MarketMakerConfig
        The configuration.

    """

    def __init__(self, config: MarketMakerConfig) -> None:
        super().__init__(config)
        self.budget = ActionBudget(config.budget, growth_mode=config.growth_mode)
        self.inventory = Inventory()
        self._calendar = (
            SessionCalendar(config.sessions, config.session_seconds_a_year) if config.sessions else None
        )
        self._orders = OrderTable(is_shown=config.net_own_orders)
        self._own_trades: OwnTrades | None = None
        self._account = AccountView(equity=0.0, leverage=config.leverage, position_lots=0)
        self._seen_trades: OrderedDict[str, None] = OrderedDict()
        self._book: OrderBookDepth10 | OrderBookDeltas | None = None
        self._closed: deque[tuple[int, Any]] = deque()
        self._prices: dict[int, Price] = {}
        self._saved: dict[str, Any] | None = None
        self._is_account_told = self._is_ending = False
        self._volatility: dict[str, float] = {}
        self._delta, self._shown = 1.0, (0, 0)
        self.decisions = 0
        # what the process around the strategy knows, for the risk engine; whoever runs the strategy may set it
        self.conditions: Callable[[], Conditions] | None = None
        # the spread's forecast factor of each cycle; whoever runs the strategy may set it
        self.forecast: Callable[[int, QuoteEngine], float] = lambda _ts_ns, _engine: 1.0
        # whoever keeps a session, or plays one again: sees what is about to be sent, and may send other changes in its place
        self.review: Callable[[int, tuple[Change, ...]], tuple[Change, ...]] | None = None
        self.cycle_timer: Callable[..., CycleTimer] = CycleTimer

    # -- lifecycle ------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Read the instrument, build the models, subscribe, and start the cycle."""
        config = self.config
        self._is_ending = False
        self.instrument = self.cache.instrument(config.instrument_id)
        if self.instrument is None:
            self.log.error(
                "the instrument of the configuration is not in the cache; the strategy cannot start"
            )
            self.stop()
            return
        tick, lot = self.instrument.price_increment, self.instrument.size_increment
        self._tick_raw, self._lot_raw = tick.raw, lot.raw
        self._price_precision = self.instrument.price_precision
        self._size_precision = self.instrument.size_precision
        self._tick, self._lot = float(tick), float(lot)
        self._books = BookReader(
            tick_raw=self._tick_raw,
            lot_raw=self._lot_raw,
            tick=self._tick,
            lot=self._lot,
            own=self._orders.levels,
        )
        shape = MarketShape(tick=self._tick, lot=self._lot, min_notional=config.min_notional)
        self.engine = QuoteEngine(shape, config.quoting, self._calendar)
        if config.net_own_orders:
            self._own_trades = OwnTrades(self.engine.on_trade, self._orders.may_have_traded)
        self.guard = Guard(
            config.risk,
            config.flatten,
            leverage=config.leverage,
            max_leverage=config.max_leverage,
            tick=self._tick,
            lot=self._lot,
            min_notional=config.min_notional,
            daily=config.risk_session == "day",
            say=self._say,
        )
        if self.conditions is not None:
            self.guard.conditions = self.conditions
        if self._saved is not None:
            self._restore(self._saved)
        self._read_position()
        self._read_account()
        self._subscribe()
        interval, loop = config.cycle_ms * NS_PER_MS, loop_of(self.clock)
        self._timer = self.cycle_timer(self.clock, interval, self._on_cycle, loop)
        self._timer.start()

    def _subscribe(self) -> None:
        config = self.config
        instrument_id = config.instrument_id
        if config.book_source == "depth":
            self.subscribe_order_book_depth(instrument_id, BookType.L2_MBP, depth=10, managed=False)
        else:
            self.subscribe_order_book_deltas(instrument_id, BookType.L2_MBP, managed=False)
        self.subscribe_quote_ticks(instrument_id)
        self.subscribe_trade_ticks(instrument_id)
        self.subscribe_index_prices(instrument_id)
        self.subscribe_funding_rates(instrument_id)
        if config.reference_id is not None:
            self.subscribe_quote_ticks(config.reference_id)
        self.msgbus.subscribe(topic="events.account.*", handler=self._on_account_state)
        self.msgbus.subscribe(topic=topics.CLIENT_ACTION, handler=self._count)
        self.msgbus.subscribe(topic=topics.WEIGHT_ANSWER, handler=self.budget.on_answer)

    def _read_position(self) -> None:
        for position in self.cache.positions_open(instrument_id=self.config.instrument_id):
            sign = BUY if position.side == PositionSide.LONG else SELL
            self.inventory.lots = sign * (position.quantity.raw // self._lot_raw)
            self.inventory.entry_ticks = float(position.avg_px_open) / self._tick

    def _read_account(self) -> None:
        account = self.cache.account_for_venue(self.config.instrument_id.venue)
        if account is not None and account.last_event is not None:
            # the engine reckons balances anew when a found position is booked: a report of the venue's own before it says more
            whole = (event for event in reversed(account.events) if "equity" in event.info)
            self._on_account_state(next(whole, account.last_event))

    def on_stop(self) -> None:
        """Cancel everything; nothing of ours stays resting."""
        self.wind_down()

    def wind_down(self) -> None:
        """Quote no more and cancel everything, while order events are still followed: what fills on the way is booked."""
        if self._is_ending:
            return
        self._is_ending = True
        if hasattr(self, "_timer"):
            self._timer.stop()
        if hasattr(self, "guard"):
            self.guard.finish(self.clock.timestamp_ns())
        if open_count := len(self._orders.slots):
            self._count("cancel", open_count)
            for slot in list(self._orders.slots.values()):
                if not slot.order.is_closed and not slot.order.is_pending_cancel:
                    self.cancel_order(slot.order)

    def on_save(self) -> dict[str, bytes]:
        """Return the models' state and the budget's counters, for a restart."""
        if not hasattr(self, "engine"):
            return {}
        state = {"engine": self.engine.save(), "budget": self.budget.save(), "risk": self.guard.save()}
        return {"amm500": json.dumps(state).encode()}

    def on_load(self, state: dict[str, bytes]) -> None:
        """Take up the state of an earlier session."""
        if "amm500" in state:
            self._saved = json.loads(state["amm500"])
            if hasattr(self, "engine"):
                self._restore(self._saved)

    def _restore(self, saved: dict[str, Any]) -> None:
        self.engine.load(saved["engine"])
        self.budget.load(saved["budget"])
        if "risk" in saved:
            self.guard.load(saved["risk"])
        self._saved = None

    # -- market data ----------------------------------------------------------------------------------------------

    def on_order_book_depth(self, depth: OrderBookDepth10) -> None:
        """Keep the newest book for the next decision."""
        self._book = depth

    def on_order_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Keep the newest snapshot batch for the next decision."""
        self._book = deltas

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Follow the touch; decide at once when it moved too far."""
        if tick.instrument_id != self.config.instrument_id:
            if (price := microprice(tick)) is not None:
                self.engine.on_reference(tick.ts_init, price)
            return
        touch = self._books.touch(tick, self._book)
        if self.engine.on_touch(tick.ts_init, *touch) and not self._is_ending:
            self._decide(tick.ts_init)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Feed the trades of others to the models."""
        side = BUY if tick.aggressor_side == AggressorSide.BUYER else SELL
        ticks, lots = tick.price.raw // self._tick_raw, tick.size.raw // self._lot_raw
        if self._own_trades is None:
            self.engine.on_trade(tick.ts_init, ticks, lots, side)
            return
        mid, number = self.engine.book.mid_ticks, tick.trade_id.value
        self._own_trades.on_trade(Print(number, tick.ts_init, tick.ts_event, ticks, lots, side, mid))

    def on_index_price(self, index_price: IndexPriceUpdate) -> None:
        """Follow the oracle."""
        self.engine.on_oracle(index_price.ts_init, float(index_price.value))

    def on_funding_rate(self, funding_rate: FundingRateUpdate) -> None:
        """Follow the hourly funding rate."""
        self.engine.on_funding(funding_rate.ts_init, float(funding_rate.rate))

    def _on_account_state(self, event: AccountState) -> None:
        info, account = event.info, self._account
        self.budget.on_report(info)
        if "equity" not in info and self._is_account_told:
            # the engine's own reckoning of an account that a venue reports whole
            return
        if "equity" in info:
            self._is_account_told = True
            account.equity = float(info["equity"])
            account.margin_ratio = float(info.get("margin_ratio", 0.0))
        elif event.balances:
            account.equity = float(event.balances[0].total)
        if account.starting_equity == 0.0:
            account.starting_equity = account.equity
        if self.guard.on_account(info, account.equity, self.inventory.lots):
            # what nothing explains may be a torn report: a person is told of it either way, and the next one may take it back
            self.query_account(event.account_id)

    # -- the cycle ------------------------------------------------------------------------------------------------

    def _on_cycle(self, ts_ns: int) -> None:
        if self._own_trades is not None:
            self._own_trades.on_cycle(ts_ns)
        self._read_book()
        self.engine.set_forecast(self.forecast(ts_ns, self.engine))
        self._judge(ts_ns)
        self._decide(ts_ns)
        if self.config.risk.enabled:
            self._act_on_risk(ts_ns)
        if buy := self.budget.ask_weight(ts_ns, len(self._orders.slots)):
            self.msgbus.publish(topics.WEIGHT, buy)
        self._tidy(ts_ns)

    def _judge(self, ts_ns: int) -> None:
        """Ask the risk engine what holds until the next cycle."""
        self._account.position_lots = self.inventory.lots
        self._account.entry_ticks = self.inventory.entry_ticks
        if self.config.risk.enabled:
            self.guard.judge(
                ts_ns, self.engine, self._account, self._orders, self.budget, volatility=self._volatility
            )
            if (leverage := self.guard.leverage_to_ask()) is not None:
                self._count("leverage", 1)
                self.msgbus.publish(topics.LEVERAGE, leverage)

    def _act_on_risk(self, ts_ns: int) -> None:
        """Send what the risk engine wants off the position, after the quotes' own changes."""
        place, stale = self.guard.order_of_risk(ts_ns, self.engine, self._orders, self.inventory.lots)
        changes: tuple[Change, ...] = (*map(Cancel, stale), *(() if place is None else (place,)))
        if self.review is not None:
            changes = self.review(ts_ns, changes)
        if canceled := sum(self._cancel(ts_ns, each.key) for each in changes if isinstance(each, Cancel)):
            self._count("cancel", canceled)
        if placed := sum(self._place(ts_ns, each) for each in changes if isinstance(each, Place)):
            self._count("place", placed)

    def _say(self, decision: RiskDecision) -> None:
        self.msgbus.publish(topics.RISK, decision)

    def _read_book(self) -> None:
        book = self._book
        if book is not None:
            self.engine.on_book(self._books.read(book))
            self._book = None

    def _decide(self, ts_ns: int) -> None:
        self._read_book()
        self._account.position_lots = self.inventory.lots
        self._account.entry_ticks = self.inventory.entry_ticks
        orders = self._orders
        decision = self.engine.decide(
            ts_ns,
            self._account,
            orders.resting(),
            self.budget.view(ts_ns, len(orders.slots), shown=self._shown, delta=self._delta),
        )
        self.decisions += 1
        self._volatility = decision.volatility
        self._delta = decision.delta if decision.mid_ticks else self._delta
        changes = decision.changes if self.review is None else self.review(ts_ns, decision.changes)
        if changes:
            self._send(ts_ns, changes)
        self._publish(ts_ns, decision)

    def _publish(self, ts_ns: int, decision: Decision) -> None:
        best_bid, best_ask, bids, asks = self._orders.best()
        self._shown = bids, asks
        reasons = decision.reasons
        if (not bids or not asks) and BUDGET_PACE in decision.notes:
            reasons = (*reasons, BUDGET_PACE)
        self.msgbus.publish(
            topics.DECISION,
            QuoteSample(
                ts_ns=ts_ns,
                bid_ticks=best_bid,
                ask_ticks=best_ask,
                n_bids=bids,
                n_asks=asks,
                mid_ticks=decision.mid_ticks,
                state=decision.state,
                reasons=reasons,
                factors=decision.plan.factors,
                volatility=decision.volatility,
                delta=decision.delta,
                budget_remaining=self.budget.remaining,
                actions=self.budget.sent,
                signals=decision.signals,
            ),
        )

    def _send(self, ts_ns: int, changes: tuple[Change, ...]) -> None:
        counts = {"cancel": 0, "modify": 0, "place": 0}
        self.guard.begin(ts_ns, self._orders, self.inventory.lots)
        for change in changes:
            if isinstance(change, Modify):
                counts["modify"] += self._modify(ts_ns, change)
            elif isinstance(change, Cancel):
                counts["cancel"] += self._cancel(ts_ns, change.key)
            else:
                counts["place"] += self._place(ts_ns, change)
        for kind, count in counts.items():
            if count:
                self._count(kind, count)
        self.msgbus.publish(topics.CYCLE_END, (counts["place"], counts["modify"], counts["cancel"]))

    def _count(self, kind: str, count: int = 1) -> None:
        ts_ns = self.clock.timestamp_ns()
        self.budget.on_actions(count, kind, ts_ns)
        self.msgbus.publish(topics.ACTION, ActionRecord(ts_ns=ts_ns, kind=kind, count=count))

    def _place(self, ts_ns: int, change: Place) -> int:
        if not self.guard.allows(
            ts_ns, change.side, lots=change.lots, ticks=change.price_ticks, reduce_only=change.reduce_only
        ):
            return 0
        order = self.order_factory.limit(
            instrument_id=self.config.instrument_id,
            order_side=OrderSide.BUY if change.side == BUY else OrderSide.SELL,
            quantity=Quantity.from_raw(change.lots * self._lot_raw, self._size_precision),
            price=self._price(change.price_ticks),
            time_in_force=TimeInForce.IOC if change.ioc else TimeInForce.GTC,
            post_only=not change.ioc,
            reduce_only=change.reduce_only,
            tags=[f"L{change.level}"],
        )
        self._orders.add(order, change, ts_ns)
        self.submit_order(order)
        return 1

    def _modify(self, ts_ns: int, change: Modify) -> int:
        slot = self._orders.slots.get(change.key)
        if slot is None or slot.resting.pending or slot.order.is_closed:
            return 0
        order = slot.order
        quantity = Quantity.from_raw(order.filled_qty.raw + change.lots * self._lot_raw, self._size_precision)
        price = self._price(change.price_ticks)
        if price == order.price and quantity == order.quantity:
            return 0
        resting = slot.resting
        if not self.guard.allows(
            ts_ns,
            resting.side,
            lots=change.lots,
            ticks=change.price_ticks,
            reduce_only=resting.reduce_only,
            old_lots=resting.lots,
            old_ticks=resting.price_ticks,
        ):
            return 0
        slot.mark_pending(ts_ns)
        slot.next_level = change.level
        slot.next_ticks, slot.next_lots = change.price_ticks, change.lots
        self.modify_order(order, quantity=quantity, price=price)
        return 1

    def _cancel(self, ts_ns: int, key: str) -> int:
        slot = self._orders.slots.get(key)
        if slot is None or slot.order.is_closed or slot.order.is_pending_cancel:
            return 0
        slot.mark_pending(ts_ns)
        self.cancel_order(slot.order)
        return 1

    def _tidy(self, ts_ns: int) -> None:
        """Replace orders with long histories, ask about silent ones, forget old closed ones, and rest over a gap."""
        limit, timeout = self.config.max_order_events, self.config.inflight_timeout_ms * NS_PER_MS
        worn: list[str] = []
        for key, slot in self._orders.slots.items():
            if slot.resting.pending:
                if ts_ns - slot.pending_since_ns > timeout:
                    slot.pending_since_ns = ts_ns
                    self.query_order(slot.order)
            elif slot.order.event_count > limit:
                worn.append(key)
        if worn:
            self._count("cancel", sum(self._cancel(ts_ns, key) for key in worn))
        horizon = ts_ns - self.config.purge_after_ms * NS_PER_MS
        while self._closed and self._closed[0][0] < horizon:
            self.cache.purge_order(self._closed.popleft()[1])
        self._rest_over_gap(ts_ns)

    def _rest_over_gap(self, ts_ns: int) -> None:
        """Stop the one-second timer while the market is shut and nothing rests; it starts again at the next open."""
        if self._calendar is None or self._orders.slots:
            return
        kind, _, next_open = self._calendar.at(ts_ns)
        if kind != CLOSED or next_open - ts_ns < GAP_NS or next_open >= FAR_NS:
            return
        self._timer.rest_until(next_open)

    # -- order events ---------------------------------------------------------------------------------------------

    def on_order_accepted(self, event: OrderAccepted) -> None:
        """Count the order as resting from now."""
        slot = self._orders.slots.get(event.client_order_id.value)
        if slot is not None:
            self._orders.confirm(slot, event.ts_event)

    def on_order_updated(self, event: OrderUpdated) -> None:
        """Take over the new price and size."""
        slot = self._orders.slots.get(event.client_order_id.value)
        if slot is None:
            return
        slot.resting.price_ticks = slot.order.price.raw // self._tick_raw
        slot.resting.lots = slot.order.leaves_qty.raw // self._lot_raw
        slot.resting.level = slot.next_level
        self._orders.confirm(slot, event.ts_event)

    def on_order_modify_rejected(self, event: OrderModifyRejected) -> None:
        """Leave the order where it is; the next cycle tries again."""
        self.guard.on_rejection(event.ts_event)
        self._settle_unchanged(event)

    def on_order_cancel_rejected(self, event: OrderCancelRejected) -> None:
        """Leave the order to its next event; the next cycle tries again if it still rests."""
        self._settle_unchanged(event)

    def _settle_unchanged(self, event: OrderModifyRejected | OrderCancelRejected) -> None:
        slot = self._orders.slots.get(event.client_order_id.value)
        if slot is not None:
            if slot.order.is_closed:
                self._forget(slot, event.ts_event)
            else:
                slot.settle(slot.resting.since_ns)

    def on_order_canceled(self, event: OrderCanceled) -> None:
        """Drop the order; a fill that comes later still counts."""
        self._drop(event)

    def on_order_rejected(self, event: OrderRejected) -> None:
        """Drop the order; the next cycle quotes from the book as it is then."""
        self.guard.on_rejection(event.ts_event)
        self._drop(event)

    def on_order_denied(self, event: OrderDenied) -> None:
        """Drop an order that never left."""
        self._drop(event)

    def on_order_expired(self, event: OrderExpired) -> None:
        """Drop what was left of an IOC."""
        self._drop(event)

    def _drop(self, event: Any) -> None:
        slot = self._orders.slots.get(event.client_order_id.value)
        if slot is not None:
            self._forget(slot, event.ts_event)

    def _forget(self, slot: Slot, ts_ns: int) -> None:
        self._orders.remove(slot.resting.key, ts_ns)
        self._closed.append((ts_ns, slot.order.client_order_id))

    def on_order_filled(self, event: OrderFilled) -> None:
        """Book the fill once, whatever the order's state."""
        trade = event.trade_id.value
        if trade in self._seen_trades:
            return
        self._seen_trades[trade] = None
        if len(self._seen_trades) > SEEN_TRADES:
            self._seen_trades.popitem(last=False)
        side = BUY if event.order_side == OrderSide.BUY else SELL
        ticks, lots = event.last_px.raw // self._tick_raw, event.last_qty.raw // self._lot_raw
        before = self.inventory.lots
        profit = self.inventory.apply(side=side, price_ticks=ticks, lots=lots) * self._tick * self._lot
        self.budget.on_volume(ticks * self._tick * lots * self._lot)
        if self._own_trades is not None:
            self._own_trades.on_fill(trade, lots)
        is_taker = event.liquidity_side == LiquiditySide.TAKER
        fee = float(event.commission)
        self.engine.on_fill(event.ts_event, side, ticks, lots, profit, fee, before=before, is_taker=is_taker)
        self.guard.on_fill(
            event.ts_event,
            side,
            lots=lots,
            price_ticks=ticks,
            closed_pnl=profit,
            fee=fee,
            before=before,
            is_taker=is_taker,
        )
        slot = self._orders.slots.get(event.client_order_id.value)
        if slot is None:
            return
        slot.resting.lots = slot.order.leaves_qty.raw // self._lot_raw
        self._orders.follow(slot, event.ts_event)
        if slot.order.is_closed:
            self._forget(slot, event.ts_event)

    def level_of(self, client_order_id: str) -> int | None:
        """Return the ladder level that an order of ours stands for now; None once it is gone."""
        slot = self._orders.slots.get(client_order_id)
        return None if slot is None else slot.resting.level

    def best_quotes(self) -> tuple[int | None, int | None, int, int]:
        """Return our best bid and ask in ticks (None without one), and how many orders we have on each side."""
        return self._orders.best()

    # -- conversions ----------------------------------------------------------------------------------------------

    def _price(self, ticks: int) -> Price:
        if (price := self._prices.get(ticks)) is None:
            if len(self._prices) > SEEN_TRADES:
                self._prices.clear()
            price = self._prices[ticks] = Price.from_raw(ticks * self._tick_raw, self._price_precision)
        return price
