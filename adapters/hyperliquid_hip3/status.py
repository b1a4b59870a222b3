"""Whether a coin can be traded, from what the venue says of it at several places."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class MarketCondition(Enum):
    """The worst thing known of a market; the value is the sentence reported with it."""

    TRADING = "trading"
    AT_CAP = "at the open-interest cap: orders that increase open interest are rejected"
    HALTED = "halted: the book is empty on both sides"
    DELISTED = "delisted by the dex"

    @property
    def reason(self) -> str:
        """The sentence reported with the status."""
        return self.value


# an empty book of which no description can be read is taken for halted after so many times as long
UNDESCRIBED: Final = 4


@dataclass(slots=True)
class MarketWatch:
    """
    What was last heard of one coin, and the condition it makes.

    The venue has no message for a halt: it cancels all orders and settles positions, so a book that stays empty on both sides is
    taken for one. A coin at its cap is in ``perpsAtOpenInterestCap``, a delisted one is marked in ``meta``.
    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/hip-3-deployer-actions

    Parameters
    ----------
    halt_after_ns : int
        How long the book must be empty.

    """

    halt_after_ns: int
    is_delisted: bool = False
    is_at_cap: bool = False
    empty_since_ns: int | None = None
    # when the venue's description was last asked for and came, -1 before
    described_ns: int = -1

    def on_book(self, *, is_empty: bool, now_ns: int) -> bool:
        """Take a fresh book; True when it has just become empty."""
        if not is_empty:
            self.empty_since_ns = None
            return False
        if self.empty_since_ns is None:
            self.empty_since_ns = now_ns
            return True
        return False

    def condition(self, now_ns: int) -> MarketCondition:
        """Return the worst of what is known at this time."""
        if self.is_delisted:
            return MarketCondition.DELISTED
        if self.empty_since_ns is not None:
            empty_ns = now_ns - self.empty_since_ns
            # a delisted book is empty too: the description read since then tells the two apart, if it can be had
            is_known = (
                self.described_ns >= self.empty_since_ns or empty_ns >= UNDESCRIBED * self.halt_after_ns
            )
            if empty_ns >= self.halt_after_ns and is_known:
                return MarketCondition.HALTED
        return MarketCondition.AT_CAP if self.is_at_cap else MarketCondition.TRADING
