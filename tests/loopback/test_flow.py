"""The house's book and takers: ladders, takers, oracle, and what happens to quotes in the way."""

import itertools
from decimal import Decimal

import pytest

from hyperliquid_loopback.book import Book
from hyperliquid_loopback.book import HouseChunk
from hyperliquid_loopback.flow import Flows
from hyperliquid_loopback.flow import HouseLadder
from hyperliquid_loopback.flow import OraclePrice
from hyperliquid_loopback.flow import QuietFlow
from hyperliquid_loopback.flow import Shown
from hyperliquid_loopback.flow import Taken
from hyperliquid_loopback.flow import TimedFlow
from hyperliquid_loopback.simulated_flow import SimulatedFlow
from hyperliquid_loopback.types import Order


D = Decimal
COIN = "km:US500"
ZERO = D(0)


class FakeHouse:
    """Books and a bare matching of the house's orders, nothing more."""

    def __init__(self):
        self.books = {}
        self.oracles = []
        self.fills = []
        self.trades = []
        self.halted = set()
        self.numbers = itertools.count(1)

    def book(self, coin):
        return self.books.setdefault(coin, Book(coin))

    def quote(self, side, price, size, coin=COIN):
        order = Order(
            next(self.numbers), "0xme", coin, side, D(price), D(size), D(size), "Alo", False, None, 0
        )
        self.book(coin).rest(order)
        return order

    def house_level(self, coin, side, price, size):
        book = self.book(coin)
        have = book.house_size(side, price)
        if size > have:
            more = size - have
            if book.crosses(side, price):
                assert not book.side(-side).levels[book.side(-side).best].house, "the house met itself"
                more -= self.house_take(coin, side, more, price)
            if more > 0:
                book.house_add(side, price, HouseChunk(next(self.numbers), "0xhouse", more))
        elif size < have:
            book.house_cut(side, price, have - size)

    def house_take(self, coin, side, size, limit):
        book = self.book(coin)
        left = size
        while left > 0 and book.crosses(side, limit):
            half = book.side(-side)
            price = half.best
            entry = half.levels[price].first
            took = min(left, entry.size)
            if isinstance(entry, Order):
                self.fills.append((entry.oid, price, took))
            self.trades.append((side, price, took))
            book.reduce(-side, price, entry, took)
            left -= took
        return size - left

    def best(self, coin, side):
        return self.book(coin).side(side).best

    def is_trading(self, coin):
        return coin not in self.halted

    def set_oracle(self, coin, px, now_ms):
        self.oracles.append((coin, px, now_ms))


def levels(house, side, coin=COIN):
    return [(level.price, level.total) for level in house.book(coin).side(side).best_first()]


@pytest.fixture
def house():
    return FakeHouse()


def test_a_ladder_becomes_the_wanted_book_and_moves_without_meeting_itself(house):
    ladder = HouseLadder(COIN)
    ladder.show(house, [(D(99), D(5)), (D(98), D(7))], [(D(100), D(4)), (D(101), D(6))])
    assert levels(house, 1) == [(99, 5), (98, 7)]
    ladder.show(house, [(D(101), D(1)), (D(100), D(2))], [(D(102), D(3))])
    assert levels(house, 1) == [(101, 1), (100, 2)]
    assert levels(house, -1) == [(102, 3)]
    assert house.trades == []


def test_what_takers_ate_is_there_again_with_the_next_book(house):
    ladder = HouseLadder(COIN)
    book = ([(D(99), D(5))], [(D(100), D(4))])
    ladder.show(house, *book)
    house.house_take(COIN, 1, D(3), D(100))
    assert levels(house, -1) == [(100, 1)]
    ladder.show(house, *book)
    assert levels(house, -1) == [(100, 4)]


def test_a_quote_that_the_market_moves_through_is_filled_at_its_own_price(house):
    ladder = HouseLadder(COIN)
    ladder.show(house, [(D(99), D(5))], [(D(102), D(4))])
    mine = house.quote(-1, 100, 2)
    ladder.show(house, [(D(101), D(5))], [(D(103), D(4))])
    assert house.fills == [(mine.oid, D(100), D(2))]
    assert levels(house, 1) == [(101, 3)]


def test_a_quote_larger_than_the_market_keeps_the_house_behind_it(house):
    ladder = HouseLadder(COIN)
    ladder.show(house, [(D(99), D(5))], [(D(103), D(4))])
    mine = house.quote(-1, 100, 20)
    ladder.show(house, [(D(101), D(5)), (D(100), D(1)), (D(98), D(9))], [(D(103), D(4))])
    assert sum(size for _, _, size in house.fills) == 6
    assert levels(house, 1) == [(98, 9)]
    assert mine.size == 14


def test_a_taker_hits_better_quotes_first_then_the_house(house):
    ladder = HouseLadder(COIN)
    ladder.show(house, [(D(98), D(5))], [(D(102), D(4))])
    mine = house.quote(-1, 101, 1)
    ladder.take(house, Taken(0.0, COIN, 1, D(3), D(102)))
    assert house.fills == [(mine.oid, D(101), D(1))]
    assert levels(house, -1) == [(102, 2)]


