"""The market's displayed book as the simulated venue last saw it, with what is in view and what is not."""

from collections.abc import Callable
from collections.abc import Iterator


Levels = tuple[list[int], list[int]]
Quote = tuple[int, int, int, int]

_EMPTY: Levels = ([], [])


class DisplayedBook:
    """
    The displayed book in ticks and lots.

    Snapshots replace it and see no farther than their last level; incremental changes build a book that is wholly
    in view. A quote at least as new as the book stands for its top. Snapshots and quotes are kept as functions that
    read them, since most are never asked about.
    """

    __slots__ = (
        "_changes",
        "_quote",
        "_read_first",
        "_read_quote",
        "_read_side",
        "_sides",
        "incremental",
        "quote_ts",
        "ts_ns",
    )

    def __init__(self) -> None:
        self._sides: dict[int, Levels] = {1: _EMPTY, -1: _EMPTY}
        self._read_side: Callable[[int], Levels] | None = None
        self._read_first: Callable[[int], int] | None = None
        self._changes: dict[int, dict[int, int]] = {}
        self._quote: Quote | None = None
        self._read_quote: Callable[[], Quote] | None = None
        self.incremental = False
        self.quote_ts = 0
        self.ts_ns = 0

    def replace(
        self, ts_ns: int, read_side: Callable[[int], Levels], read_first: Callable[[int], int] | None = None
    ) -> None:
        """
        Take a snapshot as a function from side (1 bids, -1 asks) to (ticks, lots), best level first.

        ``read_first`` gives the first price of a side alone where that is cheaper, 0 where the whole side must be read for it.
        """
        self.incremental = False
        self.ts_ns = ts_ns
        self._read_side = read_side
        self._read_first = read_first
        self._sides = {}

    def change(self, ts_ns: int, book_side: int, ticks: int, lots: int) -> None:
        """Take one incremental change; 0 lots removes the level."""
        if not self.incremental:
            self._changes = {side: dict(zip(*self.side(side), strict=True)) for side in (1, -1)}
            self.incremental = True
        self.ts_ns = ts_ns
        side = self._changes[book_side]
        if lots > 0:
            side[ticks] = lots
        else:
            side.pop(ticks, None)

    def take_quote(self, ts_ns: int, read_quote: Callable[[], Quote]) -> None:
        """Take a best bid and offer as a function giving (bid ticks, bid lots, ask ticks, ask lots)."""
        self._read_quote = read_quote
        self._quote = None
        self.quote_ts = ts_ns

    def side(self, side: int) -> Levels:
        """Return (ticks, lots) of one side as the last book had them, best first."""
        if self.incremental:
            levels = sorted(self._changes[side].items(), reverse=side > 0)
            return [ticks for ticks, _ in levels], [lots for _, lots in levels]
        known = self._sides.get(side)
        if known is None:
            known = self._sides[side] = _EMPTY if self._read_side is None else self._read_side(side)
        return known

    def newer_quote(self) -> Quote | None:
        """Return the last quote if it is at least as new as the last book."""
        if self._read_quote is None or self.quote_ts < self.ts_ns:
            return None
        if self._quote is None:
            self._quote = self._read_quote()
        return self._quote

    def best(self, side: int) -> int:
        """Best price of one side in ticks; 0 without one."""
        quote = self.newer_quote()
        if quote is not None:
            ticks, lots = quote[:2] if side > 0 else quote[2:]
            return ticks if lots > 0 else 0
        if self.incremental:
            book = self._changes[side]
            return (max(book) if side > 0 else min(book)) if book else 0
        if side not in self._sides and self._read_first is not None and (first := self._read_first(side)):
            return first
        prices = self.side(side)[0]
        return prices[0] if prices else 0

    def displayed(self, side: int, ticks: int) -> int | None:
        """Return the lots displayed at a price of one side; None where the book does not reach."""
        quote = self.newer_quote()
        if quote is not None:
            best, lots = quote[:2] if side > 0 else quote[2:]
            if lots > 0 and (ticks - best) * side >= 0:
                return lots if ticks == best else 0
        if self.incremental:
            return self._changes[side].get(ticks, 0)
        prices, sizes = self.side(side)
        if not prices or (ticks - prices[-1]) * side < 0:
            return None
        try:
            return sizes[prices.index(ticks)]
        except ValueError:
            return 0

    def levels(self, side: int) -> Iterator[tuple[int, int]]:
        """Yield (ticks, lots) of one side, best first, a newer quote standing for the top."""
        prices, sizes = self.side(side)
        quote = self.newer_quote()
        best = 0
        if quote is not None:
            best, lots = quote[:2] if side > 0 else quote[2:]
            if lots > 0:
                yield best, lots
            else:
                best = 0
        for ticks, lots in zip(prices, sizes, strict=True):
            if not best or (best - ticks) * side > 0:
                yield ticks, lots

    def mean_level_lots(self, side: int) -> float:
        """Return the mean displayed size of one side's levels; 0.0 without any."""
        sizes = [lots for _, lots in self.levels(side)]
        return sum(sizes) / len(sizes) if sizes else 0.0
