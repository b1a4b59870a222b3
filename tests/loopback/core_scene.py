"""A venue core on a clock of the test's own: real listing, real accounts, no server."""

from decimal import Decimal

from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.options import VenueOptions
from hyperliquid_loopback.types import BUY
from hyperliquid_loopback.types import SELL
from hyperliquid_loopback.universe import Universe


COIN = "km:US500"
ASSET = 150_000
ALICE = "0x" + "a1" * 20
BOB = "0x" + "b0" * 20
START_MS = 1_780_000_200_000
BLOCK_MS = 70


class Scene:
    """The core with two funded users, a ladder of the house and the oracle at 690."""

    def __init__(self, *, equity="10000", ladder=True, options=None):
        self.universe = Universe()
        self.accounts = Accounts(self.universe)
        self.exchange = Exchange(self.universe, self.accounts, options=options or VenueOptions())
        self.now_ms = START_MS
        for user in (ALICE, BOB):
            self.accounts.open_account(user, deposits={"km": Decimal(equity)}, now_ms=START_MS)
        self.events = []
        self.step()
        if ladder:
            self.ladder("689.99", "690.01")
        self.exchange.set_oracle(COIN, Decimal(690), self.now_ms)
        self.step()

    def ladder(self, bid, ask, *, levels=5, size="10"):
        """Put the house's five levels on each side, 0.01 apart."""
        for i in range(levels):
            step = Decimal(i) / 100
            self.exchange.house_level(COIN, BUY, Decimal(bid) - step, Decimal(size))
            self.exchange.house_level(COIN, SELL, Decimal(ask) + step, Decimal(size))

    def step(self, ms=BLOCK_MS, house=None):
        """Run the next block and return its events."""
        self.now_ms += ms
        self.events = self.exchange.run_block(self.now_ms, house)
        return self.events

    def submit(self, action, user=ALICE, **options):
        """Send an action for the next block; the list that is returned gets its reply."""
        replies = []
        self.exchange.submit(action, user=user, now_ms=self.now_ms, reply=replies.append, **options)
        return replies

    def act(self, action, user=ALICE, **options):
        """Send an action, run its block and return the reply."""
        replies = self.submit(action, user, **options)
        self.step()
        assert len(replies) == 1
        return replies[0]

    def place(self, *orders, user=ALICE, **action):
        """Place orders and return their statuses."""
        reply = self.act(place_action(*orders, **action), user)
        return reply["response"]["data"]["statuses"]

    def rest(self, side, price, size="1", user=ALICE, **more):
        """Rest a post-only order and return its oid."""
        (status,) = self.place(order(side, price, size, **more), user=user)
        return status["resting"]["oid"]

    def status(self, oid, user=ALICE):
        """Return the status name of an order."""
        return self.exchange.order_status(user, oid)["order"]["status"]

    def of(self, kind):
        """Return the last block's events of a class."""
        return [event for event in self.events if isinstance(event, kind)]

    def oracle(self, price, ms=3_000):
        """Let three seconds pass and update the oracle, then run a block."""
        self.step(ms)
        moved = self.exchange.set_oracle(COIN, Decimal(price), self.now_ms)
        self.step()
        return moved

    def position(self, user=ALICE):
        return self.accounts.position(user, COIN)


def order(side, price, size="1", *, tif="Alo", reduce_only=False, cloid=None, trigger=None, asset=ASSET):
    """Return a wire order; the side is "B" or "A"."""
    kind = {"limit": {"tif": tif}} if trigger is None else {"trigger": trigger}
    row = {"a": asset, "b": side == "B", "p": str(price), "s": str(size), "r": reduce_only, "t": kind}
    return row if cloid is None else {**row, "c": cloid}


def place_action(*orders, grouping="na"):
    return {"type": "order", "orders": list(orders), "grouping": grouping}


def cancel_action(*oids, asset=ASSET, **more):
    return {"type": "cancel", "cancels": [{"a": asset, "o": oid} for oid in oids], **more}


def modify_action(oid, new, **more):
    return {"type": "batchModify", "modifies": [{"oid": oid, "order": new}], **more}


def cloid_of(number):
    return f"0x{number:032x}"
