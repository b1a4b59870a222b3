"""Orders of which something is not known: asked about until it is, and after a lost connection all of them."""

import asyncio
import time
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from typing import Protocol

from hyperliquid_hip3.effects import Effect
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.fill_ledger import OVERLAP_MS
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.shelf import OrderShelf
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.tracking import Phase
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import OrderState
from hyperliquid_hip3.user_records import UserFill


NS_PER_MS: Final = 1_000_000
# the stream usually answers what a reply left open, before a query is worth its weight
SOON_NS: Final = 300 * NS_PER_MS
WATCH_S: Final = 0.1
QUERIES_AT_ONCE: Final = 10
# a list of open orders weighs as much as ten questions
FEW: Final = 8
# the longest pause between two questions about an order, in first pauses
LONGEST: Final = 16
# the venue's list of fills may lag its stream: so often it is read before a fill that a status spoke of is given up
FILL_READS: Final = 3


class OrderReader(Protocol):
    """The part of ``VenueClient`` that doubts are settled by."""

    async def order_status(self, user: str, oid_or_cloid: int | str) -> OrderState:
        """Return what became of an order."""
        ...

    async def open_orders(self, user: str, dex: str) -> tuple[OpenOrder, ...]:
        """Return the open orders on a dex."""
        ...

    async def user_fills_by_time(
        self, user: str, start_ms: int, end_ms: int | None = None
    ) -> tuple[UserFill, ...]:
        """Return the fills since a time."""
        ...


@dataclass(slots=True)
class _Doubt:
    """An order to be asked about: when next, and how often its fills were read."""

    due_ns: int
    reads: int = 0
    tries: int = 0


