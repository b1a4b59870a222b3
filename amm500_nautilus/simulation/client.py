"""
The execution client of the simulated venue: carries commands to the desk after their latency, and answers.

Commands are NOT handed to the engine's own matching. Its in-flight queue pops the front of a heap as if it were a
list, which loses the order as soon as latencies differ; its matching sees books but no quotes, scans every order of
the position at each fill, and walks all resting orders at each event. The client is the seam where none of that is
met: it keeps commands until due, asks the pure ``OrderDesk`` and emits the events a venue would cause.
"""

import heapq
from collections.abc import Callable
from typing import Any

from nautilus_trader.accounting.accounts.margin import MarginAccount
from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.backtest.execution_client import BacktestExecClient
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import BatchCancelOrders
from nautilus_trader.execution.messages import CancelAllOrders
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.execution.messages import ModifyOrder
from nautilus_trader.execution.messages import QueryOrder
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.execution.messages import SubmitOrderList
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.events import OrderSubmitted
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.model.orders import MarketOrder

from amm500_nautilus.risk import address
from amm500_nautilus.simulation import rules as words
from amm500_nautilus.simulation.desk import OrderDesk
from amm500_nautilus.simulation.desk import OrderRequest
from amm500_nautilus.simulation.desk import Outcome
from amm500_nautilus.simulation.fill import RestingOrder
from amm500_nautilus.simulation.gate import ActionGate
from amm500_nautilus.simulation.latency import Latency
from amm500_nautilus.simulation.outage import Outages
from amm500_nautilus.simulation.units import VenueUnits


PLACE = 0
MODIFY = 1
CANCEL = 2

_CLASS = {
    SubmitOrder: PLACE,
    SubmitOrderList: PLACE,
    ModifyOrder: MODIFY,
    CancelOrder: CANCEL,
    CancelAllOrders: CANCEL,
    BatchCancelOrders: CANCEL,
}

_KIND = {PLACE: address.PLACE, MODIFY: address.MODIFY, CANCEL: address.CANCEL}
# the strategy id that Nautilus gives to orders nobody claims
EXTERNAL = StrategyId("EXTERNAL")
LIQUIDATION_TAG = "LIQUIDATION"


class SignedAction:
    """What travels as one action: how many items it holds, and once it has arrived what the venue made of it."""

    __slots__ = ("count", "is_judged", "kind", "words")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.count = 0
        self.is_judged = False
        self.words: str | None = None


Inflight = tuple[int, int, Any, SignedAction]
TakerFill = Callable[[int, Any, int, int], None]


