"""
One book from the venue's three streams and its REST reply.

``bbo`` comes with every block that changes the touch, the fast ``l2Book`` brings five levels about every half second, the default one
twenty about every five seconds. Each message is a snapshot of the top of the book at its exchange time, down to its last level; what
lies below that is known only from older, deeper ones. https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket
"""

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from itertools import pairwise
from operator import gt
from operator import lt
from typing import Final
from typing import NamedTuple

from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.records import TopOfBook


class BookSource(IntEnum):
    """Where a level was read."""

    BBO = 1
    FAST = 2
    DEFAULT = 3
    REST = 4


# the most levels of a side that a message of this source has; one with fewer shows the whole side
DEPTH: Final[dict[BookSource, int]] = {
    BookSource.BBO: 1,
    BookSource.FAST: 5,
    BookSource.DEFAULT: 20,
    BookSource.REST: 20,
}
BUY: Final = 1
SELL: Final = -1


class BookFrame(NamedTuple):
    """
    The top of the book as one message shows it, best price first, with its exchange and receive times in ns.

    A level of size zero is none of the book's: it only says how far the message reaches. The venue sends none; whoever takes size out
    of a message leaves one.
    """

    source: BookSource
    ts_ns: int
    recv_ns: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]

    @property
    def is_sound(self) -> bool:
        """Whether both sides are in order and do not cross or touch."""
        bids, asks = self.bids, self.asks
        if bids and asks and bids[0].price >= asks[0].price:
            return False
        return _is_ordered(bids, BUY) and _is_ordered(asks, SELL)


class MergedLevel(NamedTuple):
    """One price of the merged book, and when and where it was last seen."""

    price: Decimal
    size: Decimal
    orders: int
    ts_ns: int
    recv_ns: int
    source: BookSource


@dataclass(frozen=True, slots=True)
class MergedBook:
    """The merged book, best price first, with the times of its newest message; empty sides stay empty."""

    ts_ns: int
    recv_ns: int
    bids: tuple[MergedLevel, ...]
    asks: tuple[MergedLevel, ...]

    def ages(self, now_ns: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ns since each bid and each ask was received, best price first; never negative."""
        return (
            tuple([max(0, now_ns - level.recv_ns) for level in self.bids]),
            tuple([max(0, now_ns - level.recv_ns) for level in self.asks]),
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is no price on either side."""
        return not self.bids and not self.asks


def frame_of_bbo(top: TopOfBook, recv_ns: int) -> BookFrame:
    """Return the frame of a ``bbo`` message; a side that is null is empty."""
    return BookFrame(
        source=BookSource.BBO,
        ts_ns=top.ts_ns,
        recv_ns=recv_ns,
        bids=(top.bid,) if top.bid else (),
        asks=(top.ask,) if top.ask else (),
    )


def frame_of_book(book: BookSnapshot, recv_ns: int, source: BookSource | None = None) -> BookFrame:
    """Return the frame of an ``l2Book`` message, fast or default as it says itself, or of a REST reply when so told."""
    if source is None:
        source = BookSource.FAST if book.is_fast else BookSource.DEFAULT
    return BookFrame(source=source, ts_ns=book.ts_ns, recv_ns=recv_ns, bids=book.bids, asks=book.asks)


def merge(frames: Iterable[BookFrame]) -> MergedBook:
    """
    Return the book that the frames make together.

    The newest frame (by exchange time, then receive time) is taken whole; each older one that reaches deeper adds the levels worse than
    everything the newer ones show, so a price that a newer frame shows as gone does not come back. One that reaches no deeper than a newer
    one did is looked at only in front of an older one that does: what it alone shows lies where the market was. Sound frames never make a crossed book:
    all levels of a side lie at or beyond the newest frame's own touch.
    """
    newest_first = sorted(frames, key=_newness, reverse=True)
    if not newest_first:
        return MergedBook(0, 0, (), ())
    return MergedBook(
        ts_ns=newest_first[0].ts_ns,
        recv_ns=max(frame.recv_ns for frame in newest_first),
        bids=_side(newest_first, BUY),
        asks=_side(newest_first, SELL),
    )


class BookMerge:
    """
    The newest frame of each source, and the book they make.

    Attributes
    ----------
    refused : int
        Frames not used since the start: crossed or out of order in themselves, or older than what was there.

    """

    def __init__(self) -> None:
        self._frames: dict[BookSource, BookFrame] = {}
        self.refused = 0

    def apply(self, frame: BookFrame) -> bool:
        """Take a frame; False, and nothing changes, when it is crossed in itself or older than the same source's last."""
        last = self._frames.get(frame.source)
        if (last is not None and frame.ts_ns < last.ts_ns) or not frame.is_sound:
            self.refused += 1
            return False
        self._frames[frame.source] = frame
        return True

    def book(self) -> MergedBook:
        """Return the merged book; empty when nothing was taken since the start or the last reset."""
        return merge(self._frames.values())

    def reset(self) -> None:
        """Forget everything: after a lost connection nothing of before may be mixed with what comes."""
        self._frames.clear()

    def forget(self, source: BookSource) -> None:
        """Forget what one source showed."""
        self._frames.pop(source, None)

    @property
    def sources(self) -> tuple[BookSource, ...]:
        """The sources heard since the start or the last reset."""
        return tuple(sorted(self._frames))


def _newness(frame: BookFrame) -> tuple[int, int]:
    return frame.ts_ns, frame.recv_ns


def _side(newest_first: Sequence[BookFrame], side: int) -> tuple[MergedLevel, ...]:
    is_worse = gt if side == BUY else lt
    merged: list[MergedLevel] = []
    # what a frame that reaches no deeper shows beyond the newer ones: it counts only in front of one that reaches deeper
    passed: list[MergedLevel] = []
    # the worst price that the frames so far show; below it they say nothing
    edge: Decimal | None = None
    reach = 0
    for frame in newest_first:
        levels = frame.bids if side == BUY else frame.asks
        stamp = (frame.ts_ns, frame.recv_ns, frame.source)
        shown = [
            MergedLevel(*level, *stamp)
            for level in levels
            # a zero size would be refused by the engine
            if level.size and (edge is None or is_worse(edge, level.price))
        ]
        if DEPTH[frame.source] > reach:
            reach = DEPTH[frame.source]
            merged += passed + shown
            passed = []
        else:
            passed += shown
        if len(levels) < DEPTH[frame.source]:
            # it shows the whole side: anything worse in an older frame is gone
            break
        worst = levels[-1].price
        if edge is None or is_worse(edge, worst):
            edge = worst
    return tuple(merged)


def _is_ordered(levels: tuple[BookLevel, ...], side: int) -> bool:
    is_worse = gt if side == BUY else lt
    return all(is_worse(better.price, worse.price) for better, worse in pairwise(levels))