def test_a_recorded_trade_finds_its_size_where_the_recorded_book_did_not_show_it(house):
    ladder = HouseLadder(COIN)
    ladder.show(house, [(D(98), D(5))], [(D(102), D(4))])
    ladder.take(house, Taken(0.0, COIN, 1, D(3), D(100), printed=True))
    assert house.trades == [(1, D(100), D(3))]
    # at or under its own side's best price the book was stale: nothing is made up
    ladder.take(house, Taken(0.0, COIN, 1, D(3), D(98), printed=True))
    assert len(house.trades) == 1


class Scripted(TimedFlow):
    def __init__(self, script, **options):
        super().__init__(**options)
        self.script = script

    def moves(self):
        return self.script


def book_at(at, bid, ask, size=5):
    return Shown(at, COIN, [(D(bid), D(size))], [(D(ask), D(size))])


def test_moves_are_played_when_they_are_due_and_the_oracle_every_three_seconds(house):
    script = [
        OraclePrice(0, COIN, D("99.5")),
        book_at(0, 99, 100),
        OraclePrice(100, COIN, D("100.5")),
        book_at(500, 100, 101),
        Taken(600, COIN, -1, D(2), D(100)),
    ]
    flow = Scripted(script)
    flow.start(house, 1_000)
    assert levels(house, 1) == [(99, 5)]
    flow.step(house, 1_499)
    assert levels(house, 1) == [(99, 5)]
    flow.step(house, 1_500)
    assert levels(house, 1) == [(100, 5)]
    for now in range(1_570, 8_000, 70):
        flow.step(house, now)
    assert house.trades == [(-1, D(100), D(2))]
    assert [px for _, px, _ in house.oracles] == [D("99.5"), D("100.5"), D("100.5")]
    times = [now for _, _, now in house.oracles]
    assert all(b - a >= 3_000 for a, b in itertools.pairwise(times))


def test_speed_makes_the_moves_come_sooner(house):
    flow = Scripted([book_at(0, 99, 100), book_at(1_000, 100, 101)], speed=10.0)
    flow.start(house, 0)
    flow.step(house, 99)
    assert levels(house, 1) == [(99, 5)]
    flow.step(house, 100)
    assert levels(house, 1) == [(100, 5)]


def test_a_side_can_be_switched_off_and_on_and_the_oracle_too(house):
    flow = Scripted([book_at(0, 99, 100), OraclePrice(0, COIN, D(99))])
    flow.start(house, 0)
    flow.bids_on = False
    flow.oracle_on = False
    flow.step(house, 70)
    assert levels(house, 1) == []
    assert levels(house, -1) == [(100, 5)]
    flow.step(house, 20_000)
    assert len(house.oracles) == 1
    flow.bids_on = flow.oracle_on = True
    flow.step(house, 24_000)
    assert levels(house, 1) == [(99, 5)]
    assert len(house.oracles) == 2


def test_a_halted_coin_is_left_alone(house):
    flow = Scripted([book_at(0, 99, 100), OraclePrice(0, COIN, D(99)), Taken(5, COIN, 1, D(1), D(100))])
    house.halted.add(COIN)
    flow.start(house, 0)
    flow.step(house, 70)
    assert levels(house, 1) == []
    assert house.oracles == []
    assert house.trades == []


def test_a_quiet_ladder_stands_around_its_mid_on_the_coin_s_ticks(house):
    flow = QuietFlow(COIN, D("690.25"), levels=3, size=D(8))
    flow.start(house, 0)
    assert levels(house, 1) == [(D("690.24"), 8), (D("690.23"), 8), (D("690.22"), 8)]
    assert levels(house, -1)[0] == (D("690.26"), 8)
    assert house.oracles[-1] == (COIN, D("690.25"), 0)


def test_a_quiet_market_moves_only_when_told_and_fills_what_is_in_its_way(house):
    flow = QuietFlow(COIN, D(690))
    flow.start(house, 0)
    before = levels(house, 1)
    for now in range(70, 700, 70):
        flow.step(house, now)
    assert levels(house, 1) == before
    mine = house.quote(-1, "690.05", 3)
    flow.move(D("690.50"))
    flow.step(house, 700)
    assert house.fills == [(mine.oid, D("690.05"), D(3))]
    assert levels(house, 1)[0][0] == D("690.49")


def test_a_quiet_taker_eats_and_the_ladder_fills_up_only_where_it_should(house):
    flow = QuietFlow(COIN, D(690), size=D(10))
    flow.start(house, 0)
    flow.take(1, D(4))
    flow.step(house, 70)
    assert levels(house, -1)[0][1] == 6
    flow.step(house, 140)
    assert levels(house, -1)[0][1] == 10
    flow.refill = False
    flow.take(1, D(4))
    flow.step(house, 210)
    flow.step(house, 280)
    assert levels(house, -1)[0][1] == 6


