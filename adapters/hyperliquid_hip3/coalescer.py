"""
Commands of one strategy cycle, gathered into as few signed actions as the venue's ordering allows.

From one handler thirty submits reach the client in one loop turn, but cancels come a turn earlier, so commands wait for the
cycle's end marker, for a moment of quiet, or at the latest for a few milliseconds. Batches with only post-only orders are sorted ahead
of everything else in a block, and cancels ahead of IOC and GTC orders, so classes are never mixed. See
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets and protocol: matching and ordering.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.batches import BatchType
from hyperliquid_hip3.batches import PackedAction
from hyperliquid_hip3.batches import Wire
from hyperliquid_hip3.batches import batch_action
from hyperliquid_hip3.batches import cancel_item
from hyperliquid_hip3.batches import modify_item
from hyperliquid_hip3.batches import place_item


# items of one action, protocol: error strings ("Signed action over weight limit of 200.")
MAX_ITEMS: Final = 200


class ActionClass(IntEnum):
    """What an action holds, in the order in which the actions of one flush are sent."""

    CANCEL = 0
    CANCEL_NUMBER = 1
    MODIFY_ALO = 2
    PLACE_ALO = 3
    MODIFY_OTHER = 4
    PLACE_OTHER = 5


ACTION_TYPES: Final[dict[ActionClass, BatchType]] = {
    ActionClass.CANCEL: "cancelByCloid",
    ActionClass.CANCEL_NUMBER: "cancel",
    ActionClass.MODIFY_ALO: "batchModify",
    ActionClass.PLACE_ALO: "order",
    ActionClass.MODIFY_OTHER: "batchModify",
    ActionClass.PLACE_OTHER: "order",
}


@dataclass(frozen=True, slots=True)
class CancelItem:
    """
    One order to be canceled: by our own id, or by the venue's number for an order that was adopted without one.

    ``is_command`` is False for a cancel that nobody but the adapter asked for, ``is_repeat`` True for one that went before.
    """

    key: str
    asset: int
    cloid: str
    oid: int | None = None
    wire: Wire | None = None
    is_command: bool = True
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class PlaceItem:
    """One order to be placed; ``wire`` is what will be sent of it, where that was made ahead of time."""

    key: str
    spec: OrderSpec
    wire: Wire | None = None


@dataclass(frozen=True, slots=True)
class ModifyItem:
    """
    One order to be replaced; ``target`` is the venue's number or our own id of the order as it stands.

    ``is_command`` is False for a modify that nobody but the adapter asked for.
    """

    key: str
    target: int | str
    spec: OrderSpec
    wire: Wire | None = None
    is_command: bool = True


type Item = CancelItem | PlaceItem | ModifyItem


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of one signed action, all of one class, at most 200."""

    kind: ActionClass
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class CycleCounts:
    """How many commands of a cycle have arrived or are to arrive."""

    submits: int = 0
    modifies: int = 0
    cancels: int = 0

    @property
    def total(self) -> int:
        """All commands together."""
        return self.submits + self.modifies + self.cancels


@dataclass(frozen=True, slots=True)
class Unsent:
    """What a cancel removed before it was sent: the order's own placing, or a modify of it."""

    key: str
    was_submit: bool


