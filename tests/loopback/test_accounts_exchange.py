"""Accounts and matching core together, in random markets: nothing is created, lost or left reserved."""

import random
from decimal import Decimal

import pytest

from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.types import FundingPaid
from hyperliquid_loopback.types import Liquidated
from hyperliquid_loopback.universe import Universe
from tests.loopback.account_scene import ASSET
from tests.loopback.account_scene import COIN
from tests.loopback.account_scene import NOW


D = Decimal
USERS = tuple("0x" + text * 20 for text in ("a1", "a2", "a3"))
BLOCKS = 120


def order_wire(draw):
    price = D(draw.randint(68_000, 72_000)) / 100
    return {
        "a": ASSET,
        "b": draw.random() < 0.5,
        "p": f"{price.normalize():f}",
        "s": f"{(D(draw.randint(20, 30_000)) / 1000).normalize():f}",
        "r": draw.random() < 0.15,
        "t": {"limit": {"tif": draw.choice(["Alo", "Gtc", "Gtc", "Ioc"])}},
    }


def some_action(draw, exchange, user):
    kind = draw.random()
    mine = [row["oid"] for row in exchange.open_orders(user, "km")]
    if kind < 0.15 and mine:
        return {"type": "cancel", "cancels": [{"a": ASSET, "o": draw.choice(mine)}]}
    if kind < 0.3 and mine:
        modify = {"oid": draw.choice(mine), "order": order_wire(draw)}
        return {"type": "batchModify", "modifies": [modify], "a": True}
    if kind < 0.36:
        isolated = draw.random() < 0.5
        return {
            "type": "updateLeverage",
            "asset": ASSET,
            "isCross": not isolated,
            "leverage": draw.randint(1, 25),
        }
    if kind < 0.4:
        ntli = draw.randint(-200, 200) * 1_000_000
        return {"type": "updateIsolatedMargin", "asset": ASSET, "isBuy": True, "ntli": ntli}
    return {
        "type": "order",
        "orders": [order_wire(draw) for _ in range(draw.randint(1, 4))],
        "grouping": "na",
    }


def cross_action(draw, exchange, user):
    if draw.random() < 0.1:
        return {"type": "updateLeverage", "asset": ASSET, "isCross": True, "leverage": 25}
    return {"type": "order", "orders": [order_wire(draw) for _ in range(2)], "grouping": "na"}


def reserved(accounts, user):
    resting = accounts.account(accounts.holder(user), "km").resting(COIN)
    return resting.buy_value, resting.sell_value


def resting_value(exchange, user):
    values = {"B": D(0), "A": D(0)}
    for row in exchange.frontend_open_orders(user, "km"):
        if not row["reduceOnly"] and not row["isTrigger"]:
            values[row["side"]] += D(row["limitPx"]) * D(row["sz"])
    return values["B"], values["A"]


class Books:
    """What the users' own messages say that they have, kept apart from the venue's accounts."""

    def __init__(self, deposit):
        self.cash = dict.fromkeys(USERS, deposit)
        self.held = dict.fromkeys(USERS, D(0))
        self.fills = dict.fromkeys(USERS, 0)
        self.ends = set()
        self.notices = 0
        self.funded = 0
        self.takeovers = 0
        # what takeovers left owing
        self.forgiven = D(0)

    def read(self, event):
        match event:
            case Filled(user, row):
                self._fill(user, row)
            case FundingPaid(user, row):
                self.cash[user] += D(row["usdc"])
                self.funded += 1
            case Liquidated():
                self.notices += 1

    def _fill(self, user, row):
        side = 1 if row["side"] == "B" else -1
        assert D(row["startPosition"]) == self.held[user]
        self.held[user] += side * D(row["sz"])
        self.cash[user] -= side * D(row["sz"]) * D(row["px"]) + D(row["fee"])
        self.fills[user] += 1
        self.ends.add(row["dir"])
        if row.get("liquidation", {}).get("method") == "backstop":
            # a cross account's whole value goes along; nobody owes what is missing
            self.forgiven += max(D(0), -self.cash[user])
            self.cash[user] = D(0)
            self.takeovers += 1

    def worth(self, mark):
        return sum((self.cash[user] + self.held[user] * mark for user in USERS), D(0))


def run_market(draw, *, mode, deposit, move, step_ms, choose):
    accounts = Accounts(Universe(), mode_default=mode)
    exchange = Exchange(accounts.universe, accounts)
    for user in USERS:
        accounts.open_account(user, deposits={"km": deposit}, now_ms=NOW)
    books, oracle = Books(deposit), D(700)
    for block in range(BLOCKS):
        now = NOW + block * step_ms
        exchange.set_oracle(COIN, oracle, now)
        oracle = max(D(600), min(D(800), oracle + D(draw.randint(-move, move)) / 100))
        for user in USERS:
            if draw.random() < 0.7:
                act = choose(draw, exchange, user)
                exchange.submit(act, user=user, now_ms=now, reply=lambda _: None)

        def house(_, mid=oracle):
            exchange.house_take(COIN, draw.choice([1, -1]), D(draw.randint(1, 20)), mid)

        for event in exchange.run_block(now, house):
            books.read(event)
        for user in USERS:
            assert accounts.position(user, COIN) == books.held[user]
            assert reserved(accounts, user) == resting_value(exchange, user)
    pots = sum((accounts.account(accounts.holder(user), "km").equity for user in USERS), D(0))
    assert pots == books.worth(accounts.mark_of(COIN)) + accounts.shortfall - books.forgiven
    for user in USERS:
        assert books.fills[user] == len(accounts.user_fills_by_time(user, 0))
    return accounts, books


@pytest.mark.parametrize("mode", ["disabled", "unifiedAccount"])
@pytest.mark.parametrize("seed", range(4))
def test_every_fill_is_booked_once_and_every_order_reserved_exactly(seed, mode):
    _, books = run_market(
        random.Random(seed), mode=mode, deposit=D(3_000), move=600, step_ms=3_000, choose=some_action
    )
    assert sum(books.fills.values()) > 100
    assert {"Long > Short", "Short > Long", "Close Long", "Close Short"} <= books.ends


def test_a_violent_market_liquidates_and_still_loses_no_unit():
    seen = set()
    notices = funded = takeovers = 0
    for seed in range(12):
        _, books = run_market(
            random.Random(seed),
            mode="disabled",
            deposit=D(400),
            move=3_000,
            step_ms=60_000,
            choose=cross_action,
        )
        seen |= books.ends
        notices += books.notices
        funded += books.funded
        takeovers += books.takeovers
    assert notices >= 5
    assert funded >= 5
    assert takeovers >= 1
    assert {"Liquidated Cross Long", "Liquidated Cross Short"} <= seen
