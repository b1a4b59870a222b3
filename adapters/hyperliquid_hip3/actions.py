"""
The venue's actions as it hashes them: key order, number texts, optional keys left out.

An action is signed over its MessagePack bytes, so a key in another place or a trailing zero makes another action: the venue then recovers
a stranger's address from the signature. Each function returns the mapping in the venue's order; a number that the wire cannot carry
exactly raises :class:`~hyperliquid_hip3.errors.SigningError` instead of being rounded. See
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint.
"""

import re
from collections.abc import Sequence
from decimal import Context
from decimal import Decimal
from decimal import Inexact
from decimal import InvalidOperation
from functools import lru_cache
from typing import Any
from typing import Final
from typing import Literal
from typing import NamedTuple

from hyperliquid_hip3.constants import LEDGER_DECIMALS
from hyperliquid_hip3.errors import SigningError


type Action = dict[str, Any]
type TimeInForce = Literal["Alo", "Ioc", "Gtc"]
type AccountMode = Literal["disabled", "unifiedAccount", "portfolioMargin"]

# an own context: the caller's precision must not round what is sent
EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
WIRE_DECIMALS: Final = 8
NUMBERS_KEPT: Final = 4_096
MAX_UINT64: Final = 2**64 - 1
# rate / 1e8 of the notional, 8 basis points at most, protocol: matching and ordering
MAX_PRIORITY: Final = 80_000
TIMES_IN_FORCE: Final = frozenset(("Alo", "Ioc", "Gtc"))
TRIGGER_KINDS: Final = frozenset(("tp", "sl"))
# the agent's form of the action sends one letter, protocol: exchange
MODE_LETTERS: Final[dict[str, str]] = {"disabled": "i", "unifiedAccount": "u", "portfolioMargin": "p"}

CLOID: Final = re.compile(r"0x[0-9a-f]{32}", re.ASCII)
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


class Trigger(NamedTuple):
    """When a stop (``sl``) or take-profit (``tp``) order wakes, and whether it then goes as a market order."""

    price: Decimal
    is_market: bool
    kind: Literal["tp", "sl"]


class OrderSpec(NamedTuple):
    """
    One order to be placed.

    Parameters
    ----------
    asset : int
        The venue's number of the coin, for example 150000.
    is_buy : bool
        The side.
    price, size : Decimal
        The limit price and the size in coins, both positive.
    tif : str, default 'Alo'
        ``Alo`` (post-only), ``Ioc`` or ``Gtc``; not sent with a trigger.
    reduce_only : bool, default False
        Whether the order may only shrink the position.
    cloid : str, optional
        Our own id: ``0x`` and 32 lower-case hex digits.
    trigger : Trigger, optional
        Makes it a stop or take-profit order.

    """

    asset: int
    is_buy: bool
    price: Decimal
    size: Decimal
    tif: TimeInForce = "Alo"
    reduce_only: bool = False
    cloid: str | None = None
    trigger: Trigger | None = None


def number_to_wire(value: Decimal) -> str:
    """
    Return the number as the venue writes it: no exponent, no trailing zeros, at most 8 decimals, zero as ``0``.

    Raises
    ------
    SigningError
        If it is not a finite ``Decimal`` or has more than 8 decimals: nothing is rounded.

    """
    if type(value) is not Decimal:
        raise SigningError(f"a number was {type(value).__name__}, must be Decimal")
    if not value.is_finite():
        raise SigningError(f"a number was {value}, must be finite")
    return _exact_text(value)


# the same few hundred prices and sizes come again and again; equal numbers have the same text
@lru_cache(maxsize=NUMBERS_KEPT)
def _exact_text(value: Decimal) -> str:
    if not value:
        return "0"
    plain = _normalized(value)
    if plain is None or _exponent(plain) < -WIRE_DECIMALS:
        raise SigningError(f"a number was {value}, must have at most {WIRE_DECIMALS} decimals")
    return f"{plain:f}"


