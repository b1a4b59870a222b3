"""The execution client of a paper run: a node's commands go to the simulated venue in this process and nowhere else."""

import asyncio
from collections.abc import Callable
from typing import Any
from typing import Final

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import GenerateFillReports
from nautilus_trader.execution.messages import GenerateOrderStatusReport
from nautilus_trader.execution.messages import GenerateOrderStatusReports
from nautilus_trader.execution.messages import GeneratePositionStatusReports
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.events import OrderSubmitted
from nautilus_trader.model.events.order import OrderAccepted
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.model.orders import MarketOrder
from nautilus_trader.model.position import Position

from amm500_nautilus import topics
from amm500_nautilus.simulation.paper import PaperVenue
from amm500_nautilus.simulation.paper_cycle import CommandCycle
from amm500_nautilus.simulation.setup import weight_seller


PUMP_S: Final = 0.020
# before those who keep books (20), records (10) and the strategy (0): the venue saw the market first
PRIORITY: Final = 30
RESTORED: Final = "RESTORED"


class MarketChangedError(RuntimeError):
    """The market is no longer what the simulated venue was made for; a new run reads it anew."""


class PaperExecutionClient(LiveExecutionClient):
    """
    Stand between a live node and a ``PaperVenue``.

    It holds no key, opens no connection and asks nobody anything. Everything happens on the node's loop: commands, the market's data, and
    a pump every 20 ms, and whenever a command is due, by which the venue answers when no data comes. What goes wrong there is kept in ``failure``, and the venue then
    answers nothing more.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The node's loop.
    venue : PaperVenue
        Where the orders go.
    touch : tuple of int
        Best bid and ask before the first quote, in ticks.
    msgbus, cache, clock : Any
        The node's.
    pump_s : float
        The time between two looks at the clock.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        venue: PaperVenue,
        touch: tuple[int, int],
        msgbus: Any,
        cache: Any,
        clock: Any,
        pump_s: float = PUMP_S,
    ) -> None:
        instrument = venue.instrument
        super().__init__(
            loop=loop,
            client_id=ClientId(instrument.id.venue.value),
            venue=instrument.id.venue,
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=instrument.settlement_currency,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(venue.account_id)
        self.paper = venue
        self.failure: BaseException | None = None
        self._touch = touch
        self._pump_s = pump_s
        self._pumping: asyncio.Task[None] | None = None
        self._cycle = CommandCycle()
        self._timer: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None
        tail = f"{instrument.id.venue}.{instrument.id.symbol}"
        kinds = ("quotes", "trades", "book.deltas", "index_prices", "funding_rates")
        self._subscriptions: tuple[tuple[str, Callable[[Any], None]], ...] = (
            *((f"data.{kind}.{tail}", self._on_data) for kind in kinds),
            (f"data.instrument.{tail}", self._on_instrument),
            (topics.CYCLE_END, self._on_cycle_end),
            (topics.WEIGHT, weight_seller(msgbus, venue.venue)),
            (topics.LEVERAGE, venue.venue.ask_leverage),
        )

    # -- lifecycle ------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self.paper.begin(self._clock.timestamp_ns(), self._touch)
        for topic, handler in self._subscriptions:
            self._msgbus.subscribe(topic, handler, priority=PRIORITY)
        self._pumping = self._loop.create_task(self._pump())

    async def _disconnect(self) -> None:
        for topic, handler in self._subscriptions:
            self._msgbus.unsubscribe(topic, handler)
        for timer in (self._timer, self._due):
            if timer is not None:
                timer.cancel()
        pumping, self._pumping = self._pumping, None
        if pumping is not None:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)

    async def _pump(self) -> None:
        while self.failure is None:
            self._process()
            await asyncio.sleep(self._pump_s)

    def _process(self) -> None:
        self._guarded(lambda: self.paper.process(self._clock.timestamp_ns()))
        self._wake_when_due()

    def _wake_when_due(self) -> None:
        """Look at the clock again when the next command arrives: an answer that waited for the pump would come late."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        due = self.paper.due_ns
        if due is not None and self.failure is None:
            wait_s = max(0, due - self._clock.timestamp_ns()) / 1e9
            if wait_s < self._pump_s:
                self._due = self._loop.call_later(wait_s, self._process)

    def _on_data(self, data: Any) -> None:
        self._guarded(lambda: self.paper.on_data(data))

    def _on_instrument(self, instrument: Any) -> None:
        known = _terms(self.paper.instrument)
        changed = [
            f"{name} from {known[name]} to {now}"
            for name, now in _terms(instrument).items()
            if now != known[name]
        ]
        if changed and self.failure is None:
            self.failure = MarketChangedError(f"{instrument.raw_symbol} changed {', '.join(changed)}")
            self._log.error(f"{self.failure}; the simulated venue was made for what it was")

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step of the venue; after the first that fails no other is run, and whoever watches the run ends it."""
        if self.failure is not None:
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - a step may fail anywhere in venue, ledger or engine
            # logged here and told to the run, which ends with it: the bus would pass it on to a feed that has nothing to do with it
            self.failure = error
            self._log.exception("the simulated venue failed", error)

    # -- commands -------------------------------------------------------------------------------------------------

    def submit_order(self, command: Any) -> None:
        """Take an order on its way to the simulated venue."""
        self._take(command)

    def submit_order_list(self, command: Any) -> None:
        """Take several orders on their way to the simulated venue."""
        self._take(command)

    def modify_order(self, command: Any) -> None:
        """Take new terms for an order on their way."""
        self._take(command)

    def cancel_order(self, command: Any) -> None:
        """Take a cancellation on its way."""
        self._take(command)

    def cancel_all_orders(self, command: Any) -> None:
        """Take the cancellation of everything on its way."""
        self._take(command)

    def batch_cancel_orders(self, command: Any) -> None:
        """Take several cancellations on their way as one action."""
        self._take(command)

    def query_order(self, command: Any) -> None:
        """Add nothing: an action on its way is answered when it arrives, and of all others every answer has been given."""

    def query_account(self, command: Any) -> None:  # noqa: ARG002 - the engine's
        """Report the account within the second."""
        self.paper.venue.clockwork.account_changed()

    def _take(self, command: Any) -> None:
        self._cycle.add(command, self._mono_ns())
        self._send_or_wait()

    def _on_cycle_end(self, counts: tuple[int, int, int]) -> None:
        self._cycle.mark_end(*counts)
        self._send_or_wait()

    def _send_or_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._cycle.due_ns()
        if due == 0:
            self._send()
        elif due is not None:
            # never within a turn of the loop, however long it takes: what is still in the engine's queue belongs to the cycle
            self._timer = self._loop.call_later(max(0, due - self._mono_ns()) / 1e9, self._send_if_due)

    def _send_if_due(self) -> None:
        due = self._cycle.due_ns()
        if due is not None and due <= self._mono_ns():
            self._send()
        else:
            self._send_or_wait()

    def _send(self) -> None:
        commands = self._cycle.drain()
        self._guarded(lambda: self.paper.send(commands, self._clock.timestamp_ns()))
        self._wake_when_due()

    def _mono_ns(self) -> int:
        return int(self._loop.time() * 1e9)

    # -- reports --------------------------------------------------------------------------------------------------

    async def generate_order_status_report(
        self, command: GenerateOrderStatusReport
    ) -> OrderStatusReport | None:
        """Return how an order stands; None for one that is not open: every answer of the venue has been given already."""
        order = self._cache.order(command.client_order_id) if command.client_order_id else None
        return None if order is None or not order.is_open else self._report_of(order)

    async def generate_order_status_reports(
        self,
        command: GenerateOrderStatusReports,  # noqa: ARG002 - the engine's
    ) -> list[OrderStatusReport]:
        """Return the open orders."""
        return [
            self._report_of(order)
            for order in self._cache.orders_open(instrument_id=self.paper.instrument.id)
            if order.venue_order_id is not None
        ]

    async def generate_fill_reports(
        self,
        command: GenerateFillReports,  # noqa: ARG002 - the engine's
    ) -> list[FillReport]:
        """Return none: fills are told in this process as they happen, so that there are none to be told again."""
        return []

    async def generate_position_status_reports(
        self,
        command: GeneratePositionStatusReports,  # noqa: ARG002 - the engine's
    ) -> list[PositionStatusReport]:
        """Return the position of the ledger."""
        ledger, instrument = self.paper.ledger, self.paper.instrument
        lots = ledger.position_lots
        side = PositionSide.LONG if lots > 0 else PositionSide.SHORT if lots < 0 else PositionSide.FLAT
        now = self._clock.timestamp_ns()
        return [
            PositionStatusReport(
                account_id=self.account_id,
                instrument_id=instrument.id,
                position_side=side,
                quantity=Quantity(abs(ledger.position), instrument.size_precision),
                report_id=UUID4(),
                ts_last=now,
                ts_init=now,
            )
        ]

    def _report_of(self, order: Any) -> OrderStatusReport:
        now = self._clock.timestamp_ns()
        return OrderStatusReport(
            account_id=self.account_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            order_side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            order_status=order.status,
            quantity=order.quantity,
            filled_qty=order.filled_qty,
            price=order.price if order.has_price else None,
            post_only=getattr(order, "is_post_only", False),
            reduce_only=order.is_reduce_only,
            report_id=UUID4(),
            ts_accepted=order.ts_accepted,
            ts_last=order.ts_last,
            ts_init=now,
        )


def _terms(instrument: Any) -> dict[str, Any]:
    """Return what a venue and a ledger are made for."""
    info = instrument.info or {}
    return {
        "tick": str(instrument.price_increment),
        "lot": str(instrument.size_increment),
        "collateral": instrument.settlement_currency.code,
        "maker fee": instrument.maker_fee,
        "taker fee": instrument.taker_fee,
        **{
            name: info.get(name)
            for name in ("growth_mode", "max_leverage", "margin_modes", "margin_tiers", "is_delisted")
        },
    }


def adopt_position(cache: Any, venue: PaperVenue, strategy_id: Any, trader_id: Any, now_ns: int) -> Any:
    """
    Put the position of a restored account into a node's cache as the strategy's, before the node runs; None when flat.

    No event is published: whoever keeps the run's records begins with the position, and no fill stands for it.
    """
    ledger, instrument = venue.ledger, venue.instrument
    if not ledger.position_lots:
        return None
    order_id = ClientOrderId(f"{RESTORED}-{now_ns}")
    venue_order_id, account_id = VenueOrderId(RESTORED), venue.account_id
    quantity = Quantity(abs(ledger.position), instrument.size_precision)
    side = OrderSide.BUY if ledger.position_lots > 0 else OrderSide.SELL
    order = MarketOrder(
        trader_id=trader_id,
        strategy_id=strategy_id,
        instrument_id=instrument.id,
        client_order_id=order_id,
        order_side=side,
        quantity=quantity,
        init_id=UUID4(),
        ts_init=now_ns,
        time_in_force=TimeInForce.IOC,
        tags=[RESTORED],
    )
    common = (trader_id, strategy_id, instrument.id, order_id)
    order.apply(OrderSubmitted(*common, account_id, UUID4(), now_ns, now_ns))
    order.apply(OrderAccepted(*common, venue_order_id, account_id, UUID4(), now_ns, now_ns))
    position_id = PositionId(f"{instrument.id}-{strategy_id}")
    fill = OrderFilled(
        *common,
        venue_order_id,
        account_id,
        TradeId(f"{RESTORED}-{now_ns}"),
        position_id,
        side,
        order.order_type,
        quantity,
        Price(ledger.entry_ticks * float(ledger.shape.tick), instrument.price_precision),
        instrument.quote_currency,
        Money(0, instrument.quote_currency),
        LiquiditySide.TAKER,
        UUID4(),
        now_ns,
        now_ns,
    )
    order.apply(fill)
    cache.add_instrument(instrument)
    cache.add_order(order, position_id)
    cache.update_order(order)
    position = Position(instrument=instrument, fill=fill)
    cache.add_position(position, OmsType.NETTING)
    return position
