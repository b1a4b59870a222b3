"""The control endpoint: faults, market events and a manual clock, by token, on a port of its own."""

import hmac
import inspect
from collections.abc import Awaitable
from collections.abc import Callable
from decimal import Decimal
from decimal import InvalidOperation
from http import HTTPStatus
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec
from aiohttp import web

from hyperliquid_loopback.config import HOST
from hyperliquid_loopback.types import Json


if TYPE_CHECKING:
    from hyperliquid_loopback.venue import LoopbackVenue


# the header's name, not a token
TOKEN_HEADER: Final = "X-Control-Token"  # noqa: S105
FAULT_FIELDS: Final = frozenset({"name", "times", "rate", "skip", "every", "value", "only"})


class ControlError(ValueError):
    """The command is not one; the answer is 400 with the text."""


class ControlGateway:
    """
    Answers ``GET /state``, ``GET /faults``, ``POST /faults``, ``POST /faults/clear`` and ``POST /do``.

    Every request needs the token of the venue's JSON line in ``X-Control-Token`` and a ``Host`` of this machine.

    Parameters
    ----------
    venue : LoopbackVenue
        What is controlled.

    """

    def __init__(self, venue: "LoopbackVenue") -> None:
        self._venue = venue
        self._hosts: frozenset[str] = frozenset()

    def allow(self, port: int) -> None:
        """Take requests to this port only."""
        self._hosts = frozenset({f"{HOST}:{port}", f"localhost:{port}"})

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/state", self._guarded(self._state)),
            web.get("/faults", self._guarded(self._faults)),
            web.post("/faults", self._guarded(self._set_fault)),
            web.post("/faults/clear", self._guarded(self._clear)),
            web.post("/do", self._guarded(self._do)),
        ]

    def _guarded(
        self, handler: Callable[[Any], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def guard(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Host") not in self._hosts:
                return _answer(HTTPStatus.FORBIDDEN, {"error": "unknown host"})
            given = request.headers.get(TOKEN_HEADER, "").encode()
            if not hmac.compare_digest(given, self._venue.control_token.encode()):
                return _answer(HTTPStatus.UNAUTHORIZED, {"error": f"{TOKEN_HEADER} is missing or wrong"})
            raw = await request.read()
            try:
                body = msgspec.json.decode(raw) if raw else {}
                if not isinstance(body, dict):
                    raise ControlError("the body must be an object")
                return _answer(HTTPStatus.OK, await handler(body))
            except (msgspec.DecodeError, ValueError, KeyError, TypeError, ArithmeticError) as error:
                return _answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})

        return guard

    async def _state(self, _: Json) -> Json:
        return state(self._venue)

    async def _faults(self, _: Json) -> Json:
        return self._venue.faults.report()

    async def _set_fault(self, body: Json) -> Json:
        if not FAULT_FIELDS.issuperset(body) or "name" not in body:
            raise ControlError(f"a fault has {', '.join(sorted(FAULT_FIELDS))}")
        more = {key: body[key] for key in body if key != "name"}
        self._venue.faults.set(_text(body, "name"), **more)
        return self._venue.faults.report()

    async def _clear(self, body: Json) -> Json:
        self._venue.faults.clear(body.get("name"))
        return self._venue.faults.report()

    async def _do(self, body: Json) -> Json:
        what = _text(body, "what")
        if what not in DEEDS:
            raise ControlError(f"no command {what!r}; there are {', '.join(DEEDS)}")
        done = DEEDS[what](self._venue, body)
        if inspect.isawaitable(done):
            done = await done
        return {"done": what, "result": done}


def state(venue: "LoopbackVenue") -> Json:
    """Return what a test or a person wants to know of a running venue."""
    coin = venue.config.coin
    return {
        "time": venue.now_ms,
        "blocks": venue.blocks,
        "requests": venue.request_count,
        "sockets": venue.socket_count,
        "coin": coin,
        "ctx": venue.exchange.ctx(coin),
        "faults": venue.faults.report(),
    }


def _delist(venue: "LoopbackVenue", body: Json) -> None:
    venue.exchange.delist(_coin(venue, body))


def _halt(venue: "LoopbackVenue", body: Json) -> None:
    venue.exchange.halt(_coin(venue, body))


def _resume(venue: "LoopbackVenue", body: Json) -> None:
    venue.exchange.resume(_coin(venue, body))


def _deleverage(venue: "LoopbackVenue", body: Json) -> str:
    return str(venue.exchange.deleverage(_user(venue, body), _coin(venue, body)))


def _oi_cap(venue: "LoopbackVenue", body: Json) -> None:
    venue.exchange.set_oi_cap(_coin(venue, body), _flag(body, "on"))


def _oracle(venue: "LoopbackVenue", body: Json) -> bool:
    # False: within 2.5 s of the update before, it was not taken
    return venue.exchange.set_oracle(_coin(venue, body), _number(body, "px"), venue.now_ms)


def _move(venue: "LoopbackVenue", body: Json) -> None:
    mover = getattr(venue.flow, "move", None)
    if mover is None:
        raise ControlError("this market is not moved by hand; run it with --flow quiet")
    mover(_number(body, "mid"))


def _take(venue: "LoopbackVenue", body: Json) -> None:
    taker = getattr(venue.flow, "take", None)
    if taker is None:
        raise ControlError("this market is not moved by hand; run it with --flow quiet")
    side = {"buy": 1, "sell": -1}.get(_text(body, "side"))
    if side is None:
        raise ControlError("`side` must be buy or sell")
    taker(side, _number(body, "size"))


def _mode(venue: "LoopbackVenue", body: Json) -> None:
    venue.accounts.force_mode(_user(venue, body), _text(body, "mode"))


def _expire_agent(venue: "LoopbackVenue", body: Json) -> None:
    venue.accounts.agents.expire(_text(body, "agent").lower(), venue.now_ms)


def _deposit(venue: "LoopbackVenue", body: Json) -> None:
    venue.accounts.open_account(
        _text(body, "user"), deposits={venue.config.dex: _number(body, "amount")}, now_ms=venue.now_ms
    )


def _clock(venue: "LoopbackVenue", body: Json) -> int:
    offset = body["offset_ms"]
    if type(offset) is not int:
        raise ControlError("`offset_ms` must be a whole number")
    venue.clock.offset_ms = offset
    return venue.now_ms


def _advance(venue: "LoopbackVenue", body: Json) -> int:
    ms = body["ms"]
    if type(ms) is not int or ms < 0:
        raise ControlError("`ms` must be a whole number of at least 0")
    if not venue.clock.is_manual:
        raise ControlError("only a manual clock is advanced")
    return venue.advance(ms)


def _cut(venue: "LoopbackVenue", _: Json) -> int:
    return venue.cut_sockets()


async def _shut(venue: "LoopbackVenue", _: Json) -> None:
    await venue.shut()


async def _reopen(venue: "LoopbackVenue", _: Json) -> None:
    await venue.reopen()


DEEDS: Final[dict[str, Callable[["LoopbackVenue", Json], Any]]] = {
    "delist": _delist,
    "halt": _halt,
    "resume": _resume,
    "deleverage": _deleverage,
    "oi_cap": _oi_cap,
    "oracle": _oracle,
    "move": _move,
    "take": _take,
    "mode": _mode,
    "expire_agent": _expire_agent,
    "deposit": _deposit,
    "clock": _clock,
    "advance": _advance,
    "cut": _cut,
    "shut": _shut,
    "reopen": _reopen,
}


def _answer(status: HTTPStatus, body: Any) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ControlError(f"`{name}` must be text")
    return value


def _flag(body: Json, name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise ControlError(f"`{name}` must be true or false")
    return value


def _number(body: Json, name: str) -> Decimal:
    try:
        value = Decimal(_text(body, name))
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value <= 0:
        raise ControlError(f"`{name}` must be a decimal number above 0, as text")
    return value


def _coin(venue: "LoopbackVenue", body: Json) -> str:
    coin = body.get("coin", venue.config.coin)
    if not isinstance(coin, str) or venue.universe.find(coin) is None:
        raise ControlError(f"no coin {coin!r}")
    return coin


def _user(venue: "LoopbackVenue", body: Json) -> str:
    user = _text(body, "user").lower()
    if not venue.accounts.has(user):
        raise ControlError(f"no account {user}")
    return user
