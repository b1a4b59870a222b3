"""The user's streams: orders, fills, events, funding and transfers, each frame read once and handed on."""

import asyncio
from collections.abc import Callable
from typing import Any
from typing import Final
from typing import Protocol

from hyperliquid_hip3.account_parsing import parse_ledger_message
from hyperliquid_hip3.account_parsing import parse_unnamed_agent
from hyperliquid_hip3.account_state import AccountSums
from hyperliquid_hip3.desk import OrderDesk
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.frames import ACK
from hyperliquid_hip3.frames import ERROR
from hyperliquid_hip3.frames import parse_ack
from hyperliquid_hip3.frames import parse_channel_error
from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.transfers import TransferBook
from hyperliquid_hip3.user_parsing import parse_order_updates
from hyperliquid_hip3.user_parsing import parse_user_event
from hyperliquid_hip3.user_parsing import parse_user_fills_message
from hyperliquid_hip3.user_parsing import parse_user_fundings_message
from hyperliquid_hip3.user_records import FillsEvent
from hyperliquid_hip3.user_records import FundingEvent
from hyperliquid_hip3.user_records import FundingPayment
from hyperliquid_hip3.user_records import LiquidationNotice
from hyperliquid_hip3.user_records import UnnamedAgent
from hyperliquid_hip3.user_records import VenueCancels


SUBSCRIPTIONS: Final = (
    "orderUpdates",
    "userFills",
    "userEvents",
    "userFundings",
    "userNonFundingLedgerUpdates",
)


