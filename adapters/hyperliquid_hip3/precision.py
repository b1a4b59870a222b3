"""
Prices and sizes the venue accepts.

A price has at most five significant figures and at most ``6 - szDecimals`` decimals; a whole number is always accepted. So the tick
grows tenfold when the price passes a power of ten. See
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/tick-and-lot-size.
"""

from decimal import ROUND_CEILING
from decimal import ROUND_FLOOR
from decimal import Decimal
from typing import Final

from hyperliquid_hip3.constants import MAX_PERP_DECIMALS
from hyperliquid_hip3.constants import MAX_SIGNIFICANT_FIGURES


TEN: Final = Decimal(10)
# by decimals: 1, 0.1, 0.01 and so on
STEPS: Final = tuple(Decimal(1).scaleb(-n) for n in range(MAX_PERP_DECIMALS + 1))


def price_decimals(price: Decimal, sz_decimals: int) -> int:
    """
    Return the decimals of a price at this level; never negative, as whole numbers are always accepted.

    Parameters
    ----------
    price : Decimal
        A positive price.
    sz_decimals : int
        The coin's ``szDecimals``, 0 to 6.

    Raises
    ------
    ValueError
        If the price is not a positive number or the decimals are out of range.

    """
    _require_decimals(sz_decimals)
    if not price.is_finite() or price <= 0:
        raise ValueError(f"`price` was {price}, must be a positive number")
    by_figures = MAX_SIGNIFICANT_FIGURES - 1 - price.adjusted()
    return max(0, min(MAX_PERP_DECIMALS - sz_decimals, by_figures))


def tick_at(price: Decimal, sz_decimals: int) -> Decimal:
    """Return the distance between neighboring prices at this level, for example 0.01 at 690 with ``szDecimals`` 3."""
    return STEPS[price_decimals(price, sz_decimals)]


def tick_range(price: Decimal, sz_decimals: int) -> tuple[Decimal, Decimal | None]:
    """
    Return the prices ``[low, high)`` that share this price's tick; high is None where the tick never grows again.

    At 690 with ``szDecimals`` 3 the tick is 0.01 from 100 up to 1000: below 100 it is 0.001, from 1000 on 0.1.
    """
    decimals = price_decimals(price, sz_decimals)
    if decimals == 0:
        # whole numbers: from where five figures leave no decimal, or from nothing when szDecimals is 6
        return (
            Decimal(0) if sz_decimals == MAX_PERP_DECIMALS else TEN ** (MAX_SIGNIFICANT_FIGURES - 1)
        ), None
    high = TEN ** (MAX_SIGNIFICANT_FIGURES - decimals)
    if decimals == MAX_PERP_DECIMALS - sz_decimals:
        return Decimal(0), high
    return TEN ** (MAX_SIGNIFICANT_FIGURES - 1 - decimals), high


def is_valid_price(price: Decimal, sz_decimals: int) -> bool:
    """Return whether the venue accepts the price as it is written; False for zero, negative and non-numbers."""
    _require_decimals(sz_decimals)
    if not price.is_finite() or price <= 0:
        return False
    return price == price.quantize(tick_at(price, sz_decimals))


def round_price_away(price: Decimal, *, side: int, sz_decimals: int) -> Decimal:
    """
    Return the nearest accepted price on the passive side: down for a buy, up for a sell.

    Parameters
    ----------
    price : Decimal
        A positive price.
    side : int
        +1 for a buy, -1 for a sell.
    sz_decimals : int
        The coin's ``szDecimals``.

    Raises
    ------
    ValueError
        If the side is neither, the price is not positive, or a buy is below the smallest tick.

    """
    if side not in (1, -1):
        raise ValueError(f"`side` was {side}, must be +1 (buy) or -1 (sell)")
    tick = tick_at(price, sz_decimals)
    rounded = price.quantize(tick, rounding=ROUND_FLOOR if side == 1 else ROUND_CEILING)
    if rounded <= 0:
        raise ValueError(f"`price` was {price}, must be at least one tick ({tick})")
    return rounded


def lot_size(sz_decimals: int) -> Decimal:
    """Return the smallest size, for example 0.001 with ``szDecimals`` 3."""
    _require_decimals(sz_decimals)
    return STEPS[sz_decimals]


def is_valid_size(size: Decimal, sz_decimals: int) -> bool:
    """Return whether the size is a positive whole number of lots."""
    _require_decimals(sz_decimals)
    return size.is_finite() and size > 0 and size % lot_size(sz_decimals) == 0


def round_size_down(size: Decimal, sz_decimals: int) -> Decimal:
    """Return the size cut to whole lots, towards zero; zero when less than one lot."""
    return size.quantize(lot_size(sz_decimals), rounding=ROUND_FLOOR if size >= 0 else ROUND_CEILING)


def _require_decimals(sz_decimals: int) -> None:
    if not 0 <= sz_decimals <= MAX_PERP_DECIMALS:
        raise ValueError(f"`sz_decimals` was {sz_decimals}, must be 0 to {MAX_PERP_DECIMALS}")
