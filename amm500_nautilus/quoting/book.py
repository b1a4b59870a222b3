"""What the book says: depth, imbalance, microprice, pressure, queue position."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from amm500_nautilus.quoting.config import BookConfig
from amm500_nautilus.quoting.types import BookView
from amm500_nautilus.quoting.types import MarketShape


NO_BOOK_NS = -1


@dataclass(slots=True)
class BookAnalysis:
    """
    One reading of the book; depths in collateral units, prices in ticks.

    ``deep_age_secs`` is how much older than the newest message the oldest level used is (0 when that message brought them all);
    ``levels`` the levels a side that were used.
    """

    ts_ns: int
    bid_ticks: int
    ask_ticks: int
    mid_ticks: float
    microprice_ticks: float
    bid_depth: float
    ask_depth: float
    bid_depth_top: float
    ask_depth_top: float
    imbalance: float
    imbalance_top: float
    pressure: float
    is_liquid: bool
    levels: int
    deep_age_secs: float
    bid_prices: Sequence[int]
    ask_prices: Sequence[int]

    @property
    def total_depth(self) -> float:
        """Depth of both sides."""
        return self.bid_depth + self.ask_depth


def side_depth(ticks: Sequence[int], lots: Sequence[float], *, top: int, levels: int) -> tuple[float, float]:
    """Return price times size summed over the first ``top`` and over the first ``levels`` levels, in tick-lots."""
    # map stops at the shorter of the two
    total = float(sum(map(mul, ticks if len(ticks) <= levels else ticks[:levels], lots)))
    if top >= levels or len(ticks) <= top:
        return total, total
    return float(sum(map(mul, ticks[:top], lots))), total


def imbalance_of(bid: float, ask: float) -> float:
    """Return ``(bid - ask) / (bid + ask)``; 0 for an empty book."""
    total = bid + ask
    return (bid - ask) / total if total > 0 else 0.0


def microprice_of(bid_ticks: int, bid_lots: float, ask_ticks: int, ask_lots: float) -> float:
    """Return the mid weighted by the size on the other side: heavy bids push it to the ask."""
    total = bid_lots + ask_lots
    if total <= 0:
        return (bid_ticks + ask_ticks) / 2
    return (bid_ticks * ask_lots + ask_ticks * bid_lots) / total


def queue_position(price_ticks: int, side: int, same_side_ticks: Sequence[int]) -> int:
    """Return 1 at or inside the best price of its side, else the number of better levels plus one."""
    better = 0
    for ticks in same_side_ticks:
        if (ticks - price_ticks) * side <= 0:
            break
        better += 1
    return better + 1


def net_own_side(
    ticks: Sequence[int], lots: Sequence[float], own: Mapping[int, float]
) -> tuple[list[int], list[float]]:
    """
    Return one side with our own resting size taken out.

    Levels left without size disappear, so that our own quote is never a signal.
    """
    out_ticks: list[int] = []
    out_lots: list[float] = []
    for price, size in zip(ticks, lots, strict=True):
        left = size - own.get(price, 0)
        if left > 1e-9:
            out_ticks.append(price)
            out_lots.append(left)
    return out_ticks, out_lots


def net_own(view: BookView, own_bids: Mapping[int, float], own_asks: Mapping[int, float]) -> BookView:
    """Return the book without our own size (price in ticks to lots, each side): what of us each level held when it was last seen."""
    bid_ticks, bid_lots = net_own_side(view.bid_ticks, view.bid_lots, own_bids)
    ask_ticks, ask_lots = net_own_side(view.ask_ticks, view.ask_lots, own_asks)
    return BookView(view.ts_ns, bid_ticks, bid_lots, ask_ticks, ask_lots, view.ages)


class BookKeeper:
    """
    The newest knowledge of each part of the book: touch, fast levels, deep levels.

    A message of at most ``fast_levels`` a side replaces the fast part only; a longer one replaces both. The touch
    stream overrides the best level while it is the newest.
    """

    def __init__(self, config: BookConfig, shape: MarketShape) -> None:
        self._config = config
        self._value = shape.tick_lot_value
        self._fast: BookView | None = None
        self._deep: BookView | None = None
        self.touch_ns = NO_BOOK_NS
        self.bid_ticks = 0
        self.bid_lots = 0.0
        self.ask_ticks = 0
        self.ask_lots = 0.0
        self._last: BookAnalysis | None = None

    @property
    def has_touch(self) -> bool:
        """Whether both sides have been seen, and neither has gone since."""
        return self.touch_ns != NO_BOOK_NS

    @property
    def mid_ticks(self) -> float | None:
        """The middle of the touch; None without one."""
        return (self.bid_ticks + self.ask_ticks) * 0.5 if self.has_touch else None

    def on_touch(self, ts_ns: int, bid_ticks: int, bid_lots: float, ask_ticks: int, ask_lots: float) -> None:
        """Take the best bid and offer."""
        self.touch_ns = ts_ns
        self.bid_ticks = bid_ticks
        self.bid_lots = bid_lots
        self.ask_ticks = ask_ticks
        self.ask_lots = ask_lots
        self._last = None

    def on_book(self, view: BookView) -> bool:
        """
        Take a depth message; return whether it is as new as the touch (its best level then counts).

        One with an empty side, no older than the touch, takes away all that was known: there is no touch until another comes.
        """
        if not view.bid_ticks or not view.ask_ticks:
            if view.ts_ns >= self.touch_ns:
                self._fast = self._deep = self._last = None
                self.touch_ns = NO_BOOK_NS
            return False
        if max(len(view.bid_ticks), len(view.ask_ticks)) > self._config.fast_levels:
            self._deep = view
        self._fast = view
        self._last = None
        if view.ts_ns < self.touch_ns:
            return False
        self.touch_ns = view.ts_ns
        self.bid_ticks, self.ask_ticks = view.bid_ticks[0], view.ask_ticks[0]
        self.bid_lots, self.ask_lots = view.bid_lots[0], view.ask_lots[0]
        return True

    def analyze(self, ts_ns: int) -> BookAnalysis | None:
        """Return the reading at ``ts_ns``; None before a touch, or while the touch is crossed."""
        if self.touch_ns == NO_BOOK_NS or self.ask_ticks <= self.bid_ticks:
            return None
        deep = self._deep
        if deep is not None and ts_ns - deep.ts_ns > self._config.deep_stale_secs * 1e9:
            deep = self._deep = None
            self._last = None
        if self._last is not None:
            return self._last
        self._last = self._read(deep)
        return self._last

    def _read(self, deep: BookView | None) -> BookAnalysis:
        config = self._config
        fast = self._fast
        bid_ticks, bid_lots = self.side(1)
        ask_ticks, ask_lots = self.side(-1)
        top = config.fast_levels
        levels = config.levels
        bid_top, bid_all = side_depth(bid_ticks, bid_lots, top=top, levels=levels)
        ask_top, ask_all = side_depth(ask_ticks, ask_lots, top=top, levels=levels)
        value = self._value
        bid_depth = bid_all * value
        ask_depth = ask_all * value
        total = bid_all + ask_all
        imbalance = (bid_all - ask_all) / total if total > 0 else 0.0
        scale = (bid_depth + ask_depth) / config.pressure_depth
        deep_age = (
            0.0 if deep is None or fast is None or fast is deep else max(0, fast.ts_ns - deep.ts_ns) / 1e9
        )
        if fast is not None and fast.ages:
            deep_age = max(deep_age, _oldest(fast.ages, bid_ticks, ask_ticks, levels) / 1e9)
        return BookAnalysis(
            self.touch_ns,
            self.bid_ticks,
            self.ask_ticks,
            (self.bid_ticks + self.ask_ticks) * 0.5,
            microprice_of(self.bid_ticks, self.bid_lots, self.ask_ticks, self.ask_lots),
            bid_depth,
            ask_depth,
            bid_top * value,
            ask_top * value,
            imbalance,
            imbalance_of(bid_top, ask_top),
            imbalance * (scale if scale < 1 else 1.0),
            bid_depth >= config.min_side_depth and ask_depth >= config.min_side_depth,
            min(levels, len(bid_ticks), len(ask_ticks)),
            deep_age,
            bid_ticks,
            ask_ticks,
        )

    def side(self, side: int) -> tuple[Sequence[int], Sequence[float]]:
        """Return one side's prices and sizes, best first: touch, then fast levels, then deep ones."""
        fast = self._fast
        best = self.bid_ticks if side > 0 else self.ask_ticks
        best_lots = self.bid_lots if side > 0 else self.ask_lots
        if fast is None:
            return (best,), (best_lots,)
        ticks, lots = (fast.bid_ticks, fast.bid_lots) if side > 0 else (fast.ask_ticks, fast.ask_lots)
        if fast.ts_ns < self.touch_ns and (ticks[0] != best or lots[0] != best_lots):
            ticks, lots = _behind(ticks, lots, side, best, best_lots)
        deep = self._deep
        if deep is not None and deep is not fast:
            deep_ticks, deep_lots = (
                (deep.bid_ticks, deep.bid_lots) if side > 0 else (deep.ask_ticks, deep.ask_lots)
            )
            last = ticks[-1]
            start = next((i for i, t in enumerate(deep_ticks) if (last - t) * side > 0), len(deep_ticks))
            ticks = [*ticks, *deep_ticks[start:]]
            lots = [*lots, *deep_lots[start:]]
        return ticks, lots


def _oldest(ages: Mapping[int, int], bids: Sequence[int], asks: Sequence[int], levels: int) -> int:
    """Return the age of the oldest of the levels used: deeper ones are never newer."""
    worst_bid, worst_ask = bids[min(levels, len(bids)) - 1], asks[min(levels, len(asks)) - 1]
    return max(ages.get(worst_bid, 0), ages.get(worst_ask, 0))


def _behind(
    ticks: Sequence[int], lots: Sequence[float], side: int, best: int, best_lots: float
) -> tuple[Sequence[int], Sequence[float]]:
    start = next((i for i, t in enumerate(ticks) if (best - t) * side > 0), len(ticks))
    return [best, *ticks[start:]], [best_lots, *lots[start:]]
