"""
What a socket is subscribed to, what is still to be sent, and which subscription a connection died of.

A bad coin name makes the venue close the socket without a word (protocol: WebSocket), and so does a network that fails at that moment.
So a subscription is dropped only when the connection was lost twice while it was the only one without an acknowledgement, the second
time on a connection that had just answered a ping; one that was ever acknowledged is never dropped.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import NamedTuple

import msgspec

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.frames import is_ack
from hyperliquid_hip3.frames import is_error
from hyperliquid_hip3.frames import is_pong
from hyperliquid_hip3.frames import parse_ack
from hyperliquid_hip3.frames import parse_channel_error
from hyperliquid_hip3.frames import parse_frame


MAX_SUBSCRIPTIONS: Final = 1_000
STRIKES: Final = 2
# acknowledgements, pongs and errors are short, and name their channel first
MAX_ANSWER_BYTES: Final = 2_000
ANSWER_MARKS: Final = (b"subscriptionResponse", b"pong", b"error")
PING_MESSAGE: Final = {"method": "ping"}


class Answer(NamedTuple):
    """What the venue says about a subscription: ``pong``, ``subscribed`` or ``invalid``; which one is None where it cannot be read."""

    kind: str
    subscription: dict[str, Any] | None = None


@dataclass(slots=True, eq=False)
class Subscription:
    """A remembered subscription and how it fared."""

    wire: dict[str, Any]
    was_acknowledged: bool = False
    is_acknowledged: bool = False
    sent_s: float | None = None
    strikes: int = 0


class Subscriptions:
    """The remembered subscriptions of one socket; times are seconds of the caller's monotonic clock."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Subscription] = {}
        self._farewells: deque[dict[str, Any]] = deque()
        self._is_careful = False
        self._has_pinged = False
        self._has_pong = False

    def __iter__(self) -> Iterator[Subscription]:
        return iter(tuple(self._entries.values()))

    @property
    def is_settled(self) -> bool:
        """Whether everything remembered is acknowledged on this connection."""
        return not self._farewells and all(entry.is_acknowledged for entry in self._entries.values())

    def add(self, wire: dict[str, Any]) -> bool:
        """
        Remember a subscription; False if it is remembered already.

        Raises
        ------
        ValueError
            If it has no ``type``, or there are too many.

        """
        if "type" not in wire:
            raise ValueError(f"a subscription has a `type`, this one was {wire!r}")
        key = _key(wire)
        if key in self._entries:
            return False
        if len(self._entries) >= MAX_SUBSCRIPTIONS:
            raise ValueError(f"the venue allows {MAX_SUBSCRIPTIONS} subscriptions")
        self._entries[key] = Subscription(dict(wire))
        return True

    def remove(self, wire: dict[str, Any]) -> bool:
        """Forget a subscription; False if there is none. If this connection has it, the venue will be told."""
        entry = self._entries.pop(_key(wire), None)
        if entry is not None and entry.sent_s is not None:
            self._farewells.append(entry.wire)
        return entry is not None

    def start_over(self) -> None:
        """Begin a new connection: nothing is subscribed on it."""
        self._farewells.clear()
        self._has_pinged = self._has_pong = False
        for entry in self._entries.values():
            entry.sent_s = None
            entry.is_acknowledged = False

    def next_message(self, now_s: float, ack_timeout_s: float) -> dict[str, Any] | None:
        """Return the next message to send, marked as sent; None when there is nothing to send now."""
        if self._farewells:
            return {"method": "unsubscribe", "subscription": self._farewells.popleft()}
        entry = self._next_entry(now_s, ack_timeout_s)
        if entry is None:
            return None
        if self._is_careful and not entry.was_acknowledged and not self._has_pong:
            if self._has_pinged:
                return None
            self._has_pinged = True
            return dict(PING_MESSAGE)
        entry.sent_s = now_s
        return {"method": "subscribe", "subscription": entry.wire}

    def take(self, answer: Answer) -> Subscription | None:
        """Take in an answer; return the subscription that the venue refused with it, which is dropped."""
        if answer.kind == "pong":
            self._has_pong = True
            return None
        entry = self._find(answer.subscription)
        if entry is None:
            return None
        if answer.kind == "invalid":
            self._entries.pop(_key(entry.wire), None)
            return entry
        entry.is_acknowledged = entry.was_acknowledged = True
        entry.strikes = 0
        if self.is_settled:
            self._is_careful = False
        return None

    def blame(self, now_s: float, ack_timeout_s: float) -> Subscription | None:
        """
        Look for the subscription that a connection just closed by the venue may have died of.

        Return it when it is the second time, in which case it is dropped. After the first time, the next connection takes the
        subscriptions that were never acknowledged one at a time, after a pong and everything else.
        """
        doubtful = [
            entry
            for entry in self._entries.values()
            if entry.sent_s is not None
            and not entry.was_acknowledged
            and now_s - entry.sent_s <= ack_timeout_s
        ]
        if not doubtful:
            return None
        self._is_careful = True
        if len(doubtful) > 1:
            return None
        entry = doubtful[0]
        entry.strikes += 1
        if entry.strikes < STRIKES:
            return None
        self._entries.pop(_key(entry.wire), None)
        return entry

    def unacknowledged(self, now_s: float, ack_timeout_s: float) -> tuple[dict[str, Any], ...]:
        """Return what was sent on this connection and not acknowledged in time."""
        return tuple(
            entry.wire
            for entry in self._entries.values()
            if entry.sent_s is not None and not entry.is_acknowledged and now_s - entry.sent_s > ack_timeout_s
        )

    def _next_entry(self, now_s: float, ack_timeout_s: float) -> Subscription | None:
        unsent = [entry for entry in self._entries.values() if entry.sent_s is None]
        proven = next((entry for entry in unsent if entry.was_acknowledged), None)
        if proven is not None or not unsent or not self._is_careful:
            return proven or (unsent[0] if unsent else None)
        is_waiting = any(
            not entry.is_acknowledged and entry.sent_s is not None and now_s - entry.sent_s <= ack_timeout_s
            for entry in self._entries.values()
        )
        return None if is_waiting else min(unsent, key=lambda entry: entry.strikes)

    def _find(self, wire: dict[str, Any] | None) -> Subscription | None:
        sent = [entry for entry in self._entries.values() if entry.sent_s is not None]
        if wire is None:
            waiting = [entry for entry in sent if not entry.is_acknowledged]
            return waiting[0] if len(waiting) == 1 else None
        # the answer to a fast book also fits the default book of the coin: the one that says more is meant
        fitting = [entry for entry in sent if _covers(wire, entry.wire)]
        return max(fitting, key=lambda entry: len(entry.wire), default=None)


