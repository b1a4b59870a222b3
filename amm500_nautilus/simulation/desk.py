"""
The venue's order desk: what becomes of a place, modify or cancel when it arrives.

Plain values in, plain outcomes out; the execution client turns outcomes into engine events.
"""

from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any

from amm500_nautilus.simulation import rules as words
from amm500_nautilus.simulation.book import DisplayedBook
from amm500_nautilus.simulation.fill import FillEngine
from amm500_nautilus.simulation.fill import RestingOrder
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.queue import UnseenLevel
from amm500_nautilus.simulation.rules import VenueRules


@dataclass(slots=True, kw_only=True)
class OrderRequest:
    """
    An order as it arrives.

    Parameters
    ----------
    key : hashable
        The order's identity.
    side : int
        1 buys, -1 sells.
    ticks : int or None
        Limit price; None for a market order.
    lots : int
        Size; 0 and below are refused.
    valid_price, valid_size : bool
        Whether price and size are whole ticks and lots.
    post_only, reduce_only, immediate : bool
        ALO, reduce-only, IOC.
    payload : Any
        The caller's own.

    """

    key: Any
    side: int
    ticks: int | None
    lots: int
    valid_price: bool = True
    valid_size: bool = True
    post_only: bool = False
    reduce_only: bool = False
    immediate: bool = False
    payload: Any = None


@dataclass(slots=True)
class Outcome:
    """
    What the venue made of an order.

    ``refused`` holds the venue's words. ``taken`` are fills against the displayed book, ``left`` what was not taken of
    an order that may not rest, ``resting`` the order if it rests. ``self_trades`` are own resting orders that the venue
    canceled rather than let us trade with ourselves. ``lots`` is the size accepted (a reduce-only order is cut to the
    position).
    """

    lots: int = 0
    refused: str | None = None
    due_post_only: bool = False
    taken: list[tuple[int, int]] = field(default_factory=list)
    left: int = 0
    resting: RestingOrder | None = None
    self_trades: list[RestingOrder] = field(default_factory=list)


