"""What follows for an order, as the engine's events; and trades of the account that belong to no order, booked by their reason."""

from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import VenueOrderId

from hyperliquid_hip3.effects import Accepted
from hyperliquid_hip3.effects import Canceled
from hyperliquid_hip3.effects import CancelRejected
from hyperliquid_hip3.effects import Effect
from hyperliquid_hip3.effects import FillBooked
from hyperliquid_hip3.effects import ModifyRejected
from hyperliquid_hip3.effects import Rejected
from hyperliquid_hip3.effects import Updated
from hyperliquid_hip3.order_mapping import engine_price
from hyperliquid_hip3.order_mapping import engine_side
from hyperliquid_hip3.reconcile import Reports
from hyperliquid_hip3.reconcile import commission_of
from hyperliquid_hip3.reconcile import liquidity_of
from hyperliquid_hip3.reconcile import trade_id_of
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.user_records import UserFill


class EventEmitter:
    """
    Sends the engine's order events.

    Parameters
    ----------
    client : LiveExecutionClient
        Whose events they are.
    cache : Cache
        Where the orders are.
    reports : Reports
        Makes reports of the account.

    """

    def __init__(self, client: LiveExecutionClient, cache: Cache, reports: Reports) -> None:
        self._client = client
        self._cache = cache
        self._reports = reports

    def emit(self, track: OrderTrack, effect: Effect) -> bool:
        """Send the event of one effect; False when the engine does not know the order."""
        client_order_id = ClientOrderId(track.key)
        order = self._cache.order(client_order_id)
        if order is None:
            return False
        head = (order.strategy_id, order.instrument_id, client_order_id)
        client = self._client
        if isinstance(effect, Accepted):
            client.generate_order_accepted(*head, VenueOrderId(str(effect.oid)), effect.ts_ns)
        elif isinstance(effect, Updated):
            self._updated(order, head, effect)
        elif isinstance(effect, FillBooked):
            self._filled(order, head, effect)
        elif isinstance(effect, Canceled):
            client.generate_order_canceled(*head, _number(effect.oid), effect.ts_ns)
        elif isinstance(effect, Rejected):
            client.generate_order_rejected(
                *head, effect.reason, effect.ts_ns, due_post_only=effect.is_post_only
            )
        elif isinstance(effect, ModifyRejected):
            client.generate_order_modify_rejected(*head, _number(effect.oid), effect.reason, effect.ts_ns)
        elif isinstance(effect, CancelRejected):
            client.generate_order_cancel_rejected(*head, _number(effect.oid), effect.reason, effect.ts_ns)
        return True

    def book_outside(self, fill: UserFill, instrument: Any, reason: str, ts_init: int) -> None:
        """
        Book a trade that belongs to no order here, exactly, as an order of its own named by its reason.

        The engine would otherwise find the position changed and make up a fill of its own.
        """
        name = f"{reason}-{fill.oid}-{fill.trade_id}"
        number = f"{fill.oid}-{fill.trade_id}"
        report: OrderStatusReport = OrderStatusReport(
            account_id=self._reports.account_id,
            instrument_id=instrument.id,
            client_order_id=ClientOrderId(name),
            venue_order_id=VenueOrderId(number),
            order_side=engine_side(fill.side),
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC if fill.is_taker else TimeInForce.GTC,
            order_status=OrderStatus.ACCEPTED,
            quantity=instrument.make_qty(fill.size),
            filled_qty=instrument.make_qty(0),
            price=engine_price(fill.price, instrument),
            report_id=UUID4(),
            ts_accepted=fill.ts_ns,
            ts_last=fill.ts_ns,
            ts_init=ts_init,
        )
        self._client._send_order_status_report(report)  # noqa: SLF001 - the engine's own way in
        traded: FillReport = self._reports.fill(
            fill, instrument, client_order_id=name, ts_init=ts_init, venue_order_id=number
        )
        self._client._send_fill_report(traded)  # noqa: SLF001 - the engine's own way in

    def _updated(self, order: Any, head: tuple[Any, ...], effect: Updated) -> None:
        number = VenueOrderId(str(effect.oid))
        instrument = self._cache.instrument(order.instrument_id)
        if effect.is_new_oid:
            # events wait in a queue, and commands must already go to the new number
            self._cache.add_venue_order_id(order.client_order_id, number, overwrite=True)
        self._client.generate_order_updated(
            *head,
            number,
            instrument.make_qty(effect.quantity),
            engine_price(effect.price, instrument) if order.has_price else None,
            None,
            effect.ts_ns,
            # the engine's own check of the number does not see what is still in its queue
            venue_order_id_modified=True,
        )

    def _filled(self, order: Any, head: tuple[Any, ...], effect: FillBooked) -> None:
        fill = effect.fill
        instrument = self._cache.instrument(order.instrument_id)
        self._client.generate_order_filled(
            *head,
            # a fill of an earlier number would take the order back to it
            VenueOrderId(str(effect.oid)),
            None,
            trade_id_of(fill),
            engine_side(fill.side),
            order.order_type,
            instrument.make_qty(fill.size),
            engine_price(fill.price, instrument),
            instrument.quote_currency,
            commission_of(fill, instrument.quote_currency),
            liquidity_of(fill),
            fill.ts_ns,
            {
                "oid": fill.oid,
                "tid": fill.trade_id,
                "dir": fill.direction,
                "closed_pnl": str(fill.closed_pnl),
                "start_position": str(fill.start_position),
                "liquidation": fill.is_liquidation,
            },
        )


def _number(oid: int | None) -> VenueOrderId | None:
    return None if oid is None else VenueOrderId(str(oid))
