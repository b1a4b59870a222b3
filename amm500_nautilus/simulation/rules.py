"""What the venue refuses, in the venue's words."""

from dataclasses import dataclass
from decimal import Decimal


MAX_SIGNIFICANT_FIGURES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """
    The venue's order rules.

    Parameters
    ----------
    min_value : Decimal
        Smallest value of an order in collateral units; waived for a reduce-only order that closes the whole position.
    open_order_base : int
        Open orders every account may have.
    open_order_volume_step : Decimal
        Volume that earns one more.
    open_order_max : int
        The most open orders of any account.
    asset : int or None
        The asset number that the venue appends to its messages; None leaves it out.
    margin_check : bool
        Whether an order that the equity does not cover is refused.

    """

    min_value: Decimal = Decimal(10)
    open_order_base: int = 1000
    open_order_volume_step: Decimal = Decimal(5_000_000)
    open_order_max: int = 5000
    asset: int | None = 150_000
    margin_check: bool = True

    def __post_init__(self) -> None:
        if self.min_value < 0 or self.open_order_base < 1 or self.open_order_volume_step <= 0:
            msg = (
                f"rules: min_value {self.min_value}, open_order_base {self.open_order_base}, "
                f"open_order_volume_step {self.open_order_volume_step}; allowed: 0 or more, 1 or more, above 0"
            )
            raise ValueError(msg)

    @property
    def suffix(self) -> str:
        """What the venue appends to a per-order error."""
        return "" if self.asset is None else f" asset={self.asset}"

    def open_order_cap(self, volume: Decimal) -> int:
        """Return how many orders may rest after ``volume`` of trading (venue docs, rate limits and user limits)."""
        return min(self.open_order_max, self.open_order_base + int(volume // self.open_order_volume_step))


def is_on_tick(mantissa: int, exponent: int) -> bool:
    """
    Return whether a price ``mantissa * 10 ** exponent`` obeys the venue's five significant figures.

    Whole numbers are always allowed (venue docs, tick and lot size).
    """
    while exponent < 0 and mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    return exponent >= 0 or mantissa < 10**MAX_SIGNIFICANT_FIGURES


TICK = "Price must be divisible by tick size."
BAD_PRICE = "Order has invalid price."
BAD_SIZE = "Order has invalid size."
ZERO_SIZE = "Order has zero size."
REDUCE_ONLY = "Reduce only order would increase position."
IOC = "Order could not immediately match against any resting orders."
NO_LIQUIDITY = "No liquidity available for market order."
UNKNOWN_ORDER = "Order was never placed, already canceled, or filled."
CLOSED_ORDER = "Cannot modify canceled or filled order."
TOO_MANY = "Too many open orders"


def min_value_words(min_value: Decimal) -> str:
    """Return the venue's words for an order below its smallest value."""
    return f"Order must have minimum value of ${min_value.normalize():f}."


def post_only_words(bid: str, ask: str) -> str:
    """Return the venue's words for a post-only order that would have crossed, with the best bid and offer."""
    return f"Post only order would have immediately matched, bbo was {bid}@{ask}."
