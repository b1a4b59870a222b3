"""A running venue and the official SDK connected to it, for the tests with clients that nobody here wrote."""

import contextlib
import threading
import time
from decimal import Decimal

import eth_account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.venue import LoopbackVenue


COIN = "km:US500"
DEXES = ["", "km"]
WALLET = eth_account.Account.from_key("0x" + "5a" * 32)
SECOND_WALLET = eth_account.Account.from_key("0x" + "5b" * 32)
ALO = {"limit": {"tif": "Alo"}}
GTC = {"limit": {"tif": "Gtc"}}
IOC = {"limit": {"tif": "Ioc"}}
DEADLINE_S = 10.0


@contextlib.contextmanager
def running_venue(*, equity=Decimal(1_000_000), flow=None, **options):
    """Run a venue on the wall clock with fast streams, two funded accounts and, without a flow, a quiet book around 690."""
    accounts = tuple(
        AccountSpec(address=each.address.lower(), equity=equity) for each in (WALLET, SECOND_WALLET)
    )
    # ten times the venue's pace, so that each stream speaks within a second
    settings = {"accounts": accounts, "cadences": Cadences().scaled(0.1), "block_ms": 20, "limits": False}
    settings |= {"history_candles": 120, "history_hours": 48}
    with LoopbackVenue(VenueConfig(**{**settings, **options}), flow=flow) as venue:
        yield venue


@contextlib.contextmanager
def sdk_info(venue, *, streams=False):
    info = Info(venue.url, skip_ws=not streams, perp_dexs=DEXES, timeout=10)
    try:
        yield info
    finally:
        if streams:
            # the SDK's own close leaves its thread in a ten-second wait; a cut ends it at once
            venue.cut_sockets()
            info.ws_manager.join(DEADLINE_S)
            info.disconnect_websocket()
        info.session.close()


@contextlib.contextmanager
def sdk_exchange(venue, wallet=WALLET, **options):
    exchange = Exchange(wallet, venue.url, perp_dexs=DEXES, timeout=10, **options)
    try:
        yield exchange
    finally:
        exchange.session.close()
        exchange.info.session.close()


def wait_until(condition, what, seconds=DEADLINE_S):
    """Return the condition's value once it is true; fail when it never is."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        pause.wait(0.01)
    raise AssertionError(f"never: {what}")


class Heard:
    """The messages that a subscription's callback was given, in order."""

    def __init__(self):
        self.messages = []
        self._news = threading.Condition()

    def __call__(self, message):
        with self._news:
            self.messages.append(message)
            self._news.notify_all()

    def wait_for(self, wanted, what, seconds=DEADLINE_S):
        """Return the first message that is wanted, heard already or yet to come."""
        with self._news:
            found = self._news.wait_for(lambda: [row for row in self.messages if wanted(row)], seconds)
        assert found, f"never heard {what}; heard {[row.get('channel') for row in self.messages]}"
        return found[0]

    def first(self, what):
        return self.wait_for(lambda _: True, what)


def statuses(reply):
    assert reply["status"] == "ok", reply
    return reply["response"]["data"]["statuses"]


def resting_oid(reply, place=0):
    return statuses(reply)[place]["resting"]["oid"]
