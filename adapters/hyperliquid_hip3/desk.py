"""
All orders of one account on one dex: commands out in batches, news in, doubts asked about, each thing told once.

This is where the pure pieces meet (:mod:`coalescer`, :mod:`tracking`, :mod:`cloids`, :mod:`reconcile`); it knows the loop and the venue's
client, and nothing of the engine.
"""

import asyncio
import time
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.batches import cancel_item
from hyperliquid_hip3.batches import made_ahead
from hyperliquid_hip3.batches import modify_item
from hyperliquid_hip3.batches import place_item
from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.coalescer import ACTION_TYPES
from hyperliquid_hip3.coalescer import ActionClass
from hyperliquid_hip3.coalescer import CancelItem
from hyperliquid_hip3.coalescer import Coalescer
from hyperliquid_hip3.coalescer import CycleCounts
from hyperliquid_hip3.coalescer import Item
from hyperliquid_hip3.coalescer import ModifyItem
from hyperliquid_hip3.coalescer import PlaceItem
from hyperliquid_hip3.coalescer import action_of
from hyperliquid_hip3.desk_owner import DeskOwner
from hyperliquid_hip3.doubts import Doubts
from hyperliquid_hip3.doubts import OrderReader
from hyperliquid_hip3.due_timer import DueTimer
from hyperliquid_hip3.effects import Effect
from hyperliquid_hip3.effects import ModifyRejected
from hyperliquid_hip3.effects import Orphan
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.fill_ledger import FillLedger
from hyperliquid_hip3.fill_order import in_order
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.repeats import CancelRepeats
from hyperliquid_hip3.replies import Accepted as ActionAccepted
from hyperliquid_hip3.replies import FilledNow
from hyperliquid_hip3.replies import OrderError
from hyperliquid_hip3.replies import Outcome
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import RejectionKind
from hyperliquid_hip3.replies import Resting
from hyperliquid_hip3.replies import Success
from hyperliquid_hip3.replies import rejection_kind
from hyperliquid_hip3.sender import ActionResult
from hyperliquid_hip3.sender import ActionSender
from hyperliquid_hip3.sender import Prepared
from hyperliquid_hip3.shelf import OrderShelf
from hyperliquid_hip3.state_files import Storage
from hyperliquid_hip3.strangers import Strangers
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.tracking import Phase
from hyperliquid_hip3.user_records import FillKey
from hyperliquid_hip3.user_records import OrderUpdate
from hyperliquid_hip3.user_records import UserFill
from hyperliquid_hip3.user_records import VenueCancel


