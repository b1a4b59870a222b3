"""Which size of ours rested at each price, and when by the venue's clock: what a level of the book held of us when it was last seen."""

from collections import deque
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


# no level of a book is older: the slowest stream brings each anew about every five seconds
KEPT_NS: Final = 60_000_000_000
MOST_KEPT: Final = 10_000
FAR_NS: Final = 1 << 62
MS: Final = 1_000_000
# the time between two of the venue's blocks is some 70 ms; an answer leaves within this much of its block
BEFORE_NS: Final = 3 * MS
# how many of the venue's messages the range of their delay is taken from, at least
MESSAGES: Final = 64


@dataclass(slots=True, eq=False)
class _Stay:
    """One order at one price with one size, from ``since_ns`` until just before ``until_ns``."""

    key: str
    side: int
    ticks: int
    lots: int
    since_ns: int
    until_ns: int = FAR_NS


def _lots_at(stays: list[_Stay], ts_ns: int) -> int:
    if len(stays) == 1:
        return stays[0].lots if stays[0].since_ns <= ts_ns < stays[0].until_ns else 0
    found: dict[str, int] = {}
    for stay in stays:
        # the bounds of one order's two sizes may overlap: it counts once, with the larger
        if stay.since_ns <= ts_ns < stay.until_ns and stay.lots > found.get(stay.key, 0):
            found[stay.key] = stay.lots
    return sum(found.values())


class FeedDelay:
    """The shortest and the longest that the venue's last messages took to get here, in ns; the difference of the clocks is in it."""

    def __init__(self) -> None:
        self.low = self.high = 0
        self._low = self._high = 0
        self._count = 0
        self._is_first = True

    def heard(self, delay_ns: int) -> None:
        """Take the delay of one message."""
        if self._count == 0:
            self._low = self._high = delay_ns
            if self._is_first:
                self.low = self.high = delay_ns
        elif delay_ns < self._low:
            self._low = delay_ns
        elif delay_ns > self._high:
            self._high = delay_ns
        self.low, self.high = min(self.low, delay_ns), max(self.high, delay_ns)
        self._count += 1
        if self._count == MESSAGES:
            # what lies further back than the last two rounds is forgotten
            self.low, self.high = self._low, self._high
            self._count = 0
            self._is_first = False


class OwnLevels:
    """
    Our own resting size by side and price, at any moment of the last minute.

    The merged book of a live venue holds levels last seen at different times, up to some seconds ago. Our size then is in such a level,
    our size of now is not. The venue stamps what its streams say in whole milliseconds, at the block where it happened. An answer
    without the venue's time is stamped on our clock when it came, so its block lies before by what messages take: an order then counts
    from the earliest and to the latest moment that the last messages' delays allow. Where that is too long, some size of strangers is
    taken out for a block or two; too short, and our own size would be a signal to us.
    """

    def __init__(self) -> None:
        self.delay = FeedDelay()
        self._levels: dict[int, dict[int, list[_Stay]]] = {1: {}, -1: {}}
        self._now: dict[str, _Stay] = {}
        self._over: deque[_Stay] = deque()

    def note(self, key: str, side: int, ticks: int, lots: int, ts_ns: int) -> None:
        """
        Take what rests of an order from a moment on.

        Parameters
        ----------
        key : str
            The order.
        side : int
            +1 for a buy, -1 for a sell.
        ticks, lots : int
            Its price and what is left of it; 0 lots when it is gone.
        ts_ns : int
            The time of the event that says so, ns UTC.

        """
        held = self._now.get(key)
        if held is None:
            if not lots:
                return
        elif (held.ticks, held.lots) == (ticks, lots):
            return
        begins = ends = ts_ns
        if ts_ns % MS:
            begins, ends = ts_ns - self.delay.high - BEFORE_NS, ts_ns - self.delay.low
        if held is not None:
            held.until_ns = ends
            self._over.append(held)
            del self._now[key]
        if lots:
            stay = self._now[key] = _Stay(key, side, ticks, lots, begins)
            self._levels[side].setdefault(ticks, []).append(stay)
        self._forget(ts_ns)

    def lots(self, side: int, ticks: int, ts_ns: int) -> int:
        """Return our size at a price when the venue's clock showed ``ts_ns``."""
        stays = self._levels[side].get(ticks)
        return 0 if stays is None else _lots_at(stays, ts_ns)

    def of_levels(
        self, side: int, prices: Iterable[int], seen: Mapping[int, int], newest_ns: int
    ) -> dict[int, int]:
        """Return our size in each level of a side, by price; a level was seen when ``seen`` says, or else at ``newest_ns``."""
        levels = self._levels[side]
        found: dict[int, int] = {}
        for ticks in prices:
            stays = levels.get(ticks)
            if stays is not None and (lots := _lots_at(stays, seen.get(ticks, newest_ns))):
                found[ticks] = lots
        return found

    def rested(self, side: int, ticks: int, since_ns: int) -> bool:
        """Return whether anything of ours rested at a price at ``since_ns`` or later."""
        return any(stay.until_ns >= since_ns for stay in self._levels[side].get(ticks, ()))

    def __len__(self) -> int:
        """Return how many stays are remembered, those that are over included."""
        return len(self._now) + len(self._over)

    def _forget(self, ts_ns: int) -> None:
        over, horizon = self._over, ts_ns - KEPT_NS
        while over and (over[0].until_ns < horizon or len(over) > MOST_KEPT):
            stay = over.popleft()
            stays = self._levels[stay.side][stay.ticks]
            stays.remove(stay)
            if not stays:
                del self._levels[stay.side][stay.ticks]
