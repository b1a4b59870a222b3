"""One client's socket: what it subscribed to, what waits to be sent, and the faults on the way out."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any
from typing import Final

import msgspec
from aiohttp import ClientError
from aiohttp import WSMsgType
from aiohttp import web

from hyperliquid_loopback.faults import Faults
from hyperliquid_loopback.subscriptions import Subscription


# a client that reads nothing for this many frames is let go
MAX_WAITING: Final = 20_000
OVERTAKING: Final = 3


class Session:
    """
    A client's WebSocket.

    Parameters
    ----------
    socket : web.WebSocketResponse
        The prepared socket.
    transport : asyncio.Transport
        Its connection, to be aborted: the client sees 1006.
    faults : Faults
        What happens to frames.
    now_ms : callable
        Venue time, for the rule of the silent minute.

    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        faults: Faults,
        now_ms: Callable[[], int],
    ) -> None:
        self.subscriptions: set[Subscription] = set()
        self.last_sent_ms = now_ms()
        self.is_closed = False
        self.sent = 0
        self._socket = socket
        self._transport = transport
        self._faults = faults
        self._now_ms = now_ms
        self._waiting: deque[bytes] = deque()
        self._late: list[tuple[int, bytes]] = []
        self._cleared = faults.times_cleared("ws_late")
        self._wake = asyncio.Event()

    @property
    def users(self) -> set[str]:
        """The addresses that this socket follows."""
        return {each.user for each in self.subscriptions if each.user}

    def say(self, channel: str, data: Any = None) -> None:
        """Send a message; without data it has none, as ``pong``."""
        self.send(channel, frame(channel, data))

    def send(self, channel: str, payload: bytes) -> None:
        """Queue a frame, unless a fault loses, doubles or holds it, or closes the socket."""
        if self.is_closed:
            return
        if self._faults.strike("ws_close", channel):
            self.abort()
            return
        if self._faults.strike("ws_drop", channel):
            return
        late = self._faults.strike("ws_late", channel)
        if late is not None:
            self._late.append((int(late.value) or OVERTAKING, payload))
            return
        self._put(payload)
        if self._faults.strike("ws_duplicate", channel):
            self._put(payload)
        self._release()

    def let_go(self) -> None:
        """Send the late frames that nothing has overtaken, where the fault was taken back: late is not lost."""
        cleared = self._faults.times_cleared("ws_late")
        if cleared == self._cleared:
            return
        self._cleared = cleared
        late, self._late = self._late, []
        for _, payload in late:
            self._put(payload)

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self.end()
        self._transport.abort()

    def end(self) -> None:
        """Forget what waits: the client is gone."""
        self.is_closed = True
        self._waiting.clear()
        self._late.clear()
        self._wake.set()

    async def write(self) -> None:
        """Send what is queued, until the socket is closed."""
        while not self.is_closed:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            delay = self._faults.strike("ws_delay")
            if delay is not None:
                await asyncio.sleep(delay.value / 1_000)
            if not self._waiting:
                continue
            try:
                await self._socket.send_frame(self._waiting.popleft(), WSMsgType.TEXT)
            except (ClientError, ConnectionError, RuntimeError):
                # the client is gone; its reader ends the session
                self.is_closed = True

    def _put(self, payload: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.abort()
            return
        self.last_sent_ms = self._now_ms()
        self.sent += 1
        self._waiting.append(payload)
        self._wake.set()

    def _release(self) -> None:
        if self._late:
            self._late = [(left - 1, payload) for left, payload in self._late]
            due = [payload for left, payload in self._late if left <= 0]
            self._late = [(left, payload) for left, payload in self._late if left > 0]
            for payload in due:
                self._put(payload)


def frame(channel: str, data: Any = None) -> bytes:
    """Return a message as bytes; without data it has no such key."""
    message = {"channel": channel} if data is None else {"channel": channel, "data": data}
    return msgspec.json.encode(message)
