"""Orders of somebody else on our account: each is told once."""

from collections import OrderedDict
from typing import Final

from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.desk_owner import DeskOwner
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.tracking import FILLED
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import OrderUpdate


# so many numbers are remembered; an older one that shows again is told again
STRANGERS_KEPT: Final = 5_000


class Strangers:
    """
    Says that someone else trades this account.

    Parameters
    ----------
    cloids : CloidBook
        Which ids are ours.
    owner : DeskOwner
        Who is told.

    """

    def __init__(self, cloids: CloidBook, owner: DeskOwner) -> None:
        self._cloids = cloids
        self._owner = owner
        self._told: OrderedDict[int, None] = OrderedDict()

    def on_resting(self, order: OpenOrder) -> None:
        """Take an order that rests, whoever's it is."""
        if self._cloids.client_order_id(order.cloid) is None:
            self._tell(order.oid, f"order {order.oid} rests", order.coin)

    def on_update(self, update: OrderUpdate) -> None:
        """Take news of an order that is not kept here, whoever's it is."""
        order = update.order
        if self._cloids.client_order_id(order.cloid) is not None:
            return
        if update.status != FILLED:
            # what traded whole is told by its fills, with the reason: a liquidation's order is no second trader's
            self._tell(order.oid, f"order {order.oid} ({update.status})", order.coin)
        self._owner.on_foreign_order(update)

    def _tell(self, oid: int, what: str, coin: str) -> None:
        if oid in self._told:
            return
        self._told[oid] = None
        if len(self._told) > STRANGERS_KEPT:
            self._told.popitem(last=False)
        self._owner.on_notice(
            NoticeKind.SECOND_TRADER, f"{what}, which is not ours", coin=coin, is_alarm=True
        )
