"""The path of the mid, and the markouts of fills read off it."""

from collections import deque
from typing import Protocol


AT_FILL_S = 0
# 0 is the fill itself: its mid, too, is only known once its instant has passed
HORIZONS_S = (AT_FILL_S, 1, 5, 30, 60)
SECOND_NS = 1_000_000_000
_NEVER = 1 << 62


class MarkoutListener(Protocol):
    """Whoever wants the mid some seconds after each fill."""

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        """Take the mid that stood ``horizon_s`` seconds after fill ``fill_index`` (0: at the fill)."""
        ...


class MidTracker:
    """
    The last mid by exchange time, from quotes once there are any, else from the top of the book.

    A markout at ``h`` is the mid of the last quote with exchange time at or before ``t + h``; it is handed out when
    the first later quote (or any later event) arrives, so that nothing is looked up afterwards. The mid at the fill is
    the markout at 0: a trade or book of an instant may come before the quote of the same instant, which counts. Fills
    whose horizon lies beyond the data get none.

    Parameters
    ----------
    tick : float
        Price of one tick.
    listener : MarkoutListener, optional
        Who gets the markouts.

    """

    __slots__ = (
        "_due",
        "_half_tick",
        "_listener",
        "_next_due",
        "ask_ticks",
        "bid_ticks",
        "from_quotes",
        "mid2",
        "ts_ns",
    )

    def __init__(self, tick: float, listener: MarkoutListener | None = None) -> None:
        self._half_tick = tick / 2.0
        self._listener = listener
        self._due: tuple[deque[tuple[int, int]], ...] = tuple(deque() for _ in HORIZONS_S)
        self._next_due = _NEVER
        self.bid_ticks = 0
        self.ask_ticks = 0
        self.mid2 = 0
        self.ts_ns = 0
        self.from_quotes = False

    @property
    def mid(self) -> float:
        """The mid in collateral units; 0.0 before the first two-sided market."""
        return self.mid2 * self._half_tick

    def on_touch(self, ts_ns: int, bid_ticks: int, ask_ticks: int, *, quote: bool) -> None:
        """Take a new best bid and offer of exchange time ``ts_ns``; books are ignored once quotes have been seen."""
        if quote:
            self.from_quotes = True
        elif self.from_quotes:
            return
        if ts_ns > self._next_due:
            self.advance(ts_ns)
        self.ts_ns = ts_ns
        self.bid_ticks = bid_ticks
        self.ask_ticks = ask_ticks
        self.mid2 = bid_ticks + ask_ticks

    def add_fill(self, fill_index: int, ts_ns: int) -> None:
        """Ask for the markouts of a fill at exchange time ``ts_ns``; fills come in time order."""
        for horizon, queue in zip(HORIZONS_S, self._due, strict=True):
            queue.append((ts_ns + horizon * SECOND_NS, fill_index))
        self._next_due = min(self._next_due, ts_ns)

    def advance(self, ts_ns: int) -> None:
        """Hand out the markouts due before ``ts_ns`` at the mid that stands now."""
        mid = self.mid2 * self._half_tick
        earliest = _NEVER
        for horizon, queue in zip(HORIZONS_S, self._due, strict=True):
            while queue and queue[0][0] < ts_ns:
                _, index = queue.popleft()
                if self._listener is not None:
                    self._listener.on_markout(index, horizon, mid)
            if queue:
                earliest = min(earliest, queue[0][0])
        self._next_due = earliest

    def finish(self, end_ns: int) -> None:
        """Hand out what fell due at or before the end of the data and drop the rest."""
        self.advance(end_ns + 1)
        for queue in self._due:
            queue.clear()
        self._next_due = _NEVER