def lower_address(address: str) -> str:
    """
    Return the address in lower case, as the venue hashes it.

    Raises
    ------
    SigningError
        If it is not ``0x`` and 40 hex digits.

    """
    if not isinstance(address, str) or ADDRESS.fullmatch(address) is None:
        # the text is not repeated: a key given in the place of an address must not reach a log
        raise SigningError("an address must be 0x and 40 hex digits")
    return address.lower()


def order_wire(order: OrderSpec) -> Action:
    """
    Return one order as it stands in ``order`` and ``batchModify``: keys a, b, p, s, r, t and, where given, c.

    Raises
    ------
    SigningError
        If a number is not positive or cannot be sent exactly, or the id or time in force is not the venue's.

    """
    trigger = order.trigger
    kind: Action
    if trigger is None:
        if order.tif not in TIMES_IN_FORCE:
            raise SigningError(f"`tif` was {order.tif!r}, must be Alo, Ioc or Gtc")
        kind = {"limit": {"tif": order.tif}}
    else:
        if trigger.kind not in TRIGGER_KINDS:
            raise SigningError(f"`kind` was {trigger.kind!r}, must be tp or sl")
        kind = {
            "trigger": {
                "isMarket": _flag("is_market", trigger.is_market),
                "triggerPx": _positive("trigger price", trigger.price),
                "tpsl": trigger.kind,
            },
        }
    wire = {
        "a": _whole("asset", order.asset),
        "b": _flag("is_buy", order.is_buy),
        "p": _positive("price", order.price),
        "s": _positive("size", order.size),
        "r": _flag("reduce_only", order.reduce_only),
        "t": kind,
    }
    if order.cloid is not None:
        wire["c"] = _cloid(order.cloid)
    return wire


def modify_wire(oid: int | str, order: OrderSpec) -> Action:
    """Return one modify as it stands in ``batchModify``: the order's number or own id, and what replaces it."""
    return {"oid": _oid(oid), "order": order_wire(order)}


def cancel_wire(asset: int, oid: int) -> Action:
    """Return one cancel as it stands in ``cancel``."""
    return {"a": _whole("asset", asset), "o": _whole("order number", oid)}


def cancel_by_cloid_wire(asset: int, cloid: str) -> Action:
    """Return one cancel as it stands in ``cancelByCloid``."""
    return {"asset": _whole("asset", asset), "cloid": _cloid(cloid)}


def order_action(orders: Sequence[OrderSpec], *, priority: int | None = None) -> Action:
    """
    Return the ``order`` action of one or more orders.

    Parameters
    ----------
    orders : Sequence[OrderSpec]
        At least one.
    priority : int, optional
        The fee rate bid for priority, in 1e-8 of the notional (all-IOC or all-ALO batches only).

    Raises
    ------
    SigningError
        If there is no order, or one cannot be sent as it is.

    """
    grouping: Any = "na"
    if priority is not None:
        if _whole("priority", priority) > MAX_PRIORITY:
            raise SigningError(f"`priority` was {priority}, must be at most {MAX_PRIORITY}")
        grouping = {"p": priority}
    return {"type": "order", "orders": [order_wire(order) for order in _some(orders)], "grouping": grouping}


def modify_action(oid: int | str, order: OrderSpec, *, always_place: bool = False) -> Action:
    """Return the ``modify`` action of one order, by its number or its own id; see :func:`batch_modify_action`."""
    action = {"type": "modify", "oid": _oid(oid), "order": order_wire(order)}
    return _with_flag(action, "a", always_place)


def batch_modify_action(
    modifies: Sequence[tuple[int | str, OrderSpec]], *, always_place: bool = False
) -> Action:
    """
    Return the ``batchModify`` action: each order, by its number or its own id, is replaced by a new one with a new number.

    Parameters
    ----------
    modifies : Sequence[tuple[int | str, OrderSpec]]
        The order to be replaced and what replaces it.
    always_place : bool, default False
        Whether the new order is placed though the old one cannot be canceled; without it the venue takes only resting orders.

    Raises
    ------
    SigningError
        If there is nothing to modify, or an order cannot be sent as it is.

    """
    wires = [modify_wire(oid, order) for oid, order in _some(modifies)]
    return _with_flag({"type": "batchModify", "modifies": wires}, "a", always_place)


