"""A venue of the tests' own: HTTP and WebSocket on one port of this machine, which does what a test tells it and nothing else."""

import asyncio
import json
import socket
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Coroutine
from typing import Any
from typing import Self

from aiohttp import WSMsgType
from aiohttp import web

from hyperliquid_loopback.listening import Listening


LIMIT_S = 20.0

Json = dict[str, Any]


def run[T](work: Coroutine[Any, Any, T], *, limit_s: float = LIMIT_S) -> T:
    """Run a test's coroutine to its end, or fail after the limit."""

    async def limited() -> T:
        async with asyncio.timeout(limit_s):
            return await work

    return asyncio.run(limited())


async def eventually(condition: Callable[[], Any], what: str, *, limit_s: float = 40.0) -> None:
    """Wait until a condition holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while not condition():
        assert loop.time() < end, f"{what}: not within {limit_s} s"
        await asyncio.sleep(0.005)


class Request:
    """One HTTP request as it arrived, and the ways to answer it badly."""

    def __init__(self, path: str, body: bytes, http: web.Request) -> None:
        self.path = path
        self.body = body
        self.json: Json = json.loads(body)
        self._http = http

    def hang_up(self) -> None:
        """Close the connection without an answer."""
        assert self._http.transport is not None
        self._http.transport.abort()

    async def break_off(self) -> None:
        """Announce a thousand bytes, send a few, and close the connection."""
        reply = web.StreamResponse()
        reply.content_length = 1_000
        await reply.prepare(self._http)
        await reply.write(b'{"status":')
        self.hang_up()


Answer = Callable[[Request], Awaitable[tuple[int, str] | None]]


class Connection:
    """One WebSocket of a client."""

    def __init__(self, http: web.Request, ws: web.WebSocketResponse) -> None:
        self._http = http
        self._ws = ws
        self.received: list[Json] = []

    @property
    def is_open(self) -> bool:
        return (
            not self._ws.closed and self._http.transport is not None and not self._http.transport.is_closing()
        )

    @property
    def subscribed(self) -> list[Json]:
        return [message["subscription"] for message in self.received if message["method"] == "subscribe"]

    async def send(self, frame: Json) -> None:
        await self._ws.send_str(json.dumps(frame, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        await self._ws.send_str(text)

    def abort(self) -> None:
        """Close without a close frame, which the other side sees as code 1006."""
        if self._http.transport is not None:
            self._http.transport.abort()


class FakeServer:
    """
    Serve until the ``async with`` block ends.

    ``answer`` handles HTTP requests: it returns status and text, or None when it has dealt with the connection itself. On the
    WebSocket, pings are answered unless ``is_mute``, subscriptions are acknowledged with the defaults that the venue fills in, coins in
    ``bad_coins`` close the socket without a word, and types in ``invalid_types`` are called invalid. While there is a ``gate`` that is
    not set, handshakes wait.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.bad_coins: set[str] = set()
        self.invalid_types: set[str] = set()
        self.is_mute = False
        self.acknowledges = True
        self.aborts_new = 0
        self.handshakes = 0
        self.gate: asyncio.Event | None = None
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._door: Listening | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/ws"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def forever(self) -> None:
        """Wait until the server ends, for an answer that never comes."""
        await self._released.wait()

    async def start(self, port: int = 0) -> Self:
        app = web.Application()
        app.router.add_post("/{name}", self._post)
        app.router.add_get("/ws", self._socket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        self._door = Listening(self._runner)
        self._port = await self._door.start(port)
        return self

    async def stop(self) -> None:
        self._released.set()
        for connection in self.connections:
            connection.abort()
        if self._door is not None:
            await self._door.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    @property
    def last(self) -> Connection:
        return self.connections[-1]

    @property
    def open_connections(self) -> int:
        return sum(connection.is_open for connection in self.connections)

    async def _post(self, http: web.Request) -> web.StreamResponse:
        request = Request(http.path, await http.read(), http)
        self.requests.append(request)
        assert self.answer is not None
        said = await self.answer(request)
        if said is None:
            return web.Response()
        status, text = said
        return web.Response(status=status, text=text, content_type="application/json")

    async def _socket(self, http: web.Request) -> web.WebSocketResponse:
        self.handshakes += 1
        if self.gate is not None:
            await self.gate.wait()
        ws = web.WebSocketResponse()
        await ws.prepare(http)
        connection = Connection(http, ws)
        self.connections.append(connection)
        if self.aborts_new > 0:
            self.aborts_new -= 1
            connection.abort()
            return ws
        async for message in ws:
            if message.type is not WSMsgType.TEXT:
                continue
            body = json.loads(message.data)
            connection.received.append(body)
            await self._take(connection, body)
        return ws

    async def _take(self, connection: Connection, body: Json) -> None:
        if body["method"] == "ping":
            if not self.is_mute:
                await connection.send({"channel": "pong"})
            return
        wire = body["subscription"]
        if wire.get("coin") in self.bad_coins:
            connection.abort()
        elif wire["type"] in self.invalid_types:
            await connection.send({"channel": "error", "data": f"Invalid subscription {json.dumps(wire)}"})
        elif self.acknowledges:
            filled = {**wire}
            if "user" in filled:
                filled["user"] = filled["user"].lower()
            if filled["type"] == "l2Book":
                filled = {"nSigFigs": None, "mantissa": None, "fast": False} | filled
            data = {"method": body["method"], "subscription": filled}
            await connection.send({"channel": "subscriptionResponse", "data": data})


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
