"""The words of the venue's core: orders, and the events that a block emits."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from typing import Final


Json = dict[str, Any]

ZERO: Final = Decimal(0)
BUY: Final = 1
SELL: Final = -1
OPEN: Final = "open"
# of an order that its block has not decided on yet; nobody sees it
NEW: Final = "new"
NO_HASH: Final = "0x" + "0" * 64
TID_BITS: Final = 50


def number(value: Decimal) -> str:
    """
    Return a number as the venue writes it: no exponent, no trailing zeros, but one decimal at least (``752.0``).

    Source: recorded payloads (``l2Book``, ``userFills``, ``clearinghouseState``).
    """
    text = f"{value:f}"
    if "." not in text:
        text += ".0"
    else:
        text = text.rstrip("0")
        if text[-1] == ".":
            text += "0"
    return "0.0" if text == "-0.0" else text


def letter(side: int) -> str:
    """Return the wire's letter of a side: ``B`` for +1, ``A`` for -1."""
    return "B" if side > 0 else "A"


def trade_id(buyer_oid: int, seller_oid: int) -> int:
    """
    Return the 50-bit id of a trade, a hash of the two order ids.

    Source: the venue's docs, ``trades`` subscription ("tid is a 50-bit hash of (buyer_oid, seller_oid)").
    """
    digest = hashlib.blake2b(f"{buyer_oid}:{seller_oid}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - TID_BITS)


def transaction_hash(*parts: object) -> str:
    """Return the 32-byte hash that stands for a transaction, the same for the same parts."""
    text = ":".join(str(part) for part in parts)
    return "0x" + hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What sets a waiting order off: the mark passing ``price``."""

    price: Decimal
    is_market: bool
    tpsl: str


@dataclass(slots=True)
class Order:
    """
    One order of a user.

    Parameters
    ----------
    oid : int
        The venue's id.
    user : str
        Lower-case address of the owner.
    coin : str
        Market, with its dex prefix.
    side : int
        1 for a buy, -1 for a sell.
    price, size, orig_size : Decimal
        Limit price, contracts left, contracts asked for.
    tif : str
        ``Alo``, ``Ioc`` or ``Gtc``.
    reduce_only : bool
        Whether it may only shrink the position.
    cloid : str or None
        The client's id.
    ts_ms : int
        Time of the block that took it.
    trigger : Trigger or None
        Set while the order waits for the mark.
    status : str
        The venue's status name; ``open`` while it rests.
    status_ms : int
        Since when.

    """

    oid: int
    user: str
    coin: str
    side: int
    price: Decimal
    size: Decimal
    orig_size: Decimal
    tif: str
    reduce_only: bool
    cloid: str | None
    ts_ms: int
    trigger: Trigger | None = None
    status: str = NEW
    status_ms: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it rests or waits for its trigger."""
        return self.status == OPEN

    @property
    def was_refused(self) -> bool:
        """Whether it never entered."""
        return self.status.lower().endswith("rejected")

    def wire(self) -> Json:
        """Return the shape of ``openOrders`` and ``orderUpdates``."""
        row: Json = {
            "coin": self.coin,
            "side": letter(self.side),
            "limitPx": number(self.price),
            "sz": number(self.size),
            "oid": self.oid,
            "timestamp": self.ts_ms,
            "origSz": number(self.orig_size),
        }
        if self.cloid is not None:
            row["cloid"] = self.cloid
        if self.reduce_only:
            row["reduceOnly"] = True
        return row

    def frontend(self) -> Json:
        """Return the shape of ``frontendOpenOrders``, ``orderStatus`` and ``historicalOrders``."""
        return {
            "coin": self.coin,
            "side": letter(self.side),
            "limitPx": number(self.price),
            "sz": number(self.size),
            "oid": self.oid,
            "timestamp": self.ts_ms,
            "triggerCondition": self._trigger_condition(),
            "isTrigger": self.trigger is not None,
            "triggerPx": "0.0" if self.trigger is None else number(self.trigger.price),
            "children": [],
            "isPositionTpsl": False,
            "reduceOnly": self.reduce_only,
            "orderType": self._order_type(),
            "origSz": number(self.orig_size),
            "tif": None if self.trigger is not None else self.tif,
            "cloid": self.cloid,
        }

    def status_row(self) -> Json:
        """Return the shape of one row of ``historicalOrders``, which ``orderStatus`` wraps as well."""
        return {"order": self.frontend(), "status": self.status, "statusTimestamp": self.status_ms}

    def _trigger_condition(self) -> str:
        if self.trigger is None:
            return "N/A"
        return f"Price {'above' if self._fires_above() else 'below'} {number(self.trigger.price)}"

    def _order_type(self) -> str:
        if self.trigger is None:
            return "Limit"
        kind = "Take Profit" if self.trigger.tpsl == "tp" else "Stop"
        return f"{kind} {'Market' if self.trigger.is_market else 'Limit'}"

    def _fires_above(self) -> bool:
        """Whether the mark must rise: a stop of a buy and a take-profit of a sell."""
        return self.trigger is not None and (self.trigger.tpsl == "sl") == (self.side > 0)

    def triggered_by(self, mark: Decimal) -> bool:
        """Return whether the mark sets a waiting order off; False without a trigger."""
        if self.trigger is None:
            return False
        return mark >= self.trigger.price if self._fires_above() else mark <= self.trigger.price


@dataclass(frozen=True, slots=True)
class BookChanged:
    """The book of a coin is not what it was before the block."""

    coin: str


@dataclass(frozen=True, slots=True)
class Traded:
    """
    One match.

    Parameters
    ----------
    coin : str
        Market.
    side : int
        The aggressor's side.
    px, sz : Decimal
        Price and contracts.
    ts_ms : int
        Time of the block.
    hash : str
        The aggressor's transaction.
    tid : int
        Id of the trade.
    buyer, seller : str
        Addresses.

    """

    coin: str
    side: int
    px: Decimal
    sz: Decimal
    ts_ms: int
    hash: str
    tid: int
    buyer: str
    seller: str

    def wire(self) -> Json:
        """Return the row of ``trades`` and ``recentTrades``."""
        return {
            "coin": self.coin,
            "side": letter(self.side),
            "px": number(self.px),
            "sz": number(self.sz),
            "time": self.ts_ms,
            "hash": self.hash,
            "tid": self.tid,
            "users": [self.buyer, self.seller],
        }


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """
    An order of a user changed its status.

    Parameters
    ----------
    user : str
        Owner.
    coin : str
        Market.
    oid : int
        The order.
    update : dict
        The row of ``orderUpdates``, copied when it happened: order, ``status``, ``statusTimestamp``.

    """

    user: str
    coin: str
    oid: int
    update: Json


@dataclass(frozen=True, slots=True)
class Filled:
    """A user's side of a match, as a row of ``userFills``."""

    user: str
    fill: Json


@dataclass(frozen=True, slots=True)
class FundingPaid:
    """What a user got (or paid, negative) for an hour, as a row of ``userFundings``."""

    user: str
    delta: Json


@dataclass(frozen=True, slots=True)
class Liquidated:
    """The venue began to liquidate a user; ``data`` is the ``liquidation`` of ``userEvents``."""

    user: str
    data: Json


@dataclass(frozen=True, slots=True)
class VenueCanceled:
    """The venue, not the user, canceled an order (``nonUserCancel`` of ``userEvents``)."""

    user: str
    coin: str
    oid: int


@dataclass(frozen=True, slots=True)
class LedgerMoved:
    """Collateral of a user moved between dexes or spot; ``dex`` is ``spot`` or a dex's name."""

    user: str
    dex: str


@dataclass(frozen=True, slots=True)
class CtxChanged:
    """Oracle, mark or funding of a coin changed, or it was halted, resumed or delisted."""

    coin: str


@dataclass(frozen=True, slots=True)
class LeverageChanged:
    """A user's leverage or margin of a coin was set."""

    user: str
    coin: str


Event = (
    BookChanged
    | Traded
    | OrderChanged
    | Filled
    | FundingPaid
    | Liquidated
    | VenueCanceled
    | LedgerMoved
    | CtxChanged
    | LeverageChanged
)