class VenueExecClient(BacktestExecClient):
    """
    An execution client whose venue is an ``OrderDesk``.

    The commands of one instant and one class (place, modify, cancel) travel as one action and share one latency
    draw, in whatever order they were given. Actions on the same order never overtake each other.

    Parameters
    ----------
    exchange : SimulatedExchange
        The engine's exchange, which still holds data and account.
    msgbus, cache, clock
        The kernel's.
    desk : OrderDesk
        Where orders arrive.
    latency : Latency
        How long they take.
    units : VenueUnits
        Ticks and lots of the instrument.
    instrument_id : InstrumentId
        The instrument.
    taker_fill : callable
        ``taker_fill(ts, order, ticks, lots)`` books a fill that took displayed size, and emits it.
    gate : ActionGate, optional
        What judges actions by the venue's limits; without one all pass.
    outages : Outages, optional
        When nothing passes: commands that would arrive then arrive at the end, and answers are heard at the end.

    """

    def __init__(
        self,
        *,
        exchange: Any,
        msgbus: Any,
        cache: Any,
        clock: Any,
        desk: OrderDesk,
        latency: Latency,
        units: VenueUnits,
        instrument_id: Any,
        taker_fill: TakerFill,
        gate: ActionGate | None = None,
        outages: Outages | None = None,
    ) -> None:
        super().__init__(exchange=exchange, msgbus=msgbus, cache=cache, clock=clock, frozen_account=True)
        self._desk = desk
        self._latency = latency
        self._units = units
        self._instrument_id = instrument_id
        self.inflight: list[Inflight] = []
        self._sequence = 0
        self._orders_accepted = 0
        self._action_ts = -1
        self._action_due: dict[int, int] = {}
        self._last_due: dict[ClientOrderId, int] = {}
        self._venue_ids: dict[ClientOrderId, VenueOrderId] = {}
        self._taker_fill = taker_fill
        self.gate = gate
        self._outages = outages or None
        self._open_actions: dict[int, SignedAction] = {}
        # order events and account states that an outage keeps from us
        self.held: list[Any] = []
        # until the first report, where the ledger is the account
        self._needs_account: bool = exchange.is_frozen_account
        self._liquidation_orders = 0
        self.actions = 0

    # -- commands, as the engine sends them -----------------------------------------------------------

    def submit_order(self, command: SubmitOrder) -> None:
        """Send an order on its way."""
        self._submitted(command.order)
        self._send(command, (command.order.client_order_id,))

    def submit_order_list(self, command: SubmitOrderList) -> None:
        """Send several orders on their way as one action."""
        orders = command.order_list.orders
        for order in orders:
            self._submitted(order)
        self._send(command, tuple(order.client_order_id for order in orders), items=len(orders))

    def modify_order(self, command: ModifyOrder) -> None:
        """Send new terms for an order on their way."""
        self._send(command, (command.client_order_id,))

    def cancel_order(self, command: CancelOrder) -> None:
        """Send a cancellation on its way."""
        self._send(command, (command.client_order_id,))

    def cancel_all_orders(self, command: CancelAllOrders) -> None:
        """Send the cancellation of everything resting on its way."""
        # it must not overtake what is still on its way, or that would come to rest behind it
        resting = len(self._resting_of(command))
        self._send(command, (), not_before=max(self._last_due.values(), default=0), items=max(1, resting))

    def batch_cancel_orders(self, command: BatchCancelOrders) -> None:
        """Send several cancellations on their way as one action."""
        order_ids = tuple(cancel.client_order_id for cancel in command.cancels)
        self._send(command, order_ids, items=len(order_ids))

    def query_order(self, command: QueryOrder) -> None:
        """Add nothing: an action on its way is answered when it arrives, and of all others every answer has been given."""

    def query_account(self, command: Any) -> None:
        """Add nothing: the account reports each change by itself."""

    def _submitted(self, order: Any) -> None:
        self.generate_order_submitted(
            order.strategy_id, order.instrument_id, order.client_order_id, self._clock.timestamp_ns()
        )

    def _send(
        self, command: Any, order_ids: tuple[ClientOrderId, ...], not_before: int = 0, items: int = 1
    ) -> None:
        now = self._clock.timestamp_ns()
        if now != self._action_ts:
            self._action_ts = now
            self._action_due.clear()
        kind = _CLASS[type(command)]
        arrival = self._action_due.get(kind)
        if arrival is None:
            arrival = self._action_due[kind] = now + self._latency.draw()
            self.actions += 1
            self._open_actions[kind] = SignedAction(kind)
        action = self._open_actions[kind]
        action.count += items
        due = max(arrival, not_before)
        if self._outages is not None:
            due = max(due, self._outages.end_of(due) or 0)
        last_due = self._last_due
        for order_id in order_ids:
            earlier = last_due.get(order_id)
            if earlier is not None and earlier > due:
                due = earlier
        for order_id in order_ids:
            last_due[order_id] = due
        self._sequence += 1
        heapq.heappush(self.inflight, (due, self._sequence, command, action))

    # -- arrival ------------------------------------------------------------------------------------

    def release(self, before_ns: int) -> None:
        """Let every command that is due before ``before_ns`` arrive, in order of arrival."""
        inflight = self.inflight
        if self.held:
            self.hear(before_ns)
        while inflight and inflight[0][0] < before_ns:
            due, _, command, action = heapq.heappop(inflight)
            words = self._judge(due, action)
            if words is None:
                self._arrive(due, command)
            else:
                self._refuse(due, command, words)

    def _judge(self, ts: int, action: SignedAction) -> str | None:
        """Let the limits judge an action when its first command arrives; the others share its fate."""
        if not action.is_judged:
            action.is_judged = True
            if self.gate is not None:
                action.words = self.gate.judge(ts, _KIND[action.kind], action.count)
        return action.words

    def wind_up(self, ts: int) -> None:
        """
        End the market at ``ts``: what is still on its way to trade never arrives, cancellations do.

        New orders are reported canceled without ever having been at the venue, new terms are dropped, and cancellations
        take effect at their own time and whatever the limits, so that nothing is left resting.
        """
        inflight = self.inflight
        if self.held:
            self.hear(None)
        while inflight:
            due, _, command, _ = heapq.heappop(inflight)
            kind = _CLASS[type(command)]
            if kind == PLACE:
                orders = command.order_list.orders if type(command) is SubmitOrderList else (command.order,)
                for order in orders:
                    self._withdraw(ts, order)
            elif kind == CANCEL:
                self._arrive(due, command)
        self._last_due.clear()

    def _withdraw(self, ts: int, order: Any) -> None:
        if not order.is_closed:
            self.generate_order_canceled(
                order.strategy_id, order.instrument_id, order.client_order_id, None, ts
            )

    def _arrive(self, ts: int, command: Any) -> None:
        kind = type(command)
        if kind is ModifyOrder:
            self._forget_due(command.client_order_id, ts)
            self._arrive_modify(ts, command)
        elif kind is SubmitOrder:
            self._forget_due(command.order.client_order_id, ts)
            self._arrive_order(ts, command.order)
        elif kind is CancelOrder:
            self._forget_due(command.client_order_id, ts)
            self._arrive_cancel(ts, command)
        elif kind is SubmitOrderList:
            for order in command.order_list.orders:
                self._forget_due(order.client_order_id, ts)
                self._arrive_order(ts, order)
        elif kind is BatchCancelOrders:
            for cancel in command.cancels:
                self._forget_due(cancel.client_order_id, ts)
                self._arrive_cancel(ts, cancel)
        else:
            for resting in self._resting_of(command):
                self.cancel_resting(ts, resting)

    def _resting_of(self, command: CancelAllOrders) -> list[RestingOrder]:
        wanted = command.order_side
        orders = self._desk.fills.orders.values()
        return [o for o in orders if wanted in (OrderSide.NO_ORDER_SIDE, self._nautilus_side(o.side))]

    def _refuse(self, ts: int, command: Any, reason: str) -> None:
        """Answer every item of a command whose whole action was refused."""
        kind = type(command)
        if kind is ModifyOrder:
            self._forget_due(command.client_order_id, ts)
            venue_id = self._venue_ids.get(command.client_order_id)
            self._refuse_modify(ts, command, venue_id, reason)
        elif kind is SubmitOrder or kind is SubmitOrderList:
            for order in command.order_list.orders if kind is SubmitOrderList else (command.order,):
                self._forget_due(order.client_order_id, ts)
                if not order.is_closed:
                    self._reject(ts, order, reason)
        elif kind is CancelAllOrders:
            for resting in self._resting_of(command):
                self._refuse_cancel(ts, resting.payload, reason)
        else:
            for cancel in command.cancels if kind is BatchCancelOrders else (command,):
                self._forget_due(cancel.client_order_id, ts)
                order = self._cache.order(cancel.client_order_id)
                if order is not None and not order.is_closed:
                    self._refuse_cancel(ts, order, reason)

    def _refuse_cancel(self, ts: int, order: Any, reason: str) -> None:
        self.generate_order_cancel_rejected(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            self._venue_ids.get(order.client_order_id, order.venue_order_id),
            reason,
            ts,
        )

    def _forget_due(self, order_id: ClientOrderId, ts: int) -> None:
        if self._last_due.get(order_id) == ts:
            del self._last_due[order_id]

    def _arrive_order(self, ts: int, order: Any) -> None:
        if order.is_closed:
            return
        request = self._request(order)
        if request is None:
            self._reject(ts, order, f"Order type or time in force is not supported.{self._desk.rules.suffix}")
            return
        outcome = self._desk.place(request)
        if outcome.refused is not None and not outcome.taken:
            self._cancel_self_trades(ts, outcome)
            self._reject(ts, order, outcome.refused, due_post_only=outcome.due_post_only)
            return
        self._accept(ts, order)
        if outcome.lots != request.lots:
            self._updated(ts, order, outcome.lots, order.price if request.ticks is not None else None)
        self._finish(ts, order, outcome)

    def _arrive_modify(self, ts: int, command: ModifyOrder) -> None:
        order = self._cache.order(command.client_order_id)
        venue_id = self._venue_ids.get(command.client_order_id)
        resting = self._desk.fills.orders.get(command.client_order_id)
        if order is None or resting is None or venue_id is None:
            self._refuse_modify(ts, command, venue_id, f"{words.CLOSED_ORDER}{self._desk.rules.suffix}")
            return
        units = self._units
        price = command.price if command.price is not None else order.price
        quantity = command.quantity if command.quantity is not None else order.quantity
        filled_lots = order.filled_qty.raw // units.lot_raw
        request = OrderRequest(
            key=command.client_order_id,
            side=resting.side,
            ticks=price.raw // units.tick_raw,
            lots=quantity.raw // units.lot_raw - filled_lots,
            valid_price=price.raw % units.tick_raw == 0,
            valid_size=quantity.raw % units.lot_raw == 0,
            post_only=order.is_post_only,
            reduce_only=resting.reduce_only,
            payload=order,
        )
        outcome = self._desk.modify(command.client_order_id, request)
        if outcome.refused is not None:
            self._refuse_modify(ts, command, venue_id, outcome.refused)
            return
        self._updated(ts, order, outcome.lots + filled_lots, price)
        self._finish(ts, order, outcome)

    def _arrive_cancel(self, ts: int, command: CancelOrder) -> None:
        resting = self._desk.fills.orders.get(command.client_order_id)
        if resting is not None:
            self.cancel_resting(ts, resting)
            return
        order = self._cache.order(command.client_order_id)
        if order is None or order.is_closed:
            # the strategy already knows: the fill or cancel that closed the order got there first
            return
        self._refuse_cancel(ts, order, f"{words.UNKNOWN_ORDER}{self._desk.rules.suffix}")

    # -- answers ------------------------------------------------------------------------------------

    def _send_order_event(self, event: Any) -> None:
        # that an order was sent is ours to know
        if self._is_cut_off(event.ts_event) and type(event) is not OrderSubmitted:
            self.held.append(event)
        else:
            super()._send_order_event(event)

    def _send_account_state(self, state: Any) -> None:
        if self._is_cut_off(state.ts_event):
            self.held.append(state)
        else:
            self._tell_account(state)

    def _tell_account(self, state: AccountState) -> None:
        if self._needs_account:
            self._needs_account = False
            # any engine of this process whose account at a venue of our name was its own leaves a mark that nothing takes off: the
            # engine would make an account that counts fills on top of what the ledger reports
            if AccountFactory.create(state).calculate_account_state:
                self._cache.add_account(MarginAccount(state, calculate_account_state=False))
                self._msgbus.publish(topic=f"events.account.{state.account_id}", msg=state)
                return
        super()._send_account_state(state)

    def _is_cut_off(self, ts: int) -> bool:
        return self._outages is not None and self._outages.end_of(ts) is not None

    def hear(self, now: int | None) -> None:
        """Pass on what an outage held back, once ``now`` is past it; None passes everything on."""
        if now is not None and self._is_cut_off(now):
            return
        held, self.held = self.held, []
        for event in held:
            if isinstance(event, AccountState):
                self._tell_account(event)
            else:
                super()._send_order_event(event)

    def _accept(self, ts: int, order: Any) -> None:
        self._orders_accepted += 1
        venue_id = VenueOrderId(str(self._orders_accepted))
        self._venue_ids[order.client_order_id] = venue_id
        self.generate_order_accepted(
            order.strategy_id, order.instrument_id, order.client_order_id, venue_id, ts
        )

    def cancel_resting(self, ts: int, resting: RestingOrder) -> None:
        """Cancel a resting order and say so."""
        self._desk.cancel(resting.key)
        self._canceled(ts, resting.payload)

    def resize_resting(self, ts: int, resting: RestingOrder, lots: int) -> None:
        """Cut a resting order to ``lots``, as the venue does to reduce-only orders, and say so."""
        resting.lots = lots
        order = resting.payload
        filled = order.filled_qty.raw + sum(
            event.last_qty.raw
            for event in self.held
            if isinstance(event, OrderFilled) and event.client_order_id == order.client_order_id
        )
        self._updated(ts, order, lots + filled // self._units.lot_raw, order.price)

    def liquidation_order(self, ts: int, side: int, lots: int) -> Any:
        """
        Return an accepted market order of the venue's own, entered into the engine's books as the position's strategy's.

        Nobody sent it, but with the position's strategy on it the engine's position closes and the strategy hears of the fills,
        as of an external order that it has claimed.
        """
        instrument_id = self._instrument_id
        wanted = OrderSide.SELL if side > 0 else OrderSide.BUY
        held = [p for p in self._cache.positions_open(instrument_id=instrument_id) if p.entry == wanted]
        owner = max(held, key=lambda position: position.quantity.raw, default=None)
        self._liquidation_orders += 1
        order = MarketOrder(
            trader_id=self.trader_id,
            strategy_id=EXTERNAL if owner is None else owner.strategy_id,
            instrument_id=instrument_id,
            client_order_id=ClientOrderId(f"{LIQUIDATION_TAG}-{self._liquidation_orders}"),
            order_side=self._nautilus_side(side),
            quantity=Quantity.from_raw(lots * self._units.lot_raw, self._units.size_precision),
            init_id=UUID4(),
            ts_init=ts,
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
            tags=[LIQUIDATION_TAG],
        )
        self._cache.add_order(order, None)
        self._accept(ts, order)
        return order

    def cancel_rest(self, ts: int, order: Any) -> None:
        """Say that what is left of an order is canceled."""
        self._canceled(ts, order)

    def emit_fill(
        self, ts: int, order: Any, ticks: int, lots: int, *, maker: bool, trade_id: str, fee_nano: int
    ) -> None:
        """Tell the engine of a fill that the ledger has booked."""
        units = self._units
        self.generate_order_filled(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            self._venue_ids[order.client_order_id],
            None,
            TradeId(trade_id),
            order.side,
            order.order_type,
            Quantity.from_raw(lots * units.lot_raw, units.size_precision),
            Price.from_raw(ticks * units.tick_raw, units.price_precision),
            units.currency,
            Money.from_raw(fee_nano * units.nano_raw, units.currency),
            LiquiditySide.MAKER if maker else LiquiditySide.TAKER,
            ts,
        )
        if order.is_closed:
            self._venue_ids.pop(order.client_order_id, None)

    def _finish(self, ts: int, order: Any, outcome: Outcome) -> None:
        self._cancel_self_trades(ts, outcome)
        for ticks, lots in outcome.taken:
            self._taker_fill(ts, order, ticks, lots)
        if outcome.taken and outcome.left > 0:
            self._canceled(ts, order)

    def _cancel_self_trades(self, ts: int, outcome: Outcome) -> None:
        for resting in outcome.self_trades:
            self._canceled(ts, resting.payload)

    def _canceled(self, ts: int, order: Any) -> None:
        venue_id = self._venue_ids.pop(order.client_order_id)
        self.generate_order_canceled(
            order.strategy_id, order.instrument_id, order.client_order_id, venue_id, ts
        )

    def _updated(self, ts: int, order: Any, lots: int, price: Price | None) -> None:
        units = self._units
        self.generate_order_updated(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            self._venue_ids[order.client_order_id],
            Quantity.from_raw(lots * units.lot_raw, units.size_precision),
            price,
            None,
            ts,
            is_quote_quantity=False,
        )

    def _reject(self, ts: int, order: Any, reason: str, *, due_post_only: bool = False) -> None:
        self.generate_order_rejected(
            order.strategy_id, order.instrument_id, order.client_order_id, reason, ts, due_post_only
        )

    def _refuse_modify(
        self, ts: int, command: ModifyOrder, venue_id: VenueOrderId | None, reason: str
    ) -> None:
        order = self._cache.order(command.client_order_id)
        if order is None or order.is_closed:
            return
        self.generate_order_modify_rejected(
            command.strategy_id, command.instrument_id, command.client_order_id, venue_id, reason, ts
        )

    def _request(self, order: Any) -> OrderRequest | None:
        """Read an order as the venue would; None for what the venue has no word for."""
        units = self._units
        kind = order.order_type
        immediate = order.time_in_force == TimeInForce.IOC
        if kind not in (OrderType.LIMIT, OrderType.MARKET) or order.is_quote_quantity:
            return None
        if kind == OrderType.LIMIT and not immediate and order.time_in_force != TimeInForce.GTC:
            return None
        price_raw = order.price.raw if kind == OrderType.LIMIT else None
        size_raw = order.quantity.raw
        return OrderRequest(
            key=order.client_order_id,
            side=1 if order.side == OrderSide.BUY else -1,
            ticks=None if price_raw is None else price_raw // units.tick_raw,
            lots=size_raw // units.lot_raw,
            valid_price=price_raw is None or price_raw % units.tick_raw == 0,
            valid_size=size_raw % units.lot_raw == 0,
            post_only=kind == OrderType.LIMIT and order.is_post_only,
            reduce_only=order.is_reduce_only,
            immediate=immediate,
            payload=order,
        )

    @staticmethod
    def _nautilus_side(side: int) -> OrderSide:
        return OrderSide.BUY if side > 0 else OrderSide.SELL
