"""
The venue's dead-man's switch: all orders of the user are canceled at a set time, unless it is set anew before.

It needs 1,000,000 of traded volume, cancels the orders of every dex, and may fire ten times a day (protocol: exchange,
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint). Where the account does not qualify, whoever
supervises the process has to cancel.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final


MIN_VOLUME: Final = Decimal(1_000_000)
# the venue takes a time at least this far ahead
MIN_AHEAD_MS: Final = 5_000
MS: Final = 1_000
NS_PER_S: Final = 1_000_000_000


class DeadmanState(StrEnum):
    """Whether the switch is there: ``UNQUALIFIED`` means that the supervisor must cancel."""

    OFF = "off"
    UNKNOWN = "unknown"
    UNQUALIFIED = "unqualified"
    ARMED = "armed"
    LATE = "late"


@dataclass(slots=True)
class Deadman:
    """
    When to set the switch, and to which time.

    Parameters
    ----------
    ahead_s : int
        How far ahead the switch is set, in seconds; it is set anew after half of that. 0 for never.

    """

    ahead_s: int
    _state: DeadmanState = DeadmanState.UNKNOWN
    _fires_at_ms: int = 0
    _next_ns: int = 0

    def __post_init__(self) -> None:
        if self.ahead_s == 0:
            self._state = DeadmanState.OFF
        elif self.ahead_s * MS < 2 * MIN_AHEAD_MS:
            raise ValueError(f"`ahead_s` was {self.ahead_s}, must be 0 or at least {2 * MIN_AHEAD_MS // MS}")

    @property
    def state(self) -> DeadmanState:
        """What is known of the switch."""
        return self._state

    @property
    def period_s(self) -> float:
        """The time between two settings."""
        return self.ahead_s / 2

    def qualify(self, volume: Decimal) -> bool:
        """Take the account's traded volume and return whether the switch may be used."""
        if self._state is DeadmanState.OFF:
            return False
        if volume < MIN_VOLUME:
            self._state = DeadmanState.UNQUALIFIED
            return False
        if self._state is DeadmanState.UNQUALIFIED:
            self._state = DeadmanState.UNKNOWN
        return True

    def is_due(self, monotonic_ns: int) -> bool:
        """Return whether it is time to set the switch anew."""
        return (
            self._state not in (DeadmanState.OFF, DeadmanState.UNQUALIFIED) and monotonic_ns >= self._next_ns
        )

    def target_ms(self, venue_ms: int) -> int:
        """Return the time to be sent, ms UTC of the venue."""
        return venue_ms + self.ahead_s * MS

    def armed(self, target_ms: int, monotonic_ns: int) -> None:
        """Note that the venue took the time."""
        self._state = DeadmanState.ARMED
        self._fires_at_ms = target_ms
        self._next_ns = monotonic_ns + int(self.period_s * NS_PER_S)

    def failed(self, monotonic_ns: int, *, is_unqualified: bool, retry_s: float = 5.0) -> None:
        """Note that the venue refused it (for want of volume), or that nobody knows whether it took it: then it is tried again soon."""
        if is_unqualified:
            self._state = DeadmanState.UNQUALIFIED
            return
        if self._state is DeadmanState.ARMED:
            self._state = DeadmanState.LATE
        self._next_ns = monotonic_ns + int(retry_s * NS_PER_S)

    def disarmed(self) -> None:
        """Note that the switch was cleared."""
        if self._state is not DeadmanState.OFF:
            self._state = DeadmanState.UNKNOWN
        self._fires_at_ms = 0
        self._next_ns = 0

    @property
    def is_armed(self) -> bool:
        """Whether the venue holds a time of ours, as far as we know."""
        return self._fires_at_ms > 0

    def has_fired(self, venue_ms: int) -> bool:
        """Return whether the time has passed: then every order of the user is gone."""
        return 0 < self._fires_at_ms <= venue_ms
