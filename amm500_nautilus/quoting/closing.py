"""Ladders that do nothing but bring the position back: what fits into it, and what stands behind an order at the touch."""

from collections.abc import Sequence

from amm500_nautilus.quoting.types import Level


# reasons that let an order do nothing but close the position
CLOSING = frozenset({"margin", "reduce_only"})


def within(levels: Sequence[Level], most: int, least: int) -> tuple[Level, ...]:
    """
    Return the levels, best first, cut off where their sizes reach ``most`` lots.

    No level is left under ``least`` lots, which the venue refuses: what would be left for the next one joins the one before it.
    5 lots of a position, where the least is 12, go as one reduce-only order, the only kind that may be smaller.
    """
    if 0 < most < least:
        return tuple(Level(level.price_ticks, most, reduce_only=True) for level in levels[:1])
    out: list[Level] = []
    for level in levels:
        if most < least:
            break
        lots = most if most - level.lots < least else level.lots
        out.append(Level(level.price_ticks, lots))
        most -= lots
    return tuple(out)


def behind(ladder: Sequence[Level], side: int, touch: int, lots: int) -> tuple[Level, ...]:
    """Return the ladder with a reduce-only level at the touch before it, moved back where it would be better."""
    last = touch
    out = [Level(touch, lots, reduce_only=True)]
    for level in ladder:
        if (level.price_ticks - last) * side >= 0:
            level = Level(last - side, level.lots)
        out.append(level)
        last = level.price_ticks
    return tuple(out)
