"""Which commands are sent as they are, and why the others are not; decided before the venue hears of them."""

from decimal import Decimal
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.model.enums import OrderType

from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.order_mapping import denial_reason
from hyperliquid_hip3.order_mapping import market_limit
from hyperliquid_hip3.order_mapping import order_spec
from hyperliquid_hip3.order_mapping import price_denial
from hyperliquid_hip3.order_mapping import side_of
from hyperliquid_hip3.session import Session


class Admission:
    """
    Looks at commands.

    Parameters
    ----------
    session : Session
        The account's session.
    cache : Cache
        For instruments and the touch.
    slippage_bps : Decimal
        How far past the touch a market order may go, in basis points.

    """

    def __init__(self, session: Session, cache: Cache, slippage_bps: Decimal) -> None:
        self._session = session
        self._cache = cache
        self._slippage_bps = slippage_bps

    def place(self, order: Any) -> tuple[OrderSpec | None, str | None]:
        """Return how an order is sent, or why it is not."""
        reason = denial_reason(order)
        if reason is not None:
            return None, reason
        if not self._session.is_open:
            return None, "NOT_CONNECTED: the account's session is not open"
        hold = self._session.sender.hold_reason
        if hold is not None:
            return None, hold
        instrument = self._cache.instrument(order.instrument_id)
        coin = "" if instrument is None else str(instrument.raw_symbol.value)
        if instrument is None or not self._session.is_ours(coin):
            return None, f"UNKNOWN_INSTRUMENT: {order.instrument_id} is not loaded for this account"
        hold = None if order.is_reduce_only else self._session.drift.hold_reason(coin)
        if hold is not None:
            return None, hold
        if instrument.info.get("is_delisted"):
            return None, f"DELISTED: {coin}"
        quantity = order.quantity.as_decimal()
        price = self._price_of(order, instrument)
        if price is None:
            return None, f"NO_PRICE: nothing bounds a market order of {coin} without a quote"
        reason = price_denial(price, quantity, instrument.size_precision)
        if reason is not None:
            return None, reason
        cloid = self._session.desk.cloids.add(order.client_order_id.value)
        asset = int(instrument.info["asset_id"])
        return order_spec(order, asset=asset, cloid=cloid, price=price, size=quantity), None

    def modify(
        self, order: Any, quantity: Decimal, price: Decimal | None, *, has_trigger: bool
    ) -> str | None:
        """Return why an order is not modified to this whole quantity and price, None when it is."""
        key = order.client_order_id.value
        track = self._session.desk.shelf.track(key) if self._session.is_open else None
        if track is None:
            return "UNKNOWN_ORDER: the order is not kept here"
        if track.cancel is not None:
            return "CANCEL_PENDING: a cancel of the order is on its way"
        if has_trigger:
            return "UNSUPPORTED: the order has no trigger"
        if price is None or order.order_type != OrderType.LIMIT:
            return "UNSUPPORTED: only limit orders are modified"
        if self._session.sender.hold_reason is not None:
            return self._session.sender.hold_reason
        if quantity <= order.filled_qty.as_decimal():
            return f"INVALID_SIZE: {quantity}, of which {order.filled_qty} is filled"
        instrument = self._cache.instrument(order.instrument_id)
        hold = self._session.drift.hold_reason(str(instrument.raw_symbol.value))
        if hold is not None and not order.is_reduce_only:
            return hold
        return price_denial(price, quantity, instrument.size_precision)

    def _price_of(self, order: Any, instrument: Any) -> Decimal | None:
        if order.order_type != OrderType.MARKET:
            price: Decimal = order.price.as_decimal()
            return price
        side = side_of(order.side)
        touch = self._touch(instrument.id, side)
        if touch is None:
            return None
        return market_limit(side, touch, self._slippage_bps, instrument.size_precision)

    def _touch(self, instrument_id: Any, side: int) -> Decimal | None:
        quote = self._cache.quote_tick(instrument_id)
        if quote is not None:
            price: Decimal = (quote.ask_price if side > 0 else quote.bid_price).as_decimal()
            return price
        book = self._cache.order_book(instrument_id)
        if book is None:
            return None
        best = book.best_ask_price() if side > 0 else book.best_bid_price()
        return None if best is None else best.as_decimal()
