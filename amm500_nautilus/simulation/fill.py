"""
Which of our resting orders a market event fills, and by how much.

Pure matching of own orders against a market that never saw them. Prices are ticks, sizes lots; side 1 buys.

Rules
-----
- A trade at our price first takes what stands ahead of us, as the queue model says; what is left fills us.
- A trade beyond our price fills us without a queue.
- A book whose opposite side reaches our price fills us up to the size displayed there.
- One trade never fills more than its own size: own orders share it in price, then time priority, and each displayed
  lot fills us once, however often the book is repeated. At one price no order of ours fills before an earlier one is gone.
- Fills are at our own price.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from amm500_nautilus.simulation.queue import QueueModel
from amm500_nautilus.simulation.queue import QueuePosition
from amm500_nautilus.simulation.queue import UnseenLevel


class RestingOrder:
    """One of our orders on the book; ``payload`` is the caller's."""

    __slots__ = (
        "ahead_at_placement",
        "key",
        "lots",
        "payload",
        "queue",
        "reduce_only",
        "side",
        "ticks",
        "unseen",
    )

    def __init__(
        self, key: Any, side: int, ticks: int, lots: int, *, reduce_only: bool, payload: Any
    ) -> None:
        self.key = key
        self.side = side
        self.ticks = ticks
        self.lots = lots
        self.reduce_only = reduce_only
        self.payload = payload
        self.queue: QueuePosition | None = None
        self.unseen = False
        self.ahead_at_placement = 0.0


class _OwnLevel:
    """Our orders at one price in time order, and the size last displayed there (None: never visible since)."""

    __slots__ = ("displayed", "orders", "traded")

    def __init__(self, displayed: int | None) -> None:
        self.displayed = displayed
        # whether a trade has reached the level since its size was last looked at
        self.traded = False
        self.orders: list[RestingOrder] = []


Fill = tuple[RestingOrder, int]