class OrderDesk:
    """
    Keeps the orders.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop that everything runs in.
    sender : ActionSender
        Where actions go.
    reader : OrderReader
        Where doubts are settled.
    owner : DeskOwner
        Who is told.
    cloids : CloidBook
        Which ids are ours.
    ledger : FillLedger
        Which fills were booked.
    storage : Storage
        Writes the two, or tells that they cannot be.
    account, dex : str
        Whose orders, and where; fills and orders of other dexes are not looked at.
    is_ours : Callable[[str], bool]
        Whether a coin is traded here.
    quiet_ns, limit_ns : int
        When commands go without a cycle's end, see ``Coalescer``.
    query_after_ns : int
        The time between two questions about the same order.
    spawn : Callable[[Coroutine], asyncio.Task]
        Starts a task that is ended with its owner.
    now_ns, monotonic_ns : Callable[[], int]
        The wall clock in ns UTC, and one that never goes back.

    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        sender: ActionSender,
        reader: OrderReader,
        owner: DeskOwner,
        cloids: CloidBook,
        ledger: FillLedger,
        storage: Storage,
        account: str,
        dex: str,
        is_ours: Callable[[str], bool],
        quiet_ns: int,
        limit_ns: int,
        query_after_ns: int,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._loop = loop
        self._sender = sender
        self._owner = owner
        self.cloids = cloids
        self.ledger = ledger
        self._is_ours = is_ours
        self._spawn = spawn
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._coalescer = Coalescer(quiet_ns=quiet_ns, limit_ns=limit_ns)
        self._timer = DueTimer(
            loop, due_at=self._coalescer.due_at, ring=self.flush, monotonic_ns=monotonic_ns
        )
        # the position that the last fill of each coin left
        self._left: dict[str, Decimal] = {}
        self.shelf: OrderShelf = OrderShelf(cloids)
        self.strangers = Strangers(cloids, owner)
        self.doubts = self._make_doubts(reader, account, dex, query_after_ns)
        self._repeats = CancelRepeats(
            loop,
            self.shelf,
            dispatch=self._dispatch,
            notify=partial(owner.on_notice, NoticeKind.UNKNOWN_OUTCOME),
            monotonic_ns=monotonic_ns,
        )
        self._storage = storage
        self._deferred: dict[str, tuple[Decimal, Decimal]] = {}
        self._own_modifies: set[str] = set()
        self._posts: set[asyncio.Task[None]] = set()
        self._trimmed: set[int] = set()
        self._held: list[UserFill] | None = None
        # fills before this (ns UTC) are the past, unless they are of an order kept here
        self.floor_ns = 0
        self.actions_sent = 0

    def _make_doubts(self, reader: OrderReader, account: str, dex: str, query_after_ns: int) -> Doubts:
        return Doubts(
            reader,
            self.shelf,
            account=account,
            dex=dex,
            venue_ms=self._sender.venue_ms,
            apply=self._apply,
            on_fills=self.on_fills,
            on_unknown=self.strangers.on_resting,
            notify=self._owner.on_notice,
            query_after_ns=query_after_ns,
            now_ns=self._now_ns,
            monotonic_ns=self._monotonic_ns,
        )

    # -- commands --------------------------------------------------------------------------------------

    def place(self, key: str, coin: str, spec: OrderSpec) -> None:
        """
        Queue a new order; ``spec`` carries its cloid.

        Raises
        ------
        SigningError
            If it cannot be sent as it is.

        """
        if spec.cloid is None:
            raise ValueError(f"`spec` of {key} has no cloid")
        # made now, while the rest of the cycle is on its way
        item = PlaceItem(key, spec, place_item(spec))
        track = OrderTrack(
            key=key,
            cloid=spec.cloid,
            coin=coin,
            side=1 if spec.is_buy else -1,
            price=spec.price,
            quantity=spec.size,
            is_resting_kind=spec.tif != "Ioc",
            reduce_only=spec.reduce_only,
            ts_ns=self._now_ns(),
        )
        self.shelf.put(track, spec)
        if spec.tif == "Ioc":
            self._clear_the_way(track)
        self._coalescer.place(item, self._monotonic_ns())
        self._timer.look()

    def modify(self, key: str, quantity: Decimal, price: Decimal) -> None:
        """Queue a modify to this whole quantity; while the order or an earlier modify is unanswered it waits for that."""
        track = self._known(key)
        waits = track.phase is Phase.SENT or (track.modify is not None and track.modify.is_sent)
        if waits:
            self._deferred[key] = (quantity, price)
            self._coalescer.count(modifies=1)
        elif track.phase is Phase.WAITING:
            # the venue never sees the order as it was
            spec = self.shelf.spec(key)._replace(price=price, size=quantity)
            track.amend(quantity, price)
            self._coalescer.modify(ModifyItem(key, track.cloid, spec), self._monotonic_ns())
        else:
            self._own_modifies.discard(key)
            self._queue_modify(track, quantity, price)
        self._timer.look()

    def cancel(self, key: str, *, is_command: bool = True) -> None:
        """Queue a cancel; an order or modify that has not left is taken back instead."""
        track = self._known(key)
        if self._deferred.pop(key, None) is not None:
            self._drop_modify(track)
        if track.is_closed or (track.cancel is not None and (key in self._repeats or not track.is_unknown)):
            if is_command:
                self._coalescer.count(cancels=1)
            self._timer.look()
            return
        track.start_cancel()
        spec = self.shelf.spec(key)
        oid = None if track.cloid else track.oid
        wire = made_ahead(cancel_item, spec.asset, track.cloid, oid)
        item = CancelItem(key, spec.asset, track.cloid, oid, wire, is_command)
        unsent = self._coalescer.cancel(item, self._monotonic_ns(), is_command=is_command)
        if unsent is not None and unsent.was_submit:
            self._apply(track, track.removed_unsent("canceled before it was sent", self._now_ns()))
        elif unsent is not None:
            track.modify = None
            self._drop_modify(track)
        self._timer.look()

    def cycle_ended(self, counts: CycleCounts) -> None:
        """Note the end of a cycle with so many commands."""
        self._coalescer.mark_end(counts)
        self._coalescer.reset_if_complete()
        self._timer.look()

    def commands_settled(self, *, submits: int = 0, modifies: int = 0, cancels: int = 0) -> None:
        """Count commands of the cycle that were answered without being sent."""
        self._coalescer.count(submits=submits, modifies=modifies, cancels=cancels)
        self._coalescer.reset_if_complete()
        self._timer.look()

    async def settle(self) -> None:
        """Wait until every action that left is answered, or known not to be, and end the repeats of cancels."""
        posts = tuple(self._posts)
        await self._repeats.settle()
        await asyncio.gather(*posts, return_exceptions=True)

    def flush(self) -> None:
        """Send everything queued now."""
        self._timer.clear()
        for batch in self._coalescer.drain():
            items = [item for item in map(self._ready, batch.items) if item is not None]
            if items:
                self._dispatch(batch.kind, items)

    # -- news ------------------------------------------------------------------------------------------

    def on_order_updates(self, updates: Iterable[OrderUpdate]) -> None:
        """Take news of orders, of whichever dex."""
        for update in updates:
            order = update.order
            if not self._is_ours(order.coin):
                continue
            track = self.shelf.find(order.oid, order.cloid)
            if track is not None:
                self._apply(track, track.updated(order, update.status, update.ts_ns))
            else:
                self.strangers.on_update(update)

    def on_fills(self, fills: Iterable[UserFill]) -> None:
        """Take fills, from wherever; each is told once over all runs that booked it, see ``fill_booked``."""
        for fill in in_order(fills, self._left):
            self._on_fill(fill)

    def fill_booked(self, key: FillKey | None) -> None:
        """Note for later runs that the engine has booked a fill; None for all that it was told."""
        work = self.ledger.flush if key is None else partial(self.ledger.taken, key)
        self._storage.write("seen fills", work)

    def on_venue_cancels(self, cancels: Iterable[VenueCancel]) -> None:
        """Take the numbers of orders that the venue canceled on its own; why, the order's own news says."""
        for coin, oid in cancels:
            track = self.shelf.by_number(oid)
            if track is not None and not track.is_closed:
                self._owner.on_notice(
                    NoticeKind.VENUE_CANCEL, f"the venue canceled order {track.key}", coin=coin
                )
                track.wants_query = True
                self.doubts.note(track)

    def hold_fills(self) -> None:
        """Keep back fills of orders not known here, until the engine has taken the account as it is."""
        if self._held is None:
            self._held = []

    def release_fills(self) -> None:
        """Book what was kept back, less what was entered in the ledger meanwhile."""
        held, self._held = self._held, None
        if held:
            self.on_fills(held)

    # -- inside: sending -------------------------------------------------------------------------------

    def _queue_modify(self, track: OrderTrack, quantity: Decimal, price: Decimal) -> None:
        change = track.start_modify(quantity, price)
        spec = self.shelf.spec(track.key)._replace(price=price, size=change.size)
        target = track.oid if track.oid is not None else track.cloid
        wire = made_ahead(modify_item, target, spec)
        item = ModifyItem(track.key, target, spec, wire, track.key not in self._own_modifies)
        self._coalescer.modify(item, self._monotonic_ns())

    def _clear_the_way(self, taker: OrderTrack) -> None:
        # the venue would cancel our own resting orders that we trade into: better first than in the middle
        for track in self.shelf.live():
            # where it rests, and where a modify on its way puts it
            prices = (track.price,) if track.modify is None else (track.price, track.modify.price)
            is_crossed = any((taker.price - price) * taker.side >= 0 for price in prices)
            if track.coin == taker.coin and track.side != taker.side and is_crossed and track.cancel is None:
                self.cancel(track.key, is_command=False)

    def _ready(self, item: Item) -> Item | None:
        track = self._known(item.key)
        if track.phase is Phase.CLOSED:
            return None
        if isinstance(item, ModifyItem):
            return self._ready_modify(track, item)
        if isinstance(item, PlaceItem):
            track.sent()
        elif track.cancel is not None:
            track.cancel.is_sent = True
        return item

    def _ready_modify(self, track: OrderTrack, item: ModifyItem) -> ModifyItem | None:
        change = track.modify
        if change is None:
            return None
        if change.news == track.news and change.old_oid == track.oid and item.wire is not None:
            change.is_sent = True
            return item
        # filled since the command came: the wire size is what is left of it
        change.size = change.quantity - track.done
        change.old_oid = track.oid
        if change.size <= 0:
            self._apply(track, track.modify_refused("nothing is left of that quantity", self._now_ns()))
            return None
        change.is_sent = True
        target = track.oid if track.oid is not None else track.cloid
        spec = item.spec
        if target == item.target and change.size == spec.size and change.price == spec.price:
            return item
        left = spec._replace(size=change.size, price=change.price)
        return ModifyItem(item.key, target, left, is_command=item.is_command)

    def _dispatch(self, kind: ActionClass, items: list[Item]) -> None:
        try:
            if kind in (ActionClass.PLACE_ALO, ActionClass.PLACE_OTHER):
                # an order that the venue knows and we do not would be a stranger's after a restart
                self._storage.write("order ids", self.cloids.flush)
            made = action_of(kind, items)
            prepared = self._sender.prepare(made.action, packed=made.packed)
        except (SigningError, HyperliquidError) as error:
            self._answer(items, ActionResult(not_done=f"NOT_SENT: {error}"))
            return
        self.actions_sent += 1
        is_cancel = isinstance(items[0], CancelItem)
        if is_cancel:
            self._repeats.sent(items)
        # begun at once: in a turn of its own the bytes would wait for all the engine's events that are queued
        post = self._post(items, prepared, goes_again=is_cancel)
        posting = asyncio.Task(post, loop=self._loop, eager_start=True)
        task = self._spawn(asyncio.wait_for(posting, None))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)
        own = sum(not isinstance(item, PlaceItem) and not item.is_command for item in items)
        self._sender.charge(ACTION_TYPES[kind], own)

    async def _post(self, items: list[Item], prepared: Prepared, *, goes_again: bool) -> None:
        result = await self._sender.post(prepared, goes_again=goes_again)
        if not (goes_again and self._repeats.keeps(items, result)):
            self._answer(items, result)

    # -- inside: answers -------------------------------------------------------------------------------

    def _answer(self, items: list[Item], result: ActionResult) -> None:
        if result.not_done is not None:
            for item in items:
                self._refuse(item, result.not_done, is_certain=True)
        elif isinstance(result.reply, Refused):
            for item in items:
                self._refuse(item, result.reply.text, is_certain=True)
        elif isinstance(result.reply, ActionAccepted):
            try:
                outcomes = result.reply.spread(len(items))
            except PayloadError as error:
                self._unknown(items, self._sender.venue_ms(), str(error))
                return
            for item, outcome in zip(items, outcomes, strict=True):
                self._outcome(item, outcome)
            self._repeats.answered(items)
        else:
            self._unknown(items, result.unknown_until_ms or self._sender.venue_ms(), "no answer")

    def _unknown(self, items: list[Item], until_ms: int, why: str) -> None:
        if not (isinstance(items[0], CancelItem) and items[0].is_repeat):
            self._owner.on_notice(NoticeKind.UNKNOWN_OUTCOME, f"{len(items)} commands: {why}")
        for item in items:
            track = self.shelf.track(item.key)
            if track is None or track.is_closed:
                continue
            if isinstance(item, PlaceItem):
                self._apply(track, track.reply_lost(until_ms, self._now_ns()))
            elif isinstance(item, ModifyItem):
                track.modify_lost(until_ms)
            else:
                track.cancel_lost(until_ms)
            self.doubts.note(track)
        self._repeats.lost(items)

    def _outcome(self, item: Item, outcome: Outcome) -> None:
        track = self.shelf.track(item.key)
        if track is None:
            return
        now = self._now_ns()
        if isinstance(outcome, Resting):
            self._apply(track, track.placed(outcome.oid, now))
        elif isinstance(outcome, FilledNow):
            self._apply(track, track.filled_now(outcome.oid, outcome.size, now))
        elif isinstance(outcome, OrderError):
            self._refuse(item, outcome.text, is_certain=False)
        elif isinstance(outcome, Success):
            self._apply(track, track.cancel_done(now))
        else:
            track.wants_query = True
            self.doubts.note(track)

    def _refuse(self, item: Item, reason: str, *, is_certain: bool) -> None:
        track = self.shelf.track(item.key)
        if track is None:
            return
        kind, now = rejection_kind(reason), self._now_ns()
        if isinstance(item, PlaceItem):
            if kind is RejectionKind.IOC_NO_MATCH:
                effects = track.expired_at_once(reason, now)
            else:
                is_post_only = kind is RejectionKind.POST_ONLY_CROSS
                effects = track.refused(reason, now, is_post_only=is_post_only)
        elif isinstance(item, ModifyItem):
            effects = track.modify_refused(reason, now, is_certain=is_certain)
        else:
            effects = track.cancel_refused(reason, now, is_gone=kind is RejectionKind.NOT_FOUND)
        self._apply(track, effects)

    # -- inside: news ----------------------------------------------------------------------------------

    def _on_fill(self, fill: UserFill) -> None:
        if not self._is_ours(fill.coin) or fill.key in self.ledger:
            return
        track = self.shelf.find(fill.oid, fill.cloid)
        if track is not None and track.phase is not Phase.WAITING:
            self.ledger.add(fill.key)
            self._apply(track, track.fill(fill))
            return
        if fill.ts_ns <= self.floor_ns:
            return
        if self._held is not None:
            self._held.append(fill)
            return
        self.ledger.add(fill.key)
        self._owner.on_foreign_fill(fill, self.cloids.client_order_id(fill.cloid))

    def _known(self, key: str) -> OrderTrack:
        track = self.shelf.track(key)
        if track is None:
            raise KeyError(f"the order {key} is not kept here")
        return track

    def _apply(self, track: OrderTrack, effects: list[Effect]) -> None:
        self.shelf.index(track)
        for effect in effects:
            if isinstance(effect, Orphan):
                self._cancel_orphan(track, effect.oid)
            elif not (isinstance(effect, ModifyRejected) and track.key in self._own_modifies):
                self._owner.on_effect(track, effect)
        if track.modify is None:
            self._own_modifies.discard(track.key)
        if track.is_closed:
            self._deferred.pop(track.key, None)
            self._trimmed.difference_update(track.legs, track.aside)
            self.shelf.retire(track)
        else:
            self._trim(track)
            self._undefer(track)
        self.doubts.note(track)
        self._repeats.note(track)

    def _undefer(self, track: OrderTrack) -> None:
        if track.key in self._deferred and track.phase is Phase.OPEN and track.modify is None:
            quantity, price = self._deferred.pop(track.key)
            if track.cancel is None:
                self._queue_modify(track, quantity, price)
                self._timer.look()
            else:
                self._drop_modify(track)

    def _drop_modify(self, track: OrderTrack) -> None:
        # should the cancel fail, the engine must not wait for the modify
        if track.key not in self._own_modifies and not track.is_closed:
            self._owner.on_effect(track, ModifyRejected(track.oid, "a cancel took its place", self._now_ns()))
        self._own_modifies.discard(track.key)

    def _trim(self, track: OrderTrack) -> None:
        # a fill raced a modify: more rests than was asked for
        current = track.current
        if current is None or track.excess <= 0 or track.modify is not None or track.cancel is not None:
            return
        if track.wanted <= track.done or current.oid in self._trimmed:
            self.cancel(track.key, is_command=False)
        elif track.key not in self._deferred:
            self._trimmed.add(current.oid)
            self._own_modifies.add(track.key)
            self._queue_modify(track, track.wanted, track.price)
            self._timer.look()

    def _cancel_orphan(self, track: OrderTrack, oid: int) -> None:
        self._owner.on_notice(
            NoticeKind.UNKNOWN_OUTCOME,
            f"order {track.key} rests after its end, it is canceled",
            is_alarm=True,
        )
        self._spawn(self._repeats.cancel_number(self._sender, self.shelf.spec(track.key).asset, oid))
