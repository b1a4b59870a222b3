"""The engine's book messages as the quoting rooms read them: ticks and lots, own size taken out."""

from collections.abc import Sequence

from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide

from amm500_nautilus.own_levels import OwnLevels
from amm500_nautilus.quoting.book import net_own
from amm500_nautilus.quoting.types import BUY
from amm500_nautilus.quoting.types import SELL
from amm500_nautilus.quoting.types import BookView


SEEN_PRICES = 10_000
_Level = tuple[int, int]


class _TicksOf(dict[float, int]):
    """Prices in ticks, each converted once."""

    def __init__(self, tick: float) -> None:
        super().__init__()
        self._per_tick = 1.0 / tick

    def __missing__(self, price: float) -> int:
        if len(self) > SEEN_PRICES:
            self.clear()
        ticks = self[price] = round(price * self._per_tick)
        return ticks


def _beyond(price: int, side: int, ticks: Sequence[int], lots: Sequence[float]) -> tuple[int, float]:
    """Return the first level worse than a price; the price itself with one lot where the book ends."""
    for level, size in zip(ticks, lots, strict=True):
        if (price - level) * side > 0:
            return level, size
    return price, 1.0


def microprice(tick: QuoteTick) -> float | None:
    """Return the mid of a quote weighted by the size on the other side, in its own price units; None without any size."""
    bid_size, ask_size = float(tick.bid_size), float(tick.ask_size)
    total = bid_size + ask_size
    if total <= 0:
        return None
    return (float(tick.bid_price) * ask_size + float(tick.ask_price) * bid_size) / total


def _best_first(bids: list[_Level], asks: list[_Level]) -> None:
    # a venue's merged book ends with its best levels, a recorded one with its worst
    if len(bids) > 1 and bids[0][0] < bids[-1][0]:
        bids.reverse()
    if len(asks) > 1 and asks[0][0] > asks[-1][0]:
        asks.reverse()


