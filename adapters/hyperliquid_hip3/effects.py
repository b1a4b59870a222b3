"""What follows from news of an order: each is told to the engine once."""

from decimal import Decimal
from typing import NamedTuple

from hyperliquid_hip3.user_records import UserFill


class Accepted(NamedTuple):
    """The order rests (or traded) under this number."""

    oid: int
    ts_ns: int


class Updated(NamedTuple):
    """The order has another number, size or price; ``quantity`` is its whole size, filled part included."""

    oid: int
    quantity: Decimal
    price: Decimal
    ts_ns: int
    is_new_oid: bool


class FillBooked(NamedTuple):
    """A fill that was not told before; ``oid`` is the number the engine knows the order by."""

    fill: UserFill
    oid: int


class Canceled(NamedTuple):
    """The order is over with a part left; ``reason`` is the venue's status or our own words; no number if it was never sent."""

    oid: int | None
    reason: str
    ts_ns: int


class Rejected(NamedTuple):
    """The venue (or, before anything was sent, this client) said no."""

    reason: str
    ts_ns: int
    is_post_only: bool


class ModifyRejected(NamedTuple):
    """The modify is known not to have happened."""

    oid: int | None
    reason: str
    ts_ns: int


class CancelRejected(NamedTuple):
    """The cancel is known not to have happened: the order still rests."""

    oid: int | None
    reason: str
    ts_ns: int


class StrayFill(NamedTuple):
    """A fill of an order that was told to be wholly filled: the engine takes no more of it, so it is booked beside the order."""

    fill: UserFill


class Orphan(NamedTuple):
    """A leg that rests though the order was told to be over: it must be canceled."""

    oid: int


type Effect = (
    Accepted
    | Updated
    | FillBooked
    | StrayFill
    | Canceled
    | Rejected
    | ModifyRejected
    | CancelRejected
    | Orphan
)
