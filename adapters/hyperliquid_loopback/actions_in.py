"""Actions as they arrive on the wire, read into typed requests before they wait for their block."""

import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Any
from typing import Final

from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import SELL
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import Trigger


MAX_BATCH: Final = 200
TIFS: Final = ("Alo", "Ioc", "Gtc")
GROUPINGS: Final = ("na", "normalTpsl", "positionTpsl")
CLOID: Final = re.compile(r"0x[0-9a-fA-F]{32}", re.ASCII)
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
# as clients write numbers (protocol: signing, wire floats): plain digits, no exponent
NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
# the figures that decimal arithmetic keeps exact; far more than any price or size has
MAX_FIGURES: Final = 28


class MalformedActionError(ValueError):
    """The action has a shape that the venue cannot read: it answers HTTP 422."""


class BlockClass(IntEnum):
    """
    The turn that an action has within its block.

    Source: the venue's docs, HyperCore order book: actions without GTC or IOC orders, then cancels, then the rest.
    """

    PASSIVE = 0
    CANCEL = 1
    AGGRESSIVE = 2


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """
    One order of an ``order`` or ``modify`` action.

    Parameters
    ----------
    asset : int
        The venue's number of the market.
    side : int
        1 for a buy, -1 for a sell.
    price, size : Decimal
        As sent.
    reduce_only : bool
        As sent.
    tif : str
        ``Alo``, ``Ioc`` or ``Gtc``; of a trigger what it turns into.
    trigger : Trigger or None
        Set for a TP/SL order.
    cloid : str or None
        Lower-case client id.

    """

    asset: int
    side: int
    price: Decimal
    size: Decimal
    reduce_only: bool
    tif: str
    trigger: Trigger | None
    cloid: str | None


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """An ``order`` action; ``priority`` is the ``p`` of its grouping."""

    orders: tuple[OrderRequest, ...]
    grouping: str
    priority: int | None