class BookReader:
    """
    Turn depth messages and snapshot batches into views.

    Parameters
    ----------
    tick_raw, lot_raw : int
        The instrument's increments in the engine's raw integers.
    tick, lot : float
        The same in prices and contracts.
    own : OwnLevels, optional
        What of our own orders rested where and when; None where the books shown do not hold them.

    """

    def __init__(
        self, *, tick_raw: int, lot_raw: int, tick: float, lot: float, own: OwnLevels | None = None
    ) -> None:
        self._tick_raw, self._lot_raw = tick_raw, lot_raw
        self._ticks_of, self._per_lot = _TicksOf(tick), 1.0 / lot
        self._own = own
        self._netted: BookView | None = None

    def read(self, book: OrderBookDepth10 | OrderBookDeltas) -> BookView:
        """
        Return the view of a message: a depth message, or a batch of deltas that is a snapshot, in either order of its levels.

        The time of a delta is when its level was last seen, and our own size of that time is taken out of it; the levels of a depth
        message are all of its time.
        """
        own = self._own
        if own is not None:
            view = self._netted = self._without(own, book)
            return view
        if isinstance(book, OrderBookDepth10):
            return self._depth(book)
        bids, asks = self._levels(book)
        return BookView(
            book.ts_init,
            [level[0] for level in bids],
            [level[1] for level in bids],
            [level[0] for level in asks],
            [level[1] for level in asks],
        )

    def touch(
        self, tick: QuoteTick, unread: OrderBookDepth10 | OrderBookDeltas | None = None
    ) -> tuple[int, float, int, float]:
        """
        Return a quote in ticks and lots, without our own size.

        A best price that is ours alone is no price of the market: the best of the newest book beyond it stands in, which is
        ``unread`` where a book has come since the last one was read.
        """
        tick_raw, lot_raw = self._tick_raw, self._lot_raw
        bid, bid_lots = tick.bid_price.raw // tick_raw, tick.bid_size.raw // lot_raw
        ask, ask_lots = tick.ask_price.raw // tick_raw, tick.ask_size.raw // lot_raw
        own = self._own
        if own is None:
            return bid, bid_lots, ask, ask_lots
        ts_ns = tick.ts_event
        own.delay.heard(tick.ts_init - ts_ns)
        left_bid = float(bid_lots - own.lots(BUY, bid, ts_ns))
        left_ask = float(ask_lots - own.lots(SELL, ask, ts_ns))
        if unread is not None and (left_bid <= 0 or left_ask <= 0):
            self.read(unread)
        book = self._netted
        if left_bid <= 0:
            bid, left_bid = _beyond(bid, BUY, book.bid_ticks, book.bid_lots) if book else (bid, bid_lots)
        if left_ask <= 0:
            ask, left_ask = _beyond(ask, SELL, book.ask_ticks, book.ask_lots) if book else (ask, ask_lots)
        return bid, left_bid, ask, left_ask

    def _levels(
        self, batch: OrderBookDeltas, seen: dict[int, int] | None = None
    ) -> tuple[list[_Level], list[_Level]]:
        """Return (ticks, lots) of bids and asks, best first; ``seen`` takes the times of levels older than the batch, by price."""
        newest = 0 if seen is None else batch.ts_event
        tick_raw, lot_raw = self._tick_raw, self._lot_raw
        bids: list[_Level] = []
        asks: list[_Level] = []
        for delta in batch.deltas:
            if delta.action == BookAction.ADD:
                order = delta.order
                if lots := order.size.raw // lot_raw:
                    ticks = order.price.raw // tick_raw
                    (bids if order.side == OrderSide.BUY else asks).append((ticks, lots))
                    if seen is not None and delta.ts_event < newest:
                        seen[ticks] = delta.ts_event
        _best_first(bids, asks)
        return bids, asks

    def _without(self, own: OwnLevels, book: OrderBookDepth10 | OrderBookDeltas) -> BookView:
        """Return a message without our own size, with the ages of its older levels."""
        tick_raw, lot_raw = self._tick_raw, self._lot_raw
        newest = book.ts_event
        seen: dict[int, int] = {}
        if isinstance(book, OrderBookDepth10):
            bids, asks = (
                [(order.price.raw // tick_raw, lots) for order in side if (lots := order.size.raw // lot_raw)]
                for side in (book.bids, book.asks)
            )
        else:
            bids, asks = self._levels(book, seen)
        bid_ticks, ask_ticks = [level[0] for level in bids], [level[0] for level in asks]
        view = BookView(
            book.ts_init,
            bid_ticks,
            [level[1] for level in bids],
            ask_ticks,
            [level[1] for level in asks],
            {ticks: newest - ts_ns for ticks, ts_ns in seen.items()},
        )
        return net_own(
            view, own.of_levels(BUY, bid_ticks, seen, newest), own.of_levels(SELL, ask_ticks, seen, newest)
        )

    def _depth(self, depth: OrderBookDepth10) -> BookView:
        """Return a depth message as it is; half of what the general way costs."""
        # a double holds 2^53 lots, and rounding to the nearest leaves no error; prices come again and again
        ticks_of, per_lot = self._ticks_of, self._per_lot
        bids, asks = depth.bids, depth.asks
        bid_lots = [int(order.size.as_double() * per_lot + 0.5) for order in bids]
        ask_lots = [int(order.size.as_double() * per_lot + 0.5) for order in asks]
        bid_ticks = [ticks_of[order.price.as_double()] for order in bids]
        ask_ticks = [ticks_of[order.price.as_double()] for order in asks]
        if 0 in bid_lots:
            bid_ticks = [ticks for ticks, lots in zip(bid_ticks, bid_lots, strict=True) if lots]
            bid_lots = [lots for lots in bid_lots if lots]
        if 0 in ask_lots:
            ask_ticks = [ticks for ticks, lots in zip(ask_ticks, ask_lots, strict=True) if lots]
            ask_lots = [lots for lots in ask_lots if lots]
        return BookView(depth.ts_init, bid_ticks, bid_lots, ask_ticks, ask_lots)