class Socket(Protocol):
    """The part of ``VenueSocket`` that is used."""

    async def connect(self) -> None:
        """Connect, and stay so."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...

    def subscribe(self, subscription: dict[str, Any]) -> None:
        """Ask for a feed."""
        ...

    def unsubscribe(self, subscription: dict[str, Any]) -> None:
        """Give up a feed."""
        ...


class UserStream:
    """
    Reads the streams of one account.

    Parameters
    ----------
    account : str
        Whose streams.
    desk : OrderDesk
        Takes orders and fills.
    sums : AccountSums
        Takes funding.
    transfers : TransferBook
        Takes deposits, withdrawals and transfers.
    dex : str
        The dex whose funding is counted.
    since_ns : int
        Payments of funding before this, ns UTC, are the past.
    wants_account : Callable[[], None]
        Asks for the account to be read.
    on_reconnected : Callable[[], None]
        Told when the streams are back.
    notify : Callable
        Takes a kind and a text, ``coin`` and ``is_alarm``.

    """

    def __init__(
        self,
        account: str,
        *,
        desk: OrderDesk,
        sums: AccountSums,
        transfers: TransferBook,
        dex: str,
        since_ns: int,
        wants_account: Callable[[], None],
        on_reconnected: Callable[[], None],
        notify: Callable[..., None],
    ) -> None:
        self._account = account
        self._desk = desk
        self._sums = sums
        self._transfers = transfers
        self._dex = dex
        self._since_ns = since_ns
        self._wants_account = wants_account
        self._on_reconnected = on_reconnected
        self._notify = notify
        self._socket: Socket | None = None
        # all streams are there, or the venue has said why not
        self._settled = asyncio.Event()
        self.is_up = False
        self._has_been_up = self._is_connected = False
        self._given: set[str] = set()
        self._objection = "no answer"
        self._has_ledger = False
        self.frames = 0
        self.bad_frames = 0
        self._readers: dict[str, Callable[[Any], None]] = {
            "orderUpdates": lambda data: self._desk.on_order_updates(parse_order_updates(data)),
            "userFills": self._on_fills,
            "user": self._on_event,
            "userFundings": self._on_fundings,
            "userNonFundingLedgerUpdates": self._on_ledger,
            "webData3": self._on_web_data,
            ACK: self._on_ack,
            ERROR: self._on_objection,
        }
        self._agent: asyncio.Future[UnnamedAgent] | None = None
        self._agent_of = account

    @property
    def knows_ledger(self) -> bool:
        """Whether the streams are there and have told all transfers so far: every connection begins with a snapshot."""
        return self.is_up and self._has_ledger

    async def connect(self, socket: Socket, *, timeout_s: float) -> None:
        """
        Subscribe and connect, and wait until the streams are there.

        Raises
        ------
        TransportError
            If they are not there in time, or the venue does not give all of them.

        """
        self._socket = socket
        for kind in SUBSCRIPTIONS:
            socket.subscribe(self._subscription(kind))
        await socket.connect()
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            raise TransportError(f"the account's streams did not come up within {timeout_s:g} s") from None
        if not self.is_up:
            raise TransportError(self._lack())

    def ask_again(self) -> None:
        """Ask once more for streams that the venue did not give on this connection; without them fills are not heard of."""
        if self.is_up or not self._is_connected or self._socket is None:
            return
        for kind in self._missing:
            self._socket.unsubscribe(self._subscription(kind))
            self._socket.subscribe(self._subscription(kind))

    async def unnamed_agent(self, user: str, *, timeout_s: float) -> UnnamedAgent:
        """
        Return what the venue says of a user's agent without a name; the feed that says it is given up again at once.

        The user is whose agent signs: the account itself, or the master or leader where it is a sub-account or a vault.

        Raises
        ------
        TransportError
            If it says nothing in time.

        """
        if self._socket is None:
            raise TransportError("the account's streams are closed")
        self._agent_of = user.lower()
        subscription = {"type": "webData3", "user": self._agent_of}
        self._agent = asyncio.get_running_loop().create_future()
        self._socket.subscribe(subscription)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._agent
        except TimeoutError:
            raise TransportError(f"nothing was said of the agent within {timeout_s:g} s") from None
        finally:
            self._agent = None
            self._socket.unsubscribe(subscription)

    async def close(self) -> None:
        """Hang up."""
        self.is_up = False
        if self._socket is not None:
            await self._socket.close()

    def on_up(self, is_reconnect: bool) -> None:
        """Take that the connection is there; the streams are once the venue has acknowledged each of them."""
        self._is_connected = True
        if not self._missing:
            self._begin()
        elif is_reconnect:
            self._notify(NoticeKind.STREAM_DOWN, self._lack(), is_alarm=True)
            # what can be known without them
            self._on_reconnected()

    def on_down(self, reason: str) -> None:
        """Take that the streams are gone."""
        self.is_up = self._has_ledger = self._is_connected = False
        self._given.clear()
        self._notify(NoticeKind.STREAM_DOWN, reason)

    def on_frame(self, raw: bytes, received_ns: int) -> None:  # noqa: ARG002 - the socket's form
        """Read one frame; one that cannot be read may have said anything, so everything is asked for again."""
        self.frames += 1
        try:
            frame = parse_frame(raw)
            reader = self._readers.get(frame.channel)
            if reader is not None:
                reader(frame.data)
        except PayloadError as error:
            self.bad_frames += 1
            self._notify(NoticeKind.STREAM_DOWN, f"a frame could not be read: {error}")
            self._on_reconnected()

    @property
    def _missing(self) -> list[str]:
        return [kind for kind in SUBSCRIPTIONS if kind not in self._given]

    def _lack(self) -> str:
        return f"the venue does not give {', '.join(self._missing)} of the account: {self._objection}"

    def _subscription(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "user": self._account}

    def _begin(self) -> None:
        is_again, self._has_been_up, self.is_up = self._has_been_up, True, True
        self._settled.set()
        if is_again:
            self._notify(NoticeKind.STREAM_UP, "the account's streams are back")
            self._on_reconnected()

    def _give(self, subscription: dict[str, Any] | None) -> None:
        self._given.add(str((subscription or {}).get("type")))
        if self._is_connected and not self.is_up and not self._missing:
            # later than the socket waits for
            self._begin()

    def _on_ack(self, data: Any) -> None:
        ack = parse_ack(data)
        if ack.method == "subscribe":
            self._give(ack.subscription)

    def _on_objection(self, data: Any) -> None:
        said = parse_channel_error(data)
        if said.kind == "already_subscribed":
            self._give(said.subscription)
        elif said.kind != "already_unsubscribed":
            self._objection = said.text
            self._settled.set()

    def _on_fills(self, data: Any) -> None:
        message = parse_user_fills_message(data)
        if message.user.lower() == self._account:
            self._desk.on_fills(message.fills)

    def _on_web_data(self, data: Any) -> None:
        if self._agent is None or self._agent.done():
            return
        agent = parse_unnamed_agent(data)
        if agent.user.lower() == self._agent_of:
            self._agent.set_result(agent)

    def _on_event(self, data: Any) -> None:
        event = parse_user_event(data)
        if isinstance(event, FillsEvent):
            self._desk.on_fills(event.fills)
        elif isinstance(event, FundingEvent):
            self._add_funding(event.payment)
        elif isinstance(event, VenueCancels):
            self._desk.on_venue_cancels(event.cancels)
        elif isinstance(event, LiquidationNotice) and event.liquidated_user.lower() == self._account:
            self._notify(
                NoticeKind.LIQUIDATION,
                f"liquidated with an account value of {event.account_value}",
                is_alarm=True,
            )
            self._wants_account()

    def _on_fundings(self, data: Any) -> None:
        message = parse_user_fundings_message(data)
        if message.user.lower() == self._account:
            for payment in message.payments:
                self._add_funding(payment)

    def _on_ledger(self, data: Any) -> None:
        message = parse_ledger_message(data)
        if message.user.lower() != self._account:
            return
        if self._transfers.take(message.updates):
            self._wants_account()
        self._has_ledger = self._has_ledger or message.is_snapshot

    def _add_funding(self, payment: FundingPayment) -> None:
        if payment.ts_ns < self._since_ns or payment.coin.partition(":")[0] != (self._dex or payment.coin):
            return
        if self._sums.add_funding(payment.coin, payment.ts_ns, payment.amount):
            self._wants_account()
