"""What an order is to the venue under one of its numbers, and the commands on their way to change it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


ZERO: Final = Decimal(0)


@dataclass(slots=True)
class Leg:
    """
    The order under one number.

    ``size`` is what it was placed with, ``filled`` what is known of its fills, ``final`` the status that ended it (None while it rests),
    ``expected`` what its closing status or reply says it filled.
    """

    oid: int
    size: Decimal
    price: Decimal
    filled: Decimal = ZERO
    final: str | None = None
    expected: Decimal | None = None

    @property
    def done(self) -> Decimal:
        """What it filled as far as anyone said, told to the engine or not."""
        return max(self.filled, self.expected or ZERO)

    @property
    def lacks_fills(self) -> bool:
        """Whether fills are known to exist that have not come."""
        return self.expected is not None and self.filled < self.expected


@dataclass(slots=True)
class PendingModify:
    """A modify that is queued or on its way; ``size`` is the wire size: quantity less what was filled when it was sent."""

    quantity: Decimal
    price: Decimal
    size: Decimal
    old_oid: int | None
    # the whole quantity that was asked for until then
    before: Decimal
    is_sent: bool = False
    # how much news of the order there had been when it was asked for
    news: int = 0
    # set while nobody has said whether it happened: after this time (ms UTC, venue) it no longer can
    unknown_until_ms: int | None = None


@dataclass(slots=True)
class PendingCancel:
    """
    A cancel that is queued or on its way.

    ``is_gone`` when the venue answered that there is no such order, ``is_early`` where it had not heard of the order yet either way,
    ``is_done`` when it did it, ``goes_again`` while it is repeated.
    """

    is_sent: bool = False
    is_gone: bool = False
    is_early: bool = False
    is_done: bool = False
    goes_again: bool = False
    unknown_until_ms: int | None = None

    @property
    def is_overdue(self) -> bool:
        """Whether it failed, where the order still rests after all that was sent could happen: not while it goes again."""
        return self.is_gone or (self.unknown_until_ms is not None and not self.goes_again)
