"""The flows on the venue's real matching core: users' orders in the same book as the house's."""

import itertools
from decimal import Decimal

import pytest

from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.flow import QuietFlow
from hyperliquid_loopback.flow import Shown
from hyperliquid_loopback.flow import Taken
from hyperliquid_loopback.flow import TimedFlow
from hyperliquid_loopback.market import default_market
from hyperliquid_loopback.simulated_flow import SimulatedFlow
from hyperliquid_loopback.types import BookChanged
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.types import Traded
from hyperliquid_loopback.universe import Universe


D = Decimal
COIN = "km:US500"
USER = "0x" + "a" * 40
# a whole hour and a quarter, so that no funding falls into the first minutes
T0 = 1_780_000_200_000
BLOCK_MS = 70


class World:
    """A core, one funded user and a flow, on the test's own clock."""

    def __init__(self, flow, *, seed=1):
        universe = Universe(default_market(end_ms=T0, candles=10, funding_hours=2))
        self.accounts = Accounts(universe)
        self.accounts.open_account(USER, deposits={"km": D(1_000_000)}, now_ms=T0)
        self.exchange = Exchange(universe, self.accounts, seed=seed)
        self.flow = flow
        self.now = T0
        self.events = []
        flow.start(self.exchange, T0)
        self.block()

    def block(self):
        self.now += BLOCK_MS
        new = self.exchange.run_block(self.now, lambda ms: self.flow.step(self.exchange, ms))
        self.events += new
        return new

    def blocks(self, count):
        for _ in range(count):
            self.block()

    def place(self, side, price, size, tif="Alo"):
        replies = []
        order = {
            "a": 150_000,
            "b": side > 0,
            "p": str(price),
            "s": str(size),
            "r": False,
            "t": {"limit": {"tif": tif}},
        }
        action = {"type": "order", "orders": [order], "grouping": "na"}
        self.exchange.submit(action, user=USER, now_ms=self.now, reply=replies.append)
        self.block()
        return replies[0]["response"]["data"]["statuses"][0]

    def fills(self):
        return [event.fill for event in self.events if isinstance(event, Filled) and event.user == USER]


class Scripted(TimedFlow):
    def __init__(self, script):
        super().__init__()
        self.script = script

    def moves(self):
        return self.script


def book_at(at, bid, ask, size=5):
    return Shown(at, COIN, [(D(bid), D(size))], [(D(ask), D(size))])


def test_an_order_behind_the_house_waits_for_its_turn():
    taker = Taken(1_000, COIN, -1, D(6), D("689.99"))
    world = World(Scripted([book_at(0, "689.99", "690.01"), taker]))
    world.place(1, "689.99", "2")
    world.blocks(20)
    (fill,) = world.fills()
    # five of the house were ahead, so one of the six reached it
    assert (D(fill["sz"]), D(fill["px"]), fill["crossed"]) == (1, D("689.99"), False)


def test_an_order_inside_the_spread_is_hit_first_at_its_own_price():
    taker = Taken(1_000, COIN, -1, D("1.5"), D("689.95"))
    world = World(Scripted([book_at(0, "689.95", "690.05"), taker]))
    world.place(1, "690.00", "1")
    world.blocks(20)
    (fill,) = world.fills()
    assert (D(fill["sz"]), D(fill["px"])) == (1, D("690.00"))
    prices = [event.px for event in world.events if isinstance(event, Traded)]
    assert prices == [D("690.00"), D("689.95")]


def test_an_order_that_the_book_moves_through_is_filled_and_the_house_never_rests_across_it():
    world = World(Scripted([book_at(0, "689.95", "690.05"), book_at(1_000, "690.10", "690.20")]))
    world.place(-1, "690.00", "2")
    for _ in range(20):
        world.block()
        assert world.exchange.best(COIN, 1) < world.exchange.best(COIN, -1)
    (fill,) = world.fills()
    assert (D(fill["sz"]), D(fill["px"])) == (2, D("690.00"))
    assert world.exchange.best(COIN, 1) == D("690.10")


def test_a_quiet_book_that_does_not_move_emits_no_change_of_it():
    world = World(QuietFlow())
    world.blocks(3)
    world.events.clear()
    world.blocks(10)
    assert [event for event in world.events if isinstance(event, BookChanged)] == []


def test_the_switched_off_oracle_goes_stale_and_the_mark_becomes_local():
    flow = QuietFlow(COIN, D(690))
    world = World(flow)
    flow.oracle_on = False
    flow.move(D(700))
    world.blocks(round(12_000 / BLOCK_MS))
    assert world.exchange.oracle(COIN) == 690
    assert abs(world.exchange.mark(COIN) - 700) < 4


def test_a_halted_market_is_left_alone_and_quoted_again_when_it_resumes():
    world = World(QuietFlow())
    world.exchange.halt(COIN)
    world.blocks(5)
    assert world.exchange.best(COIN, 1) is None
    world.exchange.resume(COIN)
    world.blocks(5)
    assert world.exchange.best(COIN, 1) == D("689.99")


def simulated_day(seed):
    flow = SimulatedFlow(COIN, seed=seed, chunk_minutes=6)
    try:
        world = World(flow)
        world.place(1, "689.00", "1")
        bests = set()
        for number in range(round(300_000 / BLOCK_MS)):
            world.block()
            bid, ask = world.exchange.best(COIN, 1), world.exchange.best(COIN, -1)
            assert bid < ask
            bests.add((bid, ask))
            if number % 40 == 0:
                world.place(1, bid, "0.5")
                world.place(-1, ask, "0.5")
        return world, bests
    finally:
        flow.close()


def test_the_simulated_market_trades_with_the_user_the_same_way_for_the_same_seed():
    (one, bests), (two, _), (other, _) = simulated_day(11), simulated_day(11), simulated_day(12)
    assert len(bests) > 20
    assert one.fills() == two.fills()
    assert len(one.fills()) > 5
    assert one.fills() != other.fills()
    # the book moves by ticks, and the position is what the fills say
    signed = sum(D(row["sz"]) * (1 if row["side"] == "B" else -1) for row in one.fills())
    assert one.accounts.position(USER, COIN) == signed
    oracle, mark = one.exchange.oracle(COIN), one.exchange.mark(COIN)
    assert abs(oracle - mark) < 1


@pytest.mark.parametrize("seed", [1, 2])
def test_the_venue_s_trades_are_the_simulator_s_when_nobody_else_is_there(seed):
    flow = SimulatedFlow(COIN, seed=seed, chunk_minutes=6)
    twin = SimulatedFlow(COIN, seed=seed, chunk_minutes=6)
    try:
        world = World(flow)
        world.blocks(round(300_000 / BLOCK_MS))
        elapsed = world.now - T0
        moves = itertools.takewhile(lambda move: move.at_ms <= elapsed, twin.moves())
        wanted = [(move.side, move.limit, move.size) for move in moves if isinstance(move, Taken)]
    finally:
        flow.close()
        twin.close()
    traded = [(row.side, row.px, row.sz) for row in world.events if isinstance(row, Traded)]
    assert wanted
    assert sum(size for _, _, size in traded) == sum(size for _, _, size in wanted)
    assert [price for _, price, _ in traded] == [price for _, price, _ in wanted]
