"""
One WebSocket to the venue that stays up: pings, notices silence, reconnects, and brings its subscriptions back.

The engine's client carries the bytes. It cannot say that a connection was lost, and what it runs after its own reconnect runs on a
foreign thread; so it is told not to reconnect, each connection is a client of its own, and all decisions are made here, on the loop
thread. Venue facts: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket and protocol: WebSocket.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any
from typing import Final

import msgspec
from nautilus_trader.core import nautilus_pyo3

from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.http import clean_reason
from hyperliquid_hip3.http import host_of
from hyperliquid_hip3.subscriptions import Subscription
from hyperliquid_hip3.subscriptions import Subscriptions
from hyperliquid_hip3.subscriptions import read_answer
from hyperliquid_hip3.weights import SocketLimits


PING: Final = b'{"method":"ping"}'
PING_EVERY_S: Final = 20.0
# the venue answers pings at once, so this is two answers missed; it hangs up itself when it has sent nothing for 60 s
SILENT_AFTER_S: Final = 45.0
CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
# the client says that it is closed within a millisecond, but only when asked
WATCH_EVERY_S: Final = 0.02
FIRST_BACKOFF_S: Final = 0.25
MAX_BACKOFF_S: Final = 30.0
# a connection that held this long was good: the next loss starts with the short pause again
HELD_S: Final = 30.0
# the venue acknowledges within a block or two; a bad coin closes the socket within about 0.1 s
ACK_TIMEOUT_S: Final = 3.0
CLOSED: Final = "the venue closed the connection"

type OnFrame = Callable[[bytes, int], None]
type OnUp = Callable[[bool], None]
type OnDown = Callable[[str], None]
type OnRefused = Callable[[dict[str, Any], str], None]


class VenueSocket:
    """
    Keep one connection to the venue's WebSocket.

    All methods are called, and all callbacks made, on the loop's thread; after :meth:`close` there are no more callbacks. An exception
    of a callback goes to the loop's exception handler and harms nothing here.

    Parameters
    ----------
    ws_url : str
        For example ``wss://api.hyperliquid.xyz/ws``.
    loop : asyncio.AbstractEventLoop
        The loop that everything runs in.
    on_frame : callable
        Takes each frame as received, pongs and acknowledgements included, and the wall clock then, in ns UTC.
    on_up : callable
        Takes whether this is a reconnect. Comes when the remembered subscriptions are acknowledged, or 3 s after connecting: what
        happens from now on arrives as frames, what happened before has to be asked for.
    on_down : callable
        Takes the reason. Comes once after each ``on_up`` whose connection was lost; a new connection is on its way.
    name : str
        Which socket this is, for messages.
    on_refused : callable, optional
        Takes a subscription that was dropped, and why: the venue called it invalid, or closed the socket on it. A bad coin name
        closes the socket without a word, so names must come from the venue's own lists.
    limits : SocketLimits, optional
        What the venue allows an address; shared by all its sockets.
    ping_every_s, silent_after_s, connect_timeout_s, ack_timeout_s : float
        Seconds.
    first_backoff_s, max_backoff_s : float
        The pause before a reconnect, doubled up to the maximum; up to a quarter of it is random.

    Raises
    ------
    ValueError
        If the address is not a ws or wss one, or holds a user name or password.

    """

    def __init__(
        self,
        ws_url: str,
        *,
        loop: asyncio.AbstractEventLoop,
        on_frame: OnFrame,
        on_up: OnUp,
        on_down: OnDown,
        name: str,
        on_refused: OnRefused | None = None,
        limits: SocketLimits | None = None,
        ping_every_s: float = PING_EVERY_S,
        silent_after_s: float = SILENT_AFTER_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        ack_timeout_s: float = ACK_TIMEOUT_S,
        first_backoff_s: float = FIRST_BACKOFF_S,
        max_backoff_s: float = MAX_BACKOFF_S,
    ) -> None:
        self.host = host_of(ws_url, schemes=("ws", "wss"))
        self.name = name
        self._url = ws_url
        self._loop = loop
        self._on_frame = on_frame
        self._on_up = on_up
        self._on_down = on_down
        self._on_refused = on_refused
        self._limits = SocketLimits() if limits is None else limits
        self._ping_every_s = ping_every_s
        self._silent_after_s = silent_after_s
        self._connect_timeout_s = connect_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._first_backoff_s = first_backoff_s
        self._max_backoff_s = max_backoff_s
        self._subscriptions = Subscriptions()
        self._client: Any = None
        self._connection = 0
        self._is_up = False
        self._has_been_up = False
        self._keeper: asyncio.Task[None] | None = None
        self._last_frame_s = 0.0
        self._wake = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - spreads reconnects in time

    def __repr__(self) -> str:
        return f"VenueSocket({self.name}, {self.host}, {'up' if self.is_connected else 'down'})"

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now; not whether its subscriptions are acknowledged yet."""
        return self._client is not None and self._client.is_active()

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame of this connection, or since it came about."""
        return self._loop.time() - self._last_frame_s

    @property
    def is_up(self) -> bool:
        """Whether ``on_up`` was called for this connection."""
        return self._is_up

    @property
    def unacknowledged(self) -> tuple[dict[str, Any], ...]:
        """What was asked for on this connection and not acknowledged within 3 s; normally nothing."""
        return self._subscriptions.unacknowledged(self._loop.time(), self._ack_timeout_s)

    @property
    def subscriptions(self) -> tuple[dict[str, Any], ...]:
        """What is remembered, in the order it was first asked for."""
        return tuple(entry.wire for entry in self._subscriptions)

    async def connect(self) -> None:
        """
        Connect once, and from then on keep the connection until :meth:`close`.

        Raises
        ------
        TransportError
            If the venue cannot be reached in time; nothing runs on then, and it may be tried again.
        RuntimeError
            If it is connected already.

        """
        if self._keeper is not None:
            raise RuntimeError(f"socket {self.name} is connected already")
        await self._open()
        self._keeper = self._loop.create_task(self._keep(), name=f"socket {self.name}")
        self._keeper.add_done_callback(self._mourn)

    async def close(self) -> None:
        """Hang up and stay down; the subscriptions are kept for a later :meth:`connect`."""
        keeper, self._keeper = self._keeper, None
        self._is_up = self._has_been_up = False
        self._connection += 1
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await self._hang_up()

    def subscribe(self, subscription: dict[str, Any]) -> None:
        """
        Ask for a feed now, or when there is a connection, and again after every reconnect.

        Asking twice for the same does nothing.

        Raises
        ------
        ValueError
            If the venue's limit of subscriptions for a socket's address is reached.

        """
        if self._subscriptions.add(subscription):
            self._wake.set()

    def unsubscribe(self, subscription: dict[str, Any]) -> None:
        """Give up a feed; one that was never asked for is left alone. Frames on their way may still arrive."""
        if self._subscriptions.remove(subscription):
            self._wake.set()

    async def _open(self) -> None:
        await self._limits.spend_connection()
        self._connection += 1
        number = self._connection
        config = nautilus_pyo3.WebSocketConfig(url=self._url, headers=[], reconnect_max_attempts=0)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                client = await nautilus_pyo3.WebSocketClient.connect(
                    loop_=self._loop,
                    config=config,
                    handler=lambda raw: self._receive(raw, number),
                )
        except TimeoutError as e:
            reason = f"no answer within {self._connect_timeout_s:g} s"
            raise TransportError(f"socket {self.name}: {self.host} cannot be reached ({reason})") from e
        except nautilus_pyo3.WebSocketClientError as e:
            reason = clean_reason(str(e))
            raise TransportError(f"socket {self.name}: {self.host} cannot be reached ({reason})") from e
        if number != self._connection:
            await _disconnect(client)
            raise TransportError(f"socket {self.name}: closed while connecting to {self.host}")
        self._client = client
        self._last_frame_s = self._loop.time()
        self._subscriptions.start_over()

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed():
            await _disconnect(client)

    def _receive(self, raw: bytes, number: int) -> None:
        if number != self._connection:
            return
        received_ns = time.time_ns()
        self._last_frame_s = self._loop.time()
        answer = read_answer(raw)
        if answer is not None:
            refused = self._subscriptions.take(answer)
            self._wake.set()
            if refused is not None:
                self._report_refused(refused, "the venue calls it invalid")
        self._on_frame(raw, received_ns)

    async def _keep(self) -> None:
        """Serve one connection after the other until canceled."""
        backoff_s = self._first_backoff_s
        while True:
            opened_s = self._loop.time()
            reason = await self._serve()
            self._lose(reason)
            await self._hang_up()
            if self._loop.time() - opened_s > HELD_S:
                backoff_s = self._first_backoff_s
            while True:
                await asyncio.sleep(backoff_s * self._random.uniform(0.75, 1.0))
                backoff_s = min(2 * backoff_s, self._max_backoff_s)
                try:
                    await self._open()
                except TransportError:
                    continue
                break

    async def _serve(self) -> str:
        """Work on the connection until it is lost, and return the reason."""
        started_s = pinged_s = self._loop.time()
        while True:
            now_s = self._loop.time()
            if self._client.is_closed():
                # what was received before is handed over first
                await asyncio.sleep(0)
                return CLOSED
            if now_s - self._last_frame_s > self._silent_after_s:
                return f"nothing was received for {self._silent_after_s:g} s"
            try:
                if now_s - pinged_s >= self._ping_every_s:
                    pinged_s = now_s
                    await self._send(PING)
                await self._send_wanted()
            except (nautilus_pyo3.WebSocketClientError, RuntimeError):
                # the client sends nothing only when it is closed
                return CLOSED
            if not self._is_up and (
                self._subscriptions.is_settled or now_s - started_s >= self._ack_timeout_s
            ):
                self._is_up = True
                self._call(self._on_up, self._has_been_up)
                self._has_been_up = True
            await self._pause(WATCH_EVERY_S)

    def _lose(self, reason: str) -> None:
        self._connection += 1
        if self._is_up:
            self._is_up = False
            self._call(self._on_down, reason)
        if reason == CLOSED:
            suspect = self._subscriptions.blame(self._loop.time(), self._ack_timeout_s)
            if suspect is not None:
                self._report_refused(suspect, "the venue closed the connection on it twice")

    async def _send_wanted(self) -> None:
        while (
            message := self._subscriptions.next_message(self._loop.time(), self._ack_timeout_s)
        ) is not None:
            await self._send(msgspec.json.encode(message))

    async def _send(self, raw: bytes) -> None:
        await self._limits.spend_message()
        await self._client.send_text(raw)

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _report_refused(self, entry: Subscription, why: str) -> None:
        if self._on_refused is not None:
            self._call(self._on_refused, entry.wire, why)

    def _call(self, callback: Callable[..., None], *args: Any) -> None:
        # in a turn of its own, so that its exception is its own
        self._loop.call_soon(self._run, self._keeper, callback, *args)

    def _run(self, keeper: asyncio.Task[None] | None, callback: Callable[..., None], *args: Any) -> None:
        if keeper is not None and keeper is self._keeper:
            callback(*args)

    def _mourn(self, keeper: asyncio.Task[None]) -> None:
        if keeper.cancelled() or (error := keeper.exception()) is None:
            return
        message = f"socket {self.name} is not kept any more"
        self._loop.call_exception_handler({"message": message, "exception": error, "task": keeper})
        if self._is_up:
            self._is_up = False
            self._call(self._on_down, message)


async def _disconnect(client: Any) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await client.disconnect()
    except (TimeoutError, nautilus_pyo3.WebSocketClientError, RuntimeError):
        # it closes itself when the last reference to it goes
        return
