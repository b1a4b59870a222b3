"""What a client may subscribe to, and how the venue repeats it: with the defaults filled in."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Final

from hyperliquid_hip3.constants import CANDLE_INTERVALS
from hyperliquid_loopback.types import Json


ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
FIGURES: Final = (2, 3, 4, 5)
FINEST_FIGURES: Final = 5
MANTISSAS: Final = (2, 5)
# fields by type, in the order in which the venue repeats them (recorded acknowledgements); a question mark: may be left out
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "l2Book": ("coin", "nSigFigs?", "mantissa?", "fast?"),
    "bbo": ("coin",),
    "trades": ("coin",),
    "candle": ("interval", "coin"),
    "activeAssetCtx": ("coin",),
    "activeAssetData": ("user", "coin"),
    "allMids": ("dex?",),
    "allDexsAssetCtxs": (),
    "fastAssetCtxs": (),
    "orderUpdates": ("user",),
    "userEvents": ("user",),
    "userFills": ("user", "aggregateByTime?"),
    "userFundings": ("user",),
    "userNonFundingLedgerUpdates": ("user",),
    "clearinghouseState": ("user", "dex?"),
    "allDexsClearinghouseState": ("user",),
    "openOrders": ("user", "dex?"),
    "spotState": ("user",),
    "webData3": ("user",),
    "notification": ("user",),
}


class BadRequestError(Exception):
    """The frame is not a request: the venue repeats it in an error and keeps the socket."""


class InvalidSubscriptionError(Exception):
    """The subscription has the right shape, but names something that is not there."""


class FatalSubscriptionError(Exception):
    """The venue closes the socket without a word: an unknown coin, or a wrong rounding."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """
    One stream that a client asked for; equal ones are the same stream.

    Parameters
    ----------
    kind : str
        The subscription's ``type``.
    coin, user, dex, interval : str
        What it is of; empty where the type has no such field. ``user`` is in lower case.
    n_sig_figs, mantissa : int or None
        Rounding of ``l2Book``.
    fast : bool
        The five-level ``l2Book``.
    aggregate : bool
        ``aggregateByTime`` of ``userFills``.

    """

    kind: str
    coin: str = ""
    user: str = ""
    dex: str = ""
    interval: str = ""
    n_sig_figs: int | None = None
    mantissa: int | None = None
    fast: bool = False
    aggregate: bool = False

    def wire(self) -> Json:
        """Return the subscription as the venue repeats it (protocol: WebSocket, acknowledgements)."""
        values = {
            "coin": self.coin,
            "user": self.user,
            "interval": self.interval,
            "nSigFigs": self.n_sig_figs,
            "mantissa": self.mantissa,
            "fast": self.fast,
            "aggregateByTime": self.aggregate,
        }
        body: Json = {"type": self.kind}
        for name in FIELDS[self.kind]:
            if name == "dex?":
                if self.dex:
                    body["dex"] = self.dex
            else:
                body[name.removesuffix("?")] = values[name.removesuffix("?")]
        return body


def parse_subscription(
    body: Any, *, has_coin: Callable[[str], bool], has_dex: Callable[[str], bool]
) -> Subscription:
    """
    Return the subscription of a client's frame.

    Parameters
    ----------
    body : object
        The ``subscription`` of the frame.
    has_coin, has_dex : callable
        Whether the venue lists a name.

    Raises
    ------
    BadRequestError
        If the type is unknown, or a field is missing or has the wrong type.
    InvalidSubscriptionError
        If the candle interval or the dex does not exist.
    FatalSubscriptionError
        If the coin does not exist (names are case sensitive and carry the dex) or the rounding is not the venue's
        (protocol: WebSocket, "bare close 1006").

    """
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        raise BadRequestError
    allowed = {name.removesuffix("?") for name in FIELDS[kind]}
    found: Json = {}
    for name in FIELDS[kind]:
        key = name.removesuffix("?")
        value = body.get(key)
        if value is None and name.endswith("?"):
            continue
        found[key] = _checked(key, value)
    made = Subscription(
        kind,
        coin=found.get("coin", ""),
        user=found.get("user", "").lower(),
        dex=found.get("dex", ""),
        interval=found.get("interval", ""),
        n_sig_figs=found.get("nSigFigs"),
        mantissa=found.get("mantissa"),
        fast=found.get("fast", False),
        aggregate=found.get("aggregateByTime", False),
    )
    if "coin" in allowed and not has_coin(made.coin):
        raise FatalSubscriptionError
    if not valid_rounding(made.n_sig_figs, made.mantissa):
        raise FatalSubscriptionError
    if (kind == "candle" and made.interval not in CANDLE_INTERVALS) or not has_dex(made.dex):
        raise InvalidSubscriptionError
    return made


def valid_rounding(n_sig_figs: int | None, mantissa: int | None) -> bool:
    """Return whether the venue rounds a book so: 2 to 5 figures, a mantissa of 2 or 5 only with 5 (protocol: l2Book)."""
    if n_sig_figs is not None and n_sig_figs not in FIGURES:
        return False
    return mantissa is None or (n_sig_figs == FINEST_FIGURES and mantissa in MANTISSAS)


def _checked(key: str, value: Any) -> Any:
    if key in {"fast", "aggregateByTime"}:
        right = isinstance(value, bool)
    elif key in {"nSigFigs", "mantissa"}:
        right = type(value) is int
    elif key == "user":
        right = isinstance(value, str) and ADDRESS.fullmatch(value) is not None
    else:
        right = isinstance(value, str)
    if not right:
        raise BadRequestError
    return value
