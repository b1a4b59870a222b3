"""Every order that the venue knows: open ones by user and market, the last two thousand of each user."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from hyperliquid_hip3.constants import split_coin
from hyperliquid_loopback.types import OPEN
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import Order


# protocol: orderStatus ("about 2000 last orders are kept per user", measured)
ORDERS_KEPT: Final = 2_000


class UserOrders:
    """The orders of one user."""

    __slots__ = ("by_cloid", "history", "open", "reduce_only")

    def __init__(self) -> None:
        # oid to order, oldest first, open or done
        self.history: OrderedDict[int, Order] = OrderedDict()
        # the newest order of each cloid
        self.by_cloid: dict[str, Order] = {}
        # market to its open orders by oid
        self.open: dict[str, dict[int, Order]] = {}
        # how many reduce-only orders rest in a market
        self.reduce_only: dict[str, int] = {}

    @property
    def open_count(self) -> int:
        """How many orders rest or wait, in all markets."""
        return sum(map(len, self.open.values()))


class OrderStore:
    """
    The registry of users' orders, which the book, the queries and the cancels share.

    Parameters
    ----------
    kept : int
        How many orders of a user are remembered; open ones are never forgotten.

    """

    def __init__(self, kept: int = ORDERS_KEPT) -> None:
        self.kept = kept
        self._users: dict[str, UserOrders] = {}
        self._next_oid = 48_210_000_000

    def new_oid(self) -> int:
        """Return the next order id; ids grow, with gaps as other markets take theirs."""
        self._next_oid += 1 + self._next_oid % 7
        return self._next_oid

    def of(self, user: str) -> UserOrders:
        """Return a user's orders, an empty set when there are none."""
        found = self._users.get(user)
        if found is None:
            found = self._users[user] = UserOrders()
        return found

    def add(self, order: Order) -> None:
        """Remember an order, not yet as open; the oldest that is done is forgotten when there are too many."""
        mine = self.of(order.user)
        mine.history[order.oid] = order
        if order.cloid is not None:
            known = mine.by_cloid.get(order.cloid)
            # a refused successor does not take the id from the order that still rests
            if known is None or not (known.is_open and order.was_refused):
                mine.by_cloid[order.cloid] = order
        if len(mine.history) > self.kept + mine.open_count:
            self._forget_one(mine)

    def open(self, order: Order, now_ms: int) -> None:
        """Count a remembered order among the open ones."""
        mine = self.of(order.user)
        mine.open.setdefault(order.coin, {})[order.oid] = order
        if order.reduce_only:
            mine.reduce_only[order.coin] = mine.reduce_only.get(order.coin, 0) + 1
        order.status = OPEN
        order.status_ms = now_ms

    def close(self, order: Order, status: str, now_ms: int) -> None:
        """Set the last status of an order and take it from the open ones."""
        mine = self.of(order.user)
        rows = mine.open.get(order.coin)
        if rows is not None and rows.pop(order.oid, None) is not None and order.reduce_only:
            mine.reduce_only[order.coin] -= 1
        order.status = status
        order.status_ms = now_ms

    def open_of(self, user: str, coin: str) -> list[Order]:
        """Return a user's open orders of a market, oldest first."""
        mine = self._users.get(user)
        return [] if mine is None else list(mine.open.get(coin, {}).values())

    def open_on(self, user: str, dex: str | None = None) -> list[Order]:
        """Return a user's open orders of a dex, or of all, oldest first."""
        mine = self._users.get(user)
        if mine is None:
            return []
        found = [
            order
            for coin, rows in mine.open.items()
            if dex is None or split_coin(coin)[0] == dex
            for order in rows.values()
        ]
        return sorted(found, key=lambda order: order.oid)

    def all_open(self, coin: str) -> list[Order]:
        """Return everyone's open orders of a market, oldest first."""
        found = [order for mine in self._users.values() for order in mine.open.get(coin, {}).values()]
        return sorted(found, key=lambda order: order.oid)

    def find(self, user: str, key: int | str) -> Order | None:
        """Return a user's order by oid or cloid; of several with one cloid the newest. None when not known."""
        mine = self._users.get(user)
        if mine is None:
            return None
        return mine.history.get(key) if isinstance(key, int) else mine.by_cloid.get(key.lower())

    def history(self, user: str) -> list[Json]:
        """Return the kept orders as rows of ``historicalOrders``, newest first."""
        mine = self._users.get(user)
        if mine is None:
            return []
        return [order.status_row() for order in reversed(mine.history.values())][: self.kept]

    @property
    def users(self) -> Iterable[str]:
        """Everyone who ever sent an order."""
        return self._users.keys()

    @staticmethod
    def _forget_one(mine: UserOrders) -> None:
        for oid, order in mine.history.items():
            if order.status != OPEN:
                del mine.history[oid]
                if order.cloid is not None and mine.by_cloid.get(order.cloid) is order:
                    del mine.by_cloid[order.cloid]
                return
