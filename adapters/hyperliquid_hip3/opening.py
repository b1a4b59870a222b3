"""
What a position was before the fills that a start reads: one trade that makes quantity and average price come out as the venue has them.

The engine would make one up as well, but at a price of the instrument's ticks, which an average price seldom is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hyperliquid_hip3.user_records import UserFill


ZERO: Final = Decimal(0)
# a price of the engine holds so many decimals in every build
DECIMALS: Final = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Opening:
    """The signed contracts held before, and the price they count at."""

    size: Decimal
    price: Decimal


def opening_of(size: Decimal, entry_price: Decimal, fills: Iterable[UserFill]) -> Opening | None:
    """
    Return the trade that comes before some fills so that a position results, None when the fills alone make it.

    Fills that add to a position move its average price, fills that reduce it do not, and one that turns it starts anew
    (protocol: info endpoints, ``entryPx``); so the average is a line in the price that is asked for.

    Parameters
    ----------
    size : Decimal
        The position now, signed contracts.
    entry_price : Decimal
        Its average price.
    fills : iterable of UserFill
        What was traded after the opening, oldest first.

    """
    rows = list(fills)
    held = before = size - sum((fill.side * fill.size for fill in rows), ZERO)
    if before == 0:
        return None
    slope, offset = Decimal(1), ZERO
    for fill in rows:
        after = held + fill.side * fill.size
        if held == 0 or held * after < 0:
            slope, offset = ZERO, fill.price
        elif abs(after) > abs(held):
            slope = slope * abs(held) / abs(after)
            offset = (offset * abs(held) + fill.price * fill.size) / abs(after)
        held = after
    price = entry_price if slope == 0 else (entry_price - offset) / slope
    if price <= 0:
        # the fills are not all there are: the engine makes up what is missing
        return None
    return Opening(before, price.quantize(DECIMALS))
