"""
An account without a node: its orders canceled, its position closed, by the adapter's client alone.

Everything is done by asking again: an action that is not answered, a nonce that another process used, an order that a dead node's last
action placed after the first look, all show in the next. What is ours is known from the node's own file of order ids.
"""

import asyncio
import time
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from pathlib import Path

from amm500_nautilus.monitor.supervisor import RescueError
from amm500_nautilus.monitor.supervisor import Swept
from amm500_nautilus.monitor.supervisor import UnseenError
from amm500_nautilus.risk.flatten import FlattenConfig
from amm500_nautilus.risk.flatten import Flattener
from amm500_nautilus.risk.flatten import FlattenOrder
from hyperliquid_hip3.actions import Action
from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.actions import cancel_action
from hyperliquid_hip3.actions import cancel_by_cloid_action
from hyperliquid_hip3.actions import order_action
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.constants import MIN_ORDER_NOTIONAL
from hyperliquid_hip3.constants import builder_asset_id
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.nonces import NonceCounter
from hyperliquid_hip3.precision import lot_size
from hyperliquid_hip3.precision import round_price_away
from hyperliquid_hip3.precision import tick_at
from hyperliquid_hip3.records import BookLevel
from hyperliquid_hip3.records import BookSnapshot
from hyperliquid_hip3.replies import Accepted
from hyperliquid_hip3.replies import ActionReply
from hyperliquid_hip3.replies import OrderError
from hyperliquid_hip3.replies import Refused
from hyperliquid_hip3.replies import RejectionKind
from hyperliquid_hip3.replies import rejection_kind
from hyperliquid_hip3.sender import ActionSender
from hyperliquid_hip3.signing import Signer
from hyperliquid_hip3.startup import check_agent
from hyperliquid_hip3.startup import check_vault
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import OpenOrder


type Assets = dict[str, tuple[int, int]]

