"""
What the venue answers to an action, and what its refusals and order statuses mean.

A reply is read whole or not at all: an answer that cannot be read leaves the outcome of its orders unknown, never refused. Texts and
statuses: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/error-responses and protocol: Exchange, error strings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from typing import Final

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.fields import inner
from hyperliquid_hip3.fields import items
from hyperliquid_hip3.fields import mapping
from hyperliquid_hip3.fields import optional_text
from hyperliquid_hip3.fields import shown
from hyperliquid_hip3.fields import text
from hyperliquid_hip3.fields import unsigned
from hyperliquid_hip3.fields import whole


CHANNEL: Final = "exchange"
WAITING: Final = frozenset(("waitingForFill", "waitingForTrigger"))
ASSET_SUFFIX: Final = re.compile(r" asset=([0-9]{1,12})\.?$", re.ASCII)


class RejectionKind(StrEnum):
    """Why the venue said no, as far as its text tells."""

    POST_ONLY_CROSS = "post_only_cross"
    TICK = "tick"
    MIN_NOTIONAL = "min_notional"
    MARGIN = "margin"
    REDUCE_ONLY = "reduce_only"
    IOC_NO_MATCH = "ioc_no_match"
    OI_CAP = "oi_cap"
    ORACLE = "oracle"
    TRIGGER_PRICE = "trigger_price"
    INVALID_ORDER = "invalid_order"
    TOO_MANY_ORDERS = "too_many_orders"
    NOT_FOUND = "not_found"
    MODIFY_CLOSED = "modify_closed"
    RATE_LIMIT = "rate_limit"
    BATCH = "batch"
    NONCE = "nonce"
    UNKNOWN_AGENT = "unknown_agent"
    NO_DEPOSIT = "no_deposit"
    EXPIRED = "expired"
    POST_ONLY_PHASE = "post_only_phase"
    LEVERAGE = "leverage"
    VOLUME = "volume"
    ACCOUNT_MODE = "account_mode"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Resting:
    """The order rests in the book; a part of it may have filled on entry, which only the fills tell."""

    oid: int
    cloid: str | None


@dataclass(frozen=True, slots=True)
class FilledNow:
    """The order filled on entry: ``size`` of it, at ``average_price``; what an IOC order left is canceled."""

    oid: int
    size: Decimal
    average_price: Decimal
    cloid: str | None


@dataclass(frozen=True, slots=True)
class OrderError:
    """The venue refused this order, cancel or modify, with its text."""

    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A take-profit or stop that is accepted and not in the book yet: ``waitingForFill`` or ``waitingForTrigger``."""

    kind: str


@dataclass(frozen=True, slots=True)
class Success:
    """A cancel was done."""


Outcome = Resting | FilledNow | OrderError | Waiting | Success