def read_answer(raw: bytes) -> Answer | None:
    """Return what a frame says about the connection's subscriptions; None for all other frames, readable or not."""
    if len(raw) > MAX_ANSWER_BYTES or not any(mark in raw for mark in ANSWER_MARKS):
        return None
    try:
        frame = parse_frame(raw)
        if is_pong(frame):
            return Answer("pong")
        if is_ack(frame):
            taken = parse_ack(frame.data)
            return Answer("subscribed", taken.subscription) if taken.method == "subscribe" else None
        if is_error(frame):
            objection = parse_channel_error(frame.data)
            if objection.kind == "invalid_subscription":
                return Answer("invalid", objection.subscription)
            if objection.kind == "already_subscribed" and objection.subscription is not None:
                return Answer("subscribed", objection.subscription)
    except PayloadError:
        # whoever the frame is for will say so
        return None
    return None


def _covers(answered: dict[str, Any], asked: dict[str, Any]) -> bool:
    # the answer has the defaults filled in, and addresses in lower case
    return all(
        name in answered and _folded(name, answered[name]) == _folded(name, asked[name]) for name in asked
    )


def _folded(name: str, value: Any) -> Any:
    return value.lower() if name == "user" and isinstance(value, str) else value


def _key(wire: dict[str, Any]) -> bytes:
    return msgspec.json.encode({name: _folded(name, wire[name]) for name in sorted(wire)})