class Coalescer:
    """
    Holds the commands not sent yet and says when they go.

    Times are of one monotonic clock, in ns. Nothing here sends or sleeps: the owner calls :meth:`due_at` and :meth:`drain`.

    Parameters
    ----------
    quiet_ns : int
        Without another command for so long, what is there goes.
    limit_ns : int
        And at the latest so long after the first of it.
    max_items : int, default 200
        The most items of one action.

    """

    def __init__(self, *, quiet_ns: int, limit_ns: int, max_items: int = MAX_ITEMS) -> None:
        self._quiet_ns = quiet_ns
        self._limit_ns = max(limit_ns, quiet_ns)
        self._max_items = max_items
        self._places: dict[str, PlaceItem] = {}
        self._modifies: dict[str, ModifyItem] = {}
        self._cancels: dict[str, CancelItem] = {}
        self._first_ns = 0
        self._last_ns = 0
        self._seen = [0, 0, 0]
        self._expected = [0, 0, 0]
        self._is_marked = False

    def __len__(self) -> int:
        return len(self._places) + len(self._modifies) + len(self._cancels)

    def place(self, item: PlaceItem, now_ns: int) -> None:
        """Queue a new order."""
        self._touch(now_ns, 0)
        self._places[item.key] = item

    def modify(self, item: ModifyItem, now_ns: int) -> bool:
        """
        Queue a modify, in the place of an earlier one of the same order.

        A modify of an order that is itself still queued changes what will be placed, and nothing is sent twice; True then.
        """
        self._touch(now_ns, 1)
        if item.key in self._places:
            self._places[item.key] = PlaceItem(item.key, item.spec)
            return True
        if item.key not in self._cancels:
            self._modifies[item.key] = item
        return False

    def cancel(self, item: CancelItem, now_ns: int, *, is_command: bool = True) -> Unsent | None:
        """
        Queue a cancel; a queued submit or modify of the same order is removed, and without the submit no cancel is needed.

        One that is not a command of the cycle's own (``is_command``) is not counted for its end.
        """
        self._touch(now_ns, 2 if is_command else None)
        if self._places.pop(item.key, None) is not None:
            return Unsent(item.key, was_submit=True)
        removed = self._modifies.pop(item.key, None)
        self._cancels[item.key] = item
        return None if removed is None else Unsent(item.key, was_submit=False)

    def count(self, *, submits: int = 0, modifies: int = 0, cancels: int = 0) -> None:
        """Count commands that needed nothing to be sent (denied, answered at once): the cycle's marker counts them."""
        for n, more in enumerate((submits, modifies, cancels)):
            self._seen[n] += more

    def mark_end(self, counts: CycleCounts) -> None:
        """Note the end of a cycle: once so many commands have arrived, all of them go without waiting."""
        for n, more in enumerate((counts.submits, counts.modifies, counts.cancels)):
            self._expected[n] += more
        self._is_marked = True

    @property
    def is_complete(self) -> bool:
        """Whether the marker came and every command it counts has arrived."""
        return self._is_marked and all(
            seen >= expected for seen, expected in zip(self._seen, self._expected, strict=True)
        )

    def due_at(self) -> int | None:
        """Return when what is queued goes, on the monotonic clock in ns; 0 for at once, None with nothing queued."""
        if not len(self):
            return None
        if self.is_complete:
            return 0
        return min(self._last_ns + self._quiet_ns, self._first_ns + self._limit_ns)

    def reset_if_complete(self) -> None:
        """Forget a finished cycle that left nothing to send."""
        if not len(self) and self.is_complete:
            self._start_over()

    def drain(self) -> list[Batch]:
        """Return everything queued as batches, in sending order, and start a new cycle."""
        cancels, modifies, places = self._cancels.values(), self._modifies.values(), self._places.values()
        # no dictionary by class: the hash of an enumeration's member is slow
        groups: tuple[tuple[ActionClass, list[Item]], ...] = (
            (ActionClass.CANCEL, [item for item in cancels if item.oid is None]),
            (ActionClass.CANCEL_NUMBER, [item for item in cancels if item.oid is not None]),
            (ActionClass.MODIFY_ALO, [item for item in modifies if _is_alo(item.spec)]),
            (ActionClass.PLACE_ALO, [item for item in places if _is_alo(item.spec)]),
            (ActionClass.MODIFY_OTHER, [item for item in modifies if not _is_alo(item.spec)]),
            (ActionClass.PLACE_OTHER, [item for item in places if not _is_alo(item.spec)]),
        )
        self._places, self._modifies, self._cancels = {}, {}, {}
        self._start_over()
        size = self._max_items
        return [
            Batch(kind, tuple(items[start : start + size]))
            for kind, items in groups
            for start in range(0, len(items), size)
        ]

    def _touch(self, now_ns: int, kind: int | None) -> None:
        if not len(self):
            self._first_ns = now_ns
        self._last_ns = now_ns
        if kind is not None:
            self._seen[kind] += 1

    def _start_over(self) -> None:
        self._seen = [0, 0, 0]
        self._expected = [0, 0, 0]
        self._is_marked = False


def _is_alo(spec: OrderSpec) -> bool:
    return spec.tif == "Alo" and spec.trigger is None


def action_of(kind: ActionClass, items: Sequence[Item]) -> PackedAction:
    """
    Return the action of items of one class.

    Raises
    ------
    SigningError
        If one of them cannot be sent as it is.

    """
    return batch_action(
        ACTION_TYPES[kind], [_made(item) if item.wire is None else item.wire for item in items]
    )


def _made(item: Item) -> Wire:
    if isinstance(item, PlaceItem):
        return place_item(item.spec)
    if isinstance(item, ModifyItem):
        return modify_item(item.target, item.spec)
    return cancel_item(item.asset, item.cloid, item.oid)