class Doubts:
    """
    Asks the venue about doubtful orders.

    Parameters
    ----------
    reader : OrderReader
        The venue.
    shelf : OrderShelf
        The orders.
    account, dex : str
        Whose orders, and where.
    venue_ms : Callable[[], int]
        The venue's time, ms UTC.
    apply : Callable[[OrderTrack, list[Effect]], None]
        Takes what follows.
    on_fills : Callable[[Iterable[UserFill]], None]
        Takes fills that were read, also ones booked before.
    on_unknown : Callable[[OpenOrder], None]
        Takes an open order that is not on the shelf.
    notify : Callable[[NoticeKind, str], None]
        Takes something to know.
    query_after_ns : int
        The time between two questions about the same order.
    now_ns, monotonic_ns : Callable[[], int]
        The wall clock in ns UTC, and one that never goes back.

    """

    def __init__(
        self,
        reader: OrderReader,
        shelf: OrderShelf,
        *,
        account: str,
        dex: str,
        venue_ms: Callable[[], int],
        apply: Callable[[OrderTrack, list[Effect]], None],
        on_fills: Callable[[Iterable[UserFill]], None],
        on_unknown: Callable[[OpenOrder], None],
        notify: Callable[[NoticeKind, str], None],
        query_after_ns: int,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._reader = reader
        self._shelf = shelf
        self._account = account
        self._dex = dex
        self._venue_ms = venue_ms
        self._apply = apply
        self._on_fills = on_fills
        self._on_unknown = on_unknown
        self._notify = notify
        self._query_after_ns = query_after_ns
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._doubts: dict[str, _Doubt] = {}
        self._open: tuple[OpenOrder, ...] | None = None

    def __len__(self) -> int:
        return len(self._doubts)

    async def reconcile(self, since_ms: int) -> None:
        """
        Ask for everything that may have been missed: fills since a time (ms UTC), open orders, and orders that are no longer open.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer; what was read before that is entered.

        """
        await self.read_fills(since_ms)
        suspects = {track.key for track in self._shelf.live() if track.legs}
        orders = await self._reader.open_orders(self._account, self._dex)
        seen = set()
        for order in orders:
            track = self._shelf.find(order.oid, order.cloid)
            if track is not None:
                seen.add(track.key)
                self._apply(track, track.updated(order, "open", self._now_ns()))
            else:
                self._on_unknown(order)
        for key in suspects - seen:
            track = self._shelf.track(key)
            if track is not None and not track.is_closed:
                await self._ask(track)

    async def read_fills(self, since_ms: int) -> None:
        """Read and book the fills since a time, ms UTC; with 0 nothing is missing, since nothing was ever booked."""
        if since_ms > 0:
            self._on_fills(await self._reader.user_fills_by_time(self._account, since_ms))

    async def query(self, key: str) -> None:
        """
        Ask about one order now.

        Raises
        ------
        TransportError, PayloadError
            If the venue does not answer.

        """
        track = self._shelf.track(key)
        if track is not None and track.phase is not Phase.WAITING:
            await self._ask(track)

    async def watch(self) -> None:
        """Ask about doubtful orders, as long as it runs."""
        while True:
            await asyncio.sleep(WATCH_S)
            now = self._monotonic_ns()
            due = [key for key, doubt in self._doubts.items() if doubt.due_ns <= now]
            if due:
                await self._settle_all(due)

    def note(self, track: OrderTrack) -> None:
        """Look whether an order is doubtful, and remember it until it is not."""
        if track.is_closed or not (track.is_unknown or track.wants_query or track.lacks_fills):
            self._doubts.pop(track.key, None)
        elif track.key not in self._doubts:
            self._doubts[track.key] = _Doubt(self._monotonic_ns() + SOON_NS)

    async def _settle_all(self, keys: list[str]) -> None:
        self._open = None
        try:
            if len(keys) > FEW:
                keys = await self._found_open(keys)
            for start in range(0, len(keys), QUERIES_AT_ONCE):
                await asyncio.gather(*(self._settle(key) for key in keys[start : start + QUERIES_AT_ONCE]))
            await self._read_missing_fills()
        except HyperliquidError as error:
            self._notify(NoticeKind.UNKNOWN_OUTCOME, f"{len(keys)} orders could not be asked about: {error}")
        finally:
            self._open = None
            for key in keys:
                self._postpone(key)

    async def _found_open(self, keys: list[str]) -> list[str]:
        # one list of open orders costs as much as ten questions, and answers most of thirty
        asked_ms = self._venue_ms()
        versions = {key: track.version for key in keys if (track := self._shelf.track(key)) is not None}
        orders = await self._open_orders()
        left = []
        for key in keys:
            track = self._shelf.track(key)
            found = None if track is None else _among(orders, track)
            if track is None:
                continue
            if found is not None and track.version == versions[key]:
                track.wants_query = False
                self._apply(track, track.confirmed(found, "open", asked_ms, self._now_ns()))
                self._postpone(key)
            elif track.is_unknown and asked_ms <= track.deadline_ms and not track.legs:
                # whether it will still arrive is not known before its time is over
                self._postpone(key)
            else:
                left.append(key)
        return left

    async def _settle(self, key: str) -> None:
        track = self._shelf.track(key)
        if track is not None and (track.is_unknown or track.wants_query):
            try:
                await self._ask(track)
            except HyperliquidError as error:
                self._notify(NoticeKind.UNKNOWN_OUTCOME, f"order {key} could not be asked about: {error}")

    async def _read_missing_fills(self) -> None:
        lacking = [(key, self._shelf.track(key)) for key in list(self._doubts)]
        tracks = [(key, track) for key, track in lacking if track is not None and track.lacks_fills]
        if not tracks:
            return
        since_ms = min(track.ts_ns for _, track in tracks) // NS_PER_MS - OVERLAP_MS
        await self.read_fills(max(1, since_ms))
        for key, track in tracks:
            doubt = self._doubts.get(key)
            if doubt is None:
                continue
            doubt.reads += 1
            if track.lacks_fills and doubt.reads >= FILL_READS:
                self._apply(track, track.fills_complete(self._now_ns()))

    def _postpone(self, key: str) -> None:
        doubt, track = self._doubts.get(key), self._shelf.track(key)
        if doubt is None or track is None:
            return
        wait_ns = self._query_after_ns * min(1 << doubt.tries, LONGEST)
        left_ns = (track.deadline_ms - self._venue_ms()) * NS_PER_MS
        if 0 < left_ns < wait_ns:
            # as soon as what was sent can no longer happen, the answer settles it
            wait_ns = left_ns + NS_PER_MS
        doubt.tries += 1
        doubt.due_ns = self._monotonic_ns() + wait_ns
        self.note(track)

    async def _ask(self, track: OrderTrack) -> None:
        asked_ms, version = self._venue_ms(), track.version
        wanted, track.wants_query = track.wants_query, False
        is_settled = False
        try:
            state = await self._reader.order_status(self._account, track.cloid or track.oid or 0)
            if state.order is None:
                is_absent = bool(track.legs) and await self._resting(track) is None
                if track.version == version:
                    effects = track.not_found(asked_ms, self._now_ns(), is_absent=is_absent)
                    is_settled = bool(effects)
                    self._apply(track, effects)
                return
            order, status = await self._as_it_rests(track, state.order, state.status)
            # with a command or an answer in between, what was found is a fact and proves nothing
            is_settled = track.version == version
            if is_settled:
                self._apply(track, track.confirmed(order, status, asked_ms, state.ts_ns))
            else:
                self._apply(track, track.updated(order, status, state.ts_ns))
        finally:
            if wanted and not is_settled and not track.is_closed:
                track.wants_query = True
                self.note(track)

    async def _as_it_rests(self, track: OrderTrack, order: OpenOrder, status: str) -> tuple[OpenOrder, str]:
        change = track.modify
        if status != "open" and order.oid == track.oid and change is not None and change.is_sent:
            # the old number is gone: perhaps because the new one rests
            found = await self._resting(track)
            if found is not None:
                return found, "open"
        return order, status

    async def _resting(self, track: OrderTrack) -> OpenOrder | None:
        return _among(await self._open_orders(), track)

    async def _open_orders(self) -> tuple[OpenOrder, ...]:
        # one list for all questions of a round
        if self._open is None:
            self._open = await self._reader.open_orders(self._account, self._dex)
        return self._open


def _among(orders: Iterable[OpenOrder], track: OrderTrack) -> OpenOrder | None:
    mine = [o for o in orders if o.oid in track.legs or (track.cloid and o.cloid == track.cloid)]
    return max(mine, key=lambda order: order.oid, default=None)
