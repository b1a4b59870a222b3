"""What may be asked of the exchange: books, contexts, orders, trades and candles, in the wire's shapes."""

from decimal import Decimal

from hyperliquid_loopback.book import MAX_LEVELS
from hyperliquid_loopback.candles import INTERVALS
from hyperliquid_loopback.matching import Matching
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number
from hyperliquid_loopback.universe import Universe


class ExchangeViews:
    """
    The read side of the exchange; nothing here changes it.

    Parameters
    ----------
    universe : Universe
        The listing.
    core : Matching
        Books and orders.

    """

    def __init__(self, universe: Universe, core: Matching) -> None:
        self.universe = universe
        self._core = core

    # books and prices; a coin that the universe lacks is a KeyError

    def book(
        self,
        coin: str,
        depth: int = MAX_LEVELS,
        n_sig_figs: int | None = None,
        mantissa: int | None = None,
    ) -> Json:
        """Return an ``l2Book``; that of a delisted coin has two empty sides, an aggregated one its ``spread``."""
        book = self._core.markets[coin].book
        levels = book.snapshot(depth, n_sig_figs, mantissa)
        found: Json = {"coin": coin, "time": self._core.now_ms, "levels": levels}
        if n_sig_figs is not None and all(levels):
            found["spread"] = number(Decimal(levels[1][0]["px"]) - Decimal(levels[0][0]["px"]))
        return found

    def bbo(self, coin: str) -> Json:
        """Return a ``bbo``: the best level of each side, null for an empty one."""
        book = self._core.markets[coin].book
        return {"coin": coin, "time": self._core.now_ms, "bbo": [book.touch(1), book.touch(-1)]}

    def best(self, coin: str, side: int) -> Decimal | None:
        """Return the best resting price of a side, anybody's; None when the side is empty."""
        return self._core.markets[coin].book.side(side).best

    def mid(self, coin: str) -> Decimal | None:
        """Return the middle of the book; the last trade's price while a side is empty, None without one."""
        book = self._core.markets[coin].book
        return book.mid if book.mid is not None else book.last_trade

    def mark(self, coin: str) -> Decimal | None:
        """Return the mark; None before the first oracle."""
        return self._core.markets[coin].state.mark

    def oracle(self, coin: str) -> Decimal | None:
        """Return the oracle; None before the first one."""
        return self._core.markets[coin].state.oracle

    def funding(self, coin: str) -> Decimal:
        """Return the hourly rate that the hour's samples so far lead to."""
        return self._core.markets[coin].state.funding_rate()

    def ctx(self, coin: str) -> Json:
        """Return the ``ctx`` of ``metaAndAssetCtxs`` and ``activeAssetCtx``."""
        market = self._core.markets[coin]
        return market.state.context(market.book, self._core.now_ms)

    def is_trading(self, coin: str) -> bool:
        """Return whether a coin is listed and not halted."""
        return not (self._core.markets[coin].state.halted or self.universe.is_delisted(coin))

    def is_halted(self, coin: str) -> bool:
        """Return whether a coin is halted."""
        return self._core.markets[coin].state.halted

    def at_oi_cap(self, coin: str) -> bool:
        """Return whether a coin is at its open-interest cap."""
        return self._core.markets[coin].state.at_cap

    def recent_trades(self, coin: str) -> list[Json]:
        """Return the venue's own last trades (1,000 at most), newest first."""
        return list(self._core.markets[coin].trades)

    def candles(self, coin: str, interval: str, start_ms: int = 0, end_ms: int | None = None) -> list[Json]:
        """Return the candles since the start that touch ``[start_ms, end_ms]``, oldest first; KeyError for no such interval."""
        last = self._core.now_ms + INTERVALS[interval] if end_ms is None else end_ms
        return self._core.candles.rows(coin, interval, start_ms, last)

    # orders; an address without any has none

    def open_orders(self, user: str, dex: str = "") -> list[Json]:
        """Return the rows of ``openOrders``, newest first; the empty dex is the validators' own."""
        return [order.wire() for order in reversed(self._core.store.open_on(user, dex))]

    def frontend_open_orders(self, user: str, dex: str = "") -> list[Json]:
        """Return the rows of ``frontendOpenOrders``, newest first."""
        return [order.frontend() for order in reversed(self._core.store.open_on(user, dex))]

    def order_status(self, user: str, key: int | str) -> Json:
        """Return the reply to ``orderStatus`` for an oid or a cloid."""
        order = self._core.store.find(user, key)
        if order is None:
            return {"status": "unknownOid"}
        return {"status": "order", "order": order.status_row()}

    def historical_orders(self, user: str) -> list[Json]:
        """Return the rows of ``historicalOrders``, newest first."""
        return self._core.store.history(user)
