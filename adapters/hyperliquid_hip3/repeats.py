"""
Cancels that go again: a cancel whose outcome nobody knows may be repeated at once, since an order is over only once.

The pace is bounded whatever is wrong. While nothing is answered a repeat follows the one before after :data:`GAPS_NS`; the first few repeat
all cancels that are open, then one alone asks for them all, and with its answer the rest go in the same moment. So an outage costs an
address at most a few actions a second (protocol: address limits, where cancels have the larger allowance), and its end is met within a second:
https://hyperliquid.gitbook.io/hyperliquid-docs/trading/rate-limits-and-user-limits.
"""

import asyncio
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hyperliquid_hip3.actions import cancel_action
from hyperliquid_hip3.coalescer import MAX_ITEMS
from hyperliquid_hip3.coalescer import ActionClass
from hyperliquid_hip3.coalescer import CancelItem
from hyperliquid_hip3.coalescer import Item
from hyperliquid_hip3.due_timer import DueTimer
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.sender import ActionResult
from hyperliquid_hip3.sender import ActionSender
from hyperliquid_hip3.shelf import OrderShelf
from hyperliquid_hip3.tracking import OrderTrack


NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
# from a loss to the next repeat, by how many there were in a row; the last holds for all that follow
GAPS_NS: Final = (100 * NS_PER_MS, 300 * NS_PER_MS, 600 * NS_PER_MS)
# a cancel takes a block or two: one that is not answered by then may hang in a connection that is dead
UNANSWERED_NS: Final = NS_PER_S
# after so many losses in a row one cancel asks for all
WHOLE: Final = 4
# how long a stop waits for cancels that have to go again, less than the ten seconds that the engine gives a client to disconnect
STOP_S: Final = 5.0
STOP_LOOK_S: Final = 0.02


@dataclass(slots=True)
class _Entry:
    due_ns: int
    is_flying: bool = True


class Pace:
    """When cancels without an answer go again; times are of one monotonic clock, in ns, and nothing here sends or sleeps."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._losses = 0
        self._gate_ns = 0
        self._hold_ns = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def sent(self, keys: Iterable[str], now_ns: int) -> None:
        """Note that cancels of these orders left."""
        for key in keys:
            self._entries[key] = _Entry(now_ns + UNANSWERED_NS)

    def lost(self, keys: Iterable[str], now_ns: int, *, pause_ns: int = 0) -> None:
        """Note that one action's cancels were not answered; with ``pause_ns`` the venue wants to hear nothing for so long."""
        self._losses += 1
        self._hold_ns = max(self._hold_ns, now_ns + pause_ns)
        self._gate_ns = max(self._gate_ns, now_ns + self._gap_ns, self._hold_ns)
        for key in keys:
            self._entries[key] = _Entry(now_ns, is_flying=False)

    def answered(self, now_ns: int) -> None:
        """Note that the venue answered a cancel, so it is there: what was lost goes now."""
        self._losses = 0
        self._gate_ns = max(now_ns, self._hold_ns)

    def settled(self, key: str) -> None:
        """Forget an order whose cancel has its answer, or needs none any more."""
        self._entries.pop(key, None)
        if not self._entries:
            self._losses = 0

    def due_at(self) -> int | None:
        """Return when the next repeat goes, None with nothing to repeat."""
        if not self._entries:
            return None
        return max(self._gate_ns, min(entry.due_ns for entry in self._entries.values()))

    def take(self, now_ns: int) -> list[str]:
        """Return the orders whose cancels go again now."""
        due = [key for key, entry in self._entries.items() if entry.due_ns <= now_ns]
        if not due or now_ns < self._gate_ns:
            return []
        if any(self._entries[key].is_flying for key in due):
            # a connection that says nothing at all is as good as lost
            self._losses += 1
        going = due if self._losses < WHOLE else due[:1]
        # one gate for all: however many were lost, and whenever, they do not take turns
        self._gate_ns = now_ns + self._gap_ns
        self.sent(going, now_ns)
        return going

    @property
    def _gap_ns(self) -> int:
        return GAPS_NS[min(max(self._losses, 1), len(GAPS_NS)) - 1]


