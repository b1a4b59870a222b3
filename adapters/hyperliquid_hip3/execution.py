"""
The execution client: the engine's commands to the venue, the venue's news to the engine.

Everything runs on the loop's thread, and nothing on it waits for the venue. No answer is never a refusal: an order without one stays in
flight until the venue says what became of it, and a query that fails raises. See live behavior in the adapter's README.
"""

import asyncio
import contextlib
from collections.abc import Callable
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from typing import Final

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import BatchCancelOrders
from nautilus_trader.execution.messages import CancelAllOrders
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.execution.messages import GenerateFillReports
from nautilus_trader.execution.messages import GenerateOrderStatusReport
from nautilus_trader.execution.messages import GenerateOrderStatusReports
from nautilus_trader.execution.messages import GeneratePositionStatusReports
from nautilus_trader.execution.messages import ModifyOrder
from nautilus_trader.execution.messages import QueryAccount
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.execution.messages import SubmitOrderList
from nautilus_trader.execution.reports import ExecutionMassStatus
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money

from hyperliquid_hip3.account_state import AccountFigures
from hyperliquid_hip3.account_state import account_info
from hyperliquid_hip3.account_state import balances_of
from hyperliquid_hip3.account_state import margins_of
from hyperliquid_hip3.admission import Admission
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.coalescer import CycleCounts
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.effects import Effect
from hyperliquid_hip3.effects import FillBooked
from hyperliquid_hip3.effects import StrayFill
from hyperliquid_hip3.emitter import EventEmitter
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.notices import ACTION_TOPIC
from hyperliquid_hip3.notices import NOTICE_TOPIC
from hyperliquid_hip3.notices import Notice
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.notices import Purchase
from hyperliquid_hip3.order_mapping import side_of
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from hyperliquid_hip3.reconcile import LATE
from hyperliquid_hip3.reconcile import Reports
from hyperliquid_hip3.reconcile import fill_reason
from hyperliquid_hip3.reconcile import is_forced
from hyperliquid_hip3.session import Session
from hyperliquid_hip3.signing import Signer
from hyperliquid_hip3.sockets import VenueSocket
from hyperliquid_hip3.status_reports import StatusReports
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.tracking import Phase
from hyperliquid_hip3.user_records import FillKey
from hyperliquid_hip3.user_records import OrderUpdate
from hyperliquid_hip3.user_records import UserFill


APPLY_S: Final = 2.0
RETRY_S: Final = 1.0
HOLD_S: Final = 10.0
MAX_RETRY_S: Final = 30.0

type MakeSocket = Callable[..., VenueSocket]


