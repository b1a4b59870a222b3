"""The venue's read-only info endpoint on this machine, with faults to order."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any
from typing import Final
from typing import Self
from typing import cast

from hyperliquid_loopback.market import Json
from hyperliquid_loopback.market import Market
from hyperliquid_loopback.market import default_market


HOST: Final = "127.0.0.1"
MAX_BODY_BYTES: Final = 1 << 20
BAD_JSON: Final = "Failed to parse the request body as JSON"
BAD_SHAPE: Final = "Failed to deserialize the JSON body into the target type"
BAD_TYPE: Final = "Expected request with `Content-Type: application/json`"


class _UnknownNameError(Exception):
    """A dex or coin that the venue does not have: it answers 500 with the body null."""


@dataclass
class Faults:
    """
    What goes wrong with the next requests; each counts down by one for a request, -1 lasts.

    ``delay_s`` applies to every request while it is above zero.
    """

    delay_s: float = 0.0
    too_many: int = 0
    null_500: int = 0
    server_error: int = 0
    drop: int = 0
    bad_json: int = 0

    def take(self, name: str) -> bool:
        """Return whether this fault strikes now, and count it."""
        left = int(getattr(self, name))
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0


class LoopbackServer:
    """
    Serve ``POST /info`` on 127.0.0.1 until closed.

    Parameters
    ----------
    market : Market, optional
        What is served; by default a market made from seed 1.
    port : int, default 0
        The port; 0 takes a free one.

    """

    def __init__(self, market: Market | None = None, *, port: int = 0) -> None:
        self.market = default_market() if market is None else market
        self.faults = Faults()
        self.requests: list[Json] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _InfoHttpServer(port, self)
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            kwargs={"poll_interval": 0.02},
            daemon=True,
            name="hyperliquid loopback",
        )

    @property
    def url(self) -> str:
        """The base address, without ``/info``."""
        return f"http://{HOST}:{self._http.server_address[1]}"

    def start(self) -> Self:
        """Begin to serve; the port is open when this returns."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and free the port; requests being delayed are dropped."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def strike(self) -> str:
        """Return the fault of this request: the first that is ordered, empty for none."""
        with self._lock:
            for name in ("drop", "too_many", "null_500", "server_error", "bad_json"):
                if self.faults.take(name):
                    return name
            return ""

    def record(self, body: Json) -> None:
        """Keep a request for tests to look at."""
        with self._lock:
            self.requests.append(body)


def answer(market: Market, body: Json) -> Any:
    """
    Return the reply to an info request.

    Raises
    ------
    KeyError, TypeError
        If the request has an unknown type or the wrong shape.

    """
    replies: dict[str, Callable[[], Any]] = {
        "perpDexs": lambda: [None, *market.dexes],
        "meta": lambda: _meta(market, body.get("dex", "")),
        "allPerpMetas": lambda: [market.metas[name] for name in ("", *(dex["name"] for dex in market.dexes))],
        "spotMeta": lambda: {"tokens": market.tokens, "universe": []},
        "candleSnapshot": lambda: _candles(market, body["req"]),
        "fundingHistory": lambda: _funding(market, body),
        "recentTrades": lambda: market.trades.get(_known(market, body["coin"]), []),
    }
    return replies[body["type"]]()


def _meta(market: Market, dex: str) -> Json:
    if dex not in market.metas:
        raise _UnknownNameError(dex)
    return market.metas[dex]


def _candles(market: Market, req: Json) -> list[Json]:
    coin = _known(market, req["coin"])
    return market.candle_page(coin, str(req["interval"]), _ms(req["startTime"]), _ms(req["endTime"]))


def _funding(market: Market, body: Json) -> list[Json]:
    coin = _known(market, body["coin"])
    end = body.get("endTime")
    return market.funding_page(coin, _ms(body["startTime"]), None if end is None else _ms(end))


def _known(market: Market, coin: str) -> str:
    if market.find(coin) is None:
        raise _UnknownNameError(coin)
    return coin


def _ms(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("a time is a whole number of milliseconds")
    return value


class _InfoHandler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    # without it each small answer waits for the client's delayed acknowledgement
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: the tests' output is theirs."""

    def do_GET(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, "")

    def do_POST(self) -> None:
        owner = self._owner
        raw = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES))
        if owner.faults.delay_s > 0 and owner.closing.wait(owner.faults.delay_s):
            self.close_connection = True
            return
        fault = owner.strike()
        if fault == "drop":
            self.close_connection = True
            return
        self._send(*self._reply(raw, fault))

    @property
    def _owner(self) -> LoopbackServer:
        return cast("_InfoHttpServer", self.server).owner

    def _reply(self, raw: bytes, fault: str) -> tuple[HTTPStatus, str]:
        refused = _refusal(fault)
        if refused is not None:
            return refused
        if self.path != "/info":
            return HTTPStatus.NOT_FOUND, ""
        if not (self.headers.get("Content-Type") or "").startswith("application/json"):
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, BAD_TYPE
        try:
            body = json.loads(raw)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, BAD_JSON
        try:
            self._owner.record(body)
            return HTTPStatus.OK, json.dumps(answer(self._owner.market, body))
        except _UnknownNameError:
            return HTTPStatus.INTERNAL_SERVER_ERROR, "null"
        except (KeyError, TypeError, AttributeError):
            return HTTPStatus.UNPROCESSABLE_ENTITY, BAD_SHAPE

    def _send(self, status: HTTPStatus, text: str) -> None:
        payload = text.encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)
        except OSError:
            # the client gave up on us, which is what some tests are about
            self.close_connection = True


class _InfoHttpServer(ThreadingHTTPServer):
    """The socket; a request that is still being delayed does not hold up the end."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, owner: LoopbackServer) -> None:
        self.owner = owner
        super().__init__((HOST, port), _InfoHandler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up in the middle."""


def _refusal(fault: str) -> tuple[HTTPStatus, str] | None:
    return {
        "too_many": (HTTPStatus.TOO_MANY_REQUESTS, "null"),
        "null_500": (HTTPStatus.INTERNAL_SERVER_ERROR, "null"),
        "server_error": (HTTPStatus.BAD_GATEWAY, "bad gateway"),
        "bad_json": (HTTPStatus.OK, "{"),
    }.get(fault)
