"""How the venue cuts and prints amounts and prices."""

from decimal import ROUND_CEILING
from decimal import ROUND_DOWN
from decimal import ROUND_FLOOR
from decimal import ROUND_HALF_EVEN
from decimal import Decimal


MONEY_STEP = Decimal("0.000001")
# a perp price has at most this many decimals less the decimals of its size (venue docs, tick and lot size)
MAX_PRICE_DECIMALS = 6
LIQUIDATION_PRICE_DECIMALS = 10


def cut(amount: Decimal, step: Decimal = MONEY_STEP) -> Decimal:
    """
    Return ``amount`` cut to a multiple of ``step`` toward zero; perp accounting keeps six decimals.

    Seen on fees, funding and margins of recorded payloads: the venue cuts where one would expect rounding.
    """
    return amount.quantize(step, rounding=ROUND_DOWN)


def floor_to(amount: Decimal, lot: Decimal) -> Decimal:
    """Return the largest multiple of ``lot`` that is not above ``amount``."""
    return (amount / lot).to_integral_value(rounding=ROUND_FLOOR) * lot


def ceil_to(amount: Decimal, lot: Decimal) -> Decimal:
    """Return the smallest multiple of ``lot`` that is not below ``amount``."""
    return (amount / lot).to_integral_value(rounding=ROUND_CEILING) * lot


def cut_price(price: Decimal, size_decimals: int) -> Decimal:
    """
    Return a price cut to the decimals that a market of ``size_decimals`` may have.

    ``entryPx`` of the venue's positions is printed so, and closed PnL is counted against the printed figure.
    """
    return price.quantize(Decimal(1).scaleb(size_decimals - MAX_PRICE_DECIMALS), rounding=ROUND_DOWN)


def print_liquidation_price(price: Decimal, decimals: int = LIQUIDATION_PRICE_DECIMALS) -> Decimal:
    """Return a liquidation price as the venue prints it: rounded to ten decimals (eight in records up to 2024)."""
    return price.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN).normalize()
