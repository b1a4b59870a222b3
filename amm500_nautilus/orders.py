"""Our own orders, as last known: the strategy's one table."""

from dataclasses import dataclass
from typing import Any

from amm500_nautilus.quoting.types import BUY
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RestingOrder


# orders that the risk engine sends: outside the ladder, and no plan replaces them
RISK_LEVEL = -2


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
    """All orders of ours that are not known to be closed, by client order id."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
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
        self.slots[key] = Slot(order=order, resting=resting, pending_since_ns=ts_ns, next_level=change.level)
        if change.level == RISK_LEVEL:
            self.of_risk.add(key)

    def remove(self, key: str) -> None:
        """Forget an order that is known to be closed."""
        del self.slots[key]
        self.of_risk.discard(key)

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

    def own(self, side: int) -> dict[int, int]:
        """Return our own resting size of one side, by price in ticks."""
        own: dict[int, int] = {}
        for slot in self.slots.values():
            if slot.accepted and slot.resting.side == side:
                price = slot.resting.price_ticks
                own[price] = own.get(price, 0) + slot.resting.lots
        return own