def cancel_action(cancels: Sequence[tuple[int, int]], *, fast: bool = False) -> Action:
    """Return the ``cancel`` action of pairs (asset, order number); ``fast`` is refused by the venue for trigger orders."""
    wires = [cancel_wire(asset, oid) for asset, oid in _some(cancels)]
    return _with_flag({"type": "cancel", "cancels": wires}, "f", fast)


def cancel_by_cloid_action(cancels: Sequence[tuple[int, str]], *, fast: bool = False) -> Action:
    """Return the ``cancelByCloid`` action of pairs (asset, own id); its keys are spelled out where ``cancel`` has letters."""
    wires = [cancel_by_cloid_wire(asset, cloid) for asset, cloid in _some(cancels)]
    return _with_flag({"type": "cancelByCloid", "cancels": wires}, "f", fast)


def schedule_cancel_action(time_ms: int | None) -> Action:
    """Return the ``scheduleCancel`` action: all orders of the user go at this time (ms UTC, 5 s ahead or more); None clears it."""
    action: Action = {"type": "scheduleCancel"}
    if time_ms is not None:
        action["time"] = _whole("time_ms", time_ms)
    return action


def update_leverage_action(asset: int, leverage: int, *, is_cross: bool) -> Action:
    """Return the ``updateLeverage`` action; leverage is a whole number of at least 1."""
    if _whole("leverage", leverage) < 1:
        raise SigningError(f"`leverage` was {leverage}, must be at least 1")
    return {
        "type": "updateLeverage",
        "asset": _whole("asset", asset),
        "isCross": _flag("is_cross", is_cross),
        "leverage": leverage,
    }


def update_isolated_margin_action(asset: int, amount: Decimal) -> Action:
    """
    Return the ``updateIsolatedMargin`` action, which moves collateral into the coin's position.

    Parameters
    ----------
    asset : int
        The venue's number of the coin.
    amount : Decimal
        Collateral units, at most 6 decimals; negative takes it out.

    Raises
    ------
    SigningError
        If the amount is zero or has more than 6 decimals.

    """
    number_to_wire(amount)
    millionths = amount.scaleb(LEDGER_DECIMALS, EXACT)
    if not amount or millionths != int(millionths):
        raise SigningError(
            f"`amount` was {amount}, must not be zero and have at most {LEDGER_DECIMALS} decimals"
        )
    # the venue has one meaning of isBuy here, and the official client always sends true
    return {
        "type": "updateIsolatedMargin",
        "asset": _whole("asset", asset),
        "isBuy": True,
        "ntli": int(millionths),
    }


def reserve_request_weight_action(weight: int) -> Action:
    """Return the ``reserveRequestWeight`` action, which buys this many requests from the perp balance."""
    if _whole("weight", weight) < 1:
        raise SigningError(f"`weight` was {weight}, must be at least 1")
    return {"type": "reserveRequestWeight", "weight": weight}


def noop_action() -> Action:
    """Return the ``noop`` action; sent with the nonce of an action in flight it takes that action's place."""
    return {"type": "noop"}


def agent_set_abstraction_action(mode: AccountMode) -> Action:
    """Return the ``agentSetAbstraction`` action, by which an agent sets the account mode."""
    return {"type": "agentSetAbstraction", "abstraction": MODE_LETTERS[_mode(mode)]}


def user_set_abstraction_action(user: str, mode: AccountMode, nonce: int) -> Action:
    """Return the ``userSetAbstraction`` action, which the account itself must sign."""
    return {
        "type": "userSetAbstraction",
        "user": lower_address(user),
        "abstraction": _mode(mode),
        "nonce": _whole("nonce", nonce),
    }


