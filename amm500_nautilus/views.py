"""The engine's book messages as the quoting rooms read them: ticks and lots, own size taken out."""

from collections.abc import Sequence

from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide

from amm500_nautilus.orders import OrderTable
from amm500_nautilus.quoting.book import net_own
from amm500_nautilus.quoting.types import BUY
from amm500_nautilus.quoting.types import SELL
from amm500_nautilus.quoting.types import BookView


SEEN_PRICES = 10_000


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


class BookReader:
    """
    Turn depth messages and snapshot batches into views.

    Parameters
    ----------
    tick_raw, lot_raw : int
        The instrument's increments in the engine's raw integers.
    tick, lot : float
        The same in prices and contracts.
    orders : OrderTable
        Our own orders.
    net_own : bool
        Whether the books shown hold our own orders.

    """

    def __init__(
        self, *, tick_raw: int, lot_raw: int, tick: float, lot: float, orders: OrderTable, net_own: bool
    ) -> None:
        self._tick_raw, self._lot_raw = tick_raw, lot_raw
        self._ticks_of, self._per_lot = _TicksOf(tick), 1.0 / lot
        self._orders = orders
        self._net_own = net_own
        self._netted: BookView | None = None

    def read(self, book: OrderBookDepth10 | OrderBookDeltas) -> BookView:
        """Return the view of a message: a depth message, or a batch of deltas that is a snapshot."""
        tick_raw, lot_raw = self._tick_raw, self._lot_raw
        if isinstance(book, OrderBookDepth10):
            if not self._net_own:
                return self._depth(book)
            bids = [(order.price.raw // tick_raw, order.size.raw // lot_raw) for order in book.bids]
            asks = [(order.price.raw // tick_raw, order.size.raw // lot_raw) for order in book.asks]
        else:
            bids, asks = [], []
            for delta in book.deltas:
                if delta.action == BookAction.ADD:
                    order = delta.order
                    level = (order.price.raw // tick_raw, order.size.raw // lot_raw)
                    (bids if order.side == OrderSide.BUY else asks).append(level)
        bids = [level for level in bids if level[1] > 0]
        asks = [level for level in asks if level[1] > 0]
        view = BookView(
            ts_ns=book.ts_init,
            bid_ticks=[level[0] for level in bids],
            bid_lots=[level[1] for level in bids],
            ask_ticks=[level[0] for level in asks],
            ask_lots=[level[1] for level in asks],
        )
        if self._net_own:
            view = self._netted = net_own(view, self._orders.own(BUY), self._orders.own(SELL))
        return view

    def touch(
        self,
        bid: int,
        bid_lots: int,
        ask: int,
        ask_lots: int,
        unread: OrderBookDepth10 | OrderBookDeltas | None = None,
    ) -> tuple[int, float, int, float]:
        """
        Return the touch without our own size.

        A best price that is ours alone is no price of the market: the best of the newest book beyond it stands in, which is
        ``unread`` where a book has come since the last one was read.
        """
        if not self._net_own:
            return bid, bid_lots, ask, ask_lots
        left_bid = float(bid_lots - self._orders.own(BUY).get(bid, 0))
        left_ask = float(ask_lots - self._orders.own(SELL).get(ask, 0))
        if unread is not None and (left_bid <= 0 or left_ask <= 0):
            self.read(unread)
        book = self._netted
        if left_bid <= 0:
            bid, left_bid = _beyond(bid, BUY, book.bid_ticks, book.bid_lots) if book else (bid, bid_lots)
        if left_ask <= 0:
            ask, left_ask = _beyond(ask, SELL, book.ask_ticks, book.ask_lots) if book else (ask, ask_lots)
        return bid, left_bid, ask, left_ask

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
