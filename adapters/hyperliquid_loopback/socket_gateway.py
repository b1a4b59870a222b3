"""The venue's ``/ws``: what clients send, and the words that answer it."""

import asyncio
from typing import Any
from typing import Final

import msgspec
from aiohttp import WSMsgType
from aiohttp import web

from hyperliquid_loopback.channels import Feeds
from hyperliquid_loopback.door import ActionDoor
from hyperliquid_loopback.faults import Faults
from hyperliquid_loopback.gateway import BAD_SHAPE
from hyperliquid_loopback.info import Desk
from hyperliquid_loopback.info import ShapeError
from hyperliquid_loopback.info import UnknownNameError
from hyperliquid_loopback.info import answer
from hyperliquid_loopback.limits import IpLimits
from hyperliquid_loopback.sessions import Session
from hyperliquid_loopback.subscriptions import BadRequestError
from hyperliquid_loopback.subscriptions import FatalSubscriptionError
from hyperliquid_loopback.subscriptions import InvalidSubscriptionError
from hyperliquid_loopback.subscriptions import Subscription
from hyperliquid_loopback.subscriptions import parse_subscription
from hyperliquid_loopback.types import Json


MAX_FRAME_BYTES: Final = 1 << 20
UNREADABLE: Final = "Error parsing JSON into valid websocket request: "