@dataclass(frozen=True, slots=True)
class Accepted:
    """
    The action ran: ``outcomes`` has one entry for each of its orders or cancels, none for other actions.

    ``kind`` is the venue's word ("order", "cancel", "default" ...).
    """

    kind: str
    outcomes: tuple[Outcome, ...] = ()

    def spread(self, count: int) -> tuple[Outcome, ...]:
        """
        Return one outcome for each of the action's ``count`` items.

        A failure found before any order is looked at comes as one error for the whole batch; it then stands for each item.

        Raises
        ------
        PayloadError
            If the numbers differ otherwise: nothing tells then which outcome is whose.

        """
        if len(self.outcomes) == count:
            return self.outcomes
        if len(self.outcomes) == 1 and isinstance(self.outcomes[0], OrderError):
            return self.outcomes * count
        raise PayloadError(CHANNEL, f"{len(self.outcomes)} outcomes for {count} items")


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue refused the whole action, with its text; nothing of it ran."""

    text: str


ActionReply = Accepted | Refused


def parse_exchange_reply(data: Any) -> ActionReply:
    """
    Return the answer to an action.

    Raises
    ------
    PayloadError
        If it is not an answer, or an outcome has an unknown form. The action may have run.

    """
    body = mapping(data, CHANNEL)
    status = text(body, "status", CHANNEL)
    if status == "err":
        return Refused(text=text(body, "response", CHANNEL))
    if status != "ok":
        raise PayloadError(CHANNEL, f"`status` was {shown(status)}, not 'ok' or 'err'")
    response = inner(body, "response", CHANNEL)
    kind = text(response, "type", CHANNEL)
    if response.get("data") is None:
        return Accepted(kind=kind)
    payload = inner(response, "data", CHANNEL)
    if "statuses" in payload:
        rows = items(payload, "statuses", CHANNEL)
        return Accepted(kind=kind, outcomes=tuple([_outcome(row) for row in rows]))
    if isinstance(payload.get("status"), Mapping) and "error" in payload["status"]:
        return Accepted(kind=kind, outcomes=(_outcome(payload["status"]),))
    return Accepted(kind=kind)


def rejection_kind(message: str) -> RejectionKind:
    """
    Return why the venue said no, from its text; ``OTHER`` for a text that is not known.

    The suffix " asset=N", letter case, and the figures in the text do not matter.
    """
    low = ASSET_SUFFIX.sub("", message.strip()).lower()
    for part, kind in TEXTS:
        if part in low:
            return kind
    return RejectionKind.OTHER


def rejection_asset(message: str) -> int | None:
    """Return the asset number at the end of the venue's text, None where it names none."""
    found = ASSET_SUFFIX.search(message)
    return None if found is None else int(found[1])


def status_kind(status: str) -> RejectionKind | None:
    """
    Return why an order was refused on entry, from its status; None for a status that is no refusal.

    A status ending in "Rejected" that is not known is a refusal of kind ``OTHER``.
    """
    kind = STATUSES.get(status)
    if kind is None and is_rejected(status):
        return RejectionKind.OTHER
    return kind


def is_rejected(status: str) -> bool:
    """Return whether an order of this status was refused on entry."""
    return status == "rejected" or status.endswith("Rejected")


def is_canceled(status: str) -> bool:
    """Return whether an order of this status was canceled, by its owner or the venue."""
    return status in CANCELED or status.endswith("Canceled")


def is_final(status: str) -> bool:
    """Return whether an order of this status is closed: filled, canceled or refused."""
    return status == "filled" or is_rejected(status) or is_canceled(status)


def canceled_by_venue(status: str) -> bool:
    """Return whether the venue canceled the order on its own (margin, self-trade, delisting, liquidation, schedule ...)."""
    return status != "canceled" and is_canceled(status)


# the first part found in the lower-case text names the kind
TEXTS: Final[tuple[tuple[str, RejectionKind], ...]] = (
    ("only post-only orders allowed", RejectionKind.POST_ONLY_PHASE),
    ("post only order would have immediately matched", RejectionKind.POST_ONLY_CROSS),
    ("must be divisible by tick size", RejectionKind.TICK),
    ("must have minimum value of", RejectionKind.MIN_NOTIONAL),
    ("insufficient margin", RejectionKind.MARGIN),
    ("exceed margin tier limit", RejectionKind.MARGIN),
    ("reduce only order would increase", RejectionKind.REDUCE_ONLY),
    ("could not immediately match", RejectionKind.IOC_NO_MATCH),
    ("no liquidity available", RejectionKind.IOC_NO_MATCH),
    ("open interest", RejectionKind.OI_CAP),
    ("too far from oracle", RejectionKind.ORACLE),
    ("away from the reference price", RejectionKind.ORACLE),
    ("invalid tp/sl price", RejectionKind.TRIGGER_PRICE),
    ("order has invalid", RejectionKind.INVALID_ORDER),
    ("order has zero size", RejectionKind.INVALID_ORDER),
    ("too many open orders", RejectionKind.TOO_MANY_ORDERS),
    ("was never placed", RejectionKind.NOT_FOUND),
    ("cannot modify canceled or filled", RejectionKind.MODIFY_CLOSED),
    ("too many cumulative requests", RejectionKind.RATE_LIMIT),
    ("too many requests", RejectionKind.RATE_LIMIT),
    ("over weight limit", RejectionKind.BATCH),
    ("orders are empty", RejectionKind.BATCH),
    ("nonce", RejectionKind.NONCE),
    ("user or api wallet", RejectionKind.UNKNOWN_AGENT),
    ("unable to recover signer", RejectionKind.UNKNOWN_AGENT),
    # the key is no agent of whoever leads the vault traded for
    ("vault not registered", RejectionKind.UNKNOWN_AGENT),
    ("vault may not perform", RejectionKind.UNKNOWN_AGENT),
    ("must deposit before", RejectionKind.NO_DEPOSIT),
    ("already expired", RejectionKind.EXPIRED),
    ("cross margin is not allowed", RejectionKind.LEVERAGE),
    ("cannot switch leverage type", RejectionKind.LEVERAGE),
    ("invalid leverage", RejectionKind.LEVERAGE),
    ("until enough volume traded", RejectionKind.VOLUME),
    ("unified account is active", RejectionKind.ACCOUNT_MODE),
    ("abstraction transition", RejectionKind.ACCOUNT_MODE),
)

