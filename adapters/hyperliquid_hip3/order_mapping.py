"""Orders of the engine as the venue takes them, and which ones it cannot take."""

from decimal import ROUND_CEILING
from decimal import ROUND_FLOOR
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_trader.model.enums import ContingencyType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.enums import order_type_to_str
from nautilus_trader.model.enums import time_in_force_to_str
from nautilus_trader.model.objects import Price

from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.actions import TimeInForce as WireTif
from hyperliquid_hip3.precision import is_valid_price
from hyperliquid_hip3.precision import is_valid_size
from hyperliquid_hip3.precision import tick_at


BASIS_POINTS: Final = Decimal(10_000)
# a price of the engine holds so many decimals in every build
FINEST: Final = Decimal("1e-9")
WIRE_TIFS: Final[dict[TimeInForce, WireTif]] = {TimeInForce.GTC: "Gtc", TimeInForce.IOC: "Ioc"}
ENGINE_TIFS: Final[dict[str, TimeInForce]] = {
    "Alo": TimeInForce.GTC,
    "Gtc": TimeInForce.GTC,
    "Ioc": TimeInForce.IOC,
    # read-side names of market and liquidation orders, protocol: exchange
    "FrontendMarket": TimeInForce.IOC,
    "LiquidationMarket": TimeInForce.IOC,
}


def denial_reason(order: Any) -> str | None:
    """Return why an order cannot be sent at all, before anything is sent; None when it can."""
    kind = order.order_type
    if kind not in (OrderType.LIMIT, OrderType.MARKET):
        return f"UNSUPPORTED_ORDER_TYPE: {order_type_to_str(kind)}, must be LIMIT or MARKET"
    if order.time_in_force not in WIRE_TIFS:
        return f"UNSUPPORTED_TIME_IN_FORCE: {time_in_force_to_str(order.time_in_force)}, must be GTC or IOC"
    if order.is_post_only and order.time_in_force != TimeInForce.GTC:
        return "UNSUPPORTED_TIME_IN_FORCE: a post-only order must be GTC"
    if order.is_quote_quantity:
        return "UNSUPPORTED_QUOTE_QUANTITY: the size must be in contracts"
    if order.contingency_type != ContingencyType.NO_CONTINGENCY:
        return "UNSUPPORTED_CONTINGENCY: linked orders must be kept by the strategy"
    if getattr(order, "display_qty", None) is not None:
        return "UNSUPPORTED_DISPLAY_QUANTITY: the venue has no iceberg orders"
    return None


def price_denial(price: Decimal, quantity: Decimal, sz_decimals: int) -> str | None:
    """Return why a price or size breaks the venue's rules for the coin, None when it does not."""
    if not is_valid_price(price, sz_decimals):
        tick = tick_at(price, sz_decimals) if price > 0 else None
        return f"INVALID_PRICE: {price}, must be a multiple of {tick}"
    if not is_valid_size(quantity, sz_decimals):
        return f"INVALID_SIZE: {quantity}, must be a positive number with at most {sz_decimals} decimals"
    return None


def wire_tif(order: Any) -> WireTif:
    """Return the venue's time in force of an order; a market order is an IOC with a limit."""
    if order.order_type == OrderType.MARKET:
        return "Ioc"
    if order.is_post_only:
        return "Alo"
    return WIRE_TIFS[order.time_in_force]


def side_of(order_side: OrderSide) -> int:
    """Return +1 for a buy, -1 for a sell."""
    return 1 if order_side == OrderSide.BUY else -1


def engine_side(side: int) -> OrderSide:
    """Return the engine's side of +1 or -1."""
    return OrderSide.BUY if side > 0 else OrderSide.SELL


def market_limit(side: int, touch: Decimal, slippage_bps: Decimal, sz_decimals: int) -> Decimal:
    """
    Return the limit of a market order: so far past the touch, rounded towards it, and never short of it.

    Parameters
    ----------
    side : int
        +1 for a buy, which the best ask bounds; -1 for a sell.
    touch : Decimal
        The best price of the other side.
    slippage_bps : Decimal
        Basis points past the touch.
    sz_decimals : int
        The coin's ``szDecimals``, which gives the tick.

    """
    reach = touch * (1 + side * slippage_bps / BASIS_POINTS)
    rounding = ROUND_FLOOR if side > 0 else ROUND_CEILING
    limit = reach.quantize(tick_at(reach, sz_decimals), rounding=rounding)
    return max(limit, touch) if side > 0 else min(limit, touch)


def engine_price(price: Decimal, instrument: Any) -> Price:
    """
    Return a price of the venue's as it is, also where it is finer than the instrument's tick.

    Around a power of ten the instrument has the coarser of two ticks while orders still rest and trade on the finer one; and a
    settlement is at the mark, which has no tick.
    """
    on_tick: Price = instrument.make_price(price)
    if on_tick.as_decimal() == price:
        return on_tick
    return Price.from_str(f"{price.quantize(FINEST).normalize():f}")


def order_spec(order: Any, *, asset: int, cloid: str, price: Decimal, size: Decimal) -> OrderSpec:
    """Return an order as the venue takes it, with this price and size."""
    return OrderSpec(
        asset=asset,
        is_buy=order.side == OrderSide.BUY,
        price=price,
        size=size,
        tif=wire_tif(order),
        reduce_only=order.is_reduce_only,
        cloid=cloid,
    )


def report_status(status: str, *, filled: Decimal) -> OrderStatus:
    """Return the engine's status of a venue status; what the venue canceled on its own is canceled too."""
    if status in ("open", "triggered"):
        return OrderStatus.PARTIALLY_FILLED if filled > 0 else OrderStatus.ACCEPTED
    if status == "filled":
        return OrderStatus.FILLED
    if status == "rejected" or (status.endswith("Rejected") and status != "iocCancelRejected"):
        return OrderStatus.REJECTED
    return OrderStatus.CANCELED