class SocketGateway:
    """
    Serves WebSocket clients.

    Parameters
    ----------
    desk : Desk
        Answers info posts.
    door : ActionDoor
        Takes action posts.
    feeds : Feeds
        The streams.
    faults : Faults
        What goes wrong.
    limits : IpLimits
        Connections, subscriptions, users, messages and posts.
    silence_ms : int
        After how long without a frame to the client its socket is cut.

    """

    def __init__(
        self,
        desk: Desk,
        door: ActionDoor,
        feeds: Feeds,
        faults: Faults,
        limits: IpLimits,
        *,
        silence_ms: int,
    ) -> None:
        self.sessions: dict[int, Session] = {}
        self._desk = desk
        self._door = door
        self._feeds = feeds
        self._faults = faults
        self._limits = limits
        self._silence_ms = silence_ms
        self._posts: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the route of the socket."""
        return [web.get("/ws", self._serve)]

    def cut_silent(self, now_ms: int) -> None:
        """Cut every socket to which nothing was sent for a minute (protocol: WebSocket, measured at 60.2 s)."""
        for session in list(self.sessions.values()):
            if now_ms - session.last_sent_ms >= self._silence_ms:
                session.abort()

    def let_late_go(self) -> None:
        """Send what is held back by a fault that was taken back."""
        for session in list(self.sessions.values()):
            session.let_go()

    def cut_all(self) -> int:
        """Cut every socket without a close frame and return how many there were."""
        open_now = list(self.sessions.values())
        for session in open_now:
            session.abort()
        return len(open_now)

    async def close(self) -> None:
        """Cut every socket and forget the posts in flight."""
        self.cut_all()
        for task in self._posts:
            task.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if transport is None or self._faults.strike("ws_refuse"):
            if transport is not None:
                transport.abort()
            return web.Response()
        number = self._limits.connect(self._desk.now_ms())
        if number is None:
            return web.Response(status=429)
        socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_FRAME_BYTES)
        session: Session | None = None
        try:
            await socket.prepare(request)
            session = Session(socket, transport, self._faults, self._desk.now_ms)
            self.sessions[number] = session
            await self._talk(socket, session, number)
        finally:
            self._limits.disconnect(number)
            self.sessions.pop(number, None)
            if session is not None:
                session.end()
                for each in session.subscriptions:
                    self._feeds.remove(session, each)
        return socket

    async def _talk(self, socket: web.WebSocketResponse, session: Session, number: int) -> None:
        writer = asyncio.create_task(session.write())
        try:
            async for message in socket:
                if session.is_closed:
                    break
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    self._hear(session, number, message.data)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _hear(self, session: Session, number: int, raw: str | bytes) -> None:
        text = raw if isinstance(raw, str) else raw.decode(errors="replace")
        if not self._limits.message(self._desk.now_ms()):
            session.abort()
            return
        try:
            body = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError):
            body = None
        try:
            self._do(session, number, body if isinstance(body, dict) else {})
        except BadRequestError:
            session.say("error", UNREADABLE + text)

    def _do(self, session: Session, number: int, body: Json) -> None:
        method = body.get("method")
        if not isinstance(method, str):
            raise BadRequestError
        if method == "ping":
            session.say("pong")
        elif method in {"subscribe", "unsubscribe"}:
            self._subscribe(session, number, method, body.get("subscription"))
        elif method == "post":
            self._post(session, body)
        else:
            raise BadRequestError

    def _subscribe(self, session: Session, number: int, method: str, body: Any) -> None:
        universe = self._desk.universe
        try:
            wanted = parse_subscription(
                body, has_coin=lambda coin: universe.find(coin) is not None, has_dex=universe.has_dex
            )
        except FatalSubscriptionError:
            session.abort()
            return
        except InvalidSubscriptionError:
            session.say("error", f"Invalid subscription {_text(body)}")
            return
        if method == "unsubscribe":
            self._unsubscribe(session, number, wanted)
        elif wanted in session.subscriptions:
            session.say("error", f"Already subscribed: {_text(wanted.wire())}")
        else:
            refused = self._limits.subscribe(number, _text(wanted.wire()), wanted.user or None)
            if refused is not None:
                session.say("error", refused)
                return
            session.subscriptions.add(wanted)
            session.say("subscriptionResponse", {"method": method, "subscription": wanted.wire()})
            self._feeds.add(session, wanted)

    def _unsubscribe(self, session: Session, number: int, wanted: Subscription) -> None:
        if wanted not in session.subscriptions:
            session.say("error", f"Already unsubscribed: {_text(wanted.wire())}")
            return
        session.subscriptions.discard(wanted)
        self._limits.unsubscribe(number, _text(wanted.wire()))
        self._feeds.remove(session, wanted)
        session.say("subscriptionResponse", {"method": "unsubscribe", "subscription": wanted.wire()})

    def _post(self, session: Session, body: Json) -> None:
        number, request = body.get("id"), body.get("request")
        if type(number) is not int or not isinstance(request, dict) or "payload" not in request:
            raise BadRequestError
        kind = request.get("type")
        if not isinstance(kind, str) or kind not in {"info", "action"}:
            raise BadRequestError
        refused = self._limits.post(number)
        if refused is not None:
            session.say("error", refused)
            return
        task = asyncio.create_task(self._answer(session, number, kind, request["payload"]))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _answer(self, session: Session, number: int, kind: str, payload: Any) -> None:
        door = "info" if kind == "info" else "exchange"
        about = _kind(payload, door)
        try:
            delay = self._faults.strike("delay", door, about)
            if delay is not None:
                await asyncio.sleep(delay.value / 1_000)
            if self._faults.strike("drop", door, about):
                session.abort()
                return
            response = await self._response(kind, payload)
            if self._faults.strike("lost_ack", door, about):
                return
            if self._faults.strike("drop_after", door, about):
                session.abort()
                return
            session.say("post", {"id": number, "response": response})
        finally:
            self._limits.post_done()

    async def _response(self, kind: str, payload: Any) -> Json:
        try:
            if kind == "action":
                done = await self._door.act(payload, self._desk.now_ms())
                return {"type": "action", "payload": done}
            found = answer(self._desk, payload)
        except ShapeError:
            return {"type": "error", "payload": f"422 Unprocessable Entity: {BAD_SHAPE}"}
        except UnknownNameError:
            return {"type": "error", "payload": "500 Internal Server Error: null"}
        return {"type": "info", "payload": {"type": payload["type"], "data": found}}


def _kind(payload: Any, door: str) -> str:
    part = payload.get("action") if door == "exchange" and isinstance(payload, dict) else payload
    kind = part.get("type") if isinstance(part, dict) else None
    return kind if isinstance(kind, str) else ""


def _text(body: Any) -> str:
    return msgspec.json.encode(body).decode()