STATUSES: Final[dict[str, RejectionKind]] = {
    "tickRejected": RejectionKind.TICK,
    "minTradeNtlRejected": RejectionKind.MIN_NOTIONAL,
    "perpMarginRejected": RejectionKind.MARGIN,
    "perpMaxPositionRejected": RejectionKind.MARGIN,
    "insufficientSpotBalanceRejected": RejectionKind.MARGIN,
    "reduceOnlyRejected": RejectionKind.REDUCE_ONLY,
    "badAloPxRejected": RejectionKind.POST_ONLY_CROSS,
    "iocCancelRejected": RejectionKind.IOC_NO_MATCH,
    "marketOrderNoLiquidityRejected": RejectionKind.IOC_NO_MATCH,
    "badTriggerPxRejected": RejectionKind.TRIGGER_PRICE,
    "positionIncreaseAtOpenInterestCapRejected": RejectionKind.OI_CAP,
    "positionFlipAtOpenInterestCapRejected": RejectionKind.OI_CAP,
    "tooAggressiveAtOpenInterestCapRejected": RejectionKind.OI_CAP,
    "openInterestIncreaseRejected": RejectionKind.OI_CAP,
    "oracleRejected": RejectionKind.ORACLE,
    "tooManyOpenOrdersRejected": RejectionKind.TOO_MANY_ORDERS,
    "rejected": RejectionKind.OTHER,
}

# beside those that end in "Canceled"
CANCELED: Final = frozenset(("canceled", "scheduledCancel", "internalCancel"))


def _outcome(row: Any) -> Outcome:
    if isinstance(row, str):
        if row == "success":
            return Success()
        if row in WAITING:
            return Waiting(kind=row)
        raise PayloadError(CHANNEL, f"an outcome was {shown(row)}")
    body = mapping(row, CHANNEL)
    if "resting" in body:
        resting = inner(body, "resting", CHANNEL)
        return Resting(oid=whole(resting, "oid", CHANNEL), cloid=_cloid(resting))
    if "filled" in body:
        filled = inner(body, "filled", CHANNEL)
        return FilledNow(
            oid=whole(filled, "oid", CHANNEL),
            size=unsigned(filled, "totalSz", CHANNEL),
            average_price=unsigned(filled, "avgPx", CHANNEL),
            cloid=_cloid(filled),
        )
    if "error" in body:
        return OrderError(text=text(body, "error", CHANNEL))
    raise PayloadError(CHANNEL, "an outcome is neither `resting`, `filled` nor `error`")


def _cloid(body: Mapping[str, Any]) -> str | None:
    return optional_text(body, "cloid", CHANNEL) or None
