"""Matching: what an order does to the book, and what that does to its owner, the other side and the market's figures."""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Final

from hyperliquid_loopback import words
from hyperliquid_loopback.book import Book
from hyperliquid_loopback.book import Entry
from hyperliquid_loopback.book import HouseChunk
from hyperliquid_loopback.book import Level
from hyperliquid_loopback.candles import CandleStore
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.oracle import MarketState
from hyperliquid_loopback.orders import OrderStore
from hyperliquid_loopback.types import NO_HASH
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Event
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import Order
from hyperliquid_loopback.types import OrderChanged
from hyperliquid_loopback.types import Traded
from hyperliquid_loopback.types import VenueCanceled
from hyperliquid_loopback.types import number
from hyperliquid_loopback.types import trade_id


if TYPE_CHECKING:
    from hyperliquid_loopback.accounts import Accounts


HOUSE_MAKER: Final = "0x00000000000000000000000000000000000a11ce"
HOUSE_TAKER: Final = "0x0000000000000000000000000000000000000b0b"
TRADES_KEPT: Final = 1_000
PRICE_STEP: Final = Decimal("0.000001")


@dataclass(slots=True)
class Market:
    """One coin: its book, its figures and its last trades, newest first."""

    book: Book
    state: MarketState
    trades: deque[Json]
    shown_version: int = 0