class HyperliquidExecutionClient(LiveExecutionClient):
    """
    Trades one account on one dex.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The node's loop.
    client : VenueClient
        The REST side, shared with the data client.
    msgbus : MessageBus
        The message bus.
    cache : Cache
        The cache.
    clock : LiveClock
        The clock.
    instrument_provider : HyperliquidInstrumentProvider
        The instruments, shared with the data client.
    config : HyperliquidExecClientConfig
        What to trade, and with which key.
    make_socket : callable, default VenueSocket
        Makes the socket of the user's streams.
    name : str, default "HYPERLIQUID"
        The client's id, which must be the venue's name.
    signer : Signer, optional
        In place of the key that the configuration names; for tests.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        client: VenueClient,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
        instrument_provider: HyperliquidInstrumentProvider,
        config: HyperliquidExecClientConfig,
        make_socket: MakeSocket = VenueSocket,
        name: str = VENUE,
        signer: Signer | None = None,
    ) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(name),
            venue=Venue(VENUE),
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=None,
            instrument_provider=instrument_provider,
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            config=config,
        )
        # the issuer must be the venue, or the portfolio finds no account
        self._set_account_id(AccountId(f"{VENUE}-{config.dex or 'main'}"))
        self._venue_client = client
        self._provider = instrument_provider
        self._exec_config = config
        self._reports = Reports(self.account_id)
        self._emitter = EventEmitter(self, cache, self._reports)
        self._session = Session(
            self,
            loop=loop,
            client=client,
            provider=instrument_provider,
            config=config,
            state_dir=Path(config.state_dir),
            make_socket=make_socket,
            signer=signer,
            now_ns=clock.timestamp_ns,
            spawn=self._spawn,
        )
        self._admission = Admission(self._session, cache, config.slippage_bps)
        self._status_reports: StatusReports | None = None
        self._is_reconciling = self._is_outdated = False
        self._listeners: list[tuple[str, Callable[[Any], None]]] = []

    @property
    def session(self) -> Session:
        """The connection to the account: its orders, reports, limits and clock."""
        return self._session

    # -- lifecycle -------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._provider.initialize()
        for instrument in self._provider.get_all().values():
            if self._cache.instrument(instrument.id) is None:
                self._cache.add_instrument(instrument)
        try:
            await self._session.open()
        except BaseException:
            await self._session.close()
            raise
        self._status_reports = StatusReports(self._session, self._cache, self._reports)
        desk = self._session.desk
        desk.cloids.add_all(order.client_order_id.value for order in self._cache.orders(venue=self.venue))
        self._listen(self._exec_config.cycle_topic, self._on_cycle_end)
        self._listen(self._exec_config.leverage_topic, self._on_leverage)
        self._listen(self._exec_config.weight_topic, self._on_weight)
        self._listen(f"reports.execution.{self.venue}", self._on_mass_status_taken)
        self._listen("events.order.*", self._on_order_event)
        await self._await_account_registered()
        self._session.start()

    async def _disconnect(self) -> None:
        for topic, handler in self._listeners:
            self._msgbus.unsubscribe(topic=topic, handler=handler)
        self._listeners.clear()
        await self._session.close()

    def _listen(self, topic: str, handler: Callable[[Any], None]) -> None:
        self._msgbus.subscribe(topic=topic, handler=handler)
        self._listeners.append((topic, handler))

    def _spawn(self, coro: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = self.create_task(coro)
        return task

    def _on_cycle_end(self, counts: Any) -> None:
        submits, modifies, cancels = counts
        self._session.desk.cycle_ended(CycleCounts(int(submits), int(modifies), int(cancels)))

    def _on_leverage(self, leverage: Any) -> None:
        self._spawn(self._session.change_leverage(int(leverage)))

    def _on_weight(self, weight: Any) -> None:
        self._spawn(self._buy_weight(int(weight)))

    async def _buy_weight(self, weight: int) -> None:
        outcome = Purchase.UNKNOWN
        try:
            outcome = await self._session.buy_weight(weight)
        finally:
            # also where it could not be signed, or the node ends meanwhile
            self._msgbus.publish(topic=self._exec_config.weight_answer_topic, msg=(weight, outcome.value))

    # -- commands --------------------------------------------------------------------------------------
    # taken at once, not in a task each: thirty of them belong together

    def submit_order(self, command: SubmitOrder) -> None:
        """Queue an order, or deny it."""
        self._submit(command.order)

    def submit_order_list(self, command: SubmitOrderList) -> None:
        """Queue the orders of a list, each on its own."""
        for order in command.order_list.orders:
            self._submit(order)

    def modify_order(self, command: ModifyOrder) -> None:
        """Queue a modify, or reject it."""
        order = self._cache.order(command.client_order_id)
        if order is None or order.is_closed:
            return self._settled(modifies=1)
        key = order.client_order_id.value
        quantity = (command.quantity or order.quantity).as_decimal()
        price = None if command.price is None else command.price.as_decimal()
        if price is None and order.has_price:
            price = order.price.as_decimal()
        has_trigger = command.trigger_price is not None
        reason = self._admission.modify(order, quantity, price, has_trigger=has_trigger)
        if reason is None and price is not None:
            self._session.desk.modify(key, quantity, price)
            return None
        self.generate_order_modify_rejected(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            order.venue_order_id,
            reason or "UNSUPPORTED: the order has no price",
            self._clock.timestamp_ns(),
        )
        return self._settled(modifies=1)

    def cancel_order(self, command: CancelOrder) -> None:
        """Queue a cancel."""
        self._cancel(command.client_order_id)

    def batch_cancel_orders(self, command: BatchCancelOrders) -> None:
        """Queue cancels."""
        for cancel in command.cancels:
            self._cancel(cancel.client_order_id)

    def cancel_all_orders(self, command: CancelAllOrders) -> None:
        """Queue cancels of all our orders of the instrument (of one side, where the command names one)."""
        coin = self._coin(command.instrument_id)
        side = None if command.order_side == OrderSide.NO_ORDER_SIDE else side_of(command.order_side)
        for track in self._session.desk.shelf.unfinished():
            if track.coin == coin and side in (None, track.side):
                self._session.desk.cancel(track.key, is_command=False)
        self._settled(cancels=1)

    def cancel_all_on_dex(self) -> int:
        """Queue cancels of all our orders on the dex, and return of how many."""
        tracks = self._session.desk.shelf.unfinished()
        for track in tracks:
            self._session.desk.cancel(track.key, is_command=False)
        return len(tracks)

    async def _query_account(self, command: QueryAccount) -> None:  # noqa: ARG002 - the engine's
        await self._session.account.report()

    def _submit(self, order: Any) -> None:
        spec, reason = self._admission.place(order)
        head = (order.strategy_id, order.instrument_id, order.client_order_id)
        if reason is not None or spec is None:
            self.generate_order_denied(*head, reason or "UNKNOWN", self._clock.timestamp_ns())
            return self._settled(submits=1)
        self.generate_order_submitted(*head, self._clock.timestamp_ns())
        try:
            self._session.desk.place(order.client_order_id.value, self._coin(order.instrument_id), spec)
        except SigningError as error:
            self.generate_order_rejected(*head, f"NOT_SENT: {error}", self._clock.timestamp_ns())
            return self._settled(submits=1)
        return None

    def _cancel(self, client_order_id: ClientOrderId) -> None:
        key = client_order_id.value
        if self._session.is_open and self._session.desk.shelf.track(key) is not None:
            self._session.desk.cancel(key)
            return None
        order = self._cache.order(client_order_id)
        if order is not None and not order.is_closed:
            self.generate_order_cancel_rejected(
                order.strategy_id,
                order.instrument_id,
                client_order_id,
                order.venue_order_id,
                "UNKNOWN_ORDER: the order is not kept here",
                self._clock.timestamp_ns(),
            )
        return self._settled(cancels=1)

    def _settled(self, *, submits: int = 0, modifies: int = 0, cancels: int = 0) -> None:
        if self._session.is_open:
            self._session.desk.commands_settled(submits=submits, modifies=modifies, cancels=cancels)

    def _coin(self, instrument_id: Any) -> str:
        instrument = self._cache.instrument(instrument_id)
        return "" if instrument is None else str(instrument.raw_symbol.value)

    # -- what the session tells ------------------------------------------------------------------------

    def on_effect(self, track: OrderTrack, effect: Effect) -> None:
        """Send the engine's event of one effect."""
        if isinstance(effect, StrayFill):
            self._book(effect.fill, LATE)
        elif not self._emitter.emit(track, effect):
            self._log.warning(f"{track.key} is not in the cache: {effect}")
            if isinstance(effect, FillBooked):
                # the engine has forgotten the order, and holds what it bought
                self._book(effect.fill, LATE)
        if isinstance(effect, FillBooked):
            self._session.account.wanted()

    def on_foreign_fill(self, fill: UserFill, key: str | None) -> None:
        """Book a fill that belongs to no order kept here, by its reason."""
        reason = fill_reason(fill, self._exec_config.account) if key is None else LATE
        self._book(fill, reason)
        text = f"{reason}: {fill.size} at {fill.price} ({fill.direction})"
        if is_forced(reason):
            self.on_notice(NoticeKind.LIQUIDATION, text, coin=fill.coin, is_alarm=True)
        elif key is None:
            self.on_notice(NoticeKind.SECOND_TRADER, text, coin=fill.coin, is_alarm=True)

    def on_foreign_order(self, update: OrderUpdate) -> None:
        """Tell the engine of an order that is not ours, where such orders may be kept."""
        if not self._exec_config.adopt_foreign or update.status != "open":
            return
        instrument = self._session.instrument(update.order.coin)
        if instrument is None or self._status_reports is None:
            return
        self._send_order_status_report(self._status_reports.adopt(update.order, instrument))

    def on_notice(self, kind: NoticeKind, text: str, *, coin: str = "", is_alarm: bool = False) -> None:
        """Publish something to know, and log it."""
        now = self._clock.timestamp_ns()
        self._msgbus.publish(topic=NOTICE_TOPIC, msg=Notice(kind, text, now, coin, is_alarm))
        line = f"{kind.value}: {text}"
        if is_alarm:
            self._log.error(line)
        else:
            self._log.warning(line)

    def on_account(self, figures: AccountFigures) -> None:
        """Send the account's state."""
        scope = self._session.scope
        currency = self._session.currency
        instrument = self._session.instrument(scope.coin)
        if instrument is None:
            return
        self.generate_account_state(
            balances=balances_of(figures, currency),
            margins=margins_of(figures, currency, instrument.id),
            reported=True,
            ts_event=figures.ts_ns,
            info=account_info(scope, figures, self._session.sums),
        )

    def on_instrument(self, instrument: Any) -> None:
        """Put an instrument in the place of the one before: fees, tick and lot are its own from now on."""
        self._cache.add_instrument(instrument)

    def on_charged(self, kind: str) -> None:
        """Publish that an action was sent that no command asked for: it counts against the address."""
        self._msgbus.publish(topic=ACTION_TOPIC, msg=kind)

    def on_reconnected(self) -> None:
        """Ask for everything that may have been missed."""
        self._spawn(self._reconcile())

    def _book(self, fill: UserFill, reason: str) -> None:
        instrument = self._session.instrument(fill.coin)
        if instrument is None:
            self._log.error(f"a fill of {fill.coin} cannot be booked: it is not loaded")
            return
        self._emitter.book_outside(fill, instrument, reason, self._clock.timestamp_ns())
        self._session.account.wanted()

    # -- reconciliation --------------------------------------------------------------------------------

    async def generate_order_status_report(
        self, command: GenerateOrderStatusReport
    ) -> OrderStatusReport | None:
        """
        Ask about one order and return its report, None when nothing is to be reported beyond the events already sent.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        key = self._key_of(command)
        track = None if key is None else self._session.desk.shelf.track(key)
        if track is None:
            return await self._require_reports().one(command, key)
        await self._session.desk.doubts.query(track.key)
        if track.phase is not Phase.OPEN or track.modify is not None or track.is_unknown:
            # events say what is known, or nothing is
            return None
        await self._until_applied(track)
        return self._require_reports().of_track(track)

    async def generate_order_status_reports(
        self, command: GenerateOrderStatusReports
    ) -> list[OrderStatusReport]:
        """
        Return the reports of open orders.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer: no answer is not an empty account.

        """
        reports = await self._require_reports().orders(command.instrument_id)
        await self._all_applied()
        return reports

    async def generate_fill_reports(self, command: GenerateFillReports) -> list[FillReport]:
        """
        Return the reports of fills.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        return await self._require_reports().fills(command)

    async def generate_position_status_reports(
        self, command: GeneratePositionStatusReports
    ) -> list[PositionStatusReport]:
        """
        Return the reports of positions.

        While it runs, the engine would make up a fill for any difference: so all fills are read and booked first, and a difference that
        is left then is an error and no report.

        Raises
        ------
        HyperliquidError
            If the venue does not answer, or its position is not the one booked.

        """
        reports = self._require_reports()
        if not reports.is_started:
            return await reports.positions(command.instrument_id)
        for attempt in range(3):
            await self._session.desk.doubts.read_fills(self._session.fills_since_ms())
            await self._all_applied()
            found = await reports.positions(command.instrument_id)
            await self._all_applied()
            differing = reports.differences(found)
            if not differing:
                return found
            await asyncio.sleep(RETRY_S * attempt)
        self.on_notice(NoticeKind.POSITION_DIFFERS, "; ".join(differing), is_alarm=True)
        raise HyperliquidError(f"the position differs from what was booked: {'; '.join(differing)}")

    async def generate_mass_status(self, lookback_mins: int | None = None) -> ExecutionMassStatus | None:
        """Return orders, fills and positions as they are at one moment, None when the venue does not answer."""
        self.reconciliation_active = True
        self._session.desk.hold_fills()
        try:
            orders, fills, positions = await self._require_reports().snapshot(lookback_mins)
        except HyperliquidError as error:
            self._log.exception("Cannot reconcile execution state", error)
            self._session.desk.release_fills()
            return None
        finally:
            self.reconciliation_active = False
        status = ExecutionMassStatus(
            client_id=self.id,
            account_id=self.account_id,
            venue=self.venue,
            report_id=UUID4(),
            ts_init=self._clock.timestamp_ns(),
        )
        # should the engine not say that it took the status, fills are not kept back for ever
        self._loop.call_later(HOLD_S, self._on_mass_status_taken, None)
        status.add_order_reports(reports=orders)
        status.add_fill_reports(reports=fills)
        status.add_position_reports(reports=positions)
        return status

    def _on_mass_status_taken(self, _: Any) -> None:
        if self._session.is_open:
            self._session.desk.fill_booked(None)
            self._session.desk.release_fills()

    def _on_order_event(self, event: Any) -> None:
        if not isinstance(event, OrderFilled) or event.account_id != self.account_id:
            return
        number = str(event.trade_id.value).rpartition("-")[2]
        if self._session.is_open and number.isdecimal():
            coin = self._coin(event.instrument_id)
            self._session.desk.fill_booked(FillKey(int(event.ts_event), coin, int(number)))

    async def _reconcile(self) -> None:
        self._is_outdated = True
        if self._is_reconciling:
            return
        self._is_reconciling = True
        pause = RETRY_S
        try:
            while self._session.is_open:
                self._is_outdated = False
                try:
                    await self._session.desk.doubts.reconcile(self._session.fills_since_ms())
                    await self._session.account.report()
                except HyperliquidError as error:
                    self._log.warning(f"not reconciled yet: {error}")
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, MAX_RETRY_S)
                    continue
                if self._is_outdated:
                    # asked once more meanwhile: what was read may be from before that
                    await asyncio.sleep(RETRY_S)
                    continue
                self.on_notice(NoticeKind.RECONCILED, "orders, fills and account were read after a reconnect")
                return
        finally:
            self._is_reconciling = False

    def calculate_commission(
        self, instrument: Any, last_qty: Any, last_px: Any, liquidity_side: LiquiditySide
    ) -> Money:
        """Return what a fill costs by the instrument's rates; for fills that the engine infers."""
        rate = instrument.maker_fee if liquidity_side == LiquiditySide.MAKER else instrument.taker_fee
        notional = last_qty.as_decimal() * last_px.as_decimal()
        return Money(notional * rate, instrument.quote_currency)

    def _require_reports(self) -> StatusReports:
        if self._status_reports is None:
            raise HyperliquidError("the account's session is not open")
        return self._status_reports

    def _key_of(self, command: GenerateOrderStatusReport) -> str | None:
        client_order_id = command.client_order_id
        if client_order_id is None and command.venue_order_id is not None:
            client_order_id = self._cache.client_order_id(command.venue_order_id)
        return None if client_order_id is None else str(client_order_id.value)

    async def _all_applied(self) -> None:
        for track in self._session.desk.shelf.live():
            await self._until_applied(track)

    async def _until_applied(self, track: OrderTrack) -> None:
        # events wait in the engine's queue, a report does not: it must not say more than they did
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(APPLY_S):
                while not self._is_applied(track):
                    await asyncio.sleep(0.001)
                return
        raise HyperliquidError(f"the engine has not taken the fills of {track.key}")

    def _is_applied(self, track: OrderTrack) -> bool:
        order = self._cache.order(ClientOrderId(track.key))
        return order is None or order.is_closed or order.filled_qty.as_decimal() == track.filled
