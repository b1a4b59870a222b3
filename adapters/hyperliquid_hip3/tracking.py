"""
One order of ours against what the venue has said of it: which event follows, once, in whatever order the news arrives.

News of an order comes four ways (the reply to the action, ``orderUpdates``, ``userFills``, queries) and any of them may be missing, late or
repeated. Each is entered here as a fact; what has not been told yet comes out as :data:`~hyperliquid_hip3.effects.Effect`. A modify is a cancel and a new order
with a new number (protocol: exchange), so an order has legs, of which the highest number is the one that counts.
"""

from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from hyperliquid_hip3.effects import Accepted
from hyperliquid_hip3.effects import Canceled
from hyperliquid_hip3.effects import CancelRejected
from hyperliquid_hip3.effects import Effect
from hyperliquid_hip3.effects import FillBooked
from hyperliquid_hip3.effects import ModifyRejected
from hyperliquid_hip3.effects import Orphan
from hyperliquid_hip3.effects import Rejected
from hyperliquid_hip3.effects import StrayFill
from hyperliquid_hip3.effects import Updated
from hyperliquid_hip3.legs import ZERO
from hyperliquid_hip3.legs import Leg
from hyperliquid_hip3.legs import PendingCancel
from hyperliquid_hip3.legs import PendingModify
from hyperliquid_hip3.replies import is_rejected
from hyperliquid_hip3.user_records import FillKey
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import UserFill


OPEN_STATUSES: Final = frozenset(("open", "triggered"))
FILLED: Final = "filled"
POST_ONLY_STATUS: Final = "badAloPxRejected"
# an IOC order that found nothing was placed and is over, it was not refused
NO_MATCH_STATUS: Final = "iocCancelRejected"
# our own words for a leg that a modify replaced
REPLACED: Final = "replaced"
# beyond so many legs all but the newest few are put aside, once nothing more is to be heard of them
LEGS_KEPT: Final = 24
LEGS_LEFT: Final = 8


class Phase(StrEnum):
    """
    Where an order stands for the engine.

    ``WAITING`` is queued with us, ``SENT`` may be known to the venue, ``OPEN`` was told as accepted, ``CLOSED`` is over.
    """

    WAITING = "waiting"
    SENT = "sent"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(slots=True)
