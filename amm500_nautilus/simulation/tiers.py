"""A margin table in whole numbers: maintenance, and the marks at which it is no longer covered, without any rounding."""

from math import lcm
from typing import NamedTuple

from amm500_nautilus.margin.tables import MarginTable


NANO = 10**9
NANO_PER_MICRO = 1_000
# no mark is beyond these
NO_LOW = -1
NO_HIGH = 1 << 200


class _Tier(NamedTuple):
    """Maintenance of a tier is ``(notional * rate - deduction) / scale``; it counts above ``bound``; amounts in 1e-9 units."""

    bound: int
    rate: int
    deduction: int
    scale: int


def cut_micro(numerator: int, denominator: int = 1) -> int:
    """Return an amount of 1e-9 units cut toward zero to 1e-6 units, as the venue cuts money."""
    step = denominator * NANO_PER_MICRO
    micro = numerator // step if numerator >= 0 else -(-numerator // step)
    return micro * NANO_PER_MICRO


class TierSteps:
    """
    The tiers of a margin table, prepared once so that neither a fill nor a mark costs a decimal operation.

    Parameters
    ----------
    table : MarginTable
        The table; amounts given to the methods are integers of 1e-9 collateral units.

    """

    __slots__ = ("_first", "_steps", "_tiers", "table")

    def __init__(self, table: MarginTable) -> None:
        self.table = table
        tiers = []
        for bound, rate, deduction in table.steps:
            exact = deduction * NANO
            scale = lcm(rate.denominator, exact.denominator)
            tiers.append(_Tier(int(bound * NANO), int(rate * scale), int(exact * scale), scale))
        self._tiers = tuple(tiers)
        self._first = tiers[0]
        # what the marks are found from: twice the deduction, the scale, and what one of notional brings a long and a short
        self._steps = tuple((2 * t.deduction, t.scale, t.scale - t.rate, t.scale + t.rate) for t in tiers)

    def at(self, notional: int) -> _Tier:
        """Return the tier of a notional."""
        tiers = self._tiers
        if len(tiers) == 1:
            return self._first
        n = len(tiers) - 1
        while n > 0 and notional <= tiers[n].bound:
            n -= 1
        return tiers[n]

    def maintenance(self, notional: int) -> int:
        """Return the maintenance margin of a notional, cut to 1e-6 units."""
        tier = self.at(notional)
        return cut_micro(notional * tier.rate - tier.deduction, tier.scale)

    def cap(self, leverage: int) -> int | None:
        """Return the largest notional that may be held at a leverage; None when no tier limits it."""
        limit = self.table.max_notional_at(leverage)
        return None if limit is None else int(limit * NANO)

    def safe_marks(self, lots: int, backing: int, unit: int) -> tuple[int, int]:
        """
        Return the lowest and the highest mark, each as twice the mid in ticks, at which maintenance is covered.

        Beyond them the position MAY be liquidated: the venue's cut of the maintenance leaves it less than 1e-6 of grace.

        Parameters
        ----------
        lots : int
            Signed position.
        backing : int
            What covers the position beside its own value: the cross account's cash, or the isolated position's raw collateral.
        unit : int
            Value of one lot at one tick.

        """
        if lots == 0:
            return NO_LOW, NO_HIGH
        # of a convex maintenance the tier that is met first from the safe side binds
        value = lots * unit
        twice = 2 * backing
        if lots > 0:
            low = NO_LOW
            for deduction2, scale, kept, _ in self._steps:
                bound = -((twice * scale + deduction2) // (value * kept))
                if bound > low:
                    low = bound
            return low, NO_HIGH
        high = NO_HIGH
        for deduction2, scale, _, needed in self._steps:
            bound = (twice * scale + deduction2) // (-value * needed)
            if bound < high:
                high = bound
        return NO_LOW, high

    def liquidation_ticks(self, lots: int, value: int, mid2: int, unit: int) -> float | None:
        """
        Return the liquidation price in ticks by the venue's formula; None when flat or when no price does it.

        See ``margin.liquidation.liquidation_price``: the position's maintenance enters cut, as recorded payloads show.
        """
        if lots == 0 or not mid2:
            return None
        side = 1 if lots > 0 else -1
        size = abs(lots)
        notional = size * mid2 * unit // 2
        prices = []
        for _, rate, deduction, scale in self._tiers:
            needed = cut_micro(notional * rate - deduction, scale)
            prices.append(
                mid2 / 2 - side * ((value - needed) * scale / (size * unit * (scale - rate * side)))
            )
        price = max(prices) if side > 0 else min(prices)
        return price if price > 0 else None
