"""
An action as the venue hashes it: keys in its own order, prices and sizes without trailing zeros, unknown keys gone.

The venue reads an action into its own types and packs these again before it hashes them, so a client that packs another order of keys
signs another action: a stranger's address is recovered (protocol: signing and nonces).
"""

from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final

from hyperliquid_hip3.actions import number_to_wire
from hyperliquid_hip3.errors import SigningError
from hyperliquid_loopback.types import Json


# an absent key stays absent
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "order": ("type", "orders", "grouping", "builder"),
    "modify": ("type", "oid", "order", "a"),
    "batchModify": ("type", "modifies", "a"),
    "cancel": ("type", "cancels", "f"),
    "cancelByCloid": ("type", "cancels", "f"),
    "scheduleCancel": ("type", "time"),
    "updateLeverage": ("type", "asset", "isCross", "leverage"),
    "updateIsolatedMargin": ("type", "asset", "isBuy", "ntli"),
    "topUpIsolatedOnlyMargin": ("type", "asset", "leverage"),
    "reserveRequestWeight": ("type", "weight", "destination"),
    "agentSetAbstraction": ("type", "abstraction"),
    "noop": ("type",),
}
ORDER_KEYS: Final = ("a", "b", "p", "s", "r", "t", "c")
CANCEL_KEYS: Final[dict[str, tuple[str, ...]]] = {"cancel": ("a", "o"), "cancelByCloid": ("asset", "cloid")}


def canonical_action(action: Json) -> Json:
    """
    Return an action in the venue's form; one of a type not listed here is returned as it is.

    Raises
    ------
    SigningError
        If a part of it has another shape than its type.

    """
    kind = action["type"]
    keys = KEYS.get(kind)
    if keys is None:
        return action
    form = _keyed(action, keys)
    try:
        if kind == "order":
            form["orders"] = [_order(order) for order in form["orders"]]
            if "builder" in form:
                form["builder"] = _keyed(form["builder"], ("b", "f"))
        elif kind == "modify":
            form["order"] = _order(form["order"])
        elif kind == "batchModify":
            form["modifies"] = [
                {"oid": modify["oid"], "order": _order(modify["order"])} for modify in form["modifies"]
            ]
        elif kind in CANCEL_KEYS:
            form["cancels"] = [_keyed(cancel, CANCEL_KEYS[kind]) for cancel in form["cancels"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise SigningError(f"the action has not the shape of {kind!r}") from error
    return form


def _order(order: Any) -> Json:
    form = _keyed(order, ORDER_KEYS)
    form["p"], form["s"] = _number(form["p"]), _number(form["s"])
    kind = form["t"]
    if "trigger" in kind:
        trigger = _keyed(kind["trigger"], ("isMarket", "triggerPx", "tpsl"))
        trigger["triggerPx"] = _number(trigger["triggerPx"])
        form["t"] = {"trigger": trigger}
    else:
        form["t"] = {"limit": {"tif": kind["limit"]["tif"]}}
    return form


def _keyed(value: Any, keys: tuple[str, ...]) -> Json:
    if not isinstance(value, dict):
        raise SigningError("an object was wanted in the action")
    return {key: value[key] for key in keys if key in value}


def _number(text: Any) -> str:
    try:
        return number_to_wire(Decimal(text)) if isinstance(text, str) else _not_text()
    except InvalidOperation as error:
        raise SigningError("a price or size is not a number") from error


def _not_text() -> str:
    raise SigningError("a price or size is not a text")
