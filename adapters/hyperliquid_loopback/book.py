"""One market's book: price-time queues of users' orders and of the house's ladder."""

from bisect import bisect_left
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING
from decimal import ROUND_FLOOR
from decimal import Decimal
from typing import Final

from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import Order
from hyperliquid_loopback.types import number


MAX_LEVELS: Final = 20
# of an aggregated book; finer steps of the last figure are asked for with the mantissa
FINEST_FIGURES: Final = 5


@dataclass(slots=True)
class HouseChunk:
    """A piece of the house's ladder that holds one place in a queue."""

    oid: int
    user: str
    size: Decimal


Entry = Order | HouseChunk


class Level:
    """The queue of one price, oldest first."""

    __slots__ = ("house", "price", "queue", "total")

    def __init__(self, price: Decimal) -> None:
        self.price = price
        self.queue: dict[int, Entry] = {}
        self.total = ZERO
        self.house = ZERO

    @property
    def first(self) -> Entry:
        """The entry that is matched next."""
        return next(iter(self.queue.values()))


class BookSide:
    """Levels of one side, kept sorted."""

    __slots__ = ("levels", "prices", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.levels: dict[Decimal, Level] = {}
        # ascending on both sides: the best bid is the last, the best ask the first
        self.prices: list[Decimal] = []

    @property
    def best(self) -> Decimal | None:
        """The best price; None when the side is empty."""
        if not self.prices:
            return None
        return self.prices[-1] if self.side == BUY else self.prices[0]

    def best_first(self) -> Iterator[Level]:
        """Yield the levels from the best price on."""
        prices = reversed(self.prices) if self.side == BUY else iter(self.prices)
        for price in prices:
            yield self.levels[price]

    def level(self, price: Decimal) -> Level:
        """Return the level of a price, made when there is none."""
        found = self.levels.get(price)
        if found is None:
            found = self.levels[price] = Level(price)
            insort(self.prices, price)
        return found

    def drop_if_empty(self, level: Level) -> None:
        """Forget a level without entries."""
        if not level.queue:
            del self.levels[level.price]
            del self.prices[bisect_left(self.prices, level.price)]


class Book:
    """
    The book of one coin.

    Matching itself is the engine's: it asks for the first entry of the best level, and says what was taken of it.

    Parameters
    ----------
    coin : str
        Market.

    """

    __slots__ = ("bids", "asks", "coin", "last_trade", "version")  # noqa: RUF023 - bids before asks

    def __init__(self, coin: str) -> None:
        self.coin = coin
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.last_trade: Decimal | None = None
        self.version = 0

    def side(self, side: int) -> BookSide:
        """Return the bids for +1, the asks for -1."""
        return self.bids if side > 0 else self.asks

    @property
    def is_empty(self) -> bool:
        """Whether nothing rests on either side."""
        return not (self.bids.prices or self.asks.prices)

    @property
    def mid(self) -> Decimal | None:
        """Half way between the best prices; None while a side is empty."""
        bid, ask = self.bids.best, self.asks.best
        return None if bid is None or ask is None else (bid + ask) / 2

    def crosses(self, side: int, price: Decimal) -> bool:
        """Return whether an order of ``side`` at ``price`` would match at once."""
        best = self.side(-side).best
        if best is None:
            return False
        return price >= best if side > 0 else price <= best

    def rest(self, order: Order) -> None:
        """Put an order at the back of its price's queue."""
        level = self.side(order.side).level(order.price)
        level.queue[order.oid] = order
        level.total += order.size
        self.version += 1

    def remove(self, order: Order) -> None:
        """Take a resting order out, whatever is left of it."""
        side = self.side(order.side)
        level = side.levels[order.price]
        del level.queue[order.oid]
        level.total -= order.size
        side.drop_if_empty(level)
        self.version += 1

    def reduce(self, side: int, price: Decimal, entry: Entry, size: Decimal) -> None:
        """Take ``size`` off an entry, which keeps its place; an entry with nothing left goes."""
        half = self.side(side)
        level = half.levels[price]
        entry.size -= size
        level.total -= size
        if isinstance(entry, HouseChunk):
            level.house -= size
        if entry.size <= 0:
            del level.queue[entry.oid]
            half.drop_if_empty(level)
        self.version += 1

    def house_size(self, side: int, price: Decimal) -> Decimal:
        """Return what the house has at a price."""
        level = self.side(side).levels.get(price)
        return ZERO if level is None else level.house

    def house_add(self, side: int, price: Decimal, chunk: HouseChunk) -> None:
        """Put house size at the back of a queue; it joins the last entry when that is the house's too."""
        level = self.side(side).level(price)
        last = next(reversed(level.queue.values()), None)
        if isinstance(last, HouseChunk) and last.user == chunk.user:
            last.size += chunk.size
        else:
            level.queue[chunk.oid] = chunk
        level.total += chunk.size
        level.house += chunk.size
        self.version += 1

    def house_cut(self, side: int, price: Decimal, size: Decimal) -> None:
        """
        Take house size off a price, the newest first, so that what stays keeps its place.

        A user's order therefore gains places only when the house's size behind it is used up.
        """
        level = self.side(side).levels[price]
        left = size
        for entry in reversed([row for row in level.queue.values() if isinstance(row, HouseChunk)]):
            if left <= 0:
                return
            cut = min(left, entry.size)
            left -= cut
            self.reduce(side, price, entry, cut)

    def clear_house(self) -> None:
        """Take the whole house ladder out."""
        for half in (self.bids, self.asks):
            for level in list(half.levels.values()):
                if level.house > 0:
                    self.house_cut(half.side, level.price, level.house)

    def size_ahead(self, order: Order) -> Decimal:
        """Return what rests before an order in its queue."""
        ahead = ZERO
        for entry in self.side(order.side).levels[order.price].queue.values():
            if entry is order:
                break
            ahead += entry.size
        return ahead

    def impact_price(self, side: int, notional: Decimal) -> Decimal | None:
        """
        Return the average price at which ``notional`` of the side's depth would trade; None when it is too thin.

        Source: the venue's docs, funding ("impact price"); ``side`` is the side of the book that is consumed.
        """
        value = size = ZERO
        for level in self.side(side).best_first():
            worth = level.total * level.price
            if value + worth >= notional:
                # the last level is used in part
                size += (notional - value) / level.price
                return notional / size
            value += worth
            size += level.total
        return None

    def touch(self, side: int) -> Json | None:
        """Return one side of a ``bbo`` row; None when it is empty."""
        half = self.side(side)
        best = half.best
        return None if best is None else _row(best, half.levels[best].total, len(half.levels[best].queue))

    def snapshot(
        self,
        depth: int = MAX_LEVELS,
        n_sig_figs: int | None = None,
        mantissa: int | None = None,
    ) -> list[list[Json]]:
        """
        Return the two sides of an ``l2Book``, bids first, best price first.

        Parameters
        ----------
        depth : int
            Levels of a side.
        n_sig_figs : int or None
            2 to 5 figures to which prices are grouped, away from the middle; None for every price.
        mantissa : int or None
            2 or 5 with five figures: the last one counts in steps of it.

        """
        if n_sig_figs is None:
            return [
                [
                    _row(level.price, level.total, len(level.queue))
                    for level, _ in zip(half.best_first(), range(depth), strict=False)
                ]
                for half in (self.bids, self.asks)
            ]
        return [_grouped(half, depth, n_sig_figs, mantissa or 1) for half in (self.bids, self.asks)]


def _grouped(half: BookSide, depth: int, n_sig_figs: int, mantissa: int) -> list[Json]:
    groups: dict[Decimal, list[Decimal]] = {}
    rounding = ROUND_FLOOR if half.side == BUY else ROUND_CEILING
    for level in half.best_first():
        step = Decimal(mantissa).scaleb(level.price.adjusted() - n_sig_figs + 1)
        price = (level.price / step).to_integral_value(rounding=rounding) * step
        if price not in groups:
            if len(groups) == depth:
                break
            groups[price] = [ZERO, ZERO]
        groups[price][0] += level.total
        groups[price][1] += len(level.queue)
    return [_row(price, size, int(count)) for price, (size, count) in groups.items()]


def _row(price: Decimal, size: Decimal, count: int) -> Json:
    return {"px": number(price), "sz": number(size), "n": count}
