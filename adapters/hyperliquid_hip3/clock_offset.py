"""How far the venue's clock is from ours, and what that forbids."""

import statistics
from collections import deque
from enum import Enum
from typing import Final


NS_PER_MS: Final = 1_000_000
WINDOW: Final = 30
WARN_NS: Final = 500 * NS_PER_MS
PAUSE_NS: Final = 2_000 * NS_PER_MS
# half of the round trip is a guess that is wrong by up to the other half
MAX_ROUND_TRIP_NS: Final = 1_000 * NS_PER_MS
# wall and monotonic clock drift apart by this much only if someone set the wall clock, or the machine slept
STEP_NS: Final = 250 * NS_PER_MS
MIN_SAMPLES_TO_EXPIRE: Final = 3


class ClockState(Enum):
    """What the offset allows; UNKNOWN before the first sample."""

    UNKNOWN = "unknown"
    GOOD = "good"
    WARN = "warn"
    PAUSE = "pause"


class ClockOffset:
    """
    Measure the venue's clock against ours: block time - wall clock - half the round trip, median of the last thirty.

    A round trip of more than a second says too little and is left out. When the wall clock was set, or the machine slept, what was
    measured before counts no more.
    """

    def __init__(self) -> None:
        self._offsets_ns: deque[int] = deque(maxlen=WINDOW)
        self._wall_ahead_ns: int | None = None
        # orders ask for it far more often than it changes
        self._median_ns: int | None = None

    def __repr__(self) -> str:
        offset = self.offset_ns
        value = "unknown" if offset is None else f"{offset / NS_PER_MS:.1f} ms"
        return f"ClockOffset({value}, {len(self._offsets_ns)} samples)"

    @property
    def samples(self) -> int:
        """Measurements in the median."""
        return len(self._offsets_ns)

    @property
    def offset_ns(self) -> int | None:
        """What must be added to our wall clock to get the venue's time; None before the first measurement."""
        return self._median_ns

    @property
    def state(self) -> ClockState:
        """WARN beyond 500 ms, PAUSE beyond 2 s, in either direction."""
        offset = self.offset_ns
        if offset is None:
            return ClockState.UNKNOWN
        if abs(offset) > PAUSE_NS:
            return ClockState.PAUSE
        return ClockState.WARN if abs(offset) > WARN_NS else ClockState.GOOD

    @property
    def may_expire(self) -> bool:
        """
        Whether an action may carry ``expiresAfter``.

        Not before three measurements nor in PAUSE: an action that the venue finds expired costs five.
        """
        return len(self._offsets_ns) >= MIN_SAMPLES_TO_EXPIRE and self.state is not ClockState.PAUSE

    def observe(self, venue_ns: int, *, sent_ns: int, round_trip_ns: int, monotonic_ns: int) -> bool:
        """
        Take in one answer that carries the venue's time, and return whether it counted.

        Parameters
        ----------
        venue_ns : int
            The venue's block time, ns UTC.
        sent_ns : int
            Our wall clock when the request left, ns UTC.
        round_trip_ns : int
            From sending to receiving, on the monotonic clock.
        monotonic_ns : int
            The monotonic clock when the request left.

        """
        ahead_ns = sent_ns - monotonic_ns
        if self._wall_ahead_ns is not None and abs(ahead_ns - self._wall_ahead_ns) > STEP_NS:
            self._offsets_ns.clear()
            self._median_ns = None
        self._wall_ahead_ns = ahead_ns
        if not 0 <= round_trip_ns <= MAX_ROUND_TRIP_NS:
            return False
        self._offsets_ns.append(venue_ns - sent_ns - round_trip_ns // 2)
        self._median_ns = int(statistics.median(self._offsets_ns))
        return True

    def venue_ms(self, wall_ns: int) -> int:
        """Return the venue's time in ms UTC at this reading of our wall clock; the reading itself before any measurement."""
        return (wall_ns + (self.offset_ns or 0)) // NS_PER_MS
