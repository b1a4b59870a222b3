"""Our position as the fills made it: signed lots, average entry, profit of each close."""

from dataclasses import dataclass


@dataclass(slots=True)
class Inventory:
    """
    A netted position.

    ``lots`` is signed; ``entry_ticks`` the average entry price in ticks, 0 when flat.
    """

    lots: int = 0
    entry_ticks: float = 0.0

    def apply(self, *, side: int, price_ticks: int, lots: int) -> float:
        """
        Book a fill and return the profit of what it closed, in tick-lots (0 when it only opened).

        A fill through zero closes the whole position and opens the rest at its own price.
        """
        before = self.lots
        self.lots = before + side * lots
        if before == 0 or (before > 0) == (side > 0):
            self.entry_ticks = (self.entry_ticks * abs(before) + price_ticks * lots) / (abs(before) + lots)
            return 0.0
        closed = min(abs(before), lots)
        profit = (price_ticks - self.entry_ticks) * closed * (1 if before > 0 else -1)
        if self.lots == 0:
            self.entry_ticks = 0.0
        elif (self.lots > 0) != (before > 0):
            self.entry_ticks = float(price_ticks)
        return profit