@dataclass(frozen=True, slots=True)
class ModifyRequest:
    """A ``modify`` (``single``) or ``batchModify`` action: the old order's id and its successor, each."""

    changes: tuple[tuple[int | str, OrderRequest], ...]
    always_place: bool
    single: bool


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A ``cancel`` or ``cancelByCloid`` action: asset and oid or cloid, each."""

    cancels: tuple[tuple[int, int | str], ...]
    fast: bool


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """A ``scheduleCancel`` action; no time clears it."""

    time_ms: int | None


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """An action that concerns the account only, as sent."""

    kind: str
    action: Json


Request = PlaceRequest | ModifyRequest | CancelRequest | ScheduleRequest | AccountRequest


def parse_action(action: Mapping[str, Any]) -> Request:
    """
    Return an action as a request.

    Raises
    ------
    MalformedActionError
        If the type is unknown, a key is missing, or a value has the wrong type.

    """
    try:
        return _parse(action)
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedActionError(f"malformed action: {type(error).__name__}") from error


def _parse(action: Mapping[str, Any]) -> Request:
    kind = action["type"]
    if kind == "order":
        grouping, priority = _grouping(action.get("grouping", "na"))
        return PlaceRequest(tuple(map(parse_order, _rows(action["orders"]))), grouping, priority)
    if kind == "batchModify":
        changes = tuple(_change(row) for row in _rows(action["modifies"]))
        return ModifyRequest(changes, _flag(action.get("a", False)), single=False)
    if kind == "modify":
        return ModifyRequest((_change(action),), _flag(action.get("a", False)), single=True)
    if kind == "cancel":
        rows = tuple((_whole(row["a"]), _whole(row["o"])) for row in _rows(action["cancels"]))
        return CancelRequest(rows, _flag(action.get("f", False)))
    if kind == "cancelByCloid":
        named = tuple((_whole(row["asset"]), _cloid(row["cloid"])) for row in _rows(action["cancels"]))
        return CancelRequest(named, _flag(action.get("f", False)))
    if kind == "scheduleCancel":
        time = action.get("time")
        return ScheduleRequest(None if time is None else _whole(time))
    if kind in ACCOUNT_ACTIONS:
        for name, read in ACCOUNT_ACTIONS[kind].items():
            read(action[name])
        return AccountRequest(kind, dict(action))
    raise MalformedActionError(f"unknown action type {kind!r}")


def parse_order(row: Mapping[str, Any]) -> OrderRequest:
    """
    Return one wire order.

    Raises
    ------
    MalformedActionError, KeyError, TypeError
        If it is malformed; ``parse_action`` makes one error of them.

    """
    kind = row["t"]
    trigger = None
    if "trigger" in kind:
        spec = kind["trigger"]
        if spec["tpsl"] not in ("tp", "sl"):
            raise MalformedActionError("tpsl is neither tp nor sl")
        trigger = Trigger(_number(spec["triggerPx"]), _flag(spec["isMarket"]), spec["tpsl"])
        tif = "Ioc" if trigger.is_market else "Gtc"
    else:
        tif = kind["limit"]["tif"]
        if tif not in TIFS:
            raise MalformedActionError(f"unknown tif {tif!r}")
    cloid = row.get("c")
    return OrderRequest(
        asset=_whole(row["a"]),
        side=BUY if _flag(row["b"]) else SELL,
        price=_number(row["p"]),
        size=_number(row["s"]),
        reduce_only=_flag(row["r"]),
        tif=tif,
        trigger=trigger,
        cloid=None if cloid is None else _cloid(cloid),
    )


def block_class(request: Request) -> BlockClass:
    """
    Return the turn of a request within its block.

    A modify goes by its new order; without always place that is a post-only one, whatever was sent.
    """
    if isinstance(request, CancelRequest):
        return BlockClass.CANCEL
    if isinstance(request, PlaceRequest):
        orders = request.orders
    elif isinstance(request, ModifyRequest) and request.always_place:
        orders = tuple(order for _, order in request.changes)
    else:
        return BlockClass.PASSIVE
    # a trigger does not reach the book when it is sent
    sends = any(order.trigger is None and order.tif != "Alo" for order in orders)
    return BlockClass.AGGRESSIVE if sends else BlockClass.PASSIVE


def action_count(request: Request) -> int:
    """Return what a request counts against the address limit: a batch of n counts n, anything else 1."""
    if isinstance(request, PlaceRequest):
        return max(1, len(request.orders))
    if isinstance(request, ModifyRequest):
        return max(1, len(request.changes))
    if isinstance(request, CancelRequest):
        return max(1, len(request.cancels))
    return 1


def _change(row: Mapping[str, Any]) -> tuple[int | str, OrderRequest]:
    oid = row["oid"]
    return (_cloid(oid) if isinstance(oid, str) else _whole(oid)), parse_order(row["order"])


def _grouping(value: Any) -> tuple[str, int | None]:
    if isinstance(value, Mapping):
        return "na", _whole(value["p"])
    if value not in GROUPINGS:
        raise MalformedActionError(f"unknown grouping {value!r}")
    return value, None


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedActionError("a batch must be a list")
    return value


def _number(value: Any) -> Decimal:
    if not isinstance(value, str) or NUMBER.fullmatch(value) is None:
        raise MalformedActionError("a number must be a decimal string")
    if len(value) > MAX_FIGURES and sum(map(str.isdigit, value)) > MAX_FIGURES:
        raise MalformedActionError("a number has too many figures")
    return Decimal(value)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise MalformedActionError("an id must be a whole number")
    return value


def _signed_whole(value: Any) -> int:
    if type(value) is not int:
        raise MalformedActionError("an amount must be a whole number")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise MalformedActionError("a flag must be true or false")
    return value


def _cloid(value: Any) -> str:
    if not isinstance(value, str) or CLOID.fullmatch(value) is None:
        raise MalformedActionError("a cloid must be 0x and 32 hex digits")
    return value.lower()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise MalformedActionError("a text was wanted")
    return value


def _address(value: Any) -> str:
    if not isinstance(value, str) or ADDRESS.fullmatch(value) is None:
        raise MalformedActionError("an address must be 0x and 40 hex digits")
    return value


_SEND: Final[Mapping[str, Callable[[Any], object]]] = {
    "destination": _address,
    "sourceDex": _text,
    "destinationDex": _text,
    "token": _text,
    "amount": _text,
}
# actions that move nothing of the book, which the accounts do, and what must be in them
ACCOUNT_ACTIONS: Final[Mapping[str, Mapping[str, Callable[[Any], object]]]] = {
    "updateLeverage": {"asset": _whole, "isCross": _flag, "leverage": _whole},
    "updateIsolatedMargin": {"asset": _whole, "isBuy": _flag, "ntli": _signed_whole},
    "topUpIsolatedOnlyMargin": {"asset": _whole, "leverage": _number},
    "sendAsset": _SEND,
    "agentSendAsset": _SEND,
    "usdClassTransfer": {"amount": _text, "toPerp": _flag},
    "userSetAbstraction": {"user": _address, "abstraction": _text},
    "agentSetAbstraction": {"abstraction": _text},
    "approveAgent": {"agentAddress": _address},
    "reserveRequestWeight": {"weight": _whole},
    "noop": {},
}
