"""The orders kept: found by our id, the venue's number or its form of our id; closed ones for a while."""

from collections import OrderedDict
from decimal import Decimal
from typing import Final

from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.legs import Leg
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.tracking import Phase
from hyperliquid_hip3.user_records import OpenOrder


# closed orders of which late news is still understood
CLOSED_KEPT: Final = 5_000


class OrderShelf:
    """
    Keeps the tracks.

    Parameters
    ----------
    cloids : CloidBook
        Which ids are ours.
    closed_kept : int, default 5000
        Closed orders of which late news is still understood.

    """

    def __init__(self, cloids: CloidBook, *, closed_kept: int = CLOSED_KEPT) -> None:
        self._cloids = cloids
        self._closed_kept = closed_kept
        self._tracks: dict[str, OrderTrack] = {}
        self._specs: dict[str, OrderSpec] = {}
        self._by_oid: dict[int, OrderTrack] = {}
        self._closed: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tracks)

    def track(self, key: str) -> OrderTrack | None:
        """Return what is known of an order by its client order id."""
        return self._tracks.get(key)

    def spec(self, key: str) -> OrderSpec:
        """Return how an order was placed."""
        return self._specs[key]

    def by_number(self, oid: int) -> OrderTrack | None:
        """Return the order that has, or had, this number."""
        return self._by_oid.get(oid)

    def find(self, oid: int, cloid: str | None) -> OrderTrack | None:
        """Return the order of a number or, for a number not heard of yet, of our own id."""
        track = self._by_oid.get(oid)
        if track is None:
            key = self._cloids.client_order_id(cloid)
            track = None if key is None else self._tracks.get(key)
        return track

    def live(self) -> list[OrderTrack]:
        """Return the orders that rest, or may come to."""
        return [track for track in self._tracks.values() if track.is_live]

    def unfinished(self) -> list[OrderTrack]:
        """Return the orders that are not over, also those that have not left."""
        return [track for track in self._tracks.values() if not track.is_closed]

    def open_orders(self) -> list[OpenOrder]:
        """Return the orders that rest or may, as the account's margin sees them: the most that may still fill."""
        return [
            OpenOrder(
                coin=track.coin,
                side=track.side,
                price=track.price,
                size=track.worst_case - track.filled,
                orig_size=track.quantity,
                oid=track.oid or 0,
                cloid=track.cloid,
                ts_ns=track.ts_ns,
                reduce_only=track.reduce_only,
            )
            for track in self.live()
        ]

    def put(self, track: OrderTrack, spec: OrderSpec) -> None:
        """Keep an order."""
        self._tracks[track.key] = track
        self._specs[track.key] = spec
        self.index(track)

    def index(self, track: OrderTrack) -> None:
        """Note the numbers that an order has."""
        for oid in track.legs:
            self._by_oid.setdefault(oid, track)

    def adopt(self, key: str, order: OpenOrder, *, asset: int, filled: Decimal | None = None) -> OrderTrack:
        """
        Keep an order that rests from an earlier run (or a stranger's that may be kept).

        Parameters
        ----------
        key : str
            Its client order id.
        order : OpenOrder
            As it rests.
        asset : int
            The venue's number of the coin.
        filled : Decimal, optional
            What the engine holds of its fills; what the order itself says when left out.

        """
        done = order.orig_size - order.size
        total = done if filled is None else max(filled, done)
        spec = OrderSpec(
            asset=asset,
            is_buy=order.side > 0,
            price=order.price,
            size=order.orig_size,
            tif="Alo" if order.tif == "Alo" else "Gtc",
            reduce_only=order.reduce_only,
            cloid=order.cloid,
        )
        track = OrderTrack(
            key=key,
            cloid=order.cloid or "",
            coin=order.coin,
            side=order.side,
            price=order.price,
            quantity=total - done + order.orig_size,
            reduce_only=order.reduce_only,
            phase=Phase.OPEN,
            oid=order.oid,
            filled=total,
            base=total - done,
            ts_ns=order.ts_ns,
        )
        track.legs[order.oid] = Leg(order.oid, order.orig_size, order.price, filled=done)
        self.put(track, spec)
        return track

    def retire(self, track: OrderTrack) -> None:
        """Keep a closed order only as long as there are not too many of them."""
        self._closed[track.key] = None
        while len(self._closed) > self._closed_kept:
            key, _ = self._closed.popitem(last=False)
            gone = self._tracks.pop(key, None)
            self._specs.pop(key, None)
            for oid in (*gone.legs, *gone.aside) if gone is not None else ():
                self._by_oid.pop(oid, None)
