"""Accounts on the default listing, and orders as the engine would hand them over."""

from decimal import Decimal

from hyperliquid_hip3 import actions
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.signing import Signer
from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.types import Order
from hyperliquid_loopback.universe import Universe


D = Decimal
COIN = "km:US500"
ASSET = 150_000
NOW = 1_800_000_000_000
URL = "http://127.0.0.1:3001"
# keys of nobody
MASTER_KEY = SecretKey(bytes(range(1, 33)))
AGENT_KEY = SecretKey(bytes(range(2, 34)))
OTHER_KEY = SecretKey(bytes(range(3, 35)))
MASTER = MASTER_KEY.address
AGENT = AGENT_KEY.address
USER = "0x" + "ab" * 20
OTHER = "0x" + "cd" * 20
HASH = "0x" + "1" * 64
USDH = "USDH:0x54e00a5988577cb0b0c9ab0cb6ef7f4b"


def scene(*, deposit="1000", mark="700", mode=None, **more):
    """One account with USDH on km and a mark."""
    accounts = Accounts(Universe(), **more)
    accounts.open_account(USER, deposits={"km": D(deposit)}, mode=mode, now_ms=NOW)
    accounts.set_mark(COIN, D(mark), D(mark))
    return accounts


def order(*, side=1, price="700", size="1", oid=7, reduce_only=False, cloid=None, user=USER, coin=COIN):
    return Order(
        oid=oid,
        user=user,
        coin=coin,
        side=side,
        price=D(price),
        size=D(size),
        orig_size=D(size),
        tif="Gtc",
        reduce_only=reduce_only,
        cloid=cloid,
        ts_ms=NOW,
    )


def fill(accounts, side, size, price="700", *, user=USER, crossed=True, ts_ms=NOW, coin=COIN, **more):
    made = order(side=side, price=price, size=size, user=user, coin=coin)
    return accounts.fill(
        user,
        coin,
        side=side,
        price=D(price),
        size=D(size),
        crossed=crossed,
        order=made,
        ts_ms=ts_ms,
        tid=11,
        hash=HASH,
        **more,
    )


def state(accounts, user=USER, dex="km"):
    return accounts.clearinghouse_state(user, dex, NOW)


def only_position(accounts, user=USER, dex="km"):
    [row] = state(accounts, user, dex)["assetPositions"]
    return row["position"]


def action(kind, **fields):
    return {"type": kind, **fields}


def signed(act, *, key=MASTER_KEY, nonce=NOW, expires=None, vault=None):
    return Signer(key, URL, vault).request(act, nonce=nonce, expires_after_ms=expires)


def user_signed(act, *, key=MASTER_KEY):
    return Signer(key, URL).user_request(act)


def noop():
    return actions.noop_action()
