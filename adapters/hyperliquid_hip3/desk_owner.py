"""Who is told of what happens to the orders of an account."""

from typing import Protocol

from hyperliquid_hip3.effects import Effect
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.user_records import OrderUpdate
from hyperliquid_hip3.user_records import UserFill


class DeskOwner(Protocol):
    """Who is told."""

    def on_effect(self, track: OrderTrack, effect: Effect) -> None:
        """Take one thing that follows for an order."""
        ...

    def on_foreign_fill(self, fill: UserFill, key: str | None) -> None:
        """Take a fill of an order that is not kept here; ``key`` is ours where the order was."""
        ...

    def on_foreign_order(self, update: OrderUpdate) -> None:
        """Take news of an order that is not ours."""
        ...

    def on_notice(self, kind: NoticeKind, text: str, *, coin: str = "", is_alarm: bool = False) -> None:
        """Take something to know."""
        ...