class Matching:
    """
    Price-time matching over all markets.

    Parameters
    ----------
    accounts : Accounts
        Margin, positions and fills of the users; the house has none of these.
    options : VenueOptions
        Choices where the venue's rule is not known.

    """

    def __init__(self, accounts: "Accounts", options: VenueOptions) -> None:
        self.accounts = accounts
        self.options = options
        self.store = OrderStore(options.orders_kept)
        self.candles = CandleStore()
        self.markets: dict[str, Market] = {}
        self.events: list[Event] = []
        self.now_ms = 0
        # TP/SL orders that wait for the mark, by coin and oid
        self.waiting: dict[str, dict[int, Order]] = {}
        # of the transaction under way
        self.tx_hash = NO_HASH
        # what both sides of a liquidation's match carry
        self.liquidation: Json | None = None
        self._house: dict[tuple[str, str], Decimal] = {}

    def add_market(self, state: MarketState) -> Market:
        """Open a coin with an empty book."""
        market = Market(Book(state.coin), state, deque(maxlen=TRADES_KEPT))
        self.markets[state.coin] = market
        return market

    # orders of users

    def execute(self, order: Order) -> Json | str:
        """
        Match an accepted order and rest what is left of it.

        Returns
        -------
        dict or str
            The status of the reply, or the refusal's words without the asset.

        """
        book = self.markets[order.coin].book
        crossing = book.crosses(order.side, order.price)
        refused = self.post_only_refusal(order)
        if refused is not None:
            return refused
        if order.tif == "Ioc" and not crossing:
            return words.IOC_NO_MATCH
        if order.reduce_only:
            # no more than the position can be closed, so the rest of it never exists
            order.size = min(order.size, self.reducible(order))
        self.store.add(order)
        filled, value = self.sweep(order) if crossing else (ZERO, ZERO)
        if order.size <= 0:
            self.finish(order, "filled")
        elif order.tif == "Ioc":
            if not filled:
                return words.IOC_NO_MATCH
            self.finish(order, "canceled")
        elif order.reduce_only and self.reducible(order) <= 0:
            self.finish(order, "reduceOnlyCanceled")
        else:
            self._rest(order)
        as_resting = order.is_open and (not filled or self.options.partial_gtc_reply == "resting")
        return reply_status(order, filled, value, resting=as_resting)

    def post_only_refusal(self, order: Order) -> str | None:
        """Return why a post-only order may not rest now; None for one that may, or is not post-only."""
        book = self.markets[order.coin].book
        if order.tif == "Alo" and book.crosses(order.side, order.price):
            return post_only_words(book)
        return None

    def wait(self, order: Order) -> str:
        """Keep a TP/SL order until the mark sets it off, and return its status in the reply."""
        self.store.add(order)
        self.store.open(order, self.now_ms)
        self.waiting.setdefault(order.coin, {})[order.oid] = order
        self.tell(order)
        return "waitingForTrigger"

    def fire(self, order: Order) -> None:
        """Set a waiting order off: it is told as triggered and stops to be open."""
        del self.waiting[order.coin][order.oid]
        self.finish(order, "triggered")
        order.trigger = None

    def cancel(self, order: Order, status: str, *, by_venue: bool = False) -> None:
        """Take an open order out with ``status``; ``by_venue`` tells the user that it was not their doing."""
        if order.trigger is None:
            self.markets[order.coin].book.remove(order)
            self.accounts.order_removed(order.user, order, order.size)
        else:
            del self.waiting[order.coin][order.oid]
        self.finish(order, status)
        if by_venue:
            self.events.append(VenueCanceled(order.user, order.coin, order.oid))

    def finish(self, order: Order, status: str) -> None:
        """Give an order its last status and tell its owner."""
        self.store.close(order, status, self.now_ms)
        self.tell(order)

    def tell(self, order: Order) -> None:
        """Emit an order as it is now."""
        update = {"order": order.wire(), "status": order.status, "statusTimestamp": order.status_ms}
        self.events.append(OrderChanged(order.user, order.coin, order.oid, update))

    def reducible(self, order: Order) -> Decimal:
        """Return how much a reduce-only order may still close."""
        position = self.accounts.position(order.user, order.coin)
        return abs(position) if position * order.side < 0 else ZERO

    def keep_reduce_only(self, user: str, coin: str) -> None:
        """
        Shrink a user's reduce-only orders to the position, and cancel those with nothing left to close.

        Source: protocol: error strings, measured reduce-only behavior.
        """
        if not self.store.of(user).reduce_only.get(coin):
            return
        for order in self.store.open_of(user, coin):
            if not order.reduce_only:
                continue
            limit = self.reducible(order)
            if limit <= 0:
                self.cancel(order, "reduceOnlyCanceled", by_venue=True)
            elif order.trigger is None and order.size > limit:
                cut = order.size - limit
                self.markets[coin].book.reduce(order.side, order.price, order, cut)
                self.accounts.order_removed(user, order, cut)
                self.tell(order)

    # the house

    def house_level(self, coin: str, side: int, price: Decimal, size: Decimal) -> None:
        """
        Set the house's size at a price.

        A raise joins the back of the queue, a cut leaves what stays at its place. A level that crosses trades with
        users' orders first; the house's own opposite levels in the way are taken out.
        """
        book = self.markets[coin].book
        has = book.house_size(side, price)
        if size < has:
            book.house_cut(side, price, has - size)
        elif size > has:
            more = size - has
            if book.crosses(side, price):
                more -= self._house_sweep(coin, side, more, price, HOUSE_MAKER)
            if more > 0:
                book.house_add(side, price, HouseChunk(self.store.new_oid(), HOUSE_MAKER, more))

    def house_take(self, coin: str, side: int, size: Decimal, limit: Decimal) -> Decimal:
        """Send an immediate order of the house and return how much of it traded."""
        return self._house_sweep(coin, side, size, limit, HOUSE_TAKER)

    def forget_house(self, coin: str) -> None:
        """Forget what the house holds of a coin, once it is settled."""
        for key in [key for key in self._house if key[0] == coin]:
            del self._house[key]

    def _house_sweep(self, coin: str, side: int, size: Decimal, limit: Decimal, user: str) -> Decimal:
        taker = Order(
            oid=self.store.new_oid(),
            user=user,
            coin=coin,
            side=side,
            price=limit,
            size=size,
            orig_size=size,
            tif="Ioc",
            reduce_only=False,
            cloid=None,
            ts_ms=self.now_ms,
        )
        return self.sweep(taker, house=True)[0]

    # matching

    def sweep(self, taker: Order, *, house: bool = False) -> tuple[Decimal, Decimal]:
        """
        Match a taker against the opposite side until its price, its size or its reducible position ends.

        A resting order of the same user is canceled and the taker goes on (the venue's docs, self-trade prevention);
        one whose owner lacks the margin for it is canceled as well (docs, order book).

        Returns
        -------
        tuple of Decimal
            Contracts and value traded.

        """
        book = self.markets[taker.coin].book
        opposite = book.side(-taker.side)
        filled = value = ZERO
        while taker.size > 0 and book.crosses(taker.side, taker.price):
            price = opposite.prices[-1] if opposite.side > 0 else opposite.prices[0]
            level = opposite.levels[price]
            entry = level.first
            if entry.user == taker.user:
                self._prevent_self_trade(book, level, opposite.side, entry)
                continue
            size = min(taker.size, entry.size)
            if taker.reduce_only and not house:
                size = min(size, self.reducible(taker))
                if size <= 0:
                    break
            if isinstance(entry, Order) and not self.accounts.can_fill_resting(
                entry.user, entry, size, price
            ):
                self.cancel(entry, "marginCanceled", by_venue=True)
                continue
            self._trade(taker, entry, price, size, house=house)
            filled += size
            value += size * price
        return filled, value

    def _prevent_self_trade(self, book: Book, level: Level, side: int, entry: Entry) -> None:
        if isinstance(entry, Order):
            self.cancel(entry, "selfTradeCanceled", by_venue=True)
        else:
            book.reduce(side, level.price, entry, entry.size)

    def _trade(self, taker: Order, entry: Entry, price: Decimal, size: Decimal, *, house: bool) -> None:
        market = self.markets[taker.coin]
        buyer, seller = (taker, entry) if taker.side > 0 else (entry, taker)
        tid = trade_id(buyer.oid, seller.oid)
        traded = Traded(
            coin=taker.coin,
            side=taker.side,
            px=price,
            sz=size,
            ts_ms=self.now_ms,
            hash=self.tx_hash,
            tid=tid,
            buyer=buyer.user,
            seller=seller.user,
        )
        market.book.reduce(-taker.side, price, entry, size)
        taker.size -= size
        market.book.last_trade = price
        market.state.traded(price, size, self.now_ms)
        market.trades.appendleft(traded.wire())
        self.candles.add(taker.coin, price, size, self.now_ms)
        self.events.append(traded)
        if isinstance(entry, Order):
            self.accounts.order_removed(entry.user, entry, size)
            self._book_user(entry, traded, crossed=False)
            if entry.size <= 0:
                self.finish(entry, "filled")
            elif self.options.partial_fill_updates:
                self.tell(entry)
        else:
            self._book_house(entry.user, traded, -taker.side)
        if house:
            self._book_house(taker.user, traded, taker.side)
        else:
            self._book_user(taker, traded, crossed=True)
            self.keep_reduce_only(taker.user, taker.coin)
        if isinstance(entry, Order):
            self.keep_reduce_only(entry.user, taker.coin)

    def _book_user(self, order: Order, traded: Traded, *, crossed: bool) -> None:
        before = self.accounts.position(order.user, order.coin)
        row = self.accounts.fill(
            order.user,
            order.coin,
            side=order.side,
            price=traded.px,
            size=traded.sz,
            crossed=crossed,
            order=order,
            ts_ms=self.now_ms,
            tid=traded.tid,
            hash=traded.hash,
            liquidation=self.liquidation,
        )
        self.events.append(Filled(order.user, row))
        self._move_interest(order.coin, before, before + order.side * traded.sz)

    def _book_house(self, user: str, traded: Traded, side: int) -> None:
        key = (traded.coin, user)
        before = self._house.get(key, ZERO)
        self._house[key] = after = before + side * traded.sz
        self._move_interest(traded.coin, before, after)

    def _move_interest(self, coin: str, before: Decimal, after: Decimal) -> None:
        self.markets[coin].state.open_interest += max(after, ZERO) - max(before, ZERO)

    def _rest(self, order: Order) -> None:
        self.markets[order.coin].book.rest(order)
        self.accounts.order_added(order.user, order)
        self.store.open(order, self.now_ms)
        self.tell(order)


def post_only_words(book: Book) -> str:
    """Return the refusal of a post-only order that would match, with the touch as the venue writes it."""
    bid, ask = book.bids.best, book.asks.best
    return words.POST_ONLY.format(bid=_touch(bid), ask=_touch(ask))


def reply_status(order: Order, filled: Decimal, value: Decimal, *, resting: bool) -> Json:
    """Return the status of an order in the reply: ``resting``, or ``filled`` with what traded so far."""
    about: Json = {"oid": order.oid}
    if order.cloid is not None:
        about["cloid"] = order.cloid
    if resting:
        return {"resting": about}
    average = (value / filled).quantize(PRICE_STEP) if filled else order.price
    return {"filled": {"totalSz": number(filled), "avgPx": number(average), **about}}


def _touch(price: Decimal | None) -> str:
    return "0" if price is None else number(price).removesuffix(".0")
