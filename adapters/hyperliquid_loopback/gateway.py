"""The venue's HTTP and WebSocket doors: ``/info``, ``/exchange`` and ``/ws`` on one port of this machine."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from typing import Final

import msgspec
from aiohttp import web

from hyperliquid_loopback.door import ActionDoor
from hyperliquid_loopback.faults import AFTER
from hyperliquid_loopback.faults import BEFORE
from hyperliquid_loopback.faults import SPOILED
from hyperliquid_loopback.faults import Faults
from hyperliquid_loopback.info import Desk
from hyperliquid_loopback.info import ShapeError
from hyperliquid_loopback.info import UnknownNameError
from hyperliquid_loopback.info import answer
from hyperliquid_loopback.limits import IpLimits


# a venue that runs for days remembers the last ones only
REQUESTS_KEPT: Final = 10_000
MAX_BODY_BYTES: Final = 1 << 20
BAD_JSON: Final = "Failed to parse the request body as JSON"
BAD_SHAPE: Final = "Failed to deserialize the JSON body into the target type"
BAD_TYPE: Final = "Expected request with `Content-Type: application/json`"
NULL: Final = b"null"
POLL_S: Final = 0.02

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpGateway:
    """
    Answers ``POST /info`` and ``POST /exchange`` with the venue's status codes and texts.

    Parameters
    ----------
    desk : Desk
        Answers info requests.
    door : ActionDoor
        Takes actions.
    faults : Faults
        What goes wrong.
    limits : IpLimits
        The weights of a minute.

    """

    def __init__(self, desk: Desk, door: ActionDoor, faults: Faults, limits: IpLimits) -> None:
        # as they came: read into objects, ten thousand batches of orders would be hundreds of megabytes
        self.requests: deque[bytes] = deque(maxlen=REQUESTS_KEPT)
        self.closing = asyncio.Event()
        self._desk = desk
        self._door = door
        self._faults = faults
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; any other method on them is 405."""
        return [web.post("/info", self._info), web.post("/exchange", self._exchange)]

    async def _info(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "info")

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "exchange")

    async def _serve(self, request: web.Request, door: str) -> web.StreamResponse:
        raw = await request.read()
        body, kind = _parsed(raw, door)
        if not await self._wait("delay", door, kind):
            return _cut(request)
        # a read changes nothing, so spoiling its answer needs no answer
        before = self._faults.first((*BEFORE, *SPOILED) if door == "info" else BEFORE, door, kind)
        if before is not None:
            name, _ = before
            return _cut(request) if name == "drop" else self._response(*REFUSALS[name])
        status, reply = await self._reply(request, raw, body, door, kind)
        after = self._faults.first(AFTER, door, kind)
        if after is not None:
            name, _ = after
            if name == "lost_ack":
                await self._hang(request)
            if name in {"lost_ack", "drop_after"}:
                return _cut(request)
            status, reply = REFUSALS[name]
        if not await self._wait("delay_reply", door, kind):
            return _cut(request)
        return self._response(status, reply)

    async def _reply(
        self, request: web.Request, raw: bytes, body: Any, door: str, kind: str
    ) -> tuple[HTTPStatus, bytes]:
        if request.content_type != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, BAD_TYPE.encode()
        if body is msgspec.UNSET:
            return HTTPStatus.BAD_REQUEST, BAD_JSON.encode()
        if not self._admitted(body, door, kind):
            return REFUSALS["too_many"]
        self.requests.append(raw)
        try:
            if door == "exchange":
                return HTTPStatus.OK, msgspec.json.encode(await self._door.act(body, self._desk.now_ms()))
            found = answer(self._desk, body)
        except UnknownNameError:
            return HTTPStatus.INTERNAL_SERVER_ERROR, NULL
        except ShapeError:
            return HTTPStatus.UNPROCESSABLE_ENTITY, BAD_SHAPE.encode()
        if isinstance(found, list):
            self._limits.rows(self._desk.now_ms(), kind, len(found))
        return HTTPStatus.OK, msgspec.json.encode(found)

    def _admitted(self, body: Any, door: str, kind: str) -> bool:
        now_ms = self._desk.now_ms()
        if door == "info":
            return self._limits.take_info(now_ms, kind)
        action = body.get("action") if isinstance(body, dict) else None
        return self._limits.take_action(now_ms, action if isinstance(action, dict) else {})

    async def _wait(self, name: str, *about: str) -> bool:
        """Return whether the venue is still open after a delay, if one is ordered."""
        knob = self._faults.strike(name, *about)
        if knob is None:
            return True
        try:
            await asyncio.wait_for(self.closing.wait(), knob.value / 1_000)
        except TimeoutError:
            return True
        return False

    async def _hang(self, request: web.Request) -> None:
        """Say nothing until the client gives up or the venue closes."""
        while not self.closing.is_set() and request.transport is not None:
            if request.transport.is_closing():
                return
            await asyncio.sleep(POLL_S)

    def _response(self, status: HTTPStatus, body: bytes) -> web.Response:
        # the date is the venue's, so that a clock that is off is off everywhere
        stamp = formatdate(self._desk.now_ms() / 1_000, usegmt=True)
        return web.Response(
            status=status, body=body, content_type="application/json", headers={"Date": stamp}
        )


REFUSALS: Final[dict[str, tuple[HTTPStatus, bytes]]] = {
    "too_many": (HTTPStatus.TOO_MANY_REQUESTS, NULL),
    "null_500": (HTTPStatus.INTERNAL_SERVER_ERROR, NULL),
    "bad_gateway": (HTTPStatus.BAD_GATEWAY, b"bad gateway"),
    "unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, b"service unavailable"),
    "bad_json": (HTTPStatus.OK, b"{"),
    "empty_reply": (HTTPStatus.OK, b""),
}


def _parsed(raw: bytes, door: str) -> tuple[Any, str]:
    """Return the body (``UNSET`` when it is not JSON) and the type of the request or action."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return msgspec.UNSET, ""
    part = body.get("action") if door == "exchange" and isinstance(body, dict) else body
    kind = part.get("type") if isinstance(part, dict) else None
    return body, kind if isinstance(kind, str) else ""


def _cut(request: web.Request) -> web.Response:
    """Cut the connection without an answer; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