class CancelRepeats:
    """
    Repeats the cancels of one desk until the venue has answered, or the order is known to be over.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop that everything runs in.
    shelf : OrderShelf
        The orders.
    dispatch : Callable[[ActionClass, list[Item]], None]
        Signs the cancels anew, with a nonce of their own, and sends them.
    notify : Callable
        Takes in a sentence that cancels did not leave, once for each; with ``is_alarm`` where they do not go again.
    monotonic_ns : Callable[[], int]
        A clock that never goes back.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        shelf: OrderShelf,
        *,
        dispatch: Callable[[ActionClass, list[Item]], None],
        notify: Callable[..., None],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._shelf = shelf
        self._dispatch = dispatch
        self._notify = notify
        self._monotonic_ns = monotonic_ns
        self._pace = Pace()
        self._timer = DueTimer(loop, due_at=self._pace.due_at, ring=self._ring, monotonic_ns=monotonic_ns)
        self._is_over = False
        # orders of which the venue knew nothing when it was asked to cancel them, and that may still come
        self._early: set[str] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._pace

    def sent(self, items: Sequence[Item]) -> None:
        """Note that an action of cancels leaves."""
        self._pace.sent([item.key for item in items], self._monotonic_ns())
        self._timer.look()

    def keeps(self, items: Sequence[Item], result: ActionResult) -> bool:
        """
        Look at the answer of an action of cancels, and return whether nothing is to be told of it.

        A cancel that did not leave is only late. What a repeat was told says nothing of the one before it, unless it is an answer.
        """
        if result.retry_after_s is None or result.unknown_until_ms is not None:
            return False
        are_repeats = all(_is_repeat(item) for item in items)
        if result.reply is not None and not are_repeats:
            # the venue refused it for being one too many: the strategy's budget has to know
            return False
        count = self.lost(items, pause_s=result.retry_after_s)
        if count and not are_repeats:
            self._notify(f"{count} cancels go again, {result.not_done}")
        return True

    def lost(self, items: Sequence[Item], *, pause_s: float = 0) -> int:
        """Let cancels that were not answered go again, as far as they are still needed, and return how many that are."""
        keys = [item.key for item in items if isinstance(item, CancelItem)]
        tracks = [track for key in keys if (track := self._open(key)) is not None]
        for track in tracks:
            if track.cancel is not None:
                track.cancel.goes_again = True
        if tracks:
            keys = [track.key for track in tracks]
            self._pace.lost(keys, self._monotonic_ns(), pause_ns=int(pause_s * NS_PER_S))
            self._timer.look()
        return len(tracks)

    def answered(self, items: Sequence[Item]) -> None:
        """Note that the venue answered these items: if it was cancels, those that were lost go at once."""
        if len(self._pace) and isinstance(items[0], CancelItem):
            self._pace.answered(self._monotonic_ns())
            self._timer.look()

    def note(self, track: OrderTrack) -> None:
        """Forget an order that needs no cancel any more; asked after everything that is heard of an order."""
        cancel = track.cancel
        if cancel is not None and cancel.is_early and track.current is None:
            self._early.add(track.key)
        elif track.key in self._early:
            self._early.discard(track.key)
            if cancel is not None and cancel.is_early:
                # it was faster than the order, which rests now
                cancel.is_early = cancel.is_gone = False
                self._pace.lost([track.key], self._monotonic_ns())
                self._timer.look()
        if track.key not in self._pace:
            return
        is_refused = cancel is not None and cancel.unknown_until_ms is not None and not cancel.goes_again
        if is_refused or self._open(track.key) is None:
            self._pace.settled(track.key)

    async def cancel_number(self, sender: ActionSender, asset: int, oid: int) -> None:
        """Cancel an order that no record here waits for, by the venue's number, until that is answered."""
        tries = 0
        while not self._is_over:
            try:
                result = await sender.send(cancel_action([(asset, oid)]), goes_again=True)
            except SigningError as error:
                self._notify(f"a cancel was not sent: {error}", is_alarm=True)
                return
            if result.retry_after_s is None:
                return
            await asyncio.sleep(max(result.retry_after_s, GAPS_NS[min(tries, len(GAPS_NS) - 1)] / NS_PER_S))
            tries += 1

    async def settle(self) -> None:
        """Wait until no cancel has to go again, but not for ever; nothing is repeated after that."""
        end_ns = self._monotonic_ns() + int(STOP_S * NS_PER_S)
        while (len(self._pace) or self._early) and self._monotonic_ns() < end_ns:
            await asyncio.sleep(STOP_LOOK_S)
        self._is_over = True
        self._timer.end()

    def _open(self, key: str) -> OrderTrack | None:
        track = self._shelf.track(key)
        if track is None or track.is_closed or track.cancel is None:
            return None
        return None if track.cancel.is_done or track.cancel.is_gone else track

    def _ring(self) -> None:
        items = [item for key in self._pace.take(self._monotonic_ns()) if (item := self._item(key))]
        groups = (
            (ActionClass.CANCEL, [item for item in items if item.oid is None]),
            (ActionClass.CANCEL_NUMBER, [item for item in items if item.oid is not None]),
        )
        for kind, group in groups:
            for start in range(0, len(group), MAX_ITEMS):
                self._dispatch(kind, list(group[start : start + MAX_ITEMS]))
        self._timer.look()

    def _item(self, key: str) -> CancelItem | None:
        track = self._open(key)
        if track is None or track.cancel is None:
            self._pace.settled(key)
            return None
        track.cancel.goes_again = True
        oid = None if track.cloid else track.oid
        asset = self._shelf.spec(key).asset
        return CancelItem(key, asset, track.cloid, oid, is_command=False, is_repeat=True)


def _is_repeat(item: Item) -> bool:
    return isinstance(item, CancelItem) and item.is_repeat
