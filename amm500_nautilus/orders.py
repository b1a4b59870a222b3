"""Our own orders, as last known: the strategy's one table."""

from dataclasses import dataclass
from typing import Any

from amm500_nautilus.own_levels import OwnLevels
from amm500_nautilus.quoting.types import BUY
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RestingOrder


# orders that the risk engine sends: outside the ladder, and no plan replaces them
RISK_LEVEL = -2
# an order that is gone for so long, by the venue's clock, is in no new trade
LATELY_NS = 1_000_000_000


@dataclass(slots=True)
class Slot:
    """An order of the engine beside what the quoting rooms know of it."""

    order: Any
    resting: RestingOrder
    pending_since_ns: int
    # the level that the order stands for once a modify in flight is confirmed
    next_level: int
    accepted: bool = False
    # what the modify in flight would make of it, until it is answered: both may still fill
    next_ticks: int = 0
    next_lots: int = 0
    # it takes at once and never rests
    is_taker: bool = False

    def mark_pending(self, ts_ns: int) -> None:
        """A command is in flight: leave the order alone until it is answered."""
        self.resting.pending = True
        self.pending_since_ns = ts_ns

    def settle(self, since_ns: int) -> None:
        """The venue has answered: the order rests since then."""
        self.resting.pending = False
        self.resting.since_ns = since_ns
        self.accepted = True
        self.next_ticks = self.next_lots = 0


class OrderTable:
    """
    All orders of ours that are not known to be closed, by client order id.

    Parameters
    ----------
    is_shown : bool, default False
        Whether the market's book and trades show our orders; then ``levels`` keeps what of them rested where and when.

    """

    def __init__(self, *, is_shown: bool = False) -> None:
        self.slots: dict[str, Slot] = {}
        self.levels = OwnLevels() if is_shown else None
        # keys of the risk engine's own orders: hardly ever any
        self.of_risk: set[str] = set()

    def add(self, order: Any, change: Place, ts_ns: int) -> None:
        """Enter an order at the moment it is sent."""
        key = order.client_order_id.value
        resting = RestingOrder(
            key=key,
            side=change.side,
            price_ticks=change.price_ticks,
            lots=change.lots,
            since_ns=ts_ns,
            level=change.level,
            pending=True,
            reduce_only=change.reduce_only,
        )
        self.slots[key] = Slot(
            order=order,
            resting=resting,
            pending_since_ns=ts_ns,
            next_level=change.level,
            is_taker=change.ioc,
        )
        if change.level == RISK_LEVEL:
            self.of_risk.add(key)

    def follow(self, slot: Slot, ts_ns: int) -> None:
        """Take note of what rests of an order since an event of this time."""
        if self.levels is not None and not slot.is_taker:
            resting = slot.resting
            self.levels.note(resting.key, resting.side, resting.price_ticks, resting.lots, ts_ns)

    def confirm(self, slot: Slot, ts_ns: int) -> None:
        """Take the venue's word that an order rests with these terms since then; one that is being canceled stays pending."""
        self.follow(slot, ts_ns)
        if not slot.order.is_pending_cancel:
            slot.settle(ts_ns)

    def remove(self, key: str, ts_ns: int) -> None:
        """Forget an order that is known to be closed since an event of this time."""
        resting = self.slots.pop(key).resting
        self.of_risk.discard(key)
        if self.levels is not None:
            self.levels.note(key, resting.side, resting.price_ticks, 0, ts_ns)

    def resting(self) -> list[RestingOrder]:
        """Return the orders as the quoting rooms see them, in order of sending; those of the risk engine are not theirs."""
        if not self.of_risk:
            return [slot.resting for slot in self.slots.values()]
        return [slot.resting for key, slot in self.slots.items() if key not in self.of_risk]

    def best(self) -> tuple[int | None, int | None, int, int]:
        """Return our best accepted bid and ask in ticks, and how many of each side rest."""
        bid: int | None = None
        ask: int | None = None
        bids = asks = 0
        for slot in self.slots.values():
            if not slot.accepted:
                continue
            price = slot.resting.price_ticks
            if slot.resting.side == BUY:
                bids += 1
                if bid is None or price > bid:
                    bid = price
            else:
                asks += 1
                if ask is None or price < ask:
                    ask = price
        return bid, ask, bids, asks

    def may_have_traded(self, aggressor_side: int, ticks: int, venue_ns: int) -> bool:
        """
        Return whether a trade may be one of ours.

        It may where an order of ours rests at its price on the side that was taken from, was sent there, or rested there until a second
        before; and where an order of ours that takes has a limit that reaches the price.
        """
        for slot in self.slots.values():
            resting = slot.resting
            if resting.side != aggressor_side:
                if ticks in (resting.price_ticks, slot.next_ticks):
                    return True
            elif slot.is_taker and (resting.price_ticks - ticks) * aggressor_side >= 0:
                return True
        levels = self.levels
        return levels is not None and levels.rested(-aggressor_side, ticks, venue_ns - LATELY_NS)
