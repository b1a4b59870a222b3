"""The venue's records as the engine's reports."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Currency
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price

from hyperliquid_hip3.currency import collateral_currency
from hyperliquid_hip3.opening import Opening
from hyperliquid_hip3.order_mapping import ENGINE_TIFS
from hyperliquid_hip3.order_mapping import engine_price
from hyperliquid_hip3.order_mapping import engine_side
from hyperliquid_hip3.order_mapping import report_status
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import UserFill


ZERO: Final = Decimal(0)
NS_PER_MS: Final = 1_000_000
LIQUIDATION: Final = "LIQUIDATION"
DELEVERAGING: Final = "ADL"
SETTLEMENT: Final = "SETTLEMENT"
MANUAL: Final = "MANUAL"
LATE: Final = "LATE"


class Reports:
    """
    Makes the engine's reports of one account.

    Parameters
    ----------
    account_id : AccountId
        The account.

    """

    def __init__(self, account_id: AccountId) -> None:
        self.account_id = account_id

    def order(
        self,
        order: OpenOrder,
        status: str,
        instrument: Any,
        *,
        client_order_id: str | None,
        ts_ns: int,
        ts_init: int,
        filled: Decimal | None = None,
        base: Decimal = ZERO,
        average: Decimal | None = None,
        venue_order_id: str | None = None,
    ) -> OrderStatusReport:
        """
        Return the report of one order, as the venue has it and with the venue's status.

        Parameters
        ----------
        order, status, instrument
            The order, its status, and the coin's instrument.
        client_order_id : str or None
            Ours, None for a stranger's.
        ts_ns, ts_init : int
            When it took the status, and now, ns UTC.
        filled : Decimal, optional
            What was booked of it, ``base`` included, where that is known better than by the order.
        base : Decimal, default 0
            What was filled under earlier numbers of the same order.
        average : Decimal, optional
            The average price of its fills.
        venue_order_id : str, optional
            In place of the venue's number.

        """
        done = base + order.orig_size - order.size if filled is None else filled
        quantity = base + order.orig_size
        is_known = client_order_id is not None
        return OrderStatusReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            client_order_id=ClientOrderId(client_order_id) if is_known else None,
            venue_order_id=VenueOrderId(venue_order_id or str(order.oid)),
            order_side=engine_side(order.side),
            order_type=OrderType.LIMIT,
            time_in_force=ENGINE_TIFS.get(order.tif or "Gtc", ENGINE_TIFS["Gtc"]),
            order_status=report_status(status, filled=done),
            quantity=instrument.make_qty(max(quantity, done)),
            filled_qty=instrument.make_qty(done),
            price=engine_price(order.price, instrument),
            avg_px=average if average is not None else (order.price if done else None),
            post_only=order.tif == "Alo",
            reduce_only=order.reduce_only,
            cancel_reason=None if status in ("open", "filled") else status,
            report_id=UUID4(),
            ts_accepted=order.ts_ns,
            ts_last=max(ts_ns, order.ts_ns),
            ts_init=ts_init,
        )

    def fill(
        self,
        fill: UserFill,
        instrument: Any,
        *,
        client_order_id: str | None,
        ts_init: int,
        venue_order_id: str | None = None,
    ) -> FillReport:
        """Return the report of one fill."""
        return FillReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            client_order_id=None if client_order_id is None else ClientOrderId(client_order_id),
            venue_order_id=VenueOrderId(venue_order_id or str(fill.oid)),
            trade_id=trade_id_of(fill),
            order_side=engine_side(fill.side),
            last_qty=instrument.make_qty(fill.size),
            last_px=engine_price(fill.price, instrument),
            commission=commission_of(fill, instrument.quote_currency),
            liquidity_side=liquidity_of(fill),
            report_id=UUID4(),
            ts_event=fill.ts_ns,
            ts_init=ts_init,
        )

    def opening(
        self, opening: Opening, instrument: Any, *, ts_ns: int, ts_init: int
    ) -> tuple[OrderStatusReport, FillReport]:
        """Return the reports of what was held before the fills that are reported; it costs nothing any more."""
        number = VenueOrderId(f"OPENING-{ts_ns // NS_PER_MS}")
        side = engine_side(1 if opening.size > 0 else -1)
        quantity = instrument.make_qty(abs(opening.size))
        order = OrderStatusReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            venue_order_id=number,
            order_side=side,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            order_status=OrderStatus.FILLED,
            quantity=quantity,
            filled_qty=quantity,
            avg_px=opening.price,
            report_id=UUID4(),
            ts_accepted=ts_ns,
            ts_last=ts_ns,
            ts_init=ts_init,
        )
        fill = FillReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            venue_order_id=number,
            trade_id=TradeId(str(number.value)),
            order_side=side,
            last_qty=quantity,
            last_px=Price.from_str(f"{opening.price:f}"),
            commission=Money(0, instrument.quote_currency),
            liquidity_side=LiquiditySide.TAKER,
            report_id=UUID4(),
            ts_event=ts_ns,
            ts_init=ts_init,
        )
        return order, fill

    def position(
        self, state: ClearinghouseState, coin: str, instrument: Any, *, ts_init: int
    ) -> PositionStatusReport:
        """Return the report of a coin's position; a coin without an entry is flat."""
        row = state.find(coin)
        if row is None or not row.size:
            return PositionStatusReport.create_flat(
                self.account_id, instrument.id, instrument.size_precision, ts_init
            )
        return PositionStatusReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            position_side=PositionSide.LONG if row.size > 0 else PositionSide.SHORT,
            quantity=instrument.make_qty(abs(row.size)),
            report_id=UUID4(),
            ts_last=state.ts_ns,
            ts_init=ts_init,
            avg_px_open=row.entry_price,
        )


def trade_id_of(fill: UserFill) -> TradeId:
    """Return the engine's id of a fill: time and trade id, of which the second alone repeats."""
    return TradeId(f"{fill.ts_ns // NS_PER_MS}-{fill.trade_id}")


def commission_of(fill: UserFill, currency: Currency) -> Money:
    """Return what the fill cost, negative for a rebate, in the token that the venue names."""
    token = currency if fill.fee_token in ("", currency.code) else collateral_currency(fill.fee_token)
    return Money(fill.fee, token)


def liquidity_of(fill: UserFill) -> LiquiditySide:
    """Return which side of the trade the user was on."""
    return LiquiditySide.TAKER if fill.is_taker else LiquiditySide.MAKER


def fill_reason(fill: UserFill, account: str) -> str:
    """
    Return why a fill that belongs to no order of ours happened.

    Parameters
    ----------
    fill : UserFill
        The fill; ``direction`` is free text of the venue.
    account : str
        The account's address: a liquidation that another user suffered is an ordinary trade of ours.

    """
    text = fill.direction.lower()
    if "deleverag" in text:
        return DELEVERAGING
    if "settle" in text:
        return SETTLEMENT
    own = not fill.liquidated_user or fill.liquidated_user.lower() == account.lower()
    if (fill.is_liquidation and own) or "liquidat" in text:
        return LIQUIDATION
    return MANUAL


def is_forced(reason: str) -> bool:
    """Return whether the venue made the trade, so that nobody else trades on the account."""
    return reason in (LIQUIDATION, DELEVERAGING, SETTLEMENT)


def average_price(fills: Iterable[UserFill]) -> Decimal | None:
    """Return the average price of fills by size, None without any."""
    size = notional = ZERO
    for fill in fills:
        size += fill.size
        notional += fill.size * fill.price
    return notional / size if size else None