class _OwnSide:
    """Our resting orders of one side by price."""

    __slots__ = ("best", "levels", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.levels: dict[int, _OwnLevel] = {}
        # the price nearest to the other side; 0 when nothing rests
        self.best = 0

    def refresh_best(self) -> None:
        """Find the best price again after a level has gone."""
        if not self.levels:
            self.best = 0
        else:
            self.best = max(self.levels) if self.side > 0 else min(self.levels)

    def reached(self, ticks: int) -> list[int]:
        """Return our prices at or beyond ``ticks`` as the opposite side sees it, best first."""
        if self.side > 0:
            return sorted((t for t in self.levels if t >= ticks), reverse=True)
        return sorted(t for t in self.levels if t <= ticks)


class FillEngine:
    """
    Our orders in a replayed or simulated market.

    Parameters
    ----------
    model : QueueModel
        How places in the queue move.
    unseen : UnseenLevel, default BACK
        What is assumed at prices outside the visible depth.
    reduce_keeps_queue : bool, default False
        Whether an order whose size shrinks keeps its place.

    """

    def __init__(
        self, model: QueueModel, unseen: UnseenLevel = UnseenLevel.BACK, *, reduce_keeps_queue: bool = False
    ) -> None:
        self._model = model
        self._unseen = unseen
        self._reduce_keeps_queue = reduce_keeps_queue
        self.orders: dict[Any, RestingOrder] = {}
        self.bids = _OwnSide(1)
        self.asks = _OwnSide(-1)
        # displayed lots already taken by us, by price, for bids and for asks of the market
        self.taken_bids: dict[int, int] = {}
        self.taken_asks: dict[int, int] = {}

    # -- our own actions --------------------------------------------------------------------------

    def place(
        self,
        order: RestingOrder,
        displayed: int | None,
        profile_lots: float = 0.0,
    ) -> None:
        """
        Rest an order behind what is displayed at its price.

        Parameters
        ----------
        order : RestingOrder
            The order; its key must be new.
        displayed : int or None
            Displayed size at its price (0 inside the visible range with nothing there); None if out of view.
        profile_lots : float, default 0.0
            Assumed size of an unseen level, for ``UnseenLevel.PROFILE``.

        """
        if order.key in self.orders:
            msg = f"order {order.key} already rests"
            raise ValueError(msg)
        side = self.bids if order.side > 0 else self.asks
        level = side.levels.get(order.ticks)
        if level is None:
            level = side.levels[order.ticks] = _OwnLevel(displayed)
            if not side.best or (order.ticks - side.best) * order.side > 0:
                side.best = order.ticks
        elif displayed is not None:
            self._displayed_changed(level, displayed)
        order.unseen = displayed is None
        if displayed is not None:
            order.queue = QueuePosition(float(displayed))
            order.ahead_at_placement = float(displayed)
        elif self._unseen is UnseenLevel.FRONT:
            order.queue = QueuePosition(0.0)
        elif self._unseen is UnseenLevel.PROFILE:
            order.queue = QueuePosition(float(profile_lots))
            order.ahead_at_placement = float(profile_lots)
        else:
            order.queue = None
        level.orders.append(order)
        self.orders[order.key] = order

    def cancel(self, key: Any) -> RestingOrder | None:
        """Take an order away and return it; None if it does not rest."""
        order = self.orders.pop(key, None)
        if order is not None:
            self._detach(order)
        return order

    def shrink(self, order: RestingOrder, lots: int) -> bool:
        """Cut an order to ``lots`` in place; return False if the rules would send it to the back."""
        if lots > order.lots or not self._reduce_keeps_queue:
            return False
        order.lots = lots
        return True

    def _detach(self, order: RestingOrder) -> None:
        side = self.bids if order.side > 0 else self.asks
        level = side.levels[order.ticks]
        level.orders.remove(order)
        if not level.orders:
            del side.levels[order.ticks]
            if side.best == order.ticks:
                side.refresh_best()

    def _exec(self, order: RestingOrder, lots: int, fills: list[Fill]) -> None:
        order.lots -= lots
        fills.append((order, lots))
        if order.lots <= 0:
            del self.orders[order.key]
            self._detach(order)

    # -- what the market does -----------------------------------------------------------------------

    def on_trade(self, ticks: int, lots: int, aggressor: int) -> list[Fill]:
        """
        Match a trade of ``lots`` at ``ticks``; ``aggressor`` is 1 if a buyer took, -1 if a seller did, 0 if unknown.

        A trade without an aggressor matches nothing: which side it hit is not known.
        """
        if aggressor == 0:
            return []
        side = self.bids if aggressor < 0 else self.asks
        if not side.best or (side.best - ticks) * side.side < 0:
            return []
        fills: list[Fill] = []
        left = lots
        for price in side.reached(ticks):
            level = side.levels[price]
            through = price != ticks
            if not through:
                reaching = left
                level.traded = True
                for order in level.orders:
                    if order.queue is not None:
                        self._model.on_trade(order.queue, reaching)
            orders = level.orders[:]
            for place, order in enumerate(orders, start=1):
                if left <= 0:
                    return fills
                lots_filled = min(self._fillable(order, through=through), left, order.lots)
                if lots_filled > 0:
                    left -= lots_filled
                    self._exec(order, lots_filled, fills)
                    if not through:
                        # what the trade gave us it did not take from the market's orders before our later ones
                        self._stand_back(orders[place:], lots_filled)
                    if order.queue is not None:
                        # nobody is left before an order that has begun to fill
                        order.queue.ahead = 0.0
                if order.lots > 0:
                    break  # time priority among our own: nobody behind an order that still stands
        return fills

    @staticmethod
    def _stand_back(later: Sequence[RestingOrder], lots: int) -> None:
        for order in later:
            if order.queue is not None:
                order.queue.ahead += lots

    @staticmethod
    def _fillable(order: RestingOrder, *, through: bool) -> int:
        if through:
            return order.lots
        if order.queue is None or order.queue.ahead > -0.5:
            return 0
        return int(-order.queue.ahead + 1e-9)

    def on_level(self, book_side: int, ticks: int, lots: int) -> list[Fill]:
        """Apply one incremental change of the market's book: ``lots`` are now displayed at ``ticks`` (0: gone)."""
        own = self.bids if book_side > 0 else self.asks
        level = own.levels.get(ticks)
        if level is not None:
            self._displayed_changed(level, lots)
        taken = self.taken_bids if book_side > 0 else self.taken_asks
        if taken:
            self._refresh_taken(taken, ticks, lots)
        opposite = self.asks if book_side > 0 else self.bids
        if lots > 0 and opposite.best and (ticks - opposite.best) * book_side >= 0:
            return self._cross(opposite, ((ticks, lots),), taken)
        return []

    def on_book(
        self,
        bid_ticks: Sequence[int],
        bid_lots: Sequence[int],
        ask_ticks: Sequence[int],
        ask_lots: Sequence[int],
        *,
        touch_known: bool = True,
    ) -> list[Fill]:
        """
        Apply a whole book as displayed, best level first; prices beyond the last level are out of view.

        With ``touch_known`` false the book is older than a quote already seen: it moves queues and crosses nothing.
        """
        if bid_ticks:
            self.view(1, bid_ticks[-1], dict(zip(bid_ticks, bid_lots, strict=True)))
        if ask_ticks:
            self.view(-1, ask_ticks[-1], dict(zip(ask_ticks, ask_lots, strict=True)))
        if not touch_known:
            return []
        fills: list[Fill] = []
        if bid_ticks and self.asks.best and bid_ticks[0] >= self.asks.best:
            fills += self._cross(self.asks, zip(bid_ticks, bid_lots, strict=True), self.taken_bids)
        if ask_ticks and self.bids.best and ask_ticks[0] <= self.bids.best:
            fills += self._cross(self.bids, zip(ask_ticks, ask_lots, strict=True), self.taken_asks)
        return fills

    @property
    def has_taken(self) -> bool:
        """Whether displayed size has been taken by us that the market still shows."""
        return bool(self.taken_bids or self.taken_asks)

    def view(self, side: int, worst_ticks: int, shown: Mapping[int, int]) -> None:
        """
        Give own orders of one side their displayed sizes.

        Parameters
        ----------
        side : int
            1 for bids, -1 for asks.
        worst_ticks : int
            The last visible price; own prices beyond it stay as they were.
        shown : mapping of ticks to lots
            Displayed sizes at own prices and at prices we took from; those not in it have nothing displayed.

        """
        own, taken = (self.bids, self.taken_bids) if side > 0 else (self.asks, self.taken_asks)
        for price in list(taken) if taken else ():
            self._refresh_taken(taken, price, shown.get(price, 0))
        if not own.best or (own.best - worst_ticks) * side < 0:
            return
        for price, level in own.levels.items():
            if (price - worst_ticks) * side >= 0:
                lots = shown.get(price, 0)
                # of an unchanged size only trades not yet settled need a look
                if lots != level.displayed or level.traded:
                    self._displayed_changed(level, lots)

    def on_touch(self, bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> list[Fill]:
        """Apply a best bid and offer; a side with nothing has 0 lots."""
        fills: list[Fill] = []
        if bid_lots > 0:
            if self.bids.best >= bid_ticks:
                self._touch(self.bids, bid_ticks, bid_lots)
            if self.taken_bids:
                self._refresh_touch(self.taken_bids, 1, bid_ticks, bid_lots)
            if self.asks.best and bid_ticks >= self.asks.best:
                fills += self._cross(self.asks, ((bid_ticks, bid_lots),), self.taken_bids)
        if ask_lots > 0:
            if self.asks.best and self.asks.best <= ask_ticks:
                self._touch(self.asks, ask_ticks, ask_lots)
            if self.taken_asks:
                self._refresh_touch(self.taken_asks, -1, ask_ticks, ask_lots)
            if self.bids.best and ask_ticks <= self.bids.best:
                fills += self._cross(self.bids, ((ask_ticks, ask_lots),), self.taken_asks)
        return fills

    def take(
        self, side: int, limit_ticks: int | None, lots: int, book: Iterable[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """
        Take displayed liquidity with an order of ours that crosses, best price first.

        Parameters
        ----------
        side : int
            1 buys from the asks, -1 sells to the bids.
        limit_ticks : int or None
            Worst price accepted; None for a market order.
        lots : int
            Size wanted.
        book : iterable of (ticks, lots)
            The displayed opposite side, best first.

        Returns
        -------
        list of (ticks, lots)
            What was taken; at most what is displayed and not yet taken by us.

        """
        taken = self.taken_asks if side > 0 else self.taken_bids
        result: list[tuple[int, int]] = []
        for ticks, displayed in book:
            if lots <= 0 or (limit_ticks is not None and (limit_ticks - ticks) * side < 0):
                break
            available = min(displayed - taken.get(ticks, 0), lots)
            if available > 0:
                taken[ticks] = taken.get(ticks, 0) + available
                lots -= available
                result.append((ticks, available))
        return result

    # -- parts ------------------------------------------------------------------------------------

    def _cross(self, own: _OwnSide, book: Iterable[tuple[int, int]], taken: dict[int, int]) -> list[Fill]:
        """Fill own orders that the opposite displayed levels reach, within what those levels hold."""
        fills: list[Fill] = []
        for ticks, displayed in book:
            if not own.best or (own.best - ticks) * own.side < 0:
                break
            left = displayed - taken.get(ticks, 0)
            for price in own.reached(ticks):
                for order in own.levels[price].orders[:]:
                    lots = min(left, order.lots)
                    if lots <= 0:
                        break
                    left -= lots
                    taken[ticks] = taken.get(ticks, 0) + lots
                    self._exec(order, lots, fills)
        return fills

    def _touch(self, own: _OwnSide, ticks: int, lots: int) -> None:
        """Give own levels at the touch its size, and those better than the touch nothing."""
        sign = own.side
        for price, level in own.levels.items():
            beyond = (price - ticks) * sign
            if beyond >= 0:
                self._displayed_changed(level, 0 if beyond else lots)

    def _displayed_changed(self, level: _OwnLevel, lots: int) -> None:
        before = level.displayed
        level.displayed = lots
        level.traded = False
        for order in level.orders:
            queue = order.queue
            if queue is None:
                order.queue = QueuePosition(float(lots))
                order.ahead_at_placement = float(lots)
            elif before is None:
                queue.ahead = min(queue.ahead, float(lots))
            elif before != lots or queue.traded:
                # an unchanged size still settles trades counted since the last look: the level was refilled
                self._model.on_depth(queue, float(before), float(lots))

    def _refresh_touch(self, taken: dict[int, int], side: int, ticks: int, lots: int) -> None:
        """Forget what was taken from levels that the touch has left behind, and keep no more of the touch than is there."""
        for price in [price for price in taken if (price - ticks) * side > 0]:
            del taken[price]
        self._refresh_taken(taken, ticks, lots)

    @staticmethod
    def _refresh_taken(taken: dict[int, int], ticks: int, lots: int) -> None:
        before = taken.get(ticks)
        if before is None:
            return
        if lots <= 0:
            del taken[ticks]
        elif before > lots:
            taken[ticks] = lots