class OrderTrack:
    """
    Everything known of one order.

    Parameters
    ----------
    key : str
        The client order id.
    cloid : str
        The venue's form of it.
    coin : str
        The coin with its dex prefix.
    side : int
        +1 for a buy, -1 for a sell.
    price, quantity : Decimal
        As last told to the engine; the quantity includes what is filled.
    is_resting_kind : bool
        False for IOC: what it does not fill at once is over.
    reduce_only : bool, default False
        Whether it may only shrink the position.

    """

    key: str
    cloid: str
    coin: str
    side: int
    price: Decimal
    quantity: Decimal
    is_resting_kind: bool = True
    reduce_only: bool = False
    phase: Phase = Phase.WAITING
    # the number, size and price that the engine knows
    oid: int | None = None
    filled: Decimal = ZERO
    # what the strategy asked for last; a fill that races a modify may rest more than that
    wanted: Decimal = ZERO
    # fills booked before this record began, in a run before, and those of legs put aside: no leg here holds them
    base: Decimal = ZERO
    legs: dict[int, Leg] = field(default_factory=dict)
    # numbers of replaced legs of which nothing is open any more: an order that is modified all day has thousands
    aside: set[int] = field(default_factory=set)
    modify: PendingModify | None = None
    cancel: PendingCancel | None = None
    unknown_until_ms: int | None = None
    # an answer was given that leaves a question open: ask the venue
    wants_query: bool = False
    # the engine was told that the venue refused it: it takes no fills any more
    is_refused: bool = False
    # what left, where it was changed before it did; the engine hears of that once the order is accepted
    sent_size: Decimal | None = None
    sent_price: Decimal | None = None
    # when it was made, ns UTC
    ts_ns: int = 0
    # counts commands and their answers: what a query found is no proof when one came in between
    version: int = 0
    # counts what was said of its fills and sizes: while it stands still, a modify's wire size is what it was
    news: int = 0
    _refusal: str | None = None
    _waiting_fills: list[tuple[int, UserFill]] = field(default_factory=list)
    _seen: set[FillKey] = field(default_factory=set)
    _orphans: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.wanted = self.wanted or self.quantity

    # -- what is known ---------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether the order was told to be over."""
        return self.phase is Phase.CLOSED

    @property
    def current(self) -> Leg | None:
        """The leg with the highest number, None before the venue gave one."""
        return self.legs[max(self.legs)] if self.legs else None

    @property
    def done(self) -> Decimal:
        """What is filled as far as anyone said, told to the engine or not."""
        done = self.base
        for leg in self.legs.values():
            # asked for every order of a batch that is about to leave: most legs have neither
            if leg.filled or leg.expected:
                done += leg.done
        return max(self.filled, done)

    @property
    def leaves(self) -> Decimal:
        """What may still fill, as the engine sees it."""
        return max(ZERO, self.quantity - self.filled)

    @property
    def is_live(self) -> bool:
        """Whether the order may be resting at the venue now, or come to rest."""
        if self.phase in (Phase.CLOSED, Phase.WAITING):
            return False
        current = self.current
        return current is None or current.final is None or self.modify is not None

    @property
    def is_unknown(self) -> bool:
        """Whether something was sent of which nobody can say if it happened."""
        return (
            self.unknown_until_ms is not None
            or (self.modify is not None and self.modify.unknown_until_ms is not None)
            or (self.cancel is not None and self.cancel.unknown_until_ms is not None)
        )

    @property
    def lacks_fills(self) -> bool:
        """Whether fills are known to exist that have not come."""
        return any(leg.lacks_fills for leg in self.legs.values())

    @property
    def deadline_ms(self) -> int:
        """The latest of the times (ms UTC) until which something unknown may still happen; 0 with nothing unknown."""
        times = [self.unknown_until_ms]
        times.append(None if self.modify is None else self.modify.unknown_until_ms)
        times.append(None if self.cancel is None else self.cancel.unknown_until_ms)
        return max((time for time in times if time is not None), default=0)

    @property
    def worst_case(self) -> Decimal:
        """The most that may be filled in the end: booked, resting, and a modify that a fill may race."""
        resting = max(
            (leg.size - leg.filled for leg in self.legs.values() if leg.final is None), default=self.leaves
        )
        if self.modify is not None and self.modify.is_sent:
            resting = max(resting, self.modify.size)
        return self.filled + resting

    @property
    def excess(self) -> Decimal:
        """By how much what rests and is filled exceeds what was asked for; zero or less where it does not."""
        current = self.current
        if current is None or current.final is not None or self.is_closed:
            return ZERO
        return self._whole() - self.wanted

    # -- what we do ------------------------------------------------------------------------------------

    def sent(self) -> None:
        """Note that the order has left: from now on the venue may know it."""
        if self.phase is Phase.WAITING:
            self.phase = Phase.SENT

    def amend(self, quantity: Decimal, price: Decimal) -> None:
        """Change an order that has not left."""
        self.wanted = self.sent_size = quantity
        self.sent_price = price

    def start_modify(self, quantity: Decimal, price: Decimal) -> PendingModify:
        """Note a modify to this whole quantity; its wire size leaves out what is filled by now, with fills that have yet to come."""
        self.version += 1
        size = quantity - self.done
        before = self.wanted if self.modify is None else self.modify.before
        self.wanted = quantity
        self.modify = PendingModify(quantity, price, size, self.oid, before, news=self.news)
        return self.modify

    def start_cancel(self) -> PendingCancel:
        """Note a cancel."""
        self.version += 1
        self.cancel = PendingCancel()
        return self.cancel

    def removed_unsent(self, reason: str, ts_ns: int) -> list[Effect]:
        """Return what follows when the order was taken back before it was sent."""
        if self.phase is not Phase.WAITING:
            return []
        return [self._close(Canceled(None, reason, ts_ns))]

    def reply_lost(self, until_ms: int, ts_ns: int) -> list[Effect]:
        """Enter that the placing may have happened, or may until then (ms UTC, venue), unless the stream has told already."""
        self.version += 1
        if self.phase is not Phase.SENT or self.legs:
            return []
        self.unknown_until_ms = until_ms
        if self._refusal is None:
            return []
        return self._leg_refused(self._refusal, ts_ns)

    def modify_lost(self, until_ms: int) -> None:
        """Enter that the modify may have happened, or may until then (ms UTC, venue)."""
        self.version += 1
        if self.modify is not None and self.modify.is_sent:
            self.modify.unknown_until_ms = until_ms

    def cancel_lost(self, until_ms: int) -> None:
        """Enter that the cancel may have happened, or may until then (ms UTC, venue)."""
        self.version += 1
        if self.cancel is not None and not self.cancel.is_done:
            self.cancel.unknown_until_ms = max(until_ms, self.cancel.unknown_until_ms or 0)

    # -- what the replies say --------------------------------------------------------------------------

    def placed(self, oid: int, ts_ns: int) -> list[Effect]:
        """Enter "resting": the order or its modify has this number."""
        self.version += 1
        self._answered(oid)
        return self._settle(ts_ns)

    def filled_now(self, oid: int, size: Decimal, ts_ns: int) -> list[Effect]:
        """Enter "filled": so much traded at once; the fills themselves come on their own, and an IOC's rest is over."""
        self.version += 1
        self.news += 1
        leg = self._answered(oid)
        if not self.is_resting_kind or size >= leg.size:
            leg.final = leg.final or FILLED
            leg.expected = max(size, leg.expected or ZERO)
        return self._settle(ts_ns)

    def refused(self, reason: str, ts_ns: int, *, is_post_only: bool = False) -> list[Effect]:
        """Enter the refusal of the order itself."""
        self.version += 1
        self.unknown_until_ms = None
        if self.phase is Phase.CLOSED or self.legs:
            return []
        return [self._close(Rejected(reason, ts_ns, is_post_only))]

    def expired_at_once(self, reason: str, ts_ns: int) -> list[Effect]:
        """Enter that an IOC order found nothing to trade with: it is over, not refused."""
        self.version += 1
        self.unknown_until_ms = None
        if self.phase is Phase.CLOSED or self.legs:
            return []
        return [self._close(Canceled(None, reason, ts_ns))]

    def modify_refused(self, reason: str, ts_ns: int, *, is_certain: bool = True) -> list[Effect]:
        """Enter the refusal of the modify; where it is not certain that the old order still rests, the venue is asked."""
        self.version += 1
        if self.modify is None:
            return []
        if self.modify.is_sent:
            # whoever asked for less hears that it did not happen: what rests is again what was asked for
            self.wanted = self.modify.before
        self.modify = None
        self.wants_query = self.wants_query or not is_certain
        effects: list[Effect] = []
        current = self.current
        if self.phase is Phase.OPEN and (current is None or current.final is None):
            effects.append(ModifyRejected(self.oid, reason, ts_ns))
        return effects + self._settle(ts_ns)

    def cancel_done(self, ts_ns: int) -> list[Effect]:
        """Enter "success": the order no longer rests; what it filled before is still to be heard, so nothing is told yet."""
        self.version += 1
        if self.cancel is not None:
            self.cancel.unknown_until_ms = None
            self.cancel.is_done, self.cancel.is_gone = True, False
        current = self.current
        if current is not None and current.final is None:
            # its closing status, which says how much of it was filled, is on its way
            self.wants_query = True
        return self._settle(ts_ns)

    def cancel_refused(self, reason: str, ts_ns: int, *, is_gone: bool) -> list[Effect]:
        """
        Enter the refusal of a cancel.

        ``is_gone`` is the venue's "never placed, already canceled, or filled", which refuses nothing: the order is over, or not there yet.
        The venue is asked then.
        """
        self.version += 1
        if self.cancel is None:
            return []
        if is_gone:
            self.wants_query = True
            # after one that did it, a repeat is told the same
            self.cancel.is_gone = not self.cancel.is_done
            # the order may still be on its way, and rest after all
            self.cancel.is_early = self.cancel.is_gone and not self.legs
            if not self.cancel.goes_again:
                self.cancel.unknown_until_ms = None
            return self._settle(ts_ns)
        self.cancel.goes_again = False
        if self.cancel.unknown_until_ms is not None:
            # a repeat: the one before may have happened, or may yet
            self.wants_query = True
            return []
        self.cancel = None
        if self.phase is Phase.CLOSED:
            return []
        return [CancelRejected(self.oid, reason, ts_ns)]

    # -- what the streams and queries say --------------------------------------------------------------

    def updated(self, order: OpenOrder, status: str, ts_ns: int) -> list[Effect]:
        """Enter the status of one leg, from the stream or from a query."""
        self.news += 1
        leg = self.legs.get(order.oid)
        if order.oid in self.aside:
            return []
        if leg is None:
            if is_rejected(status) and status != NO_MATCH_STATUS:
                return self._leg_refused(status, ts_ns)
            leg = self._new_leg(order.oid, order.orig_size, order.price)
        elif order.orig_size != leg.size and leg.final is None:
            # a reduce-only order that the venue shrank
            leg.size = order.orig_size
        if order.oid == max(self.legs):
            self.unknown_until_ms = None
        if status in OPEN_STATUSES:
            if leg.final is not None and leg.final == REPLACED:
                return self._settle(ts_ns)
            self._expect(leg, order)
        elif status == FILLED:
            leg.final = FILLED
            leg.expected = _later(leg.expected, order.orig_size)
        else:
            if leg.final in (None, REPLACED):
                leg.final = status if leg.final is None else leg.final
            self._expect(leg, order)
        return self._settle(ts_ns)

    def fill(self, fill: UserFill) -> list[Effect]:
        """Enter a fill; one entered before changes nothing."""
        if fill.key in self._seen:
            return []
        self._seen.add(fill.key)
        self.news += 1
        if fill.oid in self.aside:
            self.base += fill.size
        else:
            leg = self.legs.get(fill.oid)
            if leg is None:
                leg = self._new_leg(fill.oid, self._size_of_new_leg(), self._price_of_new_leg())
            leg.filled += fill.size
            # of a leg that is over, or of an IOC, this never shrinks the size below what it has filled
            leg.size = max(leg.size, leg.filled)
        self.unknown_until_ms = None
        self._waiting_fills.append((fill.ts_ns, fill))
        return self._settle(fill.ts_ns)

    def fills_complete(self, ts_ns: int) -> list[Effect]:
        """Enter that a list of all fills was read and holds no more: what a status seemed to say was filled is not to come."""
        self.news += 1
        for leg in self.legs.values():
            leg.expected = None
        return self._settle(ts_ns)

    def not_found(self, now_ms: int, ts_ns: int, *, is_absent: bool = False) -> list[Effect]:
        """
        Enter that the venue knows no such order.

        Right after placing it that proves nothing; once what was sent can no longer happen it proves that it did not. ``is_absent`` says
        that it is not among the open orders either: the venue keeps about 2,000 orders of a user, and forgot this one.
        """
        if self.phase in (Phase.CLOSED, Phase.WAITING) or now_ms <= self.deadline_ms:
            return []
        if not self.legs:
            if self.unknown_until_ms is None:
                return []
            return self.refused("the order did not reach the venue", ts_ns)
        if not is_absent:
            return []
        current = self.current
        if current is not None and current.final is None:
            current.final = "forgotten"
        return self._settle_unknown(ts_ns)

    def confirmed(self, order: OpenOrder, status: str, now_ms: int, ts_ns: int) -> list[Effect]:
        """
        Enter the answer of a query for the order as it is now, asked at ``now_ms`` (ms UTC, venue).

        When what was sent can no longer happen, and the answer does not show it, it did not.
        """
        effects = self.updated(order, status, ts_ns)
        current = self.current
        if self.cancel is not None and self.cancel.is_done and current is not None and current.final is None:
            # it is canceled, and the venue's answer does not show it yet
            self.wants_query = True
        if now_ms > self.deadline_ms:
            effects += self._settle_unknown(ts_ns)
        return effects

    # -- inside ----------------------------------------------------------------------------------------

    def _settle_unknown(self, ts_ns: int) -> list[Effect]:
        self.unknown_until_ms = None
        effects: list[Effect] = []
        if self.modify is not None and self.modify.is_sent and self.modify.unknown_until_ms is not None:
            effects += self.modify_refused("the modify did not reach the venue", ts_ns)
        if self.cancel is not None and self.cancel.is_overdue:
            current = self.current
            if self.phase is Phase.OPEN and current is not None and current.final is None:
                self.cancel = None
                effects.append(CancelRejected(self.oid, "the cancel did not reach the venue", ts_ns))
        return effects + self._settle(ts_ns)

    def _answered(self, oid: int) -> Leg:
        self.unknown_until_ms = None
        leg = self.legs.get(oid)
        if leg is None:
            leg = self._new_leg(oid, self._size_of_new_leg(), self._price_of_new_leg())
        return leg

    def _size_of_new_leg(self) -> Decimal:
        if self.modify is not None and self.modify.is_sent and self.legs:
            return self.modify.size
        if self.legs:
            return self.leaves
        return self.quantity - self.base if self.sent_size is None else self.sent_size

    def _price_of_new_leg(self) -> Decimal:
        if self.modify is not None and self.modify.is_sent and self.legs:
            return self.modify.price
        return self.price if self.legs or self.sent_price is None else self.sent_price

    def _new_leg(self, oid: int, size: Decimal, price: Decimal) -> Leg:
        leg = Leg(oid=oid, size=size, price=price)
        self.legs[oid] = leg
        for other in self.legs.values():
            if other.oid < oid and other.final is None:
                other.final = REPLACED
            elif other.oid > oid and leg.final is None:
                # news of an older leg that came after its replacement
                leg.final = REPLACED
        current = self.current
        if current is leg and self.modify is not None and self.modify.is_sent and len(self.legs) > 1:
            self.modify = None
        if len(self.legs) > LEGS_KEPT:
            self._put_aside()
        return leg

    def _put_aside(self) -> None:
        for oid in sorted(self.legs)[:-LEGS_LEFT]:
            leg = self.legs[oid]
            if leg.final is not None and not leg.lacks_fills:
                self.base += leg.filled
                self.aside.add(oid)
                del self.legs[oid]

    def _expect(self, leg: Leg, order: OpenOrder) -> None:
        # the venue shrinks a reduce-only order with the position: what is gone need not have traded
        if not self.reduce_only:
            leg.expected = _later(leg.expected, order.orig_size - order.size)

    def _leg_refused(self, status: str, ts_ns: int) -> list[Effect]:
        # the reply says why in full: while it is on its way the status alone is only remembered
        if self.legs:
            if self.modify is None or self.modify.unknown_until_ms is None:
                return []
            return self.modify_refused(status, ts_ns, is_certain=False)
        if self.phase is Phase.SENT and self.unknown_until_ms is None:
            self._refusal = status
            return []
        return self.refused(status, ts_ns, is_post_only=status == POST_ONLY_STATUS)

    def _whole(self) -> Decimal:
        # a replaced leg counts with what it filled, the current one with what it was placed with
        top = max(self.legs)
        return self.base + sum((leg.size if leg.oid == top else leg.done for leg in self.legs.values()), ZERO)

    def _settle(self, ts_ns: int) -> list[Effect]:
        current = self.current
        if current is None:
            return []
        if self.phase is Phase.CLOSED:
            return self._late(current, ts_ns)
        effects: list[Effect] = []
        if self.phase is not Phase.OPEN:
            self.phase = Phase.OPEN
            self.oid = current.oid
            effects.append(Accepted(current.oid, ts_ns))
        whole = self._whole()
        if current.oid != self.oid or whole != self.quantity or current.price != self.price:
            is_new = current.oid != self.oid
            self.oid, self.quantity, self.price = current.oid, whole, current.price
            effects.append(Updated(current.oid, whole, current.price, ts_ns, is_new))
        effects += self._book()
        is_replacing = self.modify is not None and self.modify.is_sent
        if current.final is not None and not is_replacing and not self.lacks_fills:
            if self.filled >= self.quantity:
                self.phase = Phase.CLOSED
                self._drop_commands()
            else:
                reason = "canceled" if current.final in (FILLED, REPLACED) else current.final
                effects.append(self._close(Canceled(self.oid, reason, ts_ns)))
        elif current.final == FILLED and not self.lacks_fills and self.filled >= self.quantity:
            self.phase = Phase.CLOSED
            self._drop_commands()
        elif self.filled >= self.quantity and current.final is None and current.filled >= current.size:
            current.final = FILLED
            self.phase = Phase.CLOSED
            self._drop_commands()
        return effects

    def _late(self, current: Leg, ts_ns: int) -> list[Effect]:
        # after the end: a fill still counts, a leg that rests must go
        effects: list[Effect] = []
        if self._waiting_fills and (self.filled >= self.quantity or self.is_refused):
            effects += [StrayFill(fill) for _, fill in self._waiting_fills]
            self._waiting_fills.clear()
        elif self._waiting_fills:
            whole = max(self._whole(), self.filled + sum((f.size for _, f in self._waiting_fills), ZERO))
            if whole > self.quantity and self.oid is not None:
                self.quantity = whole
                effects.append(Updated(self.oid, whole, self.price, ts_ns, is_new_oid=False))
            effects += self._book()
            if self.filled < self.quantity:
                # a fill opens the order again for the engine
                effects.append(Canceled(self.oid, "canceled", ts_ns))
        if current.final is None and current.oid not in self._orphans and current.filled < current.size:
            self._orphans.add(current.oid)
            effects.append(Orphan(current.oid))
        return effects

    def _book(self) -> list[Effect]:
        # in the order of their times, whichever stream brought them first
        self._waiting_fills.sort(key=lambda pair: pair[0])
        effects: list[Effect] = []
        for _, fill in self._waiting_fills:
            self.filled += fill.size
            effects.append(FillBooked(fill, self.oid if self.oid is not None else fill.oid))
        self._waiting_fills.clear()
        return effects

    def _close(self, effect: Canceled | Rejected) -> Effect:
        self.phase = Phase.CLOSED
        self.is_refused = isinstance(effect, Rejected)
        self._drop_commands()
        return effect

    def _drop_commands(self) -> None:
        self.modify = None
        self.cancel = None
        self.unknown_until_ms = None
        self.wants_query = False


def _later(known: Decimal | None, now: Decimal) -> Decimal | None:
    """Return the larger of two figures of what was filled; zero says nothing new."""
    if known is None:
        return now if now > 0 else None
    return max(known, now)
