"""A venue for tests, and clients of its doors that wait for conditions, not for time."""

import json
import time
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import websocket

from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.signing import Signer
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue


COIN = "km:US500"
ASSET = 150_000
START_MS = 1_780_000_200_000
DEADLINE_S = 10.0


def still_venue(**more):
    """A venue whose time stands until a test moves it."""
    config = {"clock": "manual", "start_ms": START_MS, "generated_accounts": 2, "history_candles": 10}
    return LoopbackVenue(VenueConfig(**{**config, "history_hours": 5, **more}))


def quick_venue(**more):
    """A venue on the real clock with short blocks."""
    config = {"block_ms": 5, "generated_accounts": 2, "history_candles": 10, "history_hours": 5}
    return LoopbackVenue(VenueConfig(**{**config, **more}))


def order(side="B", px="689.5", sz="0.1", tif="Alo", cloid=None, reduce_only=False):
    row = {"a": ASSET, "b": side == "B", "p": px, "s": sz, "r": reduce_only, "t": {"limit": {"tif": tif}}}
    return row if cloid is None else {**row, "c": cloid}


def orders(*rows):
    return {"type": "order", "orders": list(rows), "grouping": "na"}


class Trader:
    """One generated account that signs actions and sends them, letting time pass on a manual clock."""

    def __init__(self, venue, number=0):
        self.venue = venue
        wallet = venue.wallets[number]
        self.address = wallet.address
        self.signer = Signer(SecretKey(wallet.secret), venue.url)
        self._last_nonce = 0

    def request(self, action, nonce=None, **more):
        self._last_nonce = max(self._last_nonce + 1, self.venue.now_ms) if nonce is None else nonce
        return self.signer.request(action, nonce=self._last_nonce, **more)

    def post(self, body, timeout=DEADLINE_S):
        return httpx.post(f"{self.venue.url}/exchange", json=body, trust_env=False, timeout=timeout)

    def send(self, action, **more):
        """Send an action and return the reply's body; blocks are made until it comes."""
        return self.answer(self.request(action, **more)).json()

    def answer(self, body):
        with ThreadPoolExecutor(1) as pool:
            return self.wait(pool.submit(self.post, body))

    def wait(self, future: Future):
        """Return a request's reply; on a manual clock one block is made once the action waits for it."""
        if self.venue.clock.is_manual:
            eventually(lambda: future.done() or self.venue.call(lambda exchange: bool(exchange._pending)))
            if not future.done():
                self.venue.advance(self.venue.config.block_ms)
        return future.result(DEADLINE_S)

    def place(self, *rows):
        return self.send(orders(*rows))["response"]["data"]["statuses"]


class Socket:
    """A WebSocket client that keeps what it has read."""

    def __init__(self, venue):
        self.socket = websocket.create_connection(venue.ws_url, timeout=DEADLINE_S, skip_utf8_validation=True)
        self.seen = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, body):
        self.socket.send(body if isinstance(body, str) else json.dumps(body))

    def read(self):
        text = self.socket.recv()
        if not text:
            raise ConnectionError("closed")
        self.seen.append(json.loads(text))
        return self.seen[-1]

    def until(self, channel):
        """Return the next message of a channel."""
        while True:
            message = self.read()
            if message["channel"] == channel:
                return message.get("data")

    def subscribe(self, kind, **more):
        self.send({"method": "subscribe", "subscription": {"type": kind, **more}})
        return self.until("subscriptionResponse")["subscription"]

    def settle(self):
        """Return what arrived up to now: a ping is answered after all that was sent before it."""
        start = len(self.seen)
        self.send({"method": "ping"})
        while self.read()["channel"] != "pong":
            pass
        return self.seen[start:-1]

    def channels(self):
        return [message["channel"] for message in self.settle()]

    def closed(self):
        """Read until the connection is gone; a close frame, which a cut has not, would be an error of its own."""
        try:
            while True:
                self.read()
        except (ConnectionError, websocket.WebSocketException, OSError):
            return


def ask(venue, **body):
    return httpx.post(f"{venue.url}/info", json=body, trust_env=False, timeout=DEADLINE_S)


def control(venue, path, body=None, token=None, **headers):
    given = {"X-Control-Token": venue.control_token if token is None else token, **headers}
    url = f"{venue.control_url}{path}"
    if body is None:
        return httpx.get(url, headers=given, trust_env=False)
    return httpx.post(url, json=body, headers=given, trust_env=False)


def eventually(holds, deadline_s=DEADLINE_S):
    """Return once a condition holds."""
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.005)


D = Decimal