def test_the_quiet_oracle_follows_the_mid_unless_it_is_held(house):
    flow = QuietFlow(COIN, D(690))
    flow.start(house, 0)
    flow.set_oracle(D(650))
    flow.step(house, 3_000)
    flow.set_oracle(None)
    flow.move(D(695))
    flow.step(house, 6_000)
    assert [px for _, px, _ in house.oracles][-2:] == [D(650), D(695)]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"levels": 0}, "levels"),
        ({"spread_ticks": 0}, "spread_ticks"),
        ({"size": ZERO}, "size"),
        ({"mid": ZERO}, "mid"),
    ],
)
def test_a_quiet_flow_names_what_is_out_of_range(options, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        QuietFlow(COIN, **options)


def test_flows_of_several_coins_move_and_switch_together(house):
    flows = Flows(QuietFlow(COIN, D(690)), QuietFlow("xyz:SP500", D(6_900)))
    flows.start(house, 0)
    assert levels(house, 1, "xyz:SP500")[0][0] == D("6899.9")
    flows.asks_on = False
    flows.step(house, 70)
    assert levels(house, -1) == levels(house, -1, "xyz:SP500") == []
    assert not flows.asks_on
    assert flows.bids_on


def simulated(**options):
    return SimulatedFlow(COIN, chunk_minutes=4, **options)


def first_moves(flow, count):
    try:
        return list(itertools.islice(flow.moves(), count))
    finally:
        flow.close()


def test_the_simulated_market_is_the_same_for_a_seed_and_another_for_another():
    one, two, three = (first_moves(simulated(seed=seed), 1_500) for seed in (3, 3, 4))
    assert one == two
    assert one != three


def test_the_simulated_market_has_km_s_spread_and_depth_and_runs_on_over_its_chunks():
    moves = first_moves(simulated(seed=5), 3_000)
    assert [move.at_ms for move in moves] == sorted(move.at_ms for move in moves)
    # two chunks of four minutes at least
    assert moves[-1].at_ms > 2 * 240_000
    books = [move for move in moves if isinstance(move, Shown)]
    spreads = [(book.asks[0][0] - book.bids[0][0]) / D("0.01") for book in books]
    assert sum(1 <= spread <= 4 for spread in spreads) > 0.8 * len(spreads)
    assert min(spreads) >= 1
    assert all(len(book.bids) == len(book.asks) == 10 for book in books)
    mids = [(book.asks[0][0] + book.bids[0][0]) / 2 for book in books]
    assert abs(mids[0] - 690) < 1
    # no jump where one chunk ends and the next begins
    assert max(abs(b - a) for a, b in itertools.pairwise(mids)) < D("0.5")
    oracles = [move for move in moves if isinstance(move, OraclePrice)]
    assert len(oracles) == pytest.approx(moves[-1].at_ms / 3_000, rel=0.02)


def test_a_simulated_market_plays_on_a_house_without_crossing_and_trades(house):
    flow = simulated(seed=6, twin_coin="xyz:SP500", speed=20.0)
    try:
        flow.start(house, 0)
        for now in range(70, 30_000, 70):
            flow.step(house, now)
            assert house.best(COIN, 1) < house.best(COIN, -1)
    finally:
        flow.close()
    assert house.trades
    assert house.best("xyz:SP500", 1) == pytest.approx(10 * house.best(COIN, 1), rel=D("0.001"))


def markouts(flow, *, minutes, later_ms):
    """Join the best price of both sides, always at the back, and return what each fill is worth later, with its size."""
    house, mids, fills, mine, sides = FakeHouse(), [], [], {}, {}
    flow.start(house, 0)
    for now in range(70, minutes * 60_000, 70):
        flow.step(house, now)
        fills += [(len(mids), sides[oid], price, size) for oid, price, size in house.fills]
        house.fills.clear()
        touches = {side: house.best(COIN, side) for side in (1, -1)}
        mids.append((touches[1] + touches[-1]) / 2)
        for side, touch in touches.items():
            order = mine.get(side)
            if order is not None and order.size > 0 and order.price != touch:
                house.book(COIN).remove(order)
            if order is None or order.size <= 0 or order.price != touch:
                mine[side] = house.quote(side, touch, D("0.5"))
                sides[mine[side].oid] = side
    later = round(later_ms / 70)
    return [
        (side * (mids[at + later] - price), size) for at, side, price, size in fills if at + later < len(mids)
    ]


@pytest.mark.parametrize("seed", [8, 9])
def test_quotes_at_the_simulator_s_touch_are_adversely_selected(seed):
    flow = SimulatedFlow(COIN, seed=seed)
    try:
        worth = markouts(flow, minutes=20, later_ms=5_000)
    finally:
        flow.close()
    assert len(worth) > 100
    mean = sum(value * size for value, size in worth) / sum(size for _, size in worth)
    # a tick is 0.01: the fills lose ticks within five seconds, where an uninformed market would pay half a spread
    assert mean < D("-0.01")
