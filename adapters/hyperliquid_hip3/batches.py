"""
Actions of many items, each made and packed when its command came: at the flush they are only put together.

An action is hashed over its MessagePack bytes, and those of a list are the bytes of its items one after another, so an item can be
checked and packed while the rest of the cycle is on its way. See
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/signing.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import NamedTuple

from msgspec import Raw

from hyperliquid_hip3.actions import Action
from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.actions import cancel_by_cloid_wire
from hyperliquid_hip3.actions import cancel_wire
from hyperliquid_hip3.actions import modify_wire
from hyperliquid_hip3.actions import order_wire
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.signing import ENCODER
from hyperliquid_hip3.signing import pack


type BatchType = Literal["order", "batchModify", "cancelByCloid", "cancel"]


class Wire(NamedTuple):
    """One item of a batch: as the body of the request carries it, and as it is hashed."""

    form: Action
    packed: Raw


class PackedAction(NamedTuple):
    """A whole action and its MessagePack bytes."""

    action: Action
    packed: bytes


def place_item(spec: OrderSpec) -> Wire:
    """
    Return a new order's item of an ``order`` action.

    Raises
    ------
    SigningError
        If it cannot be sent as it is.

    """
    return _wire(order_wire(spec))


def modify_item(target: int | str, spec: OrderSpec) -> Wire:
    """
    Return the item of a ``batchModify``: what is replaced, by the venue's number or our own id, and by what.

    Raises
    ------
    SigningError
        If it cannot be sent as it is.

    """
    return _wire(modify_wire(target, spec))


def cancel_item(asset: int, cloid: str, oid: int | None = None) -> Wire:
    """
    Return the item of a ``cancel`` where the venue's number is given, and of a ``cancelByCloid`` without it.

    Raises
    ------
    SigningError
        If the number or the id is not one of the venue's.

    """
    return _wire(cancel_by_cloid_wire(asset, cloid) if oid is None else cancel_wire(asset, oid))


def made_ahead[**P](make: Callable[P, Wire], *args: P.args, **kwargs: P.kwargs) -> Wire | None:
    """Return an item made now; None where it cannot be: that is said when it is to be sent, and the command refused for it."""
    try:
        return make(*args, **kwargs)
    except SigningError:
        return None


def batch_action(kind: BatchType, items: Sequence[Wire]) -> PackedAction:
    """
    Return the action of these items, and what is hashed of it; cancels are sent with ``f`` (fast).

    Raises
    ------
    SigningError
        If there are no items.

    """
    if not items:
        raise SigningError("an action must hold at least one order, modify or cancel")
    action = _action(kind, [item.form for item in items])
    return PackedAction(action, ENCODER.encode(_action(kind, [item.packed for item in items])))


def _wire(form: Action) -> Wire:
    return Wire(form, Raw(pack(form)))


def _action(kind: BatchType, rows: list[Any]) -> Action:
    # the venue hashes the keys in this order
    if kind == "order":
        return {"type": kind, "orders": rows, "grouping": "na"}
    if kind == "batchModify":
        return {"type": kind, "modifies": rows}
    return {"type": kind, "cancels": rows, "f": True}
