"""What the execution side has to say beside order events: published on one topic for whoever guards the account."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


NOTICE_TOPIC: Final = "hyperliquid.notice"
# each action that counts against the address and belongs to no command of the strategy, by its type
ACTION_TOPIC: Final = "hyperliquid.action"


class NoticeKind(StrEnum):
    """
    What happened.

    ``SECOND_TRADER``: an order or fill of the account that is not ours. ``AGENT_REFUSED``: the venue does not know our key (any more).
    ``RATE_LIMITED`` and ``CLOCK_OFF``: nothing but cancels is sent. ``UNKNOWN_OUTCOME``: something was sent without an answer.
    ``POSITION_DIFFERS``: the venue's position is not the one booked, after all fills were read. ``ADDRESS_LIMIT``: what the address has
    used could not be read.
    """

    SECOND_TRADER = "second_trader"
    AGENT_REFUSED = "agent_refused"
    AGENT_EXPIRES = "agent_expires"
    RATE_LIMITED = "rate_limited"
    POST_ONLY_PHASE = "post_only_phase"
    CLOCK_OFF = "clock_off"
    ACCOUNT_MODE = "account_mode"
    LIQUIDATION = "liquidation"
    VENUE_CANCEL = "venue_cancel"
    UNKNOWN_OUTCOME = "unknown_outcome"
    POSITION_DIFFERS = "position_differs"
    DEADMAN = "deadman"
    LEVERAGE = "leverage"
    INSTRUMENT = "instrument"
    STREAM_DOWN = "stream_down"
    STREAM_UP = "stream_up"
    RECONCILED = "reconciled"
    STORAGE = "storage"
    COLLATERAL = "collateral"
    ADDRESS_LIMIT = "address_limit"


class Purchase(StrEnum):
    """What became of request weight that was to be bought; ``UNKNOWN`` where the venue did not answer."""

    BOUGHT = "bought"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to know; ``coin`` is empty where it concerns the account, ``is_alarm`` asks for a person or a pause."""

    kind: NoticeKind
    text: str
    ts_ns: int
    coin: str = ""
    is_alarm: bool = False