class OrderDesk:
    """
    Own resting orders, and the rules by which orders come to rest.

    Parameters
    ----------
    fills : FillEngine
        Where orders rest.
    ledger : Ledger
        The account.
    book : DisplayedBook
        What the market shows.
    rules : VenueRules
        What is refused.
    tick_mantissa, tick_exponent : int
        The tick as ``mantissa * 10 ** exponent``.
    unseen : UnseenLevel
        The policy at prices out of view.

    """

    def __init__(
        self,
        *,
        fills: FillEngine,
        ledger: Ledger,
        book: DisplayedBook,
        rules: VenueRules,
        tick_mantissa: int,
        tick_exponent: int,
        unseen: UnseenLevel,
    ) -> None:
        self.fills = fills
        self.ledger = ledger
        self.book = book
        self.rules = rules
        self._suffix = rules.suffix
        self._min_value_nano = int(rules.min_value * NANO)
        self._tick_mantissa = tick_mantissa
        self._tick_exponent = tick_exponent
        self._unit_nano = ledger.shape.tick_lot_nano
        self._unseen = unseen

    # -- actions ----------------------------------------------------------------------------------

    def place(self, request: OrderRequest) -> Outcome:
        """Decide on a new order and rest what may rest."""
        outcome = Outcome(lots=request.lots)
        cap = self.rules.open_order_base
        # an account at its first thousand may not add what only reduces (protocol: address limits)
        if len(self.fills.orders) >= cap and (
            request.reduce_only or len(self.fills.orders) >= self.rules.open_order_cap(self.ledger.volume)
        ):
            outcome.refused = f"{words.TOO_MANY}.{self._suffix}"
            return outcome
        if not self._admit(request, outcome, replaced=None):
            return outcome
        self._execute(request, outcome)
        return outcome

    def modify(self, key: Any, request: OrderRequest) -> Outcome:
        """
        Decide on new terms for a resting order; a refusal leaves it as it was.

        A new price goes to the back of its queue, and so does a larger size; a smaller size keeps the place only where the
        fill rules say so.
        """
        outcome = Outcome(lots=request.lots)
        old = self.fills.orders.get(key)
        if old is None:
            outcome.refused = f"{words.CLOSED_ORDER}{self._suffix}"
            return outcome
        if not self._admit(request, outcome, replaced=old):
            return outcome
        before = old.lots
        if request.ticks == old.ticks and self.fills.shrink(old, outcome.lots):
            self._count(old, outcome.lots - before)
            outcome.resting = old
            return outcome
        self.cancel(key)
        self._execute(request, outcome)
        return outcome

    def cancel(self, key: Any) -> RestingOrder | None:
        """Take an order away; None if it does not rest."""
        order = self.fills.cancel(key)
        if order is not None:
            self._count(order, -order.lots)
        return order

    def filled(self, order: RestingOrder, lots: int) -> None:
        """Take note that ``lots`` of a resting order have been filled."""
        self._count(order, -lots)

    @property
    def has_reduce_only(self) -> bool:
        """Whether any reduce-only order rests."""
        # asked at fills only: an order that one event fills in parts would be counted out more than once
        return any(order.reduce_only for order in self.fills.orders.values())

    def excess_reduce_only(self) -> list[tuple[RestingOrder, int]]:
        """
        Return the reduce-only orders that are too large for the position, with the size each may keep.

        The venue shrinks or cancels resting reduce-only orders when the position shrinks (status
        ``reduceOnlyCanceled``); nearer prices keep their size first.
        """
        position = self.ledger.position_lots
        room = abs(position)
        side = -1 if position > 0 else 1
        result: list[tuple[RestingOrder, int]] = []
        orders = [order for order in self.fills.orders.values() if order.reduce_only]
        orders.sort(key=lambda order: -order.ticks * order.side)
        for order in orders:
            keeps = min(order.lots, room) if position and order.side == side else 0
            room -= keeps
            if keeps < order.lots:
                result.append((order, keeps))
        return result

    # -- parts ------------------------------------------------------------------------------------

    def _count(self, order: RestingOrder, lots: int) -> None:
        if not order.reduce_only:
            self.ledger.order_added(order.side, order.ticks, lots)

    def _admit(self, request: OrderRequest, outcome: Outcome, *, replaced: RestingOrder | None) -> bool:
        outcome.refused = self._refusal(request, outcome, replaced)
        if outcome.refused is not None:
            outcome.refused += self._suffix
            return False
        return True

    def _refusal(self, request: OrderRequest, outcome: Outcome, replaced: RestingOrder | None) -> str | None:
        ticks = request.ticks
        if request.lots <= 0:
            return words.ZERO_SIZE
        if not request.valid_size:
            return words.BAD_SIZE
        if ticks is not None:
            if ticks <= 0:
                return words.BAD_PRICE
            if not request.valid_price or not words.is_on_tick(
                ticks * self._tick_mantissa, self._tick_exponent
            ):
                return words.TICK
        position = self.ledger.position_lots
        if request.reduce_only:
            if position * request.side >= 0:
                return words.REDUCE_ONLY
            outcome.lots = min(request.lots, abs(position))
        reference = ticks if ticks is not None else self.book.best(-request.side)
        value = reference * outcome.lots * self._unit_nano
        if value < self._min_value_nano and not (request.reduce_only and outcome.lots >= abs(position)):
            return words.min_value_words(self.rules.min_value)
        if request.post_only and ticks is not None:
            best = self.book.best(-request.side)
            if best and (ticks - best) * request.side >= 0:
                outcome.due_post_only = True
                bid, ask = (self._price_text(self.book.best(side)) for side in (1, -1))
                return words.post_only_words(bid, ask)
        if self.rules.margin_check and not request.reduce_only:
            return self._margin_refusal(request.side, outcome.lots, reference, replaced)
        return None

    def _margin_refusal(
        self, side: int, lots: int, reference: int, replaced: RestingOrder | None
    ) -> str | None:
        same_side = self.ledger.resting_tick_lots[0 if side > 0 else 1]
        if replaced is not None and not replaced.reduce_only:
            same_side -= replaced.ticks * replaced.lots
        return self.ledger.order_refusal(side, lots, reference, same_side)

    def _execute(self, request: OrderRequest, outcome: Outcome) -> None:
        """Take what crosses, then rest what may rest."""
        side, ticks, left = request.side, request.ticks, outcome.lots
        # a post-only order that would cross has been refused already
        best = 0 if request.post_only else self.book.best(-side)
        if best and (ticks is None or (ticks - best) * side >= 0):
            outcome.taken = self.fills.take(side, ticks, left, self.book.levels(-side))
            left -= sum(lots for _, lots in outcome.taken)
            outcome.self_trades = self._self_trades(side, ticks, outcome.taken, exhausted=left > 0)
        if ticks is None or request.immediate:
            outcome.left = left
            if not outcome.taken:
                outcome.refused = (words.NO_LIQUIDITY if ticks is None else words.IOC) + self._suffix
            return
        if left > 0:
            outcome.resting = self._rest(request, ticks, left)

    def _rest(self, request: OrderRequest, ticks: int, lots: int) -> RestingOrder:
        order = RestingOrder(
            request.key, request.side, ticks, lots, reduce_only=request.reduce_only, payload=request.payload
        )
        displayed = self.book.displayed(request.side, ticks)
        profile = 0.0
        if displayed is None and self._unseen is UnseenLevel.PROFILE:
            profile = self.book.mean_level_lots(request.side)
        self.fills.place(order, displayed, profile)
        self._count(order, lots)
        return order

    def _self_trades(
        self, side: int, limit: int | None, taken: list[tuple[int, int]], *, exhausted: bool
    ) -> list[RestingOrder]:
        """
        Cancel own resting orders that the taker would have met (venue docs, self-trade prevention).

        The resting order goes and the taker trades on without a fill against it.
        """
        own = self.fills.asks if side > 0 else self.fills.bids
        if not own.best:
            return []
        reach = limit if exhausted else taken[-1][0]
        canceled = []
        for price in list(own.levels):
            if reach is None or (reach - price) * side >= 0:
                for order in own.levels[price].orders[:]:
                    self.cancel(order.key)
                    canceled.append(order)
        return canceled

    def _price_text(self, ticks: int) -> str:
        price = Decimal(ticks * self._tick_mantissa).scaleb(self._tick_exponent)
        return f"{price:f}".rstrip("0").rstrip(".") if "." in f"{price:f}" else f"{price:f}"