def send_asset_action(
    *,
    destination: str,
    source_dex: str,
    destination_dex: str,
    token: str,
    amount: Decimal,
    nonce: int,
    from_sub_account: str = "",
) -> Action:
    """
    Return the ``sendAsset`` action, which the account itself must sign.

    Parameters
    ----------
    destination : str
        The receiving address; one's own to move between dexes.
    source_dex, destination_dex : str
        A dex, ``spot``, or nothing for the validator dex; only its collateral token may enter or leave a dex.
    token : str
        Name and id, for example ``USDH:0x54e0...``.
    amount : Decimal
        Units of the token, positive.
    nonce : int
        Time in ms UTC.
    from_sub_account : str, default ''
        The sub-account that pays, or nothing.

    Raises
    ------
    SigningError
        If an address is malformed or the amount is not positive or not exact.

    """
    return {
        "type": "sendAsset",
        "destination": lower_address(destination),
        "sourceDex": source_dex,
        "destinationDex": destination_dex,
        "token": token,
        "amount": _positive("amount", amount),
        "fromSubAccount": lower_address(from_sub_account) if from_sub_account else "",
        "nonce": _whole("nonce", nonce),
    }


def usd_class_transfer_action(amount: Decimal, *, to_perp: bool, nonce: int, sub_account: str = "") -> Action:
    """Return the ``usdClassTransfer`` action (spot and perp of the validator dex), which the account itself must sign."""
    text = _positive("amount", amount)
    return {
        "type": "usdClassTransfer",
        "amount": f"{text} subaccount:{lower_address(sub_account)}" if sub_account else text,
        "toPerp": _flag("to_perp", to_perp),
        "nonce": _whole("nonce", nonce),
    }


def approve_agent_action(
    agent_address: str, *, nonce: int, name: str = "", valid_until_ms: int | None = None
) -> Action:
    """
    Return the ``approveAgent`` action, which the account itself must sign.

    Parameters
    ----------
    agent_address : str
        The wallet that may then trade, and only trade, for the account.
    nonce : int
        Time in ms UTC.
    name : str, default ''
        The name of the agent; an account has one without a name.
    valid_until_ms : int, optional
        When it ends, in ms UTC, 180 days ahead at most; the venue reads it from the name, so a name is needed.

    Raises
    ------
    SigningError
        If the address is malformed, or an end is given without a name.

    """
    if valid_until_ms is not None:
        if not name:
            raise SigningError("an agent with an end of validity must have a name")
        name = f"{name} valid_until {_whole('valid_until_ms', valid_until_ms)}"
    return {
        "type": "approveAgent",
        "agentAddress": lower_address(agent_address),
        "agentName": name,
        "nonce": _whole("nonce", nonce),
    }


def _normalized(value: Decimal) -> Decimal | None:
    try:
        return value.normalize(EXACT)
    except Inexact:
        return None


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else -WIRE_DECIMALS - 1


def _positive(name: str, value: Decimal) -> str:
    text = number_to_wire(value)
    if value <= 0:
        raise SigningError(f"`{name}` was {value}, must be positive")
    return text


def _whole(name: str, value: int) -> int:
    # a bool is an int to Python and a truth value to MessagePack
    if type(value) is not int or not 0 <= value <= MAX_UINT64:
        raise SigningError(f"`{name}` was {value!r}, must be a whole number from 0 to 2**64 - 1")
    return value


def _flag(name: str, value: bool) -> bool:
    if type(value) is not bool:
        raise SigningError(f"`{name}` was {value!r}, must be True or False")
    return value


def _cloid(cloid: str) -> str:
    if not isinstance(cloid, str) or CLOID.fullmatch(cloid) is None:
        # upper case would be hashed in lower case by the venue, and no longer match
        raise SigningError("an own order id must be 0x and 32 lower-case hex digits")
    return cloid


def _oid(oid: int | str) -> int | str:
    return _cloid(oid) if isinstance(oid, str) else _whole("order number", oid)


def _mode(mode: AccountMode) -> str:
    if mode not in MODE_LETTERS:
        raise SigningError(f"`mode` was {mode!r}, must be disabled, unifiedAccount or portfolioMargin")
    return mode


def _some[Item](items: Sequence[Item]) -> Sequence[Item]:
    if not items:
        raise SigningError("an action must hold at least one order, modify or cancel")
    return items


def _with_flag(action: Action, key: str, value: bool) -> Action:
    # the venue wants the key left out when it is false
    if _flag(key, value):
        action[key] = True
    return action