CLOCK_SAMPLES = 3
# protocol: batches
MOST_ITEMS = 200
# a refusal that the next try may not meet
PASSING = frozenset({RejectionKind.NONCE, RejectionKind.RATE_LIMIT, RejectionKind.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectAccess:
    """
    Which account, where, and how patiently.

    Parameters
    ----------
    url : str
        The venue's address without a path.
    dex : str
        The dex whose orders and positions are meant.
    coins : tuple of str
        Whose position is closed.
    user, vault : str
        The account's address, and the vault or sub-account traded for.
    state_dir : Path
        The folder of the node's nonces and order ids.
    takes_all : bool, default False
        Whether every order of the account on the dex counts as ours.
    require_agent : bool, default True
        Whether the account's own key is refused.
    flatten : FlattenConfig
        How a position is closed.
    settle_secs : float, default 2
        Nothing may rest for so long before that is believed: a dead node's last action may still be on its way.
    cancel_secs, flatten_secs : float, default 20 and 120
        When to say what is left instead of trying again.
    timeout_secs, deadline_secs : float, default 3 and 6
        The time one request, and one query with its retries, may take.
    expires_after_ms : int, default 10000
        An action that reaches no block within this time is void.

    """

    url: str
    dex: str
    coins: tuple[str, ...]
    user: str
    vault: str | None = None
    state_dir: Path
    takes_all: bool = False
    require_agent: bool = True
    flatten: FlattenConfig = field(default_factory=FlattenConfig)
    settle_secs: float = 2.0
    cancel_secs: float = 20.0
    flatten_secs: float = 120.0
    timeout_secs: float = 3.0
    deadline_secs: float = 6.0
    expires_after_ms: int = 10_000

    @property
    def account(self) -> str:
        """The address whose orders and positions are meant."""
        return (self.vault or self.user).lower()

    @property
    def orders_file(self) -> Path:
        """The node's file of order ids."""
        return self.state_dir / f"orders-{self.account}-{self.dex or 'main'}"


@dataclass(frozen=True, slots=True)
class Look:
    """An account as the venue shows it: orders that are ours, the number of others, its state."""

    ours: tuple[OpenOrder, ...]
    foreign: int
    state: ClearinghouseState


class DirectRescue:
    """
    The supervisor's hand on an account; each call blocks, on a loop of its own.

    Parameters
    ----------
    accesses : sequence of DirectAccess
        The account, once for each dex on which it may have orders.
    key : SecretKey
        An agent's, the node's or another.

    """

    outlives = True

    def __init__(self, accesses: Sequence[DirectAccess], key: SecretKey) -> None:
        # what each dex lists, read once: when it counts there is no time for it
        self._known: list[tuple[DirectAccess, Assets]] = [(access, {}) for access in accesses]
        self._key = key

    def cancel(self) -> Swept:
        """
        Cancel what is ours, and look until nothing of it rests.

        Raises
        ------
        UnseenError
            If the venue does not answer.
        RescueError
            If it answers and refuses, for example the key.

        """
        return _together(self._run(lambda desk: desk.cancel()))

    def flatten(self) -> Swept:
        """Cancel what is ours, and close the position; raises as :meth:`cancel` does."""
        return _together(self._run(lambda desk: desk.flatten()))

    def look(self) -> tuple[Look, ...]:
        """Return the account as it is, dex by dex; raises as :meth:`cancel` does."""
        return self._run(lambda desk: desk.look())

    def _run[T](self, work: Callable[["DirectDesk"], Awaitable[T]]) -> tuple[T, ...]:
        async def job(access: DirectAccess, assets: Assets) -> T:
            with _nonces(access.state_dir, self._key.address) as nonces:
                # a client of this loop's own
                client = VenueClient(
                    access.url, timeout_s=access.timeout_secs, deadline_s=access.deadline_secs
                )
                return await work(DirectDesk(access, client, self._key, nonces, assets))

        try:
            return tuple(asyncio.run(job(access, assets)) for access, assets in self._known)
        except TransportError as error:
            raise UnseenError(str(error)) from error
        except (HyperliquidError, OSError) as error:
            raise RescueError(str(error)) from error


class DirectDesk:
    """
    Actions and looks at one account.

    Parameters
    ----------
    access : DirectAccess
        The account.
    client : VenueClient
        The venue.
    key : SecretKey
        What signs.
    nonces : NonceCounter
        The key's nonces.
    assets : dict
        What the dex lists, number and size decimals by coin; filled, and the key checked, where it is empty.

    """

    def __init__(
        self,
        access: DirectAccess,
        client: VenueClient,
        key: SecretKey,
        nonces: NonceCounter,
        assets: Assets,
    ) -> None:
        self._access = access
        self._client = client
        self._signer = Signer(key, access.url, access.vault)
        self._sender = ActionSender(
            client,
            self._signer,
            nonces,
            expires_after_ms=access.expires_after_ms,
            on_pause=lambda _kind, _text: None,
        )
        self._assets = assets
        self._refused = ""
        # why the position is still held: an answer to a cancel does not take the place of it
        self._unclosed = ""
        self._sent = 0

    # -- looking -----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """
        Measure the clock; the first time read the markets, and see that the key is an agent of the account.

        Raises
        ------
        HyperliquidError
            If the venue does not answer, has no such dex, or does not know the key.

        """
        access, client = self._access, self._client
        for _ in range(CLOCK_SAMPLES):
            await client.exchange_status()
        if self._assets:
            return
        # side by side: orders may be resting meanwhile
        _, _, dexs, meta = await asyncio.gather(
            check_agent(
                client,
                self._signer.address,
                access.user,
                now_ns=time.time_ns(),
                require_agent=access.require_agent,
            ),
            check_vault(client, access.vault, access.user),
            client.perp_dexs(),
            client.meta(access.dex),
        )
        index = next((dex.index for dex in dexs if dex.name == access.dex), None if access.dex else 0)
        if index is None:
            raise HyperliquidError(f"the venue has no dex {access.dex!r}")
        self._assets.update(
            (entry.coin, (builder_asset_id(index, entry.index), entry.sz_decimals)) for entry in meta.universe
        )

    async def look(self) -> Look:
        """Return orders and account as they are now."""
        access = self._access
        orders = await self._client.open_orders(access.account, access.dex)
        state = await self._client.clearinghouse_state(access.account, access.dex)
        ours = self._ours(orders)
        return Look(ours, len(orders) - len(ours), state)

    def _ours(self, orders: Sequence[OpenOrder]) -> tuple[OpenOrder, ...]:
        if self._access.takes_all:
            return tuple(orders)
        # read anew each time: a node that still runs may add to it
        known = known_cloids(self._access.orders_file)
        return tuple(order for order in orders if order.cloid in known)

    # -- canceling ---------------------------------------------------------------------------------------------------

    async def cancel(self) -> Swept:
        """Cancel what is ours until nothing of it has rested for a while; what is left when the time is over is in the answer."""
        access = self._access
        await self.open()
        until = time.monotonic() + access.cancel_secs
        seen: set[str | int] = set()
        clear_since: float | None = None
        while True:
            orders = await self._client.open_orders(access.account, access.dex)
            ours, now = self._ours(orders), time.monotonic()
            foreign = len(orders) - len(ours)
            if not ours:
                clear_since = now if clear_since is None else clear_since
                if now - clear_since >= access.settle_secs:
                    return Swept(found=len(seen), foreign=foreign, words=_words(len(seen), 0, foreign))
            elif now > until:
                words = _words(len(seen), len(ours), foreign)
                return Swept(
                    found=len(seen),
                    left=len(ours),
                    foreign=foreign,
                    words=f"{words}{f': {self._refused}' if self._refused else ''}",
                )
            else:
                clear_since = None
                # a modify gives an order a new number, and leaves its own id
                seen.update(order.cloid or order.oid for order in ours)
                await self._cancel(ours)
            await asyncio.sleep(0.25)

    async def _cancel(self, orders: Sequence[OpenOrder]) -> None:
        named = [(self._asset(order.coin), order.cloid) for order in orders if order.cloid is not None]
        others = [(self._asset(order.coin), order.oid) for order in orders if order.cloid is None]
        for first in range(0, len(named), MOST_ITEMS):
            await self._act(cancel_by_cloid_action(named[first : first + MOST_ITEMS]))
        for first in range(0, len(others), MOST_ITEMS):
            await self._act(cancel_action(others[first : first + MOST_ITEMS]))

    def _asset(self, coin: str) -> int:
        if coin not in self._assets:
            raise HyperliquidError(f"the venue has no coin {coin!r}")
        return self._assets[coin][0]

    async def _act(self, action: Action) -> ActionReply | None:
        """Send an action; return the answer, None where there is none and the next look has to tell."""
        result = await self._sender.send(action)
        reply = result.reply
        if isinstance(reply, Refused):
            self._refused = reply.text
            kind = rejection_kind(reply.text)
            if kind is RejectionKind.UNKNOWN_AGENT:
                raise HyperliquidError(f"the venue refuses the key {self._signer.address}: {reply.text}")
            if kind is RejectionKind.RATE_LIMIT:
                await asyncio.sleep(1.0)
            elif kind not in PASSING and kind is not RejectionKind.POST_ONLY_PHASE:
                raise HyperliquidError(f"the venue refuses {action['type']}: {reply.text}")
        elif isinstance(reply, Accepted):
            self._refused = next((row.text for row in reply.outcomes if isinstance(row, OrderError)), "")
        elif result.not_done is not None:
            self._refused = result.not_done
        return reply

    # -- closing -----------------------------------------------------------------------------------------------------

    async def flatten(self) -> Swept:
        """
        Cancel what is ours, then close the position reduce-only, and say what is left.

        Each attempt takes what the book shows within its bound; between two that take, one rests at the touch, as after an upgrade of
        the network only post-only orders are taken.
        """
        swept = await self.cancel()
        if swept.left:
            return swept
        access = self._access
        until = time.monotonic() + access.flatten_secs
        with CloidBook(access.orders_file) as cloids:
            for coin in access.coins:
                if coin in self._assets:
                    await self._close(coin, cloids, until)
            # what rests at the touch must not be left alone
            swept = await self.cancel()
        state = await self._client.clearinghouse_state(access.account, access.dex)
        sizes = {row.coin: row.size for row in state.positions if row.coin in access.coins and row.size}
        if not sizes:
            return Swept(
                found=swept.found,
                left=swept.left,
                foreign=swept.foreign,
                position=Decimal(0),
                words="the position is 0",
            )
        left = ", ".join(f"{size:f} {coin}" for coin, size in sizes.items())
        why = f" ({self._unclosed})" if self._unclosed else ""
        return Swept(
            found=swept.found,
            left=swept.left,
            foreign=swept.foreign,
            position=next(iter(sizes.values())),
            words=f"still held after {access.flatten_secs:g} s: {left}{why}",
        )

    async def _close(self, coin: str, cloids: CloidBook, until: float) -> None:
        access, flattener = self._access, Flattener(self._access.flatten)
        lot = lot_size(self._assets[coin][1])
        asked = Decimal(0)
        before = Decimal(0)
        while time.monotonic() < until:
            position = await self._position(coin)
            if not position:
                return
            if asked and abs(before) - abs(position) >= asked:
                # a slice was filled whole: the book has more
                flattener.reset()
            book = await self._client.l2_book(coin)
            asked = Decimal(0)
            if book.bids and book.asks:
                tick = tick_at(book.bids[0].price, self._assets[coin][1])
                order = flattener.next(
                    time.time_ns(),
                    position_lots=int(position / lot),
                    bid_ticks=int(book.bids[0].price / tick),
                    ask_ticks=int(book.asks[0].price / tick),
                    in_flight=False,
                )
                if order is not None:
                    # an own order at the touch would be canceled by the venue, or meet this one
                    resting = await self._client.open_orders(access.account, access.dex)
                    await self._cancel(self._ours(resting))
                    size = await self._send(coin, order, book, tick, cloids)
                    asked, before = (size if order.ioc else Decimal(0)), position
            await asyncio.sleep(0.3)

    async def _position(self, coin: str) -> Decimal:
        state = await self._client.clearinghouse_state(self._access.account, self._access.dex)
        found = state.find(coin)
        return Decimal(0) if found is None else found.size

    async def _send(
        self, coin: str, order: FlattenOrder, book: BookSnapshot, tick: Decimal, cloids: CloidBook
    ) -> Decimal:
        asset, sz_decimals = self._assets[coin]
        lot = lot_size(sz_decimals)
        price = round_price_away(order.price_ticks * tick, side=order.side, sz_decimals=sz_decimals)
        size = order.lots * lot
        if order.ioc:
            size = slice_of(size, price, book.asks if order.side > 0 else book.bids, order.side, lot)
        self._sent += 1
        cloid = cloids.add(f"AMM500-DIRECT-{time.time_ns()}-{self._sent}")
        # the next node must know its own trades
        cloids.flush()
        spec = OrderSpec(
            asset=asset,
            is_buy=order.side > 0,
            price=price,
            size=size,
            tif="Ioc" if order.ioc else "Alo",
            reduce_only=True,
            cloid=cloid,
        )
        self._refused = ""
        await self._act(order_action([spec]))
        # an order that rests at the touch closes nothing yet: what refused the last one that takes still holds
        if order.ioc or self._refused:
            self._unclosed = self._refused
        return size


def slice_of(size: Decimal, price: Decimal, levels: Sequence[BookLevel], side: int, lot: Decimal) -> Decimal:
    """
    Return how much to take at once: what the book shows within the price, in whole lots, and all of it where little would be left.

    Parameters
    ----------
    size : Decimal
        What is to be closed, coins.
    price : Decimal
        The bound.
    levels : sequence of BookLevel
        The side of the book that is taken from.
    side : int
        +1 buys, -1 sells.
    lot : Decimal
        The smallest size.

    """
    shown = sum((level.size for level in levels if (price - level.price) * side >= 0), Decimal(0))
    part = (min(size, shown) // lot) * lot
    # an order below the venue's smallest value is taken only if it closes the whole position
    least = Decimal(MIN_ORDER_NOTIONAL)
    if part * price < least or (size - part) * price < least:
        return size
    return part


def known_cloids(path: Path) -> frozenset[str]:
    """Return the venue's form of every order id in a node's file; none where there is no file."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(line.partition(" ")[0] for line in lines if " " in line)


@contextmanager
def _nonces(folder: Path, address: str) -> Iterator[NonceCounter]:
    """Give the key's nonces; where a node has their file, or it is damaged, those of a file beside it: both count from the clock."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        counter = NonceCounter(folder / f"nonce-{address}")
    except SigningError:
        counter = NonceCounter(folder / f"nonce-{address}.direct")
    with counter:
        yield counter


def _together(parts: Sequence[Swept]) -> Swept:
    """Return what was done on several dexes as one."""
    if len(parts) == 1:
        return parts[0]
    held = [part.position for part in parts if part.position]
    is_read = all(part.position is not None for part in parts)
    return Swept(
        found=sum(part.found for part in parts),
        left=sum(part.left for part in parts),
        foreign=sum(part.foreign for part in parts),
        position=held[0] if held else (Decimal(0) if is_read else None),
        words="; ".join(part.words for part in parts),
    )


def _words(found: int, left: int, foreign: int) -> str:
    text = f"{found} own orders were resting, {left} rest" if found else "no own order rests"
    return f"{text}; {foreign} that are not ours were left" if foreign else text
